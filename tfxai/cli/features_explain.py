"""The command ``tfxai features explain``."""

from __future__ import annotations

import argparse
from typing import get_args

from tfxai.choices import FeaturePreset
from tfxai.cli.options import (
    add_batch_size_option,
    add_image_options,
    add_model_options,
    add_preprocess_option,
    add_result_options,
    add_target_options,
)

NAME = "explain"
HELP = "Explain predictions by the features that speak for them."
EXAMPLES = """examples:
  tfxai features explain model.keras cat.jpg --features features.npz
  tfxai features explain model.keras photos/ --features features.npz --strongest 5 --classes names.txt --output out

FILE is what tfxai features fit wrote. Each image gives a picture: the strongest features that speak for its class, each
with what excites it and its share of the weights. All values go to relevant_features.npz, for
tfxai.Explanation.load(FILE), whose evidence() lists the features.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai features explain`` to its parser."""
    add_model_options(parser)
    add_image_options(parser)
    parser.add_argument("--features", metavar="FILE", required=True, help="fitted features, a .npz file")
    parser.add_argument(
        "--strongest", metavar="N", type=int, default=3, help="features of each prediction (default: %(default)s)"
    )
    parser.add_argument(
        "--preset",
        choices=get_args(FeaturePreset),
        default="tfxai",
        help="of the heat-maps (default: %(default)s)",
    )
    parser.add_argument(
        "--relus",
        choices=["guided", "deconvnet", "gradient"],
        default="guided",
        help="how signals go back through ReLUs; gradient for models without (default: %(default)s)",
    )
    add_preprocess_option(parser)
    add_batch_size_option(parser)
    add_target_options(parser)
    add_result_options(parser, "tfxai-features")
