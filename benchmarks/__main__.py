"""``python -m benchmarks [NAME …]`` runs all benchmarks, or the named ones."""

from __future__ import annotations

import importlib
import sys

NAMES = ("scatter", "requests", "analysis", "rescans", "processes", "second_space", "first_sound")


def main() -> None:
    """Run the benchmarks named on the command line."""
    names = sys.argv[1:] or NAMES
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise SystemExit(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(NAMES)}")
    for name in names:
        importlib.import_module(f"benchmarks.{name}").main()
        print()


if __name__ == "__main__":
    main()
