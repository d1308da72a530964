"""The command ``tfxai dream``."""

from __future__ import annotations

import argparse
from typing import get_args

from tfxai.choices import DreamPreset
from tfxai.cli.options import add_model_options, add_synthesis_options

NAME = "dream"
HELP = "Amplify in a photograph what a layer sees in it."
EXAMPLES = """examples:
  tfxai dream model.keras clouds.jpg --layer mixed4 --preprocess -1..1
  tfxai dream model.keras clouds.jpg --layer conv3:0.5 conv4:2 --preprocess caffe --octaves -4 -3 -2 -1 0

Photographs may have any size: where the model takes one size only, they are processed in tiles.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai dream`` to its parser."""
    add_model_options(parser)
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    parser.add_argument(
        "--layer",
        metavar="NAME[:WEIGHT]",
        nargs="+",
        help="layers that are amplified (default: one, at two thirds of the depth)",
    )
    parser.add_argument("--channel", metavar="N", type=int, help="one channel of them (default: all)")
    parser.add_argument("--preset", choices=get_args(DreamPreset), default="inceptionism", help="default: %(default)s")
    parser.add_argument("--octaves", metavar="N", nargs="+", type=int, help="powers of the octave scale")
    parser.add_argument("--steps", metavar="N", type=int, help="at each octave (default: that of the preset)")
    parser.add_argument("--tile", metavar="N", type=int, help="side of tiles (default: what the model takes)")
    add_synthesis_options(parser, "the jitter", "tfxai-dream")
