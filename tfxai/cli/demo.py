"""The command ``tfxai demo``: what the package is for, on a shipped network, as pictures, a table and a page."""

from __future__ import annotations

import argparse
from typing import get_args

from tfxai.choices import FlowerSet
from tfxai.cli.options import add_output_option

NAME = "demo"
HELP = "Show what tfxai finds in a small network that comes with it, and score the methods."
EXAMPLES = """examples:
  tfxai demo
  tfxai demo --set double-12c --images 100 --output out

Needs neither data nor a network connection: a small network that comes with tfxai is explained on painted flowers.
  inversion.png   which part of a picture makes the class: guided feature inversion
  features.png    which channels speak for a prediction, and what they look for: relevant features
  resampling.png  which channels drive a prediction, and which are stable: input resampling
  classes.png     what each class looks like: activation maximisation
  demo.png        methods compared; as the part that decides the class is known, each is scored by how well its
                  heat-maps hit it
  demo.html       all of it, with a note on what to see
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai demo`` to its parser."""
    add_output_option(parser, "tfxai-demo")
    parser.add_argument("--images", metavar="N", type=int, default=30, help="images to score by (default: %(default)s)")
    sets = get_args(FlowerSet)
    parser.add_argument("--set", choices=sets, default=sets[0], help="flowers (default: %(default)s)")
