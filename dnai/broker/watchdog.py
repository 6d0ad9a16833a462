"""Ends child processes when this process is gone, also where it was killed and could not do so itself.

A small shell reads process ids from a pipe that only we hold open. When the pipe closes, we are
gone, and it ends what it was told. (Linux's parent-death signal would do it too, but it fires when
the starting *thread* ends, and needs code between fork and exec, which is unsafe with threads.)
"""

from __future__ import annotations

import subprocess

_SCRIPT = """
pids=
while read -r pid; do pids="$pids $pid"; done
for pid in $pids; do kill -TERM "$pid" 2>/dev/null; done
for _ in 1 2 3 4 5 6 7 8 9 10; do
    alive=
    for pid in $pids; do kill -0 "$pid" 2>/dev/null && alive=1; done
    [ -z "$alive" ] && exit 0
    sleep 1
done
for pid in $pids; do kill -KILL "$pid" 2>/dev/null; done
"""


class Watchdog:
    """A process that outlives us by seconds, to end the children that we left behind."""

    def __init__(self) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The watchdog's own process id."""
        return self._shell.pid

    def watch(self, pid: int) -> None:
        """End process `pid` when we are gone."""
        if self._shell.stdin is not None:
            self._shell.stdin.write(b"%d\n" % pid)
            self._shell.stdin.flush()

    def close(self) -> None:
        """Let go: what it watched has ended already."""
        self._shell.kill()
        self._shell.wait()
        if self._shell.stdin is not None:
            self._shell.stdin.close()
