"""The commands ``tfxai synthesize`` and ``tfxai dream``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from tfxai import images
from tfxai.cli.options import MODEL_HELP, add_model_options, check_folder, opened
from tfxai.models.predict import input_shape
from tfxai.synthesis import objectives
from tfxai.synthesis.dream import PRESETS, DeepDream
from tfxai.synthesis.maximization import ActivationMaximization
from tfxai.synthesis.objective import Objective
from tfxai.synthesis.result import Synthesis
from tfxai.targets import class_id

SYNTHESIZE_EXAMPLES = """examples:
  tfxai synthesize model.keras --class 207 --preprocess caffe --out pictures
  tfxai synthesize model.keras --class 207 340 "flamingo" --classes names.txt --preprocess -1..1 --frames 10
  tfxai synthesize model.keras --layer conv5 --channel 12 40 --preprocess torch --steps 512

Each class or channel gives a picture. Their numbers, scores and histories go to synthesis.npz, for
tfxai.Synthesis.load(FILE); with --frames, the way there to synthesis.gif.
"""
DREAM_EXAMPLES = """examples:
  tfxai dream model.keras clouds.jpg --layer mixed4 --preprocess -1..1
  tfxai dream model.keras clouds.jpg --layer conv3:0.5 conv4:2 --preprocess caffe --octaves -4 -3 -2 -1 0

Photographs of any size serve also where the model takes one size only: they are dreamt on in tiles.
"""


def add_synthesize_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tfxai synthesize`` to its parser."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    add_model_options(parser)
    parser.add_argument("--class", metavar="CLASS", nargs="+", dest="target", help="numbers or names of classes")
    parser.add_argument("--classes", metavar="FILE", help="names of the classes, as for tfxai explain")
    parser.add_argument("--layer", metavar="NAME", help="layer whose channels are shown")
    parser.add_argument("--channel", metavar="N", nargs="+", type=int, help="channels of the layer")
    parser.add_argument(
        "--on", choices=objectives.SCALES, default="logit", help="score of a class (default: %(default)s)"
    )
    parser.add_argument("--steps", metavar="N", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--learning-rate", metavar="RATE", type=float, default=0.05, help="default: %(default)s")
    parser.add_argument("--threshold", metavar="P", type=float, help="stop at this probability of the class")
    parser.add_argument("--parameterization", choices=["fourier", "pixel"], default="fourier", help="default: fourier")
    parser.add_argument("--no-transforms", action="store_true", help="do not move the image between steps")
    parser.add_argument("--size", metavar="N", type=int, help="side of the images, if the model takes any size")
    parser.add_argument("--frames", metavar="N", type=int, default=0, help="keep an image every N steps")
    _add_common(parser, "tfxai-synthesis")


def add_dream_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``tfxai dream`` to its parser."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    add_model_options(parser)
    parser.add_argument(
        "--layer", metavar="NAME[:WEIGHT]", nargs="+", help="layers that are amplified (default: the last spatial one)"
    )
    parser.add_argument("--channel", metavar="N", type=int, help="one channel of them (default: all)")
    parser.add_argument("--preset", choices=list(PRESETS), default="inceptionism", help="default: %(default)s")
    parser.add_argument("--octaves", metavar="N", nargs="+", type=int, help="powers of the octave scale")
    parser.add_argument("--steps", metavar="N", type=int, help="at each octave (default: that of the preset)")
    parser.add_argument("--tile", metavar="N", type=int, help="side of tiles (default: what the model takes)")
    _add_common(parser, "tfxai-dream")


def synthesize(arguments: argparse.Namespace, names: Sequence[str] | None) -> None:
    """Run ``tfxai synthesize``."""
    check_folder(arguments.output)
    view = opened(arguments)
    (height, width), channels = input_shape(view)
    if None in (height, width) and arguments.size is None:
        raise ValueError("Expected --size, as the model takes images of any size.")
    maximization = ActivationMaximization(
        view,
        _objective(arguments, names),
        arguments.preprocess,
        parameterization=arguments.parameterization,
        transforms=() if arguments.no_transforms else None,
        steps=arguments.steps,
        learning_rate=arguments.learning_rate,
        threshold=arguments.threshold,
        frames=arguments.frames,
        seed=arguments.seed,
        shape=(height or arguments.size, width or arguments.size, channels),
    )
    found = maximization()
    for row, label in enumerate(found.labels):
        reached = "" if found.probability is None else f", p = {found.probability[row]:.2%}"
        name = f" ({names[int(label.split()[-1])]})" if names and arguments.target else ""
        print(f"{label}{name}: score {found.score[row]:.4g}{reached}")
    _write(found, arguments.output, "synthesis", [label.replace(" ", "-").replace("/", "-") for label in found.labels])
    if arguments.frames:
        found.save_gif(arguments.output / "synthesis.gif")


def dream(arguments: argparse.Namespace) -> None:
    """Run ``tfxai dream``."""
    check_folder(arguments.output)
    view = opened(arguments)
    _, channels = input_shape(view)
    given = {name: getattr(arguments, name) for name in ("octaves", "steps") if getattr(arguments, name) is not None}
    pairs = [text.rpartition(":") if ":" in text else (text, "", "1") for text in arguments.layer or ()]
    layers = {name: float(weight) for name, _, weight in pairs} or view.last_spatial()
    photograph = images.read(arguments.image)
    found = DeepDream(
        view,
        layers,
        arguments.preprocess,
        preset=arguments.preset,
        channel=arguments.channel,
        tile=arguments.tile,
        seed=arguments.seed,
        **given,
    )(images.prepare([photograph], None, channels, arguments.preprocess))
    print(f"{found.labels[0]}: {found.history['objective'][0, -1]:.4g} at the end")
    _write(found, arguments.output, "dream", [f"{Path(arguments.image).stem}-dream"])


def _add_common(parser: argparse.ArgumentParser, folder: str) -> None:
    parser.add_argument("--preprocess", choices=list(images.MODES), default="none", help="default: %(default)s")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="default: %(default)s")
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path(folder), help="folder (default: %(default)s)"
    )


def _objective(arguments: argparse.Namespace, names: Sequence[str] | None) -> Objective:
    if (arguments.target is None) == (arguments.channel is None):
        raise ValueError("Expected either --class, or --layer with --channel.")
    if arguments.target is not None:
        ids = [int(one) if one.isdigit() else class_id(one, names) for one in arguments.target]
        return objectives.class_score(ids, arguments.on)
    if arguments.layer is None:
        raise ValueError("Expected --layer with --channel.")
    return objectives.channel(arguments.layer, arguments.channel)


def _write(found: Synthesis, folder: Path, name: str, titles: Sequence[str]) -> None:
    """Pictures of all images, a figure if there are several, and everything in numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for title, pixels in zip(titles, found.pixels, strict=True):
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{title}.png")
        print(f"  {folder / f'{title}.png'}")
    if len(found) > 1:
        figure = found.plot()
        figure.savefig(folder / f"{name}.png", dpi=150)
        plt.close(figure)
    found.save(folder / f"{name}.npz")
    print(f"raw values: {folder / f'{name}.npz'}")
