"""The `dnai` command. A subcommand's module is loaded when it is called, so that help comes at once."""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Mapping
from types import MappingProxyType

import click

from dnai.command_line import run_command
from dnai.errors import UsageError

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "scan": ("dnai.cli.scan:scan_command", "analyse a folder of music into your catalogue"),
        "tracks": ("dnai.cli.library:tracks_command", "list the tracks of your catalogue"),
        "taste": ("dnai.cli.library:taste_command", "show your midpoint of each genre"),
        "forget": ("dnai.cli.forgetting:forget_command", "forget what the catalogue knows of a folder"),
        "worker": ("workers.worker:worker_command", "offer a folder of music to your circle"),
        "web": ("dnai.cli.web:web_command", "serve the page with the chat and the player"),
        "ask": ("dnai.cli.ask:ask_command", "ask for music from the terminal"),
        "understand": ("dnai.cli.understand:understand_command", "show what the chatbot makes of messages on stdin"),
        "tap": ("dnai.cli.tap:tap_command", "watch the requests and offers on the broker"),
        "member": ("dnai.cli.member:member_command", "make a member of the circle on the broker"),
        "doctor": ("dnai.cli.doctor:doctor_command", "check that everything is in place"),
        "train": ("dnai.cli.training:train_command", "train a genre model on music whose genres are known"),
        "evaluate": ("dnai.cli.evaluation:evaluate_command", "measure a genre model on music whose genres are known"),
        "model": ("dnai.cli.model:model_command", "convert the pretrained network of the model musicnn200"),
        "demo": ("dnai.cli.demo:demo_command", "run a whole circle on this machine"),
    }
)


class LazyGroup(click.Group):
    """A group whose commands are imported by name when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module_name, attribute = COMMANDS[cmd_name][0].split(":")
        try:
            command: click.Command = getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            if error.name in {"tensorflow", "keras", "sklearn"}:
                raise UsageError(
                    f"dnai {cmd_name} needs TensorFlow, which is not installed: "
                    "pip install --require-hashes -r requirements/train.txt"
                ) from error
            raise
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the first argument names; an unknown one is answered with the nearest name."""
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            close = difflib.get_close_matches(args[0], list(COMMANDS), n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with a line each, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dnai")
def dnai_command() -> None:
    """Music from the collections of people you know."""


def main() -> None:
    """Run the `dnai` command on the program's arguments."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's errors alone, before it is imported
    run_command(dnai_command, name="dnai")
