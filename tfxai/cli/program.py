"""The command ``tfxai``: explain images, evaluate methods, list layers and methods, and a demo without data."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import tensorflow as tf

from tfxai import api
from tfxai._version import __version__
from tfxai.cli import explain as explain_command
from tfxai.cli import synthesize as synthesis
from tfxai.cli.evaluate import add_parser as add_evaluation
from tfxai.cli.options import MODEL_HELP, add_model_options, check_folder, opened, read_classes

LAYERS_EXAMPLES = """examples:
  tfxai layers model.keras
  tfxai layers saved_model/ --signature serve

Every name is what --layer takes; the methods of the CAM family need one with spatial output, marked by a star.
"""
METHODS_EXAMPLES = """examples:
  tfxai methods
  tfxai explain model.keras cat.jpg --method occlusion
"""
DEMO_EXAMPLES = """examples:
  tfxai demo
  tfxai demo --set double-12c --images 100 --output out

Needs neither data nor a network connection: a small network that comes with tfxai is explained on painted flowers of
which the part that decides the class is known, and each method is scored by how well its heat-maps hit that part.
"""


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
    >>> main(["methods"])  # doctest: +ELLIPSIS
    saliency...
    """
    arguments = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    matplotlib.use("Agg")  # figures go to files, also on machines without a screen
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our errors say what is wrong with a file
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        print("tfxai: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, tf.errors.OpError) as error:
        print(f"tfxai: error: {textwrap.shorten(str(error), 600)}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfxai",
        description="Explanations for Keras and TensorFlow models.",
        epilog="Start with: tfxai demo. Every command has examples in its own --help.",
    )
    parser.add_argument("--version", action="version", version=f"tfxai {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, help: str, epilog: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=help, description=help, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        made.set_defaults(run=run)
        return made

    explain = command(
        "explain", explain_command.run, "Explain a model's predictions for image files.", explain_command.EXAMPLES
    )
    explain.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    explain_command.add_options(explain)

    evaluation = "Score methods by what is known about images."
    add_evaluation(commands.add_parser("evaluate", help=evaluation, description=evaluation))

    made = "Make images of what a class or a channel looks like to a model."
    synthesis.add_synthesize_options(command("synthesize", _synthesize, made, synthesis.SYNTHESIZE_EXAMPLES))
    amplified = "Amplify in a photograph what a layer sees in it."
    synthesis.add_dream_options(command("dream", synthesis.dream, amplified, synthesis.DREAM_EXAMPLES))

    layers = command("layers", _layers, "List the layers of a model.", LAYERS_EXAMPLES)
    layers.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    add_model_options(layers)

    command("methods", _methods, "List the methods: use, cost, needs and drawback.", METHODS_EXAMPLES)

    demo = command(
        "demo", _demo, "Explain a small network that comes with tfxai, and score the methods.", DEMO_EXAMPLES
    )
    demo.add_argument("--output", metavar="DIR", type=Path, default=Path("tfxai-demo"), help="default: %(default)s")
    demo.add_argument("--images", metavar="N", type=int, default=42, help="images to score by (default: %(default)s)")
    demo.add_argument(
        "--set", choices=["single-6c", "double-12c"], default="single-6c", help="flowers (default: %(default)s)"
    )
    return parser


def _joined(argv: Sequence[str]) -> list[str]:
    """``--preprocess -1..1`` as one word: argparse would take -1..1 for an option."""
    words = list(argv)
    for place in range(len(words) - 1, 0, -1):
        if words[place] == "-1..1":
            words[place - 1 : place + 1] = [f"{words[place - 1]}={words[place]}"]
    return words


def _synthesize(arguments: argparse.Namespace) -> None:
    synthesis.synthesize(arguments, None if arguments.classes is None else read_classes(arguments.classes))


def _layers(arguments: argparse.Namespace) -> None:
    rows = [("layer", "kind", "output shape", "spatial")]
    for layer in opened(arguments).layers():
        shape = ", ".join("any" if size is None else str(size) for size in layer.shape[1:])
        rows.append((layer.name, layer.kind, f"({shape})", "*" if layer.spatial else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip())


def _methods(arguments: argparse.Namespace) -> None:
    known = api.methods()
    indent = max(map(len, known)) + 2
    width = min(shutil.get_terminal_size().columns, 120)
    for name, cls in known.items():
        facts = cls.facts
        text = f"{facts.use}. Cost: {facts.cost}. Needs: {facts.needs}. Drawback: {facts.drawback}. {facts.reference}."
        print(textwrap.fill(text, width, initial_indent=name.ljust(indent), subsequent_indent=" " * indent))


def _demo(arguments: argparse.Namespace) -> None:
    from tfxai.cli import demo

    check_folder(arguments.output)
    demo.run(arguments.output, arguments.images, arguments.set)
