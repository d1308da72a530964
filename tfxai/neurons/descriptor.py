"""Responses of layers as one vector for each input, and the layers that are looked at by default."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf

POOLINGS = ("l2sq", "l2")


def describe(maps: Iterable[tf.Tensor], pooling: str, layer_norm: str | None, global_norm: bool) -> tf.Tensor:
    """(n, m) responses of all channels of some layers, each layer on its own scale.

    Parameters
    ----------
    maps : iterable of tf.Tensor
        Outputs of the layers, (n, ..., channels).
    pooling : {"l2sq", "l2"}
        The response of a channel: the squared L2 norm of its map, or the norm.
    layer_norm : {"l1", None}
        Whether the responses of a layer are divided by their sum.
    global_norm : bool
        Whether the whole vector is divided by its L2 norm.
    """
    parts = []
    for layer in maps:
        axes = list(range(1, layer.shape.rank - 1))
        responses = tf.math.reduce_euclidean_norm(tf.cast(layer, tf.float32), axes)  # makes no squares to be kept
        if pooling == "l2sq":
            responses = tf.square(responses)
        if layer_norm:
            responses = tf.math.divide_no_nan(responses, tf.reduce_sum(responses, 1, keepdims=True))
        parts.append(responses)
    whole = tf.concat(parts, 1)
    if not global_norm:
        return whole
    return tf.math.divide_no_nan(whole, tf.norm(whole, axis=1, keepdims=True))
