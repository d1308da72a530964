"""The command ``tfxai resample``."""

from __future__ import annotations

import argparse
from typing import get_args

from tfxai.choices import CloudName
from tfxai.cli.options import (
    add_batch_size_option,
    add_image_options,
    add_model_options,
    add_output_option,
    add_preprocess_option,
    add_seed_option,
    add_target_options,
)

NAME = "resample"
HELP = "Find the channels that drive a prediction, and those that are stable, over perturbed copies of an image."
EXAMPLES = """examples:
  tfxai resample model.keras cat.jpg
  tfxai resample model.keras photos/ --preprocess -1..1 --samples 200 --perturbation additive --output out
  tfxai resample model.keras cat.jpg --layers conv2 conv4 --target "tabby cat" --classes names.txt

Input resampling, Lengerich et al. (2017): the influence of a channel is how strongly it correlates with the output over
the copies, its precision how little it changes. Each image gets a folder:
  patches.png       what the best channels look at, by each score, in layers that see less than half of the image
  sets.png          the same, for channels that one score alone selects, or both
  overlap.png       how far the two scores agree in each layer
  scores-LAYER.png  all channels of a layer, one score against the other
  channels.html     the same to explore: choose a channel, see its patch
  resampling.npz    all numbers, which tfxai.resampling.Resampling.load(FILE) reads
channels.csv has the best channels of all images by every score.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai resample`` to its parser."""
    add_model_options(parser)
    add_image_options(parser)
    parser.add_argument("--layers", metavar="NAME", nargs="+", help="default: the last of each block")
    parser.add_argument(
        "--samples", metavar="N", type=int, default=50, help="copies of each image (default: %(default)s)"
    )
    parser.add_argument(
        "--perturbation", choices=get_args(CloudName), default="multiplicative_ramp", help="default: %(default)s"
    )
    parser.add_argument("--sigma", type=float, default=0.1, help="its strength (default: %(default)s)")
    parser.add_argument(
        "--activity",
        metavar="SHARE",
        type=float,
        default=0.1,
        help="channels have no precision below this share of their layer's median activity (default: %(default)s)",
    )
    parser.add_argument(
        "--effect",
        action="store_true",
        help="also what the output loses without a channel, to first order: a gradient for each copy",
    )
    parser.add_argument(
        "--best", metavar="N", type=int, default=5, help="channels of each layer (default: %(default)s)"
    )
    add_seed_option(parser, "the copies")
    add_preprocess_option(parser)
    add_batch_size_option(parser, "copies")
    add_target_options(parser)
    add_output_option(parser, "tfxai-resampling")
