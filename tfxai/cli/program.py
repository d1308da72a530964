"""The program ``tfxai``: which commands it has, and what becomes of errors."""

from __future__ import annotations

import argparse
import glob
import importlib
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from tfxai._version import __version__
from tfxai.cli import (
    demo,
    dream,
    evaluate,
    explain,
    explain_all,
    features,
    invert,
    layers,
    methods,
    resample,
    summarize,
    synthesize,
)
from tfxai.cli.commands import Command, add_commands
from tfxai.cli.quiet import quiet_start

COMMANDS: tuple[Command, ...] = (
    explain,
    explain_all,
    summarize,
    invert,
    features,
    resample,
    evaluate,
    synthesize,
    dream,
    layers,
    methods,
    demo,
)
AT_ONCE = {"methods"}  # what needs no TensorFlow


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; default: those of the process.

    Returns
    -------
    int
        0; 1 if some of several images could not be read; 2 after a user error, which is reported in one line on
        stderr; 130 if it was interrupted.

    Examples
    --------
    >>> from tfxai.cli import main
    >>> main(["demo", "--images", "0"])
    2
    """
    arguments = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    try:
        _check_paths(arguments)
        if getattr(arguments, "preprocess", "") is None:
            arguments.preprocess, arguments.assumed = "none", True
        return _work(arguments.work).run(arguments) or 0
    except KeyboardInterrupt:
        print("tfxai: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if not _of_the_user(error):
            raise
        print(f"tfxai: error: {textwrap.shorten(str(error), 600)}", file=sys.stderr)
        return 2


def _check_paths(arguments: argparse.Namespace) -> None:
    """ValueError for what is clearly missing, at once and not after the seconds that TensorFlow takes to start."""
    model, images = getattr(arguments, "model", None), getattr(arguments, "images", None)
    if model is not None and not Path(model).exists():
        raise ValueError(f"There is no model file {model!r}.")
    only = images[0] if isinstance(images, list) and len(images) == 1 else None
    if only not in (None, "-") and not Path(only).exists() and not glob.has_magic(only):
        raise ValueError(f"There is no image file {only!r}.")


def _work(name: str) -> ModuleType:
    """The module of `tfxai.cli.work` that does what was asked, and all that it needs."""
    if name not in AT_ONCE:
        with quiet_start():
            importlib.import_module("tfxai.cli.work.start")
    return importlib.import_module(f"tfxai.cli.work.{name}")


def _of_the_user(error: Exception) -> bool:
    """Whether it tells of what was given, and not of a fault of ours."""
    tensorflow = sys.modules.get("tensorflow")
    ours = () if tensorflow is None else (tensorflow.errors.OpError,)
    return isinstance(error, (ValueError, TypeError, OSError, ImportError, *ours))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfxai",
        description="Explanations for Keras and TensorFlow models.",
        epilog="Start with: tfxai demo. Every command has examples in its own --help.",
    )
    parser.add_argument("--version", action="version", version=f"tfxai {__version__}")
    add_commands(parser, "command", COMMANDS)
    return parser


def _joined(argv: Sequence[str]) -> list[str]:
    """``--preprocess -1..1`` as one word: argparse would take -1..1 for an option."""
    words = list(argv)
    for place in range(len(words) - 1, 0, -1):
        if words[place] == "-1..1":
            words[place - 1 : place + 1] = [f"{words[place - 1]}={words[place]}"]
    return words
