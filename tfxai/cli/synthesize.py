"""The command ``tfxai synthesize``."""

from __future__ import annotations

import argparse
from typing import get_args

from tfxai.choices import Scale
from tfxai.cli.options import add_model_options, add_synthesis_options

NAME = "synthesize"
HELP = "Make images of what a class or a channel looks like to a model."
EXAMPLES = """examples:
  tfxai synthesize model.keras --class 207 --preprocess caffe --out pictures
  tfxai synthesize model.keras --class 207 340 "flamingo" --classes names.txt --preprocess -1..1 --frames 10
  tfxai synthesize model.keras --layer conv5 --channel 12 40 --preprocess torch --steps 512

Each class or channel gives a picture. Their numbers, scores and histories go to synthesis.npz, for
tfxai.Synthesis.load(FILE); with --frames, the way there goes to synthesis.gif.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai synthesize`` to its parser."""
    add_model_options(parser)
    parser.add_argument("--class", metavar="CLASS", nargs="+", dest="target", help="numbers or names of classes")
    parser.add_argument("--classes", metavar="FILE", help="names of the classes, as for tfxai explain")
    parser.add_argument("--layer", metavar="NAME", help="layer whose channels are shown")
    parser.add_argument("--channel", metavar="N", nargs="+", type=int, help="channels of the layer")
    parser.add_argument(
        "--on", choices=get_args(Scale), default="logit", help="score of a class (default: %(default)s)"
    )
    parser.add_argument("--steps", metavar="N", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--learning-rate", metavar="RATE", type=float, default=0.05, help="default: %(default)s")
    parser.add_argument("--threshold", metavar="P", type=float, help="stop at this probability of the class")
    parser.add_argument("--parameterization", choices=["fourier", "pixel"], default="fourier", help="default: fourier")
    parser.add_argument("--no-transforms", action="store_true", help="do not move the image between steps")
    parser.add_argument("--size", metavar="N", type=int, help="side of the images, if the model takes any size")
    parser.add_argument("--frames", metavar="N", type=int, default=0, help="keep an image every N steps")
    add_synthesis_options(parser, "noise and transforms", "tfxai-synthesis")
