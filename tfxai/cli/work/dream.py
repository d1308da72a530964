"""The command ``tfxai dream``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfxai import images
from tfxai.cli.work.given import check_folder, opened
from tfxai.cli.work.synthesis import write
from tfxai.models.predict import input_shape
from tfxai.synthesis.dream import DeepDream


def run(arguments: argparse.Namespace) -> None:
    """Dream on the photograph, and write what comes of it."""
    check_folder(arguments.output)
    view = opened(arguments)
    _, channels = input_shape(view)
    pairs = [text.rpartition(":") if ":" in text else (text, "", "1") for text in arguments.layer or ()]
    layers = {name: float(weight) for name, _, weight in pairs} or view.last_spatial()
    photograph = images.read(arguments.image)
    found = DeepDream(
        view,
        layers,
        preprocess=arguments.preprocess,
        preset=arguments.preset,
        channel=arguments.channel,
        tile=arguments.tile,
        octaves=arguments.octaves,
        steps=arguments.steps,
        seed=arguments.seed,
    )(images.prepare([photograph], None, channels, arguments.preprocess))
    print(f"{found.labels[0]}: {found.history['objective'][0, -1]:.4g} at the end")
    write(found, arguments.output, "dream", [f"{Path(arguments.image).stem}-dream"])
