"""The command ``tfxai evaluate localization``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from tfxai.choices import Component, Threshold
from tfxai.cli.options import add_crop_option, add_csv_option, add_method_options, add_model_options, add_seed_option

NAME = "localization"
HELP = "Score methods by boxes in image files."
EXAMPLES = """examples:
  tfxai evaluate localization model.keras photos/ boxes.csv --method grad_cam saliency --preprocess caffe
  tfxai evaluate localization model.keras photos/ boxes.csv --method grad_cam:layer=conv5 rise:masks=500 --csv table.csv

BOXES.csv has the columns file (relative to IMAGES), class (its number), xmin, ymin, xmax, ymax (pixels of the file as
stored, half open), and a row for each box. Images are cropped and resized to what the model takes, and boxes with
them; an image whose boxes all lie outside the crop is left out and reported.

Where the foreground of a heat-map begins (alpha) is tuned on each half of the images and used on the other. Intervals
are those of the bootstrap over images. Compare with whole image, centre box and centre point: photographs tend to show
their subject in the middle.

Heat-maps are stored batch by batch. The same command continues a run that was interrupted, and recomputes nothing.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai evaluate localization`` to its parser."""
    add_model_options(parser)
    parser.add_argument("images", metavar="IMAGES", help="folder of the image files")
    parser.add_argument("boxes", metavar="BOXES.csv", help="table of boxes, see below")
    add_crop_option(parser)
    add_method_options(parser)
    parser.add_argument(
        "--target", choices=["boxes", "predicted"], default="boxes", help="explained class (default: that of the boxes)"
    )
    parser.add_argument(
        "--threshold",
        choices=get_args(Threshold),
        default="mean",
        help="where the foreground begins (default: %(default)s)",
    )
    parser.add_argument(
        "--component",
        choices=get_args(Component),
        default="all",
        help="box around all of the foreground or its largest part (default: %(default)s)",
    )
    parser.add_argument(
        "--tolerance", metavar="PIXELS", type=float, default=0, help="of the pointing game (default: %(default)s)"
    )
    parser.add_argument(
        "--split",
        choices=["both", "half"],
        default="both",
        help="score both halves, or the second only (default: both)",
    )
    add_seed_option(parser, "split and intervals")
    parser.add_argument("--limit", metavar="N", type=int, help="take the first N images only")
    add_csv_option(parser)
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        default=Path("tfxai-evaluation"),
        help="where heat-maps are stored (default: %(default)s)",
    )
