"""What is seen in place of an input."""

from __future__ import annotations

import tensorflow as tf

from tfxai.baselines import compared_with, gaussian, input_references
from tfxai.run import Run

SAME = 1e-5  # an input that differs from its background by a smaller share of itself is no different


def background(run: Run, blur: float) -> tf.Tensor:
    """What each image of a run is filled with, where ``"blur"`` is a Gaussian of the share ``blur`` of its side."""
    x = run.pixels
    _, spec = compared_with(run, run.image)
    if isinstance(spec, str) and spec == "blur":
        sigma = blur * min(x.shape[1:-1])
        for axis in range(1, x.shape.rank - 1):
            x = gaussian(x, sigma, axis)
        return x
    found = input_references(run, run.image)
    if found.shape[0] != 1:
        raise ValueError(f"Expected one fill for each image, got {found.shape[0]}.")
    return found[0]


def differs(x: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    """(n,) whether images differ from their backgrounds by more than rounding."""
    axes = list(range(1, x.shape.rank))
    return tf.reduce_max(tf.abs(x - p), axes) > SAME * tf.reduce_max(tf.abs(x), axes)
