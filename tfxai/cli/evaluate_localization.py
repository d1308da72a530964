"""The command ``tfxai evaluate localization``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from tfxai._version import __version__
from tfxai.cli.options import (
    add_csv_option,
    add_method_options,
    add_model_options,
    add_seed_option,
    check_file,
    check_folder,
    chosen_methods,
    facts_of,
    opened,
)
from tfxai.evaluation.boxed_images import BoxedImages, read_boxes
from tfxai.evaluation.localization import evaluate_localization, table, write_csv
from tfxai.evaluation.stored import digest
from tfxai.metrics.boxes import GRIDS, Component
from tfxai.models.predict import input_shape, predict

NAME = "localization"
HELP = "Score methods by boxes in image files."
EXAMPLES = """examples:
  tfxai evaluate localization model.keras photos/ boxes.csv --method grad_cam saliency --preprocess caffe
  tfxai evaluate localization model.keras photos/ boxes.csv --method grad_cam:layer=conv5 rise:masks=500 --csv table.csv

BOXES.csv has the columns file (relative to IMAGES), class (its number), xmin, ymin, xmax, ymax (pixels of the file as
stored, half open), and a row for each box. Images are resized to what the model takes, and boxes with them.

Where the foreground of a heat-map begins (alpha) is tuned on each half of the images and used on the other. Intervals
are those of the bootstrap over images. Compare with whole image, centre box and centre point: photographs are centred.

Heat-maps are stored batch by batch. The same command continues a run that was interrupted, and recomputes nothing.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai evaluate localization`` to its parser."""
    add_model_options(parser)
    parser.add_argument("images", metavar="IMAGES", help="folder of the image files")
    parser.add_argument("boxes", metavar="BOXES.csv", help="table of boxes, see below")
    add_method_options(parser)
    parser.add_argument(
        "--target", choices=["boxes", "predicted"], default="boxes", help="explained class (default: that of the boxes)"
    )
    parser.add_argument(
        "--threshold", choices=list(GRIDS), default="mean", help="where the foreground begins (default: %(default)s)"
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


def run(arguments: argparse.Namespace) -> None:
    """Explain the images, score the methods, and print the table."""
    methods = chosen_methods(arguments)
    boxes = read_boxes(arguments.boxes, arguments.limit)
    check_folder(arguments.cache)
    check_file(arguments.csv)
    view = opened(arguments)
    given = BoxedImages(arguments.images, boxes, *input_shape(view), arguments.preprocess)
    given.check_classes(predict(view, given[:1], arguments.batch_size).values.shape[1])
    facts = {
        "tfxai": __version__,
        "model": digest(arguments.model),
        **{name: getattr(arguments, name) for name in ("model_output", "signature", "preprocess", "target")},
        "size": given.size,
    }
    explainers = {name: method.make(view) for name, method in methods.items()}
    for explainer in explainers.values():
        explainer.of_classes = True  # boxes have classes, so this is a classifier
    rows = evaluate_localization(
        explainers,
        given,
        None if arguments.target == "predicted" else given.classes,
        arguments.cache,
        {name: facts | facts_of(method) for name, method in methods.items()},
        batch_size=arguments.batch_size,
        threshold=arguments.threshold,
        component=arguments.component,
        tolerance=arguments.tolerance,
        cross_fit=arguments.split == "both",
        seed=arguments.seed,
    )
    print("\n" + "\n".join(table(rows)))
    if arguments.csv is not None:
        write_csv(rows, arguments.csv)
