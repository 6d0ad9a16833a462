"""Runs `dnai` as its users do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dnai.cli.main import main
from dnai.config import Settings


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it wrote to stdout, for programs."""
        return json.loads(self.out)


Dnai = Callable[..., Ended]


@pytest.fixture
def dnai(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Dnai:
    """Runs `dnai` with arguments, in this process and with a data directory of its own."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"DNAI_{name.upper()}", raising=False)
    monkeypatch.setenv("DNAI_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DNAI_MODELS", "librosa26")

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["dnai", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capsys.readouterr())

    return run
