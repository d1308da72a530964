"""Images moved by a few pixels in each step of a descent, lest it fit single pixels."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfxai.loops import Seeded


def check_jitter(most: int) -> int:
    """``most`` if it is a whole number of pixels, else ValueError."""
    if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 0:
        raise ValueError(f"Expected jitter to be a number of pixels, 0 or more, got {most!r}.")
    return int(most)


def jitter(seeded: Seeded, step: tf.Tensor, most: int, *images: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Images (n, h, w, c) moved by up to ``most`` pixels up or down, left or right, all alike; edges are repeated.

    Series and volumes move along their own axes.
    """
    if not most:
        return images
    axes = images[0].shape.rank - 2
    by = seeded.draw(step[None], lambda seed: tf.random.stateless_uniform([axes], seed, -most, most + 1, tf.int32))[0]
    return tuple(shifted(x, by) for x in images)


def shifted(x: tf.Tensor, by: tf.Tensor) -> tf.Tensor:
    """Images moved down and to the right by so many pixels."""
    for axis in range(1, x.shape.rank - 1):
        size = x.shape[axis]
        x = tf.gather(x, tf.clip_by_value(tf.range(size) - by[axis - 1], 0, size - 1), axis=axis)
    return x
