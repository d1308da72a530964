"""The command ``tfxai invert``."""

from __future__ import annotations

import argparse

from tfxai.cli.work.explaining import explain_files
from tfxai.inversion import GuidedFeatureInversion, figures
from tfxai.synthesis.box import box


def run(arguments: argparse.Namespace) -> int:
    """Invert the images; 1 if some of the files were not images, else 0."""
    method = GuidedFeatureInversion.facts.name
    steps = {name: getattr(arguments, name) for name in ("inversion_steps", "target_steps")}
    options = {name: number for name, number in steps.items() if number is not None}
    pixels = box(arguments.preprocess).pixels
    return explain_files(
        arguments,
        {method: {}},
        lambda view, names: [
            GuidedFeatureInversion(
                view,
                arguments.layer,
                base_layer=arguments.base_layer,
                preset=arguments.preset,
                classes=names,
                frames=arguments.html is not None,
                **options,
            )
        ],
        lambda found, photograph: figures.stages(found[method], [photograph], pixels),
    )
