"""``dnai web``: the page with the chat and the player."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click
from pydantic import SecretStr

from dnai.command_line import settings_options
from dnai.config import Address, Settings
from dnai.errors import ConfigurationError
from web.app import load_app
from web.credits import read_credits
from web.security import check_listen
from web.server import bind, bound_address, serve

MAX_PASSWORD_BYTES = 1000


@click.command()
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read the page's password from this file instead of DNAI_WEB_PASSWORD.",
)
@click.option(
    "--credits",
    "credits_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Show who made the music: a JSON list of {title, authors, licence, source}.",
)
@settings_options(
    *("web_listen", "web_hosts", "broker", "broker_ca", "name", "models", "use_tags", "deadline_s"),
    renamed={"web_listen": "listen"},
)
def web_command(settings: Settings, password_file: Path | None, credits_file: Path | None) -> None:
    """Serve the page with the chat and the player.

    Open it in a browser at the address that is printed. It works without a broker, too: then only
    your own collection plays.
    """
    if password_file is not None:
        settings = settings.model_copy(update={"web_password": _read_password(password_file)})
    credits = read_credits(credits_file) if credits_file else ()
    check_listen(settings.web_listen, has_password=settings.web_password is not None)
    listening = bind(settings.web_listen)
    address = bound_address(listening)
    load = partial(load_app, settings, listen=Address(settings.web_listen.host, address.port), credits=credits)
    serve(listening, load, on_ready=partial(_say_ready, address))


def _say_ready(address: Address) -> None:
    click.echo(f"DN.ai is ready: http://{address}")
    sys.stdout.flush()


def _read_password(path: Path) -> SecretStr:
    try:
        text = path.read_bytes()[: MAX_PASSWORD_BYTES + 1].decode().strip("\r\n")
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"the password file {path} cannot be read: {error}") from error
    if not text or len(text) > MAX_PASSWORD_BYTES:
        raise ConfigurationError(
            f"the password file {path} must hold one password, of at most {MAX_PASSWORD_BYTES} bytes"
        )
    return SecretStr(text)
