"""Padding of sequences: which steps of an input a model leaves out, as its graph tells."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfxai.models.embeddings import embedding
from tfxai.models.graph import ancestors
from tfxai.models.operations import HANDING_ON


def kept(x: tf.Tensor, masks: Sequence[tf.Tensor] = ()) -> tf.Tensor | None:
    """(n, steps) True where a step of the input counts; None where the model leaves out none.

    It is the first of the masks that the model makes of this input, or else a comparison of it with a constant, over
    all channels of a step, as `keras.layers.Masking` and embeddings make it: any(x != 0).

    Parameters
    ----------
    x : tf.Tensor
        (n, steps, ...), one of the inputs of a pass in this graph.
    masks : sequence of tf.Tensor
        (n, steps) masks that layers of the model gave to their outputs.
    """
    if x.shape.rank < 2:
        return None
    own = [mask for mask in masks if _fits(mask, x) and x.op.name in ancestors([mask])]
    found = own[:1] or _compared(x)[:1]
    return tf.reshape(found[0], tf.shape(x)[:2]) if found else None


def beside(x: tf.Tensor, inputs: Sequence[tf.Tensor], embedded: bool) -> tf.Tensor | None:
    """(n, steps) the mask of a sequence that is an input of its own; None if there is none.

    Beside words, whose numbers stand in ``x`` if they are ``embedded``, it may be one of integers, unless these are
    looked up in a table.
    """
    for y in inputs:
        if y is x or x.shape.rank < 2 or y.shape.rank != 2 or y.shape[1] != x.shape[1]:
            continue
        if y.dtype == tf.bool:
            return y
        if embedded and y.dtype.is_integer and not ((found := embedding(y)) and found.looked_up):
            return tf.cast(y, tf.bool)
    return None


def _fits(mask: tf.Tensor, x: tf.Tensor) -> bool:
    return mask.graph is x.graph and mask.dtype == tf.bool and mask.shape.rank == 2 and _alike(mask, x)


def _alike(mask: tf.Tensor, x: tf.Tensor) -> bool:
    return mask.shape[1:2].is_compatible_with(x.shape[1:2])


def _compared(x: tf.Tensor) -> list[tf.Tensor]:
    """Comparisons of an input with a constant that are one value for each step."""
    found = []
    for op in _consumers(x):
        if op.type != "NotEqual" or all(tf.get_static_value(side) is None for side in op.inputs):
            continue
        if x.shape.rank == 2 and x.dtype.is_integer:
            found.append(op.outputs[0])
        found += [
            follower.outputs[0]
            for follower in op.outputs[0].consumers()
            if follower.type == "Any" and follower.outputs[0].shape[2:].num_elements() == 1 and _alike(op.outputs[0], x)
        ]
    return found


def _consumers(x: tf.Tensor) -> list[tf.Operation]:
    """Operations that take the input, or what only changes its type."""
    found, waiting = [], [x]
    while waiting:
        for op in waiting.pop().consumers():
            if op.type in HANDING_ON - {"IdentityN"} | {"Cast"}:
                waiting.extend(op.outputs)
            found.append(op)
    return found
