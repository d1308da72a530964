"""The command ``tfxai evaluate resampling``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from tfxai.choices import CloudName, FlowerSet
from tfxai.cli.options import add_batch_size_option, add_csv_option, add_seed_option

NAME = "resampling"
HELP = "Compare channels of large influence and of large precision while a network learns."
EXAMPLES = """examples:
  tfxai evaluate resampling --figure curves.png
  tfxai evaluate resampling --data double-12c --perturbation additive --epochs 20 --csv stages.csv
  tfxai evaluate resampling --checkpoints epoch_*.keras

The experiment of Lengerich et al. (2017), on painted flowers: while a network learns, the channels with the largest
influence and those with the largest precision are found for each image, and a linear support vector machine has to tell
the class of the image from one patch that such a channel looks at. Patches of the same image are never both learned and
tested. The patches of random channels are the baseline.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai evaluate resampling`` to its parser."""
    parser.add_argument("--data", choices=get_args(FlowerSet), default="single-6c", help="default: %(default)s")
    parser.add_argument(
        "--checkpoints",
        metavar="FILE",
        nargs="+",
        type=Path,
        help="networks of these flowers in the order of their training (default: train one)",
    )
    numbers = {
        "--epochs": (10, "of the training"),
        "--train-images": (1200, "flowers to train on"),
        "--images": (120, "flowers whose patches are cut out"),
        "--samples": (50, "copies of each"),
        "--top": (5, "channels of each layer"),
    }
    for option, (default, text) in numbers.items():
        parser.add_argument(option, metavar="N", type=int, default=default, help=f"{text} (default: {default})")
    add_seed_option(parser, "flowers, copies and training")
    add_batch_size_option(parser, "copies")
    parser.add_argument(
        "--perturbation", choices=get_args(CloudName), default="multiplicative_ramp", help="default: %(default)s"
    )
    parser.add_argument("--sigma", type=float, default=0.1, help="its strength (default: %(default)s)")
    add_csv_option(parser)
    parser.add_argument("--figure", metavar="FILE", type=Path, help="draw the curves into this file")
