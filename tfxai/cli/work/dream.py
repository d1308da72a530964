"""The command ``tfxai dream``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfxai import images
from tfxai.cli.work.given import check_folder, opened
from tfxai.cli.work.synthesis import write
from tfxai.models import ModelView
from tfxai.models.blocks import default_layers
from tfxai.models.predict import input_shape
from tfxai.synthesis.dream import DeepDream


def default_layer(view: ModelView) -> str:
    """The layer two thirds of the way up, among those in which blocks end: eyes and fur, not the noise of the last."""
    spatial = {layer.name for layer in view.layers() if layer.spatial} if view.inputs else set()
    ends = [name for name in default_layers(view, None) if name in spatial] if spatial else []
    return ends[2 * len(ends) // 3] if ends else view.last_spatial()


def run(arguments: argparse.Namespace) -> None:
    """Dream on the photograph, and write what comes of it."""
    check_folder(arguments.output)
    view = opened(arguments)
    _, channels = input_shape(view)
    pairs = [text.rpartition(":") if ":" in text else (text, "", "1") for text in arguments.layer or ()]
    layers = {name: float(weight) for name, _, weight in pairs} or default_layer(view)
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
