"""What a command is: a module with a name, a line of help, examples, options, and a function that runs it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Protocol


class Command(Protocol):
    """A module of this room that is a command."""

    NAME: str
    HELP: str
    EXAMPLES: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to its parser."""

    def run(self, arguments: argparse.Namespace) -> int | None:
        """Run the command; the exit status, None for 0."""


class InPlaceOf(argparse.Action):
    """An option that stands in place of words that the command takes otherwise."""

    def __init__(self, *names: Any, words: argparse.Action, **options: Any):
        super().__init__(*names, **options)
        self._words = words

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        self._words.required = False  # an optional positional would take its words only where it stands first
        setattr(namespace, self.dest, values)


def add_commands(parser: argparse.ArgumentParser, kind: str, commands: Sequence[Command]) -> None:
    """Let a parser take one of several commands; ``arguments.<kind>`` is then the module of the chosen one."""
    parsers = parser.add_subparsers(required=True, metavar=kind.upper())
    for command in commands:
        own = parsers.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.HELP,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_options(own)
        own.set_defaults(**{kind: command})
