"""The command ``tfxai evaluate localization``."""

from __future__ import annotations

import argparse
import sys

from tfxai._version import __version__
from tfxai.archive import digest
from tfxai.cli.work.given import check_file, check_folder, chosen_methods, facts_of, opened
from tfxai.evaluation.boxed_images import BoxedImages, read_boxes
from tfxai.evaluation.localization import evaluate_localization, table, write_csv
from tfxai.models.predict import input_shape, predict


def run(arguments: argparse.Namespace) -> None:
    """Explain the images, score the methods, and print the table."""
    methods = chosen_methods(arguments)
    boxes = read_boxes(arguments.boxes, arguments.limit)
    check_folder(arguments.cache)
    check_file(arguments.csv)
    view = opened(arguments)
    given = BoxedImages(arguments.images, boxes, *input_shape(view), arguments.preprocess, arguments.crop)
    if given.left_out:
        left = f"{len(given.left_out)} of {len(boxes)}"
        print(
            f"tfxai: left out: {left} images whose boxes lie outside --crop, such as {given.left_out[0]!r}",
            file=sys.stderr,
        )
    given.check_classes(predict(view, given[:1], arguments.batch_size).values.shape[1])
    facts = {
        "tfxai": __version__,
        "model": digest(arguments.model),
        **{name: getattr(arguments, name) for name in ("model_output", "signature", "preprocess", "crop", "target")},
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
