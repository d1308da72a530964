"""Which windows are worth a pass: a few at first, then those over parts that may or may not be among the best.

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
ROUNDS = 16  # at least, unless fewer windows are left; after each one looks anew where to ask
BEST = 0.05  # the share of parts that are to be found
NUGGET = 0.05  # of the variance of the field: what windows have for themselves
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


class Answers(NamedTuple):
    """Windows that were asked, and their drops, both (n, passes): the last ones ``told``, before them empty places."""

    windows: tf.Tensor
    drops: tf.Tensor
    told: tf.Tensor

    @property
    def filled(self) -> tf.Tensor:
        passes = self.windows.shape[1]
        return tf.cast(tf.range(passes) >= passes - self.told, tf.float32)

    def asked(self, windows: int) -> tf.Tensor:
        """(n, passes, windows): 1 for the window of each place."""
        return self.filled[:, None] * tf.one_hot(self.windows, windows)


def first_windows(grid: Sequence[int]) -> np.ndarray:
    """Numbers of the windows that are asked at first: every third along each axis."""
    axes = [np.arange(min(1, size - 1), size, APART) for size in grid]
    return np.ravel_multi_index(np.meshgrid(*axes, indexing="ij"), grid).ravel()


def kriged(
    ask: Callable[[tf.Tensor], tf.Tensor],
    lengths: Sequence[float],
    parts: Sequence[np.ndarray],
    passes: int,
    count: tf.Tensor,
) -> Field:
    """The drops of all windows of a grid, from so many passes.

    Parameters
    ----------
    ask : callable
        From windows (k, n), others for each input, to their drops, (k, n).
    lengths : sequence of float
        How many windows along each axis overlap with one: over these correlations fall to 1 / e.
    parts : sequence of array
        (parts, windows) of each axis: the value of a part is the sum of the drops of windows with these weights.
    passes : int
        How many windows are asked, at least as many as `first_windows` has; up to a sixteenth of the others fewer,
        since all rounds are equally long.
    count : tf.Tensor
        How many inputs there are, n.
    """
    grid = [weights.shape[1] for weights in parts]
    windows, first = math.prod(grid), first_windows(grid)
    axes = [_correlation(*axis) for axis in zip(grid, lengths, strict=True)]
    alike = _product(axes) + NUGGET * tf.eye(windows)
    weights = _product(parts)
    across = _product([axis @ own.T for axis, own in zip(axes, parts, strict=True)]) + NUGGET * tf.transpose(weights)
    alone = tf.reduce_sum(tf.transpose(weights) * across, 0)
    best = max(1, round(BEST * weights.shape[0]))
    each = max(1, (passes - len(first)) // ROUNDS)
    rounds = (passes - len(first)) // each
    covered = tf.cast(weights > 0, tf.float32)

    def told(answers: Answers, new: tf.Tensor) -> Answers:
        """The answers once windows (n, k) have been asked too."""
        k = new.shape[1]
        drops = tf.transpose(ask(tf.transpose(new)))
        return Answers(
            tf.concat([answers.windows[:, k:], new], 1),
            tf.concat([answers.drops[:, k:], drops], 1),
            answers.told + k,
        )

    def turn(number: tf.Tensor, answers: Answers) -> tuple[tf.Tensor, Answers]:
        values, errors = _estimated(answers, alike, across, alone)
        border = tf.reduce_mean(tf.math.top_k(values, min(best + 1, weights.shape[0])).values[:, -2:], 1, keepdims=True)
        wrong = tf.exp(-tf.math.divide_no_nan(tf.abs(values - border), errors))
        worth = tf.matmul(wrong, covered) - 1e9 * tf.reduce_sum(answers.asked(windows), 1)
        return number + 1, told(answers, tf.math.top_k(worth, each).indices)

    asked_for = len(first) + rounds * each
    nothing = Answers(tf.zeros([count, asked_for], tf.int32), tf.zeros([count, asked_for]), tf.constant(0))
    answers = told(nothing, tf.tile(tf.constant(first, tf.int32)[None], [count, 1]))
    if rounds:
        answers = tf.while_loop(lambda number, _: number < rounds, turn, (0, answers), parallel_iterations=1)[1]
    places = answers.asked(windows)
    asked = tf.reduce_sum(places, 1)
    drops, errors = _estimated(answers, alike, alike, tf.linalg.diag_part(alike))
    exact = tf.reduce_sum(places * answers.drops[..., None], 1)
    return Field(tf.where(asked > 0, exact, drops), tf.where(asked > 0, 0.0, errors), asked)


def _correlation(size: int, length: float) -> np.ndarray:
    places = np.arange(size)
    return np.exp(-np.abs(places[:, None] - places) / length)


def _product(axes: Sequence[np.ndarray]) -> tf.Tensor:
    """The Kronecker product. It is made where it is needed: as a constant it would be kept several times."""

    def product(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        return tf.reshape(one[:, None, :, None] * other[:, None], [one.shape[0] * other.shape[0], -1])

    return functools.reduce(product, [tf.constant(axis, tf.float32) for axis in axes])


def _estimated(answers: Answers, alike: tf.Tensor, across: tf.Tensor, alone: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Of what is to be known, posterior means and standard deviations, (n, m).

    Parameters
    ----------
    answers : Answers
        What is known.
    alike, across : tf.Tensor
        (windows, windows) and (windows, m) how windows go with each other, and with what is to be known.
    alone : tf.Tensor
        (m,) the prior variance of that. All three are shares of the variance of the field.
    """
    filled = answers.filled
    among = tf.gather(tf.gather(alike, answers.windows), answers.windows, axis=2, batch_dims=1)
    root = tf.linalg.cholesky(among * filled * filled[:, None] + tf.linalg.diag(1 - filled))
    known = tf.linalg.triangular_solve(root, (answers.drops * filled)[..., None])
    along = tf.linalg.triangular_solve(root, tf.gather(across, answers.windows) * filled[:, None])
    variance = tf.reduce_sum(tf.square(known), [1, 2]) / tf.reduce_sum(filled)  # of the field, most likely
    left = tf.maximum(alone - tf.reduce_sum(tf.square(along), 1), 0) * variance[:, None]
    return tf.matmul(along, known, transpose_a=True)[..., 0], tf.sqrt(left)
