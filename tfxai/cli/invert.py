"""The command ``tfxai invert``."""

from __future__ import annotations

import argparse
from typing import get_args

from tfxai.choices import InversionPreset
from tfxai.cli.options import (
    add_batch_size_option,
    add_image_options,
    add_model_options,
    add_preprocess_option,
    add_result_options,
    add_target_options,
)

NAME = "invert"
HELP = "Show which part of an image a layer keeps, and which of that makes the class."
EXAMPLES = """examples:
  tfxai invert model.keras cat.jpg
  tfxai invert model.keras photos/ --preprocess -1..1 --classes names.txt --output out
  tfxai invert model.keras cat.jpg --layer conv5 --preset paper --target-steps 30

Guided feature inversion, Du et al. (2018). Each image gives a picture: the mask that keeps the features of the layer,
the mask that keeps the class, and what both sides of it look like. All of it goes to guided_feature_inversion.npz, with
the course of the optimisation, for tfxai.Explanation.load(FILE).
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai invert`` to its parser."""
    add_model_options(parser)
    add_image_options(parser)
    parser.add_argument("--layer", metavar="NAME", help="layer whose features are kept (default: last spatial)")
    parser.add_argument(
        "--base-layer", metavar="NAME", help="layer whose channels make the mask (default: see --preset)"
    )
    parser.add_argument("--preset", choices=get_args(InversionPreset), default="tfxai", help="default: %(default)s")
    parser.add_argument("--inversion-steps", metavar="N", type=int, help="of the first stage (default: see --preset)")
    parser.add_argument("--target-steps", metavar="N", type=int, help="of the second stage (default: see --preset)")
    add_preprocess_option(parser)
    add_batch_size_option(parser)
    add_target_options(parser)
    add_result_options(parser, "tfxai-inversion")
