"""The command ``tfxai synthesize``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import replace

from tfxai.cli.work.given import check_folder, opened, read_classes
from tfxai.cli.work.synthesis import write
from tfxai.models.predict import input_shape
from tfxai.synthesis import objectives
from tfxai.synthesis.maximization import ActivationMaximization
from tfxai.synthesis.objective import Objective
from tfxai.targets import class_id


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
    if names and arguments.target:  # pictures are called by the names of their classes, of synonyms the first
        known = [names[int(label.split()[-1])].split(",")[0] for label in found.labels]
        found = replace(found, labels=known if len(set(known)) == len(known) else list(found.labels))
    write(found, arguments.output, "synthesis", [re.sub(r"[^\w.-]+", "-", label) for label in found.labels])
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
