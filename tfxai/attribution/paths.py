"""Gradients along straight ways from baselines to the inputs."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfxai.explainer import Explainer
from tfxai.loops import accumulate, column, merge, split
from tfxai.run import Run, gradients
from tfxai.types import Tensors


def shares(explainer: Explainer, run: Run, start: Tensors, way: Tensors, t: tf.Tensor) -> Tensors:
    """(k, n, ...) the gradient at start + t * way, for (k,) numbers t, times the way."""
    each, times = tf.nest.map_structure, tf.size(t)
    points = each(lambda start, way: merge(start + column(t, start) * way), start, way)
    again = explainer.rerun(run, run.among(points, times), times)
    moved = {name: again.inputs[name] for name in way} if isinstance(way, dict) else again.inputs
    return each(lambda g, way: split(g, run.count) * way, gradients(again.score, moved, "input"), way)


def integral(
    explainer: Explainer, run: Run, x: Tensors, starts: Tensors, nodes: np.ndarray, weights: np.ndarray
) -> Tensors:
    """The mean over baselines (b, n, ...) of the gradient averaged on the way to the inputs x, times the way.

    ``nodes``, ``weights``: where on [0, 1] to take the gradient, and what each of these points counts.
    """
    each = tf.nest.map_structure
    count, steps = tf.nest.flatten(starts)[0].shape[0], len(nodes)
    places = tf.constant(np.tile(nodes, count), tf.float32)
    counted = tf.constant(np.tile(weights, count) / count, tf.float32)

    def sums(index: tf.Tensor, active: tf.Tensor) -> Tensors:
        start = each(lambda starts: tf.gather(starts, index // steps), starts)
        found = shares(explainer, run, start, each(tf.subtract, x, start), tf.gather(places, index))
        weight = tf.gather(counted, index) * active
        return each(lambda one: tf.tensordot(weight, one, 1), found)

    return accumulate(sums, each(tf.zeros_like, x), steps * count, run.count, run.batch_size)


def mean_score(explainer: Explainer, run: Run, starts: Tensors) -> tf.Tensor:
    """(n,) the score at the baselines (b, n, ...) of each input, their mean."""
    count = tf.nest.flatten(starts)[0].shape[0]

    def score(index: tf.Tensor, active: tf.Tensor) -> tf.Tensor:
        batch = run.among(tf.nest.map_structure(lambda x: merge(tf.gather(x, index)), starts), tf.size(index))
        scores = explainer.rerun(run, batch, tf.size(index)).score
        return tf.tensordot(active / count, split(scores, run.count), 1)

    return accumulate(score, tf.zeros_like(run.score), count, run.count, run.batch_size)
