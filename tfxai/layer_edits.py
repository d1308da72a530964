"""Scores of a layer that is changed many times: only what lies above it runs again."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfxai.loops import merge, split
from tfxai.models import graph
from tfxai.run import Run

CACHE = 4 << 20  # bytes of edited activations at once: beside what little runs above a late layer, memory is slow


def masked_scores(run: Run, layer: tf.Tensor, compiled: bool) -> tuple[Callable[[tf.Tensor], tf.Tensor], int]:
    """What the score would be of a layer times masks.

    Parameters
    ----------
    run : Run
        The pass.
    layer : tf.Tensor
        The output of a layer in it.
    compiled : bool
        Whether XLA compiles, which keeps no edited activations.

    Returns
    -------
    tuple
        From masks (k, 1 or n, ...) to scores (k, n), and how many copies of inputs one call should hold.
    """
    # Where something bypasses the layer, its batch must stay as it was in the first pass.
    alone = graph.bypassed(layer, run.scored, tf.nest.flatten(run.inputs))
    batch_size = 1 if alone else run.batch_size
    if not compiled:
        batch_size = min(batch_size, max(1, CACHE // (layer.dtype.size * (layer.shape[1:].num_elements() or 1))))

    def score(masks: tf.Tensor) -> tf.Tensor:
        again = graph.rerun(layer, merge(layer * tf.cast(masks, layer.dtype)), run.scored)
        return split(run.score_of(again, tf.shape(masks)[0]), run.count)

    return score, batch_size
