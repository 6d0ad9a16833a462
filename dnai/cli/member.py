"""``dnai member``: makes a member of the circle on the broker."""

from __future__ import annotations

import json
from urllib.parse import quote

import click

from dnai.broker.administration import import_over_http, import_with_rabbitmqctl
from dnai.broker.members import DEFAULT_VHOST, Definitions, Member, definitions, new_member
from dnai.config import Address, parse_address
from dnai.errors import UsageError

AMQP_PORT = 5672
AMQPS_PORT = 5671


@click.command()
@click.argument("name")
@click.option("--password", metavar="P", help="The member's password; a random one if left out.")
@click.option("--vhost", default=DEFAULT_VHOST, show_default=True, metavar="V", help="The circle's virtual host.")
@click.option("--tap", is_flag=True, help="A user for dnai tap: may read the firehose and nothing else.")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="HOST[:PORT]", help="Where members find it.")
@click.option("--tls", is_flag=True, help="Members connect by amqps://, port 5671.")
@click.option("--definitions", "only_definitions", is_flag=True, help="Print the definitions alone, as JSON.")
@click.option("--apply", "apply_here", is_flag=True, help="Import them into the RabbitMQ on this machine.")
@click.option("--management", metavar="URL", help="Import them over http://ADMIN:PASSWORD@HOST:15672.")
def member_command(
    name: str,
    password: str | None,
    vhost: str,
    tap: bool,
    host: str,
    tls: bool,
    only_definitions: bool,
    apply_here: bool,
    management: str | None,
) -> None:
    """Make NAME a member of the circle on the broker, or give NAME a new password.

    Prints what the broker needs and the broker URL to give to the member; other members are left
    alone. With --apply or --management it is done at once. For a broker in a container:

    dnai member anna --definitions | docker compose exec -T broker rabbitmqctl import_definitions
    """
    if sum((only_definitions, apply_here, management is not None)) > 1:
        raise UsageError("give one of --definitions, --apply and --management")
    address = _parse_host(host, tls=tls)
    member = new_member(name) if password is None else Member(name, password)
    wanted = definitions(() if tap else (member,), vhost=vhost, tap_members=(member,) if tap else ())
    url = member_url(member, address, vhost=vhost, tls=tls)
    if only_definitions:
        click.echo(json.dumps(wanted, indent=1))
        click.echo(f"broker URL for {name}: {url}", err=True)
        return
    if apply_here:
        import_with_rabbitmqctl(wanted)
    elif management is not None:
        import_over_http(wanted, management)
    else:
        _print_how_to(name, wanted)
    click.echo(f"# Give {name} this broker URL, by a way that nobody else reads:", err=False)
    click.echo(url)


def member_url(member: Member, address: Address, *, vhost: str, tls: bool) -> str:
    """Return the URL with which `member` connects to the broker at `address`."""
    user, password, path = (quote(part, safe="") for part in (member.name, member.password, vhost))
    return f"{'amqps' if tls else 'amqp'}://{user}:{password}@{address}/{path}"


def _parse_host(text: str, *, tls: bool) -> Address:
    has_port = text.rpartition(":")[2].isdigit() and not text.endswith("]")
    try:
        return parse_address(text if has_port else f"{text}:{AMQPS_PORT if tls else AMQP_PORT}")
    except ValueError as error:
        raise UsageError(f"--host: {error}") from error


def _print_how_to(name: str, wanted: Definitions) -> None:
    click.echo(f"# On the broker's machine, as root, to make {name} a member:")
    click.echo("rabbitmqctl import_definitions <<'END'")
    click.echo(json.dumps(wanted, separators=(",", ":")))
    click.echo("END")
    click.echo()
