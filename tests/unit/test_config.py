"""Settings: where they come from, what is said of mistakes, and what is never shown."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import click
import pytest

from dnai.command_line import settings_options
from dnai.config import (
    DEFAULT_MODELS,
    PROJECT_DIR,
    Address,
    Settings,
    broker_place,
    broker_user,
    is_loopback_host,
    load_settings,
    parse_address,
)
from dnai.errors import ConfigurationError

SECRET = "correct-horse"
URL = f"amqp://anna:{SECRET}@broker.example:5673/circle"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests counts."""
    for name in [name for name in os.environ if name.upper().startswith("DNAI_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DNAI_DATA_DIR", str(tmp_path))


def write_config(folder: Path, text: str) -> None:
    (folder / "config.toml").write_text(text, encoding="utf-8")


def test_options_beat_the_environment_which_beats_the_file_which_beats_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source wins over the one below it."""
    assert load_settings({}).deadline_s == 1.0
    write_config(tmp_path, "deadline_s = 2.0")
    assert load_settings({}).deadline_s == 2.0
    monkeypatch.setenv("DNAI_DEADLINE_S", "3")
    assert load_settings({}).deadline_s == 3.0
    assert load_settings({"deadline_s": "4"}).deadline_s == 4.0
    assert load_settings({"deadline_s": None}).deadline_s == 3.0


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As compose files write them."""
    monkeypatch.setenv("DNAI_BROKER", "")
    assert load_settings({}).broker is None


def test_every_setting_can_be_given_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Addresses and lists are text there, as on the command line."""
    given = {
        "models": "other, another",
        "use_tags": "no",
        "broker": URL,
        "broker_ca": "/etc/ca.pem",
        "name": "Anna's",
        "listen": "[::1]:8000",
        "advertise": "music.example:7711",
        "scan_processes": "2",
        "rescan_s": "60",
        "deadline_s": "0.5",
        "web_listen": "0.0.0.0:7700",
        "web_password": SECRET,
        "web_hosts": "one.example, two.example",
        "peer_networks": "10.0.0.0/8,fd00::/8",
        "log_level": "DEBUG",
    }
    assert given.keys() == Settings.model_fields.keys() - {"data_dir"}
    for name, text in given.items():
        monkeypatch.setenv(f"DNAI_{name.upper()}", text)
    settings = load_settings({})
    assert settings.listen == Address("::1", 8000)
    assert settings.advertise == Address("music.example", 7711)
    assert settings.models == ("other", "another")
    assert not settings.use_tags
    assert settings.web_hosts == ("one.example", "two.example")
    assert settings.peer_networks == (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))
    assert settings.broker_url == URL


def test_lists_in_the_file_may_be_lists(tmp_path: Path) -> None:
    """TOML has them."""
    write_config(tmp_path, 'web_hosts = ["a.example", "b.example"]\npeer_networks = ["10.0.0.0/8"]')
    settings = load_settings({})
    assert settings.web_hosts == ("a.example", "b.example")
    assert settings.peer_networks == (ipaddress.ip_network("10.0.0.0/8"),)


def test_all_mistakes_of_all_sources_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One a line, each with its name, and the name that was probably meant."""
    write_config(tmp_path, 'lissten = "x"\nrescan_s = 0')
    monkeypatch.setenv("DNAI_BROKR", "x")
    with pytest.raises(ConfigurationError) as raised:
        load_settings({"deadline_s": "soon", "listen": "nowhere", "peer_networks": "10.0.0.0/8, lan"})
    lines = str(raised.value).splitlines()
    assert len(lines) == 6
    for expected in (
        "DNAI_BROKR in the environment is not a setting; did you mean DNAI_BROKER?",
        f"lissten in {tmp_path / 'config.toml'} is not a setting; did you mean listen?",
        "rescan_s (DNAI_RESCAN_S): ",
        "deadline_s (DNAI_DEADLINE_S): ",
        "listen (DNAI_LISTEN): 'nowhere' is not HOST:PORT",
        "peer_networks (DNAI_PEER_NETWORKS): 'lan' does not appear",
    ):
        assert any(line.startswith(expected) for line in lines), (expected, lines)


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"= 1"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, content: bytes) -> None:
    """With its path."""
    (tmp_path / "config.toml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"config\.toml is not readable as TOML"):
        load_settings({})


def test_a_tilde_in_the_data_directory_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for the configuration file in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    write_config(tmp_path, 'name = "at home"')
    settings = load_settings({"data_dir": "~"})
    assert settings.data_dir == tmp_path
    assert settings.name == "at home"


def test_an_unknown_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback."""
    with pytest.raises(ConfigurationError, match="data_dir"):
        load_settings({"data_dir": "~nobody-of-that-name/x"})


def test_a_relative_data_directory_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a process that changes its folder finds it again."""
    monkeypatch.chdir(tmp_path)
    assert load_settings({"data_dir": "mine"}).catalogue_path == tmp_path / "mine" / "catalogue.sqlite3"


def test_secrets_are_masked_wherever_settings_are_printed() -> None:
    """In repr, str and the dump, for logs."""
    settings = load_settings({"broker": URL, "web_password": SECRET})
    for shown in (repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert SECRET not in shown


@pytest.mark.parametrize(
    "url",
    [
        f"http://anna:{SECRET}@host/",
        f"amqp://{SECRET}@host/",
        f"amqp:/anna:{SECRET}@host/",
        f"amqp://anna:{SECRET}@/",
        f"amqp://anna:{SECRET}@host:port/",
        f"amqp://anna:{SECRET}@host:99999/",
        f"amqp://anna:{SECRET}@host:0/",
        f"amqp://anna:{SECRET}/more@host:5672/",
        f"amqp://anna:{SECRET}#more@host:5672/",
        f"amqp://anna:{SECRET}@[::1/",
        f"amqp://anna:{SECRET}℀@host/",
        SECRET,
    ],
)
@pytest.mark.parametrize("source", ["option", "environment", "file"])
def test_a_wrong_broker_url_is_refused_without_showing_its_password(
    url: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in the message nor in what it was made from, whichever source it is in."""
    if source == "environment":
        monkeypatch.setenv("DNAI_BROKER", url)
    elif source == "file":
        write_config(tmp_path, f'broker = "{url}"')
    with pytest.raises(ConfigurationError, match="amqp://USER:PASSWORD@HOST:PORT/VHOST") as raised:
        load_settings({"broker": url} if source == "option" else {})
    error: BaseException | None = raised.value
    while error is not None:
        assert SECRET not in str(error)
        error = error.__cause__


def test_an_empty_password_of_the_page_is_refused(tmp_path: Path) -> None:
    """It would count as one where the address is checked, and as none where the page is served."""
    write_config(tmp_path, 'web_password = ""\nweb_listen = "0.0.0.0:7700"')
    with pytest.raises(ConfigurationError, match=r"web_password \(DNAI_WEB_PASSWORD\): it is empty"):
        load_settings({})


def test_where_no_broker_is_set_the_error_says_how_to_set_one() -> None:
    """All three ways."""
    with pytest.raises(ConfigurationError, match=r"--broker amqp://.*DNAI_BROKER.*config\.toml"):
        _ = load_settings({}).broker_url


def test_the_name_shown_is_the_one_set_else_the_broker_user() -> None:
    """Cleaned and bounded."""
    assert load_settings({"broker": "amqp://an%20na:x@h/"}).display_name == "an na"
    assert load_settings({"broker": URL, "name": "Anna\x1b[2J\n"}).display_name == "Anna[2J"
    assert load_settings({"name": "x" * 1000}).display_name == "x" * 63 + "…"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (URL, "broker.example:5673, virtual host circle"),
        ("amqp://a:b@h", "h:5672, virtual host /"),
        ("amqps://a:b@h/%2Fx", "h:5671, virtual host /x"),
    ],
)
def test_a_broker_is_named_without_user_and_password(url: str, place: str) -> None:
    """Host, port and virtual host, with the port that the scheme has where none is given."""
    assert broker_place(url) == place
    assert broker_user(URL) == "anna"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7711", Address("127.0.0.1", 7711)),
        (" localhost:0 ", Address("localhost", 0)),
        ("[::1]:80", Address("::1", 80)),
        ("[0:0:0:0:0:0:0:1]:80", Address("::1", 80)),
        ("music.example.:65535", Address("music.example.", 65535)),
    ],
)
def test_addresses_are_understood(text: str, address: Address) -> None:
    """Names, both kinds of literals, and any free port; written as they are read."""
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "host", ":80", "host:", "host:x", "host:-1", "host:65536", "host:٣", "::1:80", "[::1]", "[nope]:80"),
        *("ho st:80", "-host:80", "a/b:80", "user@host:80", "host:80\n:80", "http://host:80", "x" * 300 + ":80"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With what is expected instead."""
    with pytest.raises(ValueError, match=r"HOST:PORT|IPv6|65535|host name|[Oo]ctet|At least 3 parts"):
        parse_address(text)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST."])
def test_this_machine_is_loopback(host: str) -> None:
    """All of 127/8, and the name."""
    assert is_loopback_host(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.0.0.1.example", ""])  # noqa: S104  # not listened on
def test_all_addresses_and_other_machines_are_not_loopback(host: str) -> None:
    """The page then asks for a password."""
    assert not is_loopback_host(host)


def test_every_setting_has_a_description_and_can_be_an_option() -> None:
    """The help of the commands is made from it."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert callable(settings_options(name))


def test_models_are_names_or_folders_in_order_of_preference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own by name, any other by its path, with commas or as a list in the file."""
    shipped = PROJECT_DIR / "models" / "librosa26"
    assert load_settings({}).model_dirs == tuple(PROJECT_DIR / "models" / name for name in DEFAULT_MODELS)
    assert load_settings({"models": f"{tmp_path}, librosa26"}).model_dirs == (tmp_path, shipped)
    write_config(tmp_path, f'models = ["librosa26", "{tmp_path}"]')
    assert load_settings({}).model_dirs == (shipped, tmp_path)
    monkeypatch.setenv("DNAI_MODELS", "librosa26")
    assert load_settings({}).model_dirs == (shipped,)
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_settings({"models": "mine"}).model_dirs == (Path("mine"),)


def test_a_model_that_is_not_there_is_named_with_those_that_are() -> None:
    """Where a name is meant, not a path: the list of names, and the nearest of them."""
    with pytest.raises(ConfigurationError, match=r"there is no model 'librosa27'; did you mean librosa26\?; there are"):
        _ = load_settings({"models": "librosa27"}).model_dirs
    assert load_settings({"models": "/nowhere/model"}).model_dirs == (Path("/nowhere/model"),)


@pytest.mark.parametrize(
    ("models", "said"), [("librosa26,librosa26", "librosa26 is named twice"), (" , ", "name at least one model")]
)
def test_models_that_cannot_be_meant_are_refused(models: str, said: str) -> None:
    """One twice, and none at all."""
    with pytest.raises(ConfigurationError, match=rf"models \(DNAI_MODELS\): {said}"):
        load_settings({"models": models})


def test_the_setting_of_one_model_is_told_its_new_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From before there could be several, in the file and in the environment."""
    write_config(tmp_path, 'model = "librosa26"')
    with pytest.raises(ConfigurationError, match=r"model in .*config\.toml is not a setting; did you mean models\?"):
        load_settings({})
    (tmp_path / "config.toml").unlink()
    monkeypatch.setenv("DNAI_MODEL", "librosa26")
    with pytest.raises(ConfigurationError, match=r"did you mean DNAI_MODELS\?"):
        load_settings({})


@pytest.mark.parametrize(("text", "value"), [("true", True), ("no", False), ("0", False), ("on", True)])
def test_a_switch_is_understood_as_people_write_it(text: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the environment; an option has two names."""
    assert load_settings({}).use_tags
    monkeypatch.setenv("DNAI_USE_TAGS", text)
    assert load_settings({}).use_tags is value


@pytest.mark.parametrize(("arguments", "value"), [([], True), (["--use-tags"], True), (["--no-use-tags"], False)])
def test_a_switch_is_a_pair_of_options(arguments: list[str], value: bool) -> None:
    """Neither of them leaves it to the other sources."""
    seen: list[bool] = []

    @click.command()
    @settings_options("use_tags")
    def command(settings: Settings) -> None:
        seen.append(settings.use_tags)

    command.main(arguments, standalone_mode=False)
    assert seen == [value]
