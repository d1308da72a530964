"""The command ``tfxai features explain``."""

from __future__ import annotations

import argparse

from tfxai.api import named
from tfxai.cli.work.explaining import explain_files

METHOD = "relevant_features"


def run(arguments: argparse.Namespace) -> int:
    """Explain the images; 1 if some of the files were not images, else 0."""
    options = {name: getattr(arguments, name) for name in ("features", "preset", "relus")} | {
        "top": arguments.strongest
    }
    return explain_files(
        arguments,
        {METHOD: {}},
        lambda view, names: [named(METHOD).make(view, classes=names, **options)],
        lambda found, photograph: found[METHOD].plot_prediction(images=[photograph]),
    )
