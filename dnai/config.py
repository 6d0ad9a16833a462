"""Settings, from command-line options, the environment, a file, and defaults, in that order.

Each setting has one name: ``web_listen`` is ``DNAI_WEB_LISTEN`` in the environment and
``web_listen = "…"`` in ``config.toml`` of the data directory. All mistakes are reported together.
"""

from __future__ import annotations

import difflib
import getpass
import ipaddress
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

import platformdirs
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from dnai.errors import ConfigurationError
from dnai.text import clean_text

ENV_PREFIX = "DNAI_"
CONFIG_FILE_NAME = "config.toml"
PROJECT_DIR = Path(__file__).resolve().parents[1]
MODELS_DIR = PROJECT_DIR / "models"

DEFAULT_MODELS: tuple[str, ...] = ("musicnn200", "librosa26")
"""The genre models, in order of preference: the first hears best, and its feature space is asked in first."""

_LOOPBACK_LISTEN = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Address:
    """A host (name or IP literal, no brackets) and a TCP port; port 0 means any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback_host(self.host)


def is_loopback_host(host: str) -> bool:
    """Return whether `host` names this machine and nothing else."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\.?")


def parse_address(text: str) -> Address:
    """Return the address written ``HOST:PORT`` or ``[IPV6]:PORT``.

    Raises
    ------
    ValueError
        When `text` is not of that form; the message says what is expected.
    """
    host, separator, port_text = text.strip().rpartition(":")
    if not separator or not port_text.isascii() or not port_text.isdigit():
        raise ValueError(f"{text!r} is not HOST:PORT, for instance 192.168.1.20:7711")
    if int(port_text) > 65535:
        raise ValueError(f"port {port_text} in {text!r} is above 65535")
    return Address(host=_parse_host(host, text), port=int(port_text))


