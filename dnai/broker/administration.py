"""Bringing definitions to a running RabbitMQ, as its operator does: by ``rabbitmqctl`` or over HTTP."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from urllib.parse import unquote, urlsplit

from dnai.broker.members import Definitions
from dnai.errors import BrokerError, BrokerRefusedError, BrokerUnreachableError, UsageError

_TIMEOUT_S = 60.0
_SYSTEM_DIRS = "/usr/sbin:/sbin"
_UNAUTHORISED = frozenset({401, 403})


def import_with_rabbitmqctl(definitions: Definitions) -> None:
    """Import `definitions` into the RabbitMQ that runs on this machine.

    Raises
    ------
    BrokerError
        When there is no ``rabbitmqctl``, or it fails (it must be run as root or as the user `rabbitmq`).
    """
    program = shutil.which("rabbitmqctl") or shutil.which("rabbitmqctl", path=_SYSTEM_DIRS)
    if program is None:
        raise BrokerError("there is no rabbitmqctl on this machine: use --management, or --definitions on the broker's")
    command = [program, "--quiet", "import_definitions"]
    try:
        done = subprocess.run(
            command, input=json.dumps(definitions), text=True, capture_output=True, timeout=_TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerError(f"rabbitmqctl import_definitions took longer than {_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise BrokerError(
            f"rabbitmqctl import_definitions failed (run it as root): {(done.stderr or done.stdout).strip()[:1000]}"
        )


def import_over_http(definitions: Definitions, management_url: str) -> None:
    """Import `definitions` through the management HTTP API.

    Parameters
    ----------
    management_url
        ``http://USER:PASSWORD@HOST:15672`` of an administrator, or ``https://…``.

    Raises
    ------
    UsageError
        When the URL is not of that form.
    BrokerError
        When nobody answers there, the user is no administrator, or the definitions are refused.
    """
    url, authorization = _split_url(management_url)
    request = urllib.request.Request(  # noqa: S310  # _split_url has seen to http and https
        f"{url}/api/definitions",
        data=json.dumps(definitions).encode(),
        headers={"content-type": "application/json", "authorization": authorization},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310  # as above
            pass
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(error, url) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise BrokerUnreachableError(f"no management API answers at {url}: {reason}") from error


def _split_url(management_url: str) -> tuple[str, str]:
    """Return the address without user and password, and the header that holds them."""
    parts = urlsplit(management_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or not parts.username or parts.password is None:
        raise UsageError("expected the management API as http://USER:PASSWORD@HOST:15672 of an administrator")
    credentials = f"{unquote(parts.username)}:{unquote(parts.password)}".encode()
    address = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{address}{parts.path.rstrip('/')}", "Basic " + base64.b64encode(credentials).decode()


def _refusal(error: urllib.error.HTTPError, url: str) -> BrokerError:
    if error.code in _UNAUTHORISED:
        return BrokerRefusedError(f"the management API at {url} wants an administrator's user and password")
    text = error.read(1000).decode("utf-8", "replace")
    return BrokerError(f"the management API at {url} refused the definitions ({error.code}): {text}")
