"""What is said of a channel: from the moments of its units to one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import tensorflow as tf

from tfxai.resampling.moments import Columns, Units

TINY = 1e-6  # a deviation that is a smaller share of the mean than this is rounding

Metric: TypeAlias = Literal[
    "correlation",
    "partial_correlation",
    "precision",
    "activation_sum",
    "activation_var",
    "weight_sum",
    "weight_var",
    "regression",
    "effect",
]
METRICS: tuple[Metric, ...] = get_args(Metric)
TESTED: tuple[Metric, ...] = ("correlation", "partial_correlation")  # of which there are p-values
Spatial: TypeAlias = Literal["mean", "max", "peak"]  # how the sites of a channel are put together
# From (..., n, sites, channels), and which of these count, to (..., n, channels).
Reduce: TypeAlias = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def constant(columns: Columns) -> tf.Tensor:
    """(n, m) whether a number is the same for all copies."""
    deviation = tf.sqrt(tf.maximum(tf.linalg.diag_part(columns.products), 0) / columns.count)
    return deviation <= TINY * tf.abs(columns.mean)


def correlations(columns: Columns, units: Units) -> tf.Tensor:
    """(m, n, u) Pearson correlation of each unit with each column; NaN where either is constant."""
    spread = tf.linalg.diag_part(columns.products)[:, :, None] * variance(columns, units)[:, None] * columns.count
    r = tf.clip_by_value(units.products * tf.math.rsqrt(spread), -1, 1)
    known = (spread > 0) & ~constant(columns)[:, :, None]
    return tf.transpose(tf.where(known, r, _nan()), [1, 0, 2])


def variance(columns: Columns, units: Units) -> tf.Tensor:
    """(n, u) variance of each unit, over the number of copies; 0 where it is rounding."""
    found = tf.maximum(units.squares, 0) / columns.count
    return tf.where(found > tf.square(TINY * units.mean), found, 0)


def partial(r: tf.Tensor, r_level: tf.Tensor, between: tf.Tensor) -> tf.Tensor:
    """Correlation of units and columns, with the level taken out of both.

    Parameters
    ----------
    r : tf.Tensor
        (m, n, u) correlation of units and columns.
    r_level : tf.Tensor
        (n, u) correlation of units and level; where it is NaN nothing is taken out.
    between : tf.Tensor
        (m, n) correlation of columns and level, likewise.
    """
    a, b = (tf.where(tf.math.is_finite(x), x, 0) for x in (r_level, between[:, :, None]))
    left = (1 - a**2) * (1 - b**2)
    found = tf.clip_by_value((r - a * b) * tf.math.rsqrt(left), -1, 1)
    return tf.where(left > TINY, found, _nan())


def regression(columns: Columns, units: Units, r: tf.Tensor, between: tf.Tensor, column: int, level: int) -> tf.Tensor:
    """(n, u) what a column would lose without each unit, were it linear: its slope times the unit's mean.

    The slope is that of the regression of the column on the unit and the level, b (s_y / s_a) with::

        b = (r_ay - r_al r_ly) / (1 - r_al^2).

    Parameters
    ----------
    columns, units
        The moments.
    r : tf.Tensor
        (m, n, u) correlation of units and columns.
    between : tf.Tensor
        (m, n) correlation of columns and level.
    column, level : int
        Which columns they are.
    """
    a, b = (tf.where(tf.math.is_finite(x), x, 0) for x in (r[level], between[column, :, None]))
    left = 1 - a**2
    ratio = (
        columns.products[:, column, column, None] / columns.count * tf.math.reciprocal_no_nan(variance(columns, units))
    )
    found = units.mean * (r[column] - a * b) / left * tf.sqrt(ratio)
    return tf.where(left > TINY, found, _nan())


def with_level(columns: Columns, level: int) -> tf.Tensor:
    """(m, n) correlation of all columns with that which is the level."""
    variances = tf.linalg.diag_part(columns.products)
    spread = variances * variances[:, level, None]
    known = ~constant(columns) & ~constant(columns)[:, level, None]
    r = columns.products[:, :, level] * tf.math.rsqrt(spread)
    return tf.transpose(tf.where(known, tf.clip_by_value(r, -1, 1), _nan()))


def reduction(spatial: Spatial, peaks: tf.Tensor) -> Reduce:
    """How the sites of a channel become one number.

    Parameters
    ----------
    spatial : {"mean", "max", "peak"}
        Mean or maximum over the sites that count, or the value at one site; NaN if none counts.
    peaks : tf.Tensor
        (n, channels) which site.
    """

    def mean(values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        count = tf.reduce_sum(tf.cast(known, tf.float32), -2)
        total = tf.reduce_sum(tf.where(known, values, 0), -2)
        return tf.where(count > 0, total / count, _nan())

    def maximum(values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        top = tf.reduce_max(tf.where(known, values, -1), -2)  # no value is negative
        return tf.where(top >= 0, top, _nan())

    def peak(values: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
        chosen = tf.one_hot(peaks, tf.shape(values)[-2], True, False, axis=1, dtype=tf.bool)
        return mean(values, known & chosen)

    return {"mean": mean, "max": maximum, "peak": peak}[spatial]


def p_values(scores: tf.Tensor) -> tf.Tensor:
    """(n, channels) share of permutations, and of what was found, that reach what was found: the first of (1 + p, ...).

    With what was found counted in, the test keeps its level (Phipson and Smyth 2010).
    """
    reached = tf.reduce_mean(tf.cast(scores >= scores[0], tf.float32), 0)
    return tf.where(tf.math.is_finite(scores[0]), reached, _nan())


def precision(variances: tf.Tensor, activity: tf.Tensor, threshold: float, relative: bool) -> tf.Tensor:
    """(n, channels) one over the variance; NaN where the channel is not active or does not vary."""
    if relative:
        middle = tf.sort(activity, -1)
        count = activity.shape[-1]
        threshold *= (middle[:, (count - 1) // 2] + middle[:, count // 2])[:, None] / 2
    return tf.where((activity >= threshold) & (variances > 0), 1 / variances, _nan())


def _nan() -> tf.Tensor:
    return tf.constant(float("nan"))
