"""``dnai web`` as a process: what it prints, what it logs, and how it ends."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

READY_S = 60.0
STOP_S = 5.0


class WebApp:
    """``dnai web`` as a process of its own."""

    def __init__(self, data_dir: Path, *options: str, environ: Mapping[str, str] | None = None) -> None:
        command = [sys.executable, "-P", "-m", "dnai.cli", "web", "--data-dir", str(data_dir), *options]
        if "--listen" not in options:
            command += ["--listen", "127.0.0.1:0"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DNAI_")}
        self._log = io.StringIO()
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=data_dir,
            env={**environment, **(environ or {})},
        )
        self._readers = [threading.Thread(target=self._read_log, daemon=True)]
        self._readers[0].start()

    @property
    def log(self) -> str:
        """What it has written to stderr so far."""
        return self._log.getvalue()

    def await_ready(self) -> str:
        """Return the address that it prints when it serves."""
        assert self.process.stdout is not None
        timer = threading.Timer(READY_S, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        found = re.fullmatch(r"DN\.ai is ready: (http://\S+)\n", line)
        assert found, f"dnai web said {line!r} instead of being ready; its log: {self.log}"
        return found.group(1)

    def stop(self) -> int:
        """End it as a service manager does, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._readers[0].join(STOP_S)
            for pipe in (self.process.stdout, self.process.stderr):
                if pipe is not None:
                    pipe.close()
        return status

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._log.write(line)
