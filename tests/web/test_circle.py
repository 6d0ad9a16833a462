"""The web app's line to a real broker that refuses, and then no longer does."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnai.broker.scatter import Scatter
from dnai.errors import BrokerError, BrokerUnreachableError, ConfigurationError
from dnai.tracks import Genre
from web import circle as web_circle
from web.circle import KeptCircle

VECTORS = {"space": np.zeros(3, dtype=np.float32)}


def test_it_is_there_when_the_broker_is(circle: Any) -> None:
    """Started and connected, it asks: nobody else is there."""
    kept = KeptCircle(partial(Scatter, circle.url("dora")))
    kept.start(wait_s=10.0)
    assert kept.connected
    assert kept.ask(Genre.JAZZ, VECTORS).nobody_else
    assert kept.who() == ()
    kept.close()
    with pytest.raises(BrokerError):
        kept.ask(Genre.JAZZ, VECTORS)


def test_a_member_that_is_made_later_gets_in_without_a_restart(
    circle: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused at first, it says so; when the operator has made the user, it connects by itself."""
    monkeypatch.setattr(web_circle, "RETRY_S", 0.2)
    known = "flora" in circle.members
    assert not known
    urls = iter([circle.broker.url("flora", "not-yet", circle.vhost)])
    later: list[str] = []
    kept = KeptCircle(lambda: Scatter(next(urls, later[0] if later else circle.broker.url("flora", "x", circle.vhost))))
    kept.start(wait_s=10.0)
    assert not kept.connected
    with pytest.raises(BrokerError, match=r"user|password|refuse"):
        kept.ask(Genre.JAZZ, VECTORS)
    later.append(circle.add("flora"))
    eventually(lambda: kept.connected, "the circle to be joined")
    assert kept.ask(Genre.JAZZ, VECTORS).nobody_else
    kept.close()


def test_certificates_that_cannot_be_read_are_said_at_the_start(tmp_path: Path) -> None:
    """A mistake in the settings ends the start with its message, and does not end a thread unseen."""
    kept = KeptCircle(partial(Scatter, "amqps://dora:word@127.0.0.1:9/x", ca_file=tmp_path / "gone.pem"))
    with pytest.raises(ConfigurationError, match=r"gone\.pem is not a file of trusted certificates"):
        kept.start(wait_s=5.0)


def test_a_broker_that_is_not_there_does_not_hold_up_the_start() -> None:
    """Nobody answers: the start returns in time, and asking says so."""
    kept = KeptCircle(partial(Scatter, "amqp://dora:word@127.0.0.1:9/x"))
    kept.start(wait_s=5.0)
    assert not kept.connected
    with pytest.raises(BrokerUnreachableError, match=r"127\.0\.0\.1:9"):
        kept.ask(Genre.JAZZ, VECTORS)
    kept.close()
