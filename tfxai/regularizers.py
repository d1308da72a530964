"""What is known of any image or mask beforehand, as costs: its numbers are bounded, and it is smooth."""

from __future__ import annotations

import tensorflow as tf


def alpha_norm(x: tf.Tensor, alpha: float) -> tf.Tensor:
    """(n,) sum of |x| ** alpha."""
    return tf.reduce_sum(tf.abs(x) ** alpha, list(range(1, x.shape.rank)))


def total_variation(x: tf.Tensor, beta: float, axes: int = 2) -> tf.Tensor:
    """(n,) sum of |d| ** beta, over the differences d of neighbours along so many axes behind the first."""

    def along(axis: int) -> tf.Tensor:
        before = [slice(None)] * axis
        return alpha_norm(x[(*before, slice(1, None))] - x[(*before, slice(-1))], beta)

    return tf.add_n([along(axis) for axis in range(1, axes + 1)])
