"""Means, variances and co-moments of a stream, after Welford (1962): memory does not depend on its length.

Each batch of the stream is shifted by the mean of what came before, so nothing cancels, and single precision is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf


class Columns(NamedTuple):
    """Moments of a few numbers of each copy: the target and what else units are compared with.

    Attributes
    ----------
    count : tf.Tensor
        () copies so far.
    mean : tf.Tensor
        (n, m) mean of each of the m numbers.
    products : tf.Tensor
        (n, m, m) sums of products of their deviations.
    """

    count: tf.Tensor
    mean: tf.Tensor
    products: tf.Tensor


class Units(NamedTuple):
    """Moments of the units of a layer.

    Attributes
    ----------
    mean : tf.Tensor
        (n, u) mean activation.
    squares : tf.Tensor
        (n, u) sums of squared deviations.
    products : tf.Tensor
        (n, m, u) sums of products with the deviations of the columns.
    """

    mean: tf.Tensor
    squares: tf.Tensor
    products: tf.Tensor


def start_columns(first: tf.Tensor) -> Columns:
    """Nothing seen yet; values are expected to be near the first, (n, m)."""
    m = first.shape[-1]
    return Columns(tf.zeros([]), first, tf.zeros([tf.shape(first)[0], m, m]))


def start_units(first: tf.Tensor, columns: Columns) -> Units:
    """Nothing seen yet; activations are expected to be near the first, (n, u)."""
    products = tf.zeros([tf.shape(first)[0], columns.mean.shape[-1], tf.shape(first)[1]])
    return Units(first, tf.zeros_like(first), products)


def add(
    columns: Columns, units: Sequence[Units], values: tf.Tensor, maps: Sequence[tf.Tensor], weights: tf.Tensor
) -> tuple[Columns, tuple[Units, ...]]:
    """Moments with a batch of copies more.

    Parameters
    ----------
    columns, units
        The moments so far, of the columns and of each layer.
    values : tf.Tensor
        (n, k, m) columns of the copies.
    maps : sequence of tf.Tensor
        (n, k, u) activations of each layer.
    weights : tf.Tensor
        (k,) 1, or 0 for a copy that does not count.
    """
    added = tf.reduce_sum(weights)
    count = columns.count + added
    deviations = values - columns.mean[:, None]
    weighted = weights[:, None] * deviations
    moved = tf.reduce_sum(weighted, 1)
    products = columns.products + tf.matmul(weighted, deviations, transpose_a=True)
    grown = Columns(count, columns.mean + moved / count, products - moved[:, :, None] * moved[:, None] / count)
    once = tf.zeros_like(weighted[:, None, :, 0]) + weights
    rows = tf.concat([once, tf.transpose(weighted, [0, 2, 1])], 1)  # all sums of a layer are one product

    def more(old: Units, new: tf.Tensor) -> Units:
        sums = _product(rows, new)
        shift = sums[:, 0] - added * old.mean
        squares = _product(once, tf.math.squared_difference(new, old.mean[:, None]))[:, 0]
        crossed = sums[:, 1:] - moved[:, :, None] * old.mean[:, None]
        return Units(
            old.mean + shift / count,
            old.squares + squares - tf.square(shift) / count,
            old.products + crossed - moved[:, :, None] * shift[:, None] / count,
        )

    return grown, tuple(more(old, new) for old, new in zip(units, maps, strict=True))


def _product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Matrix products; one alone is much faster as such than as a batch of one."""
    return tf.matmul(left[0], right[0])[None] if left.shape[0] == 1 else tf.matmul(left, right)
