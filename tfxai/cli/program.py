"""The program ``tfxai``: which commands it has, and what becomes of errors."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence

import cv2
import matplotlib
import tensorflow as tf

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
    synthesize,
)
from tfxai.cli.commands import Command, add_commands

COMMANDS: tuple[Command, ...] = (
    explain,
    explain_all,
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; default: those of the process.

    Returns
    -------
    int
        0; 1 if some of several images could not be read; 2 after an error of the user, which is told in one line on
        stderr; 130 if it was interrupted.

    Examples
    --------
    >>> from tfxai.cli import main
    >>> main(["demo", "--images", "0"])
    2
    """
    arguments = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    matplotlib.use("Agg")  # figures go to files, also on machines without a screen
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our errors say what is wrong with a file
    try:
        return arguments.command.run(arguments) or 0
    except KeyboardInterrupt:
        print("tfxai: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, ImportError, tf.errors.OpError) as error:
        print(f"tfxai: error: {textwrap.shorten(str(error), 600)}", file=sys.stderr)
        return 2


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
