"""The command ``tfxai evaluate resampling``."""

from __future__ import annotations

import argparse

from tfxai.cli.work.given import check_file
from tfxai.evaluation.resampling import evaluate_resampling, plot, table, write_csv


def run(arguments: argparse.Namespace) -> None:
    """Measure the stages, print the table, and draw the curves."""
    check_file(arguments.csv)
    check_file(arguments.figure)
    names = ("images", "epochs", "train_images", "samples", "top", "seed", "batch_size", "perturbation", "sigma")
    options = {name: getattr(arguments, name) for name in names}
    stages = evaluate_resampling(arguments.data, arguments.checkpoints, **options)
    print("\n" + "\n".join(table(stages)))
    if arguments.csv is not None:
        write_csv(stages, arguments.csv)
    if arguments.figure is not None:
        plot(stages).savefig(arguments.figure, dpi=150)