def _parse_host(host: str, text: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return str(ipaddress.IPv6Address(host[1:-1]))
    if ":" in host:
        raise ValueError(f"write the IPv6 address in {text!r} in brackets: [{host}]:PORT")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{host!r} in {text!r} is not a host name or an IP address")
    return host


def _to_address(value: object) -> object:
    return parse_address(value) if isinstance(value, str) else value


def _to_list(value: object) -> object:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _to_models(value: object) -> object:
    names = _to_list(value)
    if isinstance(names, list) and not names:
        raise ValueError("name at least one model")
    if isinstance(names, list | tuple):
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is named twice")
    return names


def _to_networks(value: object) -> object:
    parts = _to_list(value)
    if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
        return tuple(ipaddress.ip_network(part) for part in parts)
    return parts


def _to_label(value: object) -> object:
    return clean_text(value, max_chars=64) if isinstance(value, str) else value


def _to_password(value: object) -> object:
    """Refuse an empty password: whoever writes one would think that the page is locked."""
    if value == "":
        raise ValueError("it is empty; give a password, or leave the setting out")
    return value


def _to_broker(value: object) -> object:
    """Check the URL here, so that its password never stands in an error of pydantic's."""
    if not isinstance(value, str):
        return value
    form = "amqp://USER:PASSWORD@HOST:PORT/VHOST (or amqps:// for TLS)"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        # Not chained: the error of urlsplit can hold the password.
        raise ValueError(f"host or port cannot be read; expected {form}") from None
    if parts.scheme not in {"amqp", "amqps"} or not parts.hostname or port == 0:
        raise ValueError(f"expected {form}")
    if not parts.username or parts.password is None:
        raise ValueError("the URL must name a member's user and password: amqp://USER:PASSWORD@HOST:PORT/VHOST")
    return value


# NoDecode, here and below: a variable of the environment is text, not JSON.
AddressSetting = Annotated[Address, NoDecode, BeforeValidator(_to_address)]
OptionalAddressSetting = Annotated[Address | None, NoDecode, BeforeValidator(_to_address)]
NetworkSetting = ipaddress.IPv4Network | ipaddress.IPv6Network


class Settings(BaseSettings):
    """All settings of a user. Secrets are masked wherever the settings are printed."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True, env_ignore_empty=True)

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("dnai", appauthor=False)),
        description="where the catalogue, the provider's id and what the chatbot has learned are kept",
    )
    models: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_to_models)] = Field(
        default=DEFAULT_MODELS,
        description="the genre models, the preferred one first: names under models/ or paths of model folders, "
        "separated by commas",
    )
    use_tags: bool = Field(default=True, description="whether a genre in a file's tag comes before what a model hears")
    broker: Annotated[SecretStr, BeforeValidator(_to_broker)] | None = Field(
        default=None, description="the circle's RabbitMQ: amqp://USER:PASSWORD@HOST:PORT/VHOST, or amqps:// for TLS"
    )
    broker_ca: Path | None = Field(
        default=None, description="a file of certificates (PEM) to trust for amqps://, instead of the system's"
    )
    name: Annotated[str, BeforeValidator(_to_label)] = Field(
        default="", max_length=64, description="what others see as your collection's name; your broker user if empty"
    )
    listen: AddressSetting = Field(
        default=Address(_LOOPBACK_LISTEN, 7711), description="where the worker streams music from, HOST:PORT"
    )
    advertise: OptionalAddressSetting = Field(
        default=None, description="the address others reach the worker at, where it differs from listen"
    )
    rescan_s: float = Field(
        default=300.0, ge=1.0, description="how often all folders are looked through while they are watched, seconds"
    )
    scan_processes: int = Field(
        default=0, ge=0, le=1024, description="how many files are analysed at once; 0: one for each processor core"
    )
    deadline_s: float = Field(
        default=1.0, ge=0.05, le=30.0, description="how long a request waits for providers that do not answer, seconds"
    )
    web_listen: AddressSetting = Field(
        default=Address(_LOOPBACK_LISTEN, 7700), description="where the web app listens, HOST:PORT"
    )
    web_password: Annotated[SecretStr, BeforeValidator(_to_password)] | None = Field(
        default=None, description="the page's password; needed when web_listen is not loopback"
    )
    web_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_to_list)] = Field(
        default=(), description="further host names under which the page may be opened, separated by commas"
    )
    peer_networks: Annotated[tuple[NetworkSetting, ...], NoDecode, BeforeValidator(_to_networks)] = Field(
        default=(), description="the only networks that music is fetched from, as CIDR separated by commas; empty: any"
    )
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="how much is logged on stderr"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options first, then the environment, then the file named by `load_settings`."""
        toml_file = settings_cls.model_config.get("toml_file")
        file_sources = (TomlConfigSettingsSource(settings_cls),) if toml_file else ()
        return (init_settings, env_settings, *file_sources)

    @property
    def broker_url(self) -> str:
        """The broker's URL with its password; raises `ConfigurationError` where none is set."""
        if self.broker is None:
            raise ConfigurationError(
                "no broker is set: give --broker amqp://USER:PASSWORD@HOST:PORT/VHOST, or set DNAI_BROKER, "
                f'or write broker = "…" into {self.data_dir / CONFIG_FILE_NAME}'
            )
        return self.broker.get_secret_value()

    @property
    def display_name(self) -> str:
        """The name that others see: the one set, else the broker user, else the system's user."""
        return self.name or (broker_user(self.broker_url) if self.broker else getpass.getuser())

    @property
    def catalogue_path(self) -> Path:
        """The catalogue's SQLite file."""
        return self.data_dir / "catalogue.sqlite3"

    @property
    def chat_memory_path(self) -> Path:
        """The SQLite file of what the chatbot has learned."""
        return self.data_dir / "chat.sqlite3"

    @property
    def converted_dir(self) -> Path:
        """Where tracks are converted for browsers; what is in it has no names, and goes with its process."""
        return self.data_dir / "converted"

    @property
    def provider_id_path(self) -> Path:
        """The file that holds this provider's random id."""
        return self.data_dir / "provider_id"

    @property
    def model_dirs(self) -> tuple[Path, ...]:
        """The folders of the genre models, in order of preference.

        Raises
        ------
        ConfigurationError
            When there is no model of a name.
        """
        return tuple(find_model_dir(name) for name in self.models)


def find_model_dir(name: str) -> Path:
    """Return the folder of a model: one under models/ by its name, any other by its path.

    Raises
    ------
    ConfigurationError
        When there is no model of the name.
    """
    path = Path(name)
    if not re.fullmatch(r"[\w.-]+", name) or name in {".", ".."}:
        return path
    if (MODELS_DIR / name).is_dir():
        return MODELS_DIR / name
    if path.is_dir():
        return path
    known = sorted(manifest.parent.name for manifest in MODELS_DIR.glob("*/model.json"))
    raise ConfigurationError(
        f"models ({ENV_PREFIX}MODELS): there is no model {name!r}{_did_you_mean(name, known)}; "
        f"there are {', '.join(known) or 'none'} under {MODELS_DIR}, and a model elsewhere is named by its path"
    )


def broker_user(url: str) -> str:
    """Return the user that `url` logs in as."""
    return unquote(urlsplit(url).username or "")


def broker_place(url: str) -> str:
    """Return host, port and virtual host of `url`, without user and password, for messages."""
    parts = urlsplit(url)
    port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
    return f"{parts.hostname}:{port}, virtual host {unquote(parts.path[1:]) or '/'}"


def load_settings(options: Mapping[str, object]) -> Settings:
    """Return the settings made of `options` (None means not given), environment, file and defaults.

    Raises
    ------
    ConfigurationError
        With every mistake in every source, one a line.
    """
    given = {name: value for name, value in options.items() if value is not None}
    data_dir = _data_dir(given.get("data_dir"))
    config_file = data_dir / CONFIG_FILE_NAME
    problems = _unknown_variables()

    class _UserSettings(Settings):
        model_config = SettingsConfigDict(toml_file=config_file if config_file.is_file() else None)

    # Typed so because BaseSettings also takes options of its own as keywords, none of which is given here.
    values: dict[str, Any] = {**given, "data_dir": data_dir}
    try:
        settings = _UserSettings(**values)
    except ValidationError as error:
        problems += [_describe(problem, config_file) for problem in error.errors(include_input=False)]
    except (OSError, ValueError) as error:
        problems.append(f"{config_file} is not readable as TOML: {error}")
    if problems:
        raise ConfigurationError("\n".join(problems))
    return settings


def _data_dir(given: object) -> Path:
    text = str(given or os.environ.get(f"{ENV_PREFIX}DATA_DIR") or platformdirs.user_data_dir("dnai", appauthor=False))
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise ConfigurationError(f"data_dir ({ENV_PREFIX}DATA_DIR): {text}: {error}") from error


def _unknown_variables() -> list[str]:
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if name.startswith(ENV_PREFIX) and name not in known)
    return [f"{name} in the environment is not a setting{_did_you_mean(name, known)}" for name in unknown]


def _describe(problem: Mapping[str, Any], config_file: Path) -> str:
    name = ".".join(str(part) for part in problem["loc"][:1])
    if problem["type"] == "extra_forbidden":
        return f"{name} in {config_file} is not a setting{_did_you_mean(name, Settings.model_fields)}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name} ({ENV_PREFIX}{name.upper()}): {message}"


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
