"""The command ``tfxai features fit``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfxai.cli.options import (
    add_batch_size_option,
    add_classes_option,
    add_crop_option,
    add_model_options,
    add_mu_option,
    add_preprocess_option,
    add_seed_option,
)

NAME = "fit"
HELP = "Find the few channels of a model that tell its classes apart."
EXAMPLES = """examples:
  tfxai features fit model.keras photos/ --output features.npz
  tfxai features fit model.keras photos/ --labels predicted --preprocess -1..1 --classes names.txt
  tfxai features fit model.keras photos/ --labels labels.csv --mu 5 --layers conv3 conv4 conv5

Relevant features, Oramas et al. (2019). IMAGES has a folder for each class, whose name is the class: its number, or its
name in --classes; or else the folders are the classes in the order of their names, as Keras reads them, if there are as
many. Otherwise --labels is "predicted", for the classes that the model predicts, or a .csv file with the columns file
(relative to IMAGES) and class (number or name).

The images are read a batch at a time, once to fit and once more for the average images of the strongest features of
each class, which are drawn beside the file, as features.png.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai features fit`` to its parser."""
    add_model_options(parser)
    parser.add_argument("images", metavar="IMAGES", type=Path, help="folder of the images, or of folders of them")
    parser.add_argument(
        "--labels", metavar="FILE.csv|predicted", help="classes of the images (default: the folders that they are in)"
    )
    add_classes_option(parser)
    parser.add_argument("--layers", metavar="NAME", nargs="+", help="default: the last of each block")
    add_mu_option(parser)
    add_preprocess_option(parser)
    add_crop_option(parser)
    add_batch_size_option(parser)
    add_seed_option(parser, "the images that are held out to choose mu")
    parser.add_argument(
        "--output", metavar="FILE", type=Path, default=Path("features.npz"), help="default: %(default)s"
    )
