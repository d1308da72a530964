"""Gradients along straight paths from baselines to the inputs."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfxai.explainer import Explainer
from tfxai.loops import accumulate, column, merge, split, where_rows
from tfxai.run import Run, gradients, totals
from tfxai.types import Tensors

POINTS = 5  # on the whole path, or on each part of it


def shares(explainer: Explainer, run: Run, start: Tensors, path: Tensors, t: tf.Tensor) -> Tensors:
    """(k, n, ...) the gradient at start + t * path, for (k,) numbers t, times the path."""
    each, times = tf.nest.map_structure, tf.size(t)
    points = each(lambda start, path: merge(start + column(t, start) * path), start, path)
    again = explainer.rerun(run, run.among(points, times), times)
    moved = {name: again.inputs[name] for name in path} if isinstance(path, dict) else again.inputs
    return each(lambda g, path: split(g, run.count) * path, gradients(again.score, moved, "input"), path)


def integral(
    explainer: Explainer, run: Run, x: Tensors, starts: Tensors, nodes: np.ndarray, weights: np.ndarray
) -> Tensors:
    """The mean over baselines (b, n, ...) of the gradient averaged on the path to the inputs x, times that path.

    ``nodes``, ``weights``: where on [0, 1] to take the gradient, and what each of these points counts.
    """
    return _summed(explainer, run, x, starts, tf.constant(nodes, tf.float32), tf.constant(weights, tf.float32))


def integral_until(
    explainer: Explainer, run: Run, x: Tensors, starts: Tensors, most: int, change: tf.Tensor, until: float
) -> tuple[Tensors, tf.Tensor]:
    """The same with points that are doubled until values sum to the change (n,) of the score, but for such a share.

    Each half of the path takes as many points of Gauss and Legendre as the whole path did before. An input that is done
    keeps what it has, whatever the others of its batch need.

    Returns
    -------
    tuple
        The integral, and (n,) of how many points it was made; at most ``most``.
    """
    rules = [_halved(level) for level in range(int(np.log2(most // POINTS)) + 1)]
    ends = np.cumsum([0, *(len(nodes) for nodes, _ in rules)])
    nodes, weights = (tf.constant(np.concatenate(one), tf.float32) for one in zip(*rules, strict=True))

    def turn(level: tf.Tensor, values: Tensors, used: tf.Tensor) -> tuple:
        first, last = tf.gather(ends, level), tf.gather(ends, level + 1)
        found = _summed(explainer, run, x, starts, nodes[first:last], weights[first:last])
        rows = unfinished(values) | (used == 0)
        values = tf.nest.map_structure(lambda new, old: where_rows(rows, new, old), found, values)
        return level + 1, values, tf.where(rows, tf.cast(last - first, tf.float32), used)

    def unfinished(values: Tensors) -> tf.Tensor:
        return tf.abs(totals(values) - change) > until * tf.abs(change)

    def goes_on(level: tf.Tensor, values: Tensors, used: tf.Tensor) -> tf.Tensor:
        return (level < len(rules)) & tf.reduce_any(unfinished(values) | (used == 0))

    start = 0, tf.nest.map_structure(tf.zeros_like, x), tf.zeros_like(change)
    _, values, used = tf.while_loop(goes_on, turn, start, parallel_iterations=1)
    return values, used


def _halved(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights on [0, 1] if it is halved so many times."""
    nodes, weights = np.polynomial.legendre.leggauss(POINTS)
    pieces = 2**level
    return ((np.arange(pieces)[:, None] + (nodes + 1) / 2) / pieces).ravel(), np.tile(weights / 2 / pieces, pieces)


def _summed(
    explainer: Explainer, run: Run, x: Tensors, starts: Tensors, nodes: tf.Tensor, weights: tf.Tensor
) -> Tensors:
    each = tf.nest.map_structure
    count = tf.nest.flatten(starts)[0].shape[0]
    steps = nodes.shape[0] or tf.size(nodes)

    def sums(index: tf.Tensor, active: tf.Tensor) -> Tensors:
        start = each(lambda starts: tf.gather(starts, index // steps), starts)
        found = shares(explainer, run, start, each(tf.subtract, x, start), tf.gather(nodes, index % steps))
        weight = tf.gather(weights, index % steps) / count * active
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
