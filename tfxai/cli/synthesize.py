"""The command ``tfxai synthesize``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from tfxai.cli.options import add_model_options, check_folder, opened, read_classes
from tfxai.cli.synthesis import add_synthesis_options, write
from tfxai.models.predict import input_shape
from tfxai.synthesis import objectives
from tfxai.synthesis.maximization import ActivationMaximization
from tfxai.synthesis.objective import Objective
from tfxai.targets import class_id

NAME = "synthesize"
HELP = "Make images of what a class or a channel looks like to a model."
EXAMPLES = """examples:
  tfxai synthesize model.keras --class 207 --preprocess caffe --out pictures
  tfxai synthesize model.keras --class 207 340 "flamingo" --classes names.txt --preprocess -1..1 --frames 10
  tfxai synthesize model.keras --layer conv5 --channel 12 40 --preprocess torch --steps 512

Each class or channel gives a picture. Their numbers, scores and histories go to synthesis.npz, for
tfxai.Synthesis.load(FILE); with --frames, the way there to synthesis.gif.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai synthesize`` to its parser."""
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
    add_synthesis_options(parser, "noise and transforms", "tfxai-synthesis")


def run(arguments: argparse.Namespace) -> None:
    """Make the images, print what they reach, and write them."""
    names = None if arguments.classes is None else read_classes(arguments.classes)
    check_folder(arguments.output)
    view = opened(arguments)
    (height, width), channels = input_shape(view)
    if None in (height, width) and arguments.size is None:
        raise ValueError("Expected --size, as the model takes images of any size.")
    maximization = ActivationMaximization(
        view,
        _objective(arguments, names),
        preprocess=arguments.preprocess,
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
    write(found, arguments.output, "synthesis", [label.replace(" ", "-").replace("/", "-") for label in found.labels])
    if arguments.frames:
        found.save_gif(arguments.output / "synthesis.gif")


def _objective(arguments: argparse.Namespace, names: Sequence[str] | None) -> Objective:
    if (arguments.target is None) == (arguments.channel is None):
        raise ValueError("Expected either --class, or --layer with --channel.")
    if arguments.target is not None:
        ids = [int(one) if one.isdigit() else class_id(one, names) for one in arguments.target]
        return objectives.class_score(ids, on=arguments.on)
    if arguments.layer is None:
        raise ValueError("Expected --layer with --channel.")
    return objectives.channel(arguments.layer, arguments.channel)
