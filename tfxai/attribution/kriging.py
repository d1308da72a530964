"""Which windows are worth a pass: a few at first, then those of which it is least sure whether they are among the best.

The drops of the others are predicted by kriging: drops are treated as a Gaussian field whose correlation falls
exponentially with distance (Matheron 1963; Rasmussen and Williams 2006, chapter 2), which also says how sure that is.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

APART = 3  # windows from one to the next that is asked at first
ROUNDS = 4  # after which one looks anew where to ask
BEST = 0.05  # the share of windows that are to be found
NUGGET = 0.05  # of the variance: what windows have for themselves
MOST = 2500  # windows; the equations take memory with the square of it, and time with the cube


class Field(NamedTuple):
    """Drops of all windows, (n, windows); those that were not asked are estimates.

    Attributes
    ----------
    drops : tf.Tensor
        The drops.
    errors : tf.Tensor
        Standard deviations of the estimates, 0 where windows were asked.
    asked : tf.Tensor
        1 where they were.
    """

    drops: tf.Tensor
    errors: tf.Tensor
    asked: tf.Tensor


def first_windows(grid: Sequence[int]) -> np.ndarray:
    """Numbers of the windows that are asked at first: every third along each axis."""
    axes = [np.arange(min(1, size - 1), size, APART) for size in grid]
    return np.ravel_multi_index(np.meshgrid(*axes, indexing="ij"), grid).ravel()


def kriged(
    ask: Callable[[tf.Tensor], tf.Tensor], grid: Sequence[int], lengths: Sequence[float], passes: int, count: tf.Tensor
) -> Field:
    """The drops of all windows of a grid, from so many passes.

    Parameters
    ----------
    ask : callable
        From windows (k, n), others for each input, to their drops, (k, n).
    grid : sequence of int
        How many windows there are along each axis.
    lengths : sequence of float
        How many windows along each axis overlap with one: over these correlations fall to 1 / e.
    passes : int
        How many windows are asked; at least as many as `first_windows` has.
    count : tf.Tensor
        How many inputs there are, n.
    """
    windows, first = math.prod(grid), first_windows(grid)
    alike = functools.reduce(np.kron, [_correlation(*axis) for axis in zip(grid, lengths, strict=True)])
    prior = tf.constant(alike.astype(np.float32))
    each = (passes - len(first)) // ROUNDS

    def told(field: Field, taken: tf.Tensor) -> Field:
        """The field once windows (k, n) have been asked."""
        where = tf.one_hot(taken, windows)  # (k, n, windows)
        drops = tf.reduce_sum(where * ask(taken)[..., None], 0)
        asked = tf.reduce_sum(where, 0)
        return _estimated(prior, tf.where(asked > 0, drops, field.drops), field.asked + asked)

    def turn(number: tf.Tensor, field: Field) -> tuple[tf.Tensor, Field]:
        least = tf.math.top_k(field.drops, max(1, round(BEST * windows))).values[:, -1:]
        unsure = tf.math.divide_no_nan(-tf.abs(field.drops - least), field.errors)
        unsure = tf.where(field.asked > 0, -np.inf, unsure)
        return number + 1, told(field, tf.transpose(tf.math.top_k(unsure, each).indices))

    nothing = tf.zeros([count, windows])
    start = told(Field(nothing, nothing, nothing), tf.tile(tf.constant(first, tf.int32)[:, None], [1, count]))
    if each < 1:
        return start
    return tf.while_loop(lambda number, _: number < ROUNDS, turn, (0, start), parallel_iterations=1)[1]


def _correlation(size: int, length: float) -> np.ndarray:
    places = np.arange(size)
    return np.exp(-np.abs(places[:, None] - places) / length)


def _estimated(prior: tf.Tensor, drops: tf.Tensor, asked: tf.Tensor) -> Field:
    """Drops that were not asked, from those that were: the posterior mean, and its standard deviation."""
    among = asked[:, :, None] * prior  # (n, asked, windows); rows of those that were not are 0
    own = tf.linalg.diag(1 - asked + NUGGET * asked)
    root = tf.linalg.cholesky(among * asked[:, None] + own)
    known = tf.linalg.triangular_solve(root, (drops * asked)[..., None])
    along = tf.linalg.triangular_solve(root, among)
    variance = tf.reduce_sum(tf.square(known), [1, 2]) / tf.reduce_sum(asked, 1)  # of the field, most likely
    mean = tf.matmul(along, known, transpose_a=True)[..., 0]
    left = tf.maximum(1 + NUGGET - tf.reduce_sum(tf.square(along), 1), 0) * variance[:, None]
    return Field(tf.where(asked > 0, drops, mean), tf.where(asked > 0, 0.0, tf.sqrt(left)), asked)
