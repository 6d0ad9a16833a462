"""``python -m dnai.cli`` is the `dnai` command."""

from dnai.cli.main import main

main()
