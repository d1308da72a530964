"""The command ``tfxai evaluate flowers``."""

from __future__ import annotations

import argparse

from tfxai.cli.work.given import bound, check_file
from tfxai.datasets import flowers
from tfxai.evaluation.flowers import evaluate_flowers, table, write_csv


def run(arguments: argparse.Namespace) -> None:
    """Score the methods, and print the table."""
    check_file(arguments.csv)
    names = ("folds", "architecture", "retrain", "only_correct", "seed", "batch_size")
    options = {"mu": bound(arguments.mu)} | {name: getattr(arguments, name) for name in names}
    data = flowers.SHIPPED[arguments.architecture] if arguments.data is None else arguments.data
    results = {name: evaluate_flowers(name, arguments.images, **options) for name in data}
    print("\n" + "\n".join(table(results)))
    if arguments.csv is not None:
        write_csv(results, arguments.csv)
