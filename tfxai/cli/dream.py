"""The command ``tfxai dream``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfxai import images
from tfxai.cli.options import add_model_options, check_folder, opened
from tfxai.cli.synthesis import add_synthesis_options, write
from tfxai.models.predict import input_shape
from tfxai.synthesis.dream import PRESETS, DeepDream

NAME = "dream"
HELP = "Amplify in a photograph what a layer sees in it."
EXAMPLES = """examples:
  tfxai dream model.keras clouds.jpg --layer mixed4 --preprocess -1..1
  tfxai dream model.keras clouds.jpg --layer conv3:0.5 conv4:2 --preprocess caffe --octaves -4 -3 -2 -1 0

Photographs of any size serve also where the model takes one size only: they are dreamt on in tiles.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai dream`` to its parser."""
    add_model_options(parser)
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    parser.add_argument(
        "--layer", metavar="NAME[:WEIGHT]", nargs="+", help="layers that are amplified (default: the last spatial one)"
    )
    parser.add_argument("--channel", metavar="N", type=int, help="one channel of them (default: all)")
    parser.add_argument("--preset", choices=list(PRESETS), default="inceptionism", help="default: %(default)s")
    parser.add_argument("--octaves", metavar="N", nargs="+", type=int, help="powers of the octave scale")
    parser.add_argument("--steps", metavar="N", type=int, help="at each octave (default: that of the preset)")
    parser.add_argument("--tile", metavar="N", type=int, help="side of tiles (default: what the model takes)")
    add_synthesis_options(parser, "the jitter", "tfxai-dream")


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
