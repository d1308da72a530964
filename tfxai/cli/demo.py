"""The command ``tfxai demo``: methods compared on the shipped network, as a table, a picture and a page."""

from __future__ import annotations

import argparse

import matplotlib.pyplot as plt
import numpy as np

from tfxai.cli.options import add_output_option, check_folder
from tfxai.datasets import flowers
from tfxai.evaluation.demo import Comparison, evaluate_demo, table
from tfxai.explanation import Explanation
from tfxai.page import comparison_page
from tfxai.plotting import plot_grid

NAME = "demo"
HELP = "Explain a small network that comes with tfxai, and score the methods."
EXAMPLES = """examples:
  tfxai demo
  tfxai demo --set double-12c --images 100 --output out

Needs neither data nor a network connection: a small network that comes with tfxai is explained on painted flowers of
which the part that decides the class is known, and each method is scored by how well its heat-maps hit that part.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai demo`` to its parser."""
    add_output_option(parser, "tfxai-demo")
    parser.add_argument("--images", metavar="N", type=int, default=42, help="images to score by (default: %(default)s)")
    sets = list(flowers.CLASSES)
    parser.add_argument("--set", choices=sets, default=sets[0], help="flowers (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Compare the methods, print the scores, and write ``demo.png`` and ``demo.html``."""
    check_folder(arguments.output)
    found = evaluate_demo(arguments.set, arguments.images)
    print("\nMean IoU of the heat-maps with the part that decides, over thresholds:\n")
    print("\n".join(table(found.scores)))

    arguments.output.mkdir(parents=True, exist_ok=True)
    picture, file = arguments.output / "demo.png", arguments.output / "demo.html"
    figure = plot_grid({"part that decides": _truth(found)} | found.explanations, found.images)
    figure.savefig(picture, dpi=100)
    plt.close(figure)
    file.write_text(comparison_page(found), encoding="utf-8")
    print(f"\nPicture: {picture}\nPage:    {file}")


def _truth(found: Comparison) -> Explanation:
    """The masks as one more column of the grid."""
    like = next(iter(found.explanations.values()))
    return Explanation(found.masks.astype(np.float32), like.target, like.score, like.inputs, classes=like.classes)
