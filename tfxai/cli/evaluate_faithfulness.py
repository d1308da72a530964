"""The command ``tfxai evaluate faithfulness``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfxai.choices import MEASURES
from tfxai.cli.options import (
    add_csv_option,
    add_image_options,
    add_method_options,
    add_model_options,
    add_seed_option,
    add_target_options,
)

NAME = "faithfulness"
HELP = "Score methods by how the model reacts to what they mark: needs no masks or boxes."
EXAMPLES = """examples:
  tfxai evaluate faithfulness model.keras photos/ --method grad_cam lrp --preprocess -1..1
  tfxai evaluate faithfulness model.keras photos/ --method saliency lrp --steps 25 --csv trust.csv --html trust.html

Parts of each image are hidden or shown in the order of its heat-map, and the score is watched; see `tfxai.trust`. Maps
that know nothing of the model are scored beside the methods: a method that is no better says nothing about the model.
Intervals are those of the bootstrap over images.

What is found is stored batch by batch. The same command continues a run that was interrupted, and recomputes nothing.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai evaluate faithfulness`` to its parser."""
    add_model_options(parser)
    add_image_options(parser)
    add_method_options(parser)
    add_target_options(parser)
    parser.add_argument(
        "--measure", metavar="NAME", nargs="+", choices=list(MEASURES), default=list(MEASURES), help=_measures()
    )
    parser.add_argument(
        "--steps", metavar="N", type=int, default=50, help="of each curve (default: %(default)s, and as many passes)"
    )
    parser.add_argument(
        "--fill",
        metavar="FILL",
        help="what hides a part: a number in the model's own scale, mean, blur, noise, interpolate or inpaint "
        "(default: 0 where parts are hidden, blur where they are shown)",
    )
    parser.add_argument(
        "--groups",
        metavar="GROUPS",
        help="what is hidden together: superpixels, or the side of patches (default: pixels)",
    )
    add_seed_option(parser, "random maps and subsets")
    parser.add_argument("--limit", metavar="N", type=int, help="take the first N images only")
    add_csv_option(parser)
    parser.add_argument("--figure", metavar="FILE", type=Path, help="write the curves to this picture")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write curves, tables and verdict to this page")
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        default=Path("tfxai-trust"),
        help="where results are stored (default: %(default)s)",
    )


def _measures() -> str:
    return "; ".join(f"{name}: {what}" for name, what in MEASURES.items()) + " (default: all)"
