"""What a command is: a module with a name, a line of help, examples and options.

What it does is a module of the same name in `tfxai.cli.work`, which is imported when the words of the command line have
been understood: TensorFlow takes seconds to start, and neither help nor a misspelt option needs it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, Protocol


class Command(Protocol):
    """A module of this room that is a command."""

    __name__: str
    NAME: str
    HELP: str
    EXAMPLES: str

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments to its parser."""


class InPlaceOf(argparse.Action):
    """An option that stands in place of words that the command takes otherwise."""

    def __init__(self, *names: Any, words: argparse.Action, **options: Any):
        super().__init__(*names, **options)
        self._words = words

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None) -> None:
        self._words.required = False  # an optional positional would take its words only where it stands first
        setattr(namespace, self.dest, values)


def add_commands(parser: argparse.ArgumentParser, kind: str, commands: Sequence[Command]) -> None:
    """Let a parser take one of several commands; ``arguments.work`` is then the name of the module that does it."""
    parsers = parser.add_subparsers(required=True, metavar=kind.upper())
    for command in commands:
        own = parsers.add_parser(
            command.NAME,
            help=command.HELP,
            description=command.HELP,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        own.set_defaults(work=command.__name__.rpartition(".")[2])
        command.add_options(own)
