"""What the commands share: options that are settings, logging, and errors that become exit codes."""

from __future__ import annotations

import functools
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click

from dnai.config import Settings, load_settings
from dnai.errors import ConfigurationError, DnaiError, UsageError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_Command = TypeVar("_Command", bound=Callable[..., Any])


def settings_options(*names: str, renamed: dict[str, str] | None = None) -> Callable[[_Command], _Command]:
    """Give a click command ``--data-dir``, ``--log-level`` and an option for each named setting.

    The command is called with the loaded `Settings` as its first argument. `renamed` maps a setting
    to another name on the command line: ``{"web_listen": "listen"}``.
    """
    option_names = {name: (renamed or {}).get(name, name) for name in ("data_dir", *names, "log_level")}

    def decorate(function: _Command) -> _Command:
        @functools.wraps(function)
        def with_settings(*args: Any, **options: Any) -> Any:  # noqa: ANN401  # whatever the command takes and gives
            chosen = {name: options.pop(name) for name in option_names}
            settings = load_settings(chosen)
            configure_logging(settings)
            return function(settings, *args, **options)

        decorated: Any = with_settings
        for name, option_name in reversed(option_names.items()):
            flag = "--" + option_name.replace("_", "-")
            if Settings.model_fields[name].annotation is bool:
                switch = f"{flag}/--no-{flag.removeprefix('--')}"
                decorated = click.option(switch, name, default=None, help=_help(name))(decorated)
                continue
            decorated = click.option(flag, name, help=_help(name), metavar=_METAVARS.get(name))(decorated)
        return decorated  # type: ignore[no-any-return]  # click's decorators keep the function's type

    return decorate


_METAVARS = {
    "data_dir": "DIR",
    "broker": "URL",
    "broker_ca": "FILE",
    "name": "NAME",
    "models": "NAMES",
    "listen": "HOST:PORT",
    "web_listen": "HOST:PORT",
    "advertise": "HOST:PORT",
    "rescan_s": "SECONDS",
    "scan_processes": "N",
    "deadline_s": "SECONDS",
    "log_level": "LEVEL",
}


def _help(name: str) -> str:
    description = Settings.model_fields[name].description or ""
    return description[:1].upper() + description[1:] + f"  [DNAI_{name.upper()}]"


def configure_logging(settings: Settings) -> None:
    """Send log lines to stderr, from the level in the settings on."""
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log_level,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )
    # pika reports each step of a connection; what matters of it is in our own lines.
    logging.getLogger("pika").setLevel(logging.CRITICAL)


def run_command(command: click.Command, *, name: str | None = None) -> NoReturn:
    """Run `command` on the program's arguments and exit: 0, 1 when it failed, 2 when the call was wrong.

    `name` is what the program is called in its help; the name of its file if left out.
    """
    try:
        command.main(prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except DnaiError as error:
        click.echo(f"dnai: {error}", err=True)
        sys.exit(EXIT_USAGE if isinstance(error, UsageError | ConfigurationError) else EXIT_FAILED)
    except BrokenPipeError:
        # Whoever read our output has gone, as with `dnai tracks | head`; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    sys.exit(0)
