"""What is known of any image or mask beforehand, as costs: its numbers are bounded, and it is smooth."""

from __future__ import annotations

import tensorflow as tf


def alpha_norm(x: tf.Tensor, alpha: float) -> tf.Tensor:
    """(n,) sum of |x| ** alpha."""
    return tf.reduce_sum(tf.abs(x) ** alpha, list(range(1, x.shape.rank)))


def total_variation(x: tf.Tensor, beta: float) -> tf.Tensor:
    """(n,) sum of |d| ** beta, over the differences d of neighbours in either direction, of (n, h, w, ...)."""
    return alpha_norm(x[:, 1:] - x[:, :-1], beta) + alpha_norm(x[:, :, 1:] - x[:, :, :-1], beta)
