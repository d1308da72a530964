"""What commands share: the options that choose a model and methods, and what they mean."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai import api, images
from tfxai.explainer import Explainer, scores
from tfxai.models import ModelView

MODEL_HELP = "a .keras or .h5 file, or the folder of a SavedModel"
SIGNATURE_HELP = "which signature of a SavedModel (default: serving_default, else the only one)"
OUTPUT_HELP = "which output, if the model has several"
DEFAULT_METHODS = ("grad_cam", "integrated_gradients")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which function of which file."""
    parser.add_argument("--signature", metavar="NAME", help=SIGNATURE_HELP)
    parser.add_argument("--model-output", metavar="NAME", help=OUTPUT_HELP)


def add_method_options(parser: argparse.ArgumentParser) -> None:
    """What explains, and what the model is fed with."""
    parser.add_argument(
        "--method",
        metavar="NAME[:OPTION=VALUE,...]",
        nargs="+",
        action="extend",
        help="one or more methods, as `tfxai methods` lists them, each with options if need be, such as "
        f"rise:masks=500,cells=9 (default: {' '.join(DEFAULT_METHODS)})",
    )
    parser.add_argument("--layer", metavar="NAME", help="layer for the methods that take one (default: last spatial)")
    parser.add_argument("--score", choices=["logit", "probability"], help="what a class is scored by (default: logit)")
    parser.add_argument("--preprocess", choices=list(images.MODES), default="none", help="default: %(default)s")
    parser.add_argument(
        "--batch-size", metavar="N", type=int, default=32, help="how many inputs at once (default: %(default)s)"
    )


def chosen_methods(arguments: argparse.Namespace) -> dict[str, tuple[type[Explainer], dict[str, Any]]]:
    """The methods as they were given, with their classes and options."""
    chosen, takes_layer = {}, False
    for text in arguments.method or DEFAULT_METHODS:
        cls, options = api.with_options(text)
        common = {"score": arguments.score} if arguments.score else {}
        if arguments.layer is not None and "layer" in inspect.signature(cls).parameters:
            takes_layer = True
            common["layer"] = arguments.layer
        _, colon, given = text.partition(":")
        chosen[f"{cls.facts.name}{colon}{given}"] = cls, common | options
    if arguments.layer is not None and not takes_layer:
        raise ValueError("Expected --layer with a method that takes one, such as grad_cam.")
    return chosen


def input_shape(view: ModelView) -> tuple[tuple[int | None, int | None], int]:
    """Size and channels of the images that a model takes; any size, in colour, if it does not say."""
    if view.inputs is None:
        return (None, None), 3
    shapes = [tuple(spec.shape[1:]) for spec in view.inputs.values()]
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][2] not in (1, 3, None):
        raise ValueError(f"Expected a model that takes one image (height, width, 1 or 3), this one takes {shapes}.")
    height, width, channels = shapes[0]
    return (height, width), channels or 3


def predict(view: ModelView, inputs: np.ndarray, batch_size: int) -> np.ndarray:
    """(n, classes) probabilities; of a model that ends in logits, their softmax."""
    if batch_size < 1:
        raise ValueError(f"Expected --batch-size to be at least 1, got {batch_size}.")

    @tf.function(autograph=False, reduce_retracing=True)
    def probabilities(x: tf.Tensor) -> tf.Tensor:
        outputs = view.forward(x).outputs
        if outputs.shape.rank != 2:
            raise ValueError(f"Expected a classifier with outputs (n, classes), got {tuple(outputs.shape)}.")
        found, scale, _ = scores(tf.cast(outputs, tf.float32), "auto")
        return found if scale == "probability" else tf.nn.softmax(found)

    fixed = next(iter(view.inputs.values())).shape[0] if view.inputs else None
    batch_size = fixed or batch_size
    short = -len(inputs) % fixed if fixed else 0
    padded = np.concatenate([inputs, np.repeat(inputs[-1:], short, 0)])
    starts = range(0, len(inputs), batch_size)
    found = [probabilities(tf.constant(padded[start : start + batch_size])) for start in starts]
    return np.concatenate(found)[: len(inputs)]
