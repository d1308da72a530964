"""The command ``tfxai evaluate flowers``."""

from __future__ import annotations

import argparse
from typing import get_args

from tfxai.choices import Architecture, FlowerSet
from tfxai.cli.options import add_batch_size_option, add_csv_option, add_mu_option, add_seed_option

NAME = "flowers"
HELP = "Score methods by the decisive part of painted flowers."
EXAMPLES = """examples:
  tfxai evaluate flowers
  tfxai evaluate flowers --data double-12c --images 1200 --retrain --csv table.csv
  tfxai evaluate flowers --architecture vit --images 120

Needs neither data nor a network connection. For each threshold of a heat-map, what lies above it is compared with the
part that decides the class, by intersection over union; the area under this curve is the score, after Oramas et al.
(2019). Features are fitted on all folds but the one that is explained. The deviation is that of the folds.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai evaluate flowers`` to its parser."""
    parser.add_argument(
        "--data",
        nargs="+",
        choices=get_args(FlowerSet),
        help="which flowers (default: all for which there is a network)",
    )
    parser.add_argument(
        "--architecture",
        choices=get_args(Architecture),
        default="cnn",
        help="which network: convolutions, or a vision transformer with methods for these (default: %(default)s)",
    )
    parser.add_argument("--folds", metavar="N", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--images", metavar="N", type=int, default=600, help="flowers of each set (default: %(default)s)"
    )
    add_mu_option(parser)
    parser.add_argument(
        "--retrain",
        action="store_true",
        help="train a network for each fold, which takes minutes (default: the one that comes with tfxai)",
    )
    parser.add_argument("--only-correct", action="store_true", help="leave out misclassified images")
    add_seed_option(parser, "the flowers")
    add_batch_size_option(parser)
    add_csv_option(parser)
