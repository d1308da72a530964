"""Reference inputs: what integrated gradients start from and what an occluded region is filled with.

A baseline is given as a number, an array, a name (``"mean"``, ``"blur"``, ``"noise"``), a function of the batch, or a
list of these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

NAMES = ("mean", "blur", "noise")


def references(spec: Any, x: tf.Tensor, draws: int = 10) -> tf.Tensor:
    """Baselines of each input of a batch.

    Parameters
    ----------
    spec : number, array, str, callable or list of them
        An array has the shape of one input, or one axis more for several baselines. A function takes the batch and
        returns one baseline for each of its inputs. ``"mean"``: the mean of each channel of each image. ``"blur"``: a
        Gaussian blur whose sigma is 5 % of the shorter side. ``"noise"``: uniform over each image's range. A list
        stands for several baselines; a colour is an array of shape (channels,).
    x : tf.Tensor
        (n, ...) inputs.
    draws : int
        How many baselines ``"noise"`` stands for.

    Returns
    -------
    tf.Tensor
        (b, n, ...), b baselines for each input.

    Raises
    ------
    ValueError, TypeError
        If it is none of these or does not fit the inputs.
    """
    if isinstance(spec, list | tuple):
        if not spec:
            raise ValueError("Expected at least one baseline, got an empty list.")
        if len(spec) == x.shape[-1] > 1 and all(isinstance(one, int | float) for one in spec):
            raise ValueError(
                f"{len(spec)} numbers may mean a colour or as many baselines. Give np.array({list(spec)!r}) for the "
                "colour, or a list of arrays for the baselines."
            )
        return tf.concat([references(one, x, draws) for one in spec], 0)
    if isinstance(spec, str):
        named = {"mean": _mean, "blur": _blur, "noise": lambda x: _noise(x, draws)}
        if spec not in named:
            raise ValueError(f"Expected a baseline to be a number, an array or one of {NAMES}, got {spec!r}.")
        return named[spec](x)
    if callable(spec):
        return _fit(tf.cast(spec(x), x.dtype)[None], x)
    try:
        array = np.asarray(spec, x.dtype.as_numpy_dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Expected a baseline to be a number, an array or one of {NAMES}, got {spec!r}.") from error
    if not np.isfinite(array).all():
        raise ValueError("The baseline holds NaN or infinite values.")
    one = array.ndim < x.shape.rank  # else the first axis counts baselines
    return _fit(tf.constant(array[None] if one else array)[:, None], x)


def _fit(values: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    try:
        tf.broadcast_static_shape(values.shape[2:], x.shape[1:])
    except ValueError as error:
        raise ValueError(f"Expected a baseline of shape {x.shape[1:]}, got {values.shape[2:]}.") from error
    return tf.broadcast_to(values, tf.concat([tf.shape(values)[:1], tf.shape(x)], 0))


def _mean(x: tf.Tensor) -> tf.Tensor:
    axes = list(range(1, x.shape.rank - 1)) or [1]
    return _fit(tf.reduce_mean(x, axes, keepdims=True)[None], x)


def _noise(x: tf.Tensor, draws: int) -> tf.Tensor:
    axes = list(range(1, x.shape.rank))
    low, high = tf.reduce_min(x, axes, keepdims=True), tf.reduce_max(x, axes, keepdims=True)
    # The same draws for every image, so that an explanation does not depend on its batch.
    shares = tf.random.stateless_uniform([draws, 1, *x.shape[1:]], [0, 0], dtype=x.dtype)
    return low + shares * (high - low)


def _blur(x: tf.Tensor) -> tf.Tensor:
    if x.shape.rank != 4:
        raise ValueError(f'The baseline "blur" needs images, (n, h, w, c), got shape {x.shape}.')
    sigma = 0.05 * min(x.shape[1:3])
    blurred = x
    for axis in (1, 2):
        blurred = gaussian(blurred, sigma, axis)
    return blurred[None]


def gaussian(x: tf.Tensor, sigma: float, axis: int) -> tf.Tensor:
    """Gaussian blur of images along one axis, edges repeated."""
    equation = {1: "nhwc,Hh->nHwc", 2: "nhwc,Ww->nhWc"}[axis]
    return tf.einsum(equation, x, tf.constant(blur_matrix(x.shape[axis], sigma), x.dtype))


def blur_matrix(size: int, sigma: float) -> np.ndarray:
    """(size, size) matrix of a Gaussian blur; every tap that falls outside adds to the outermost pixel."""
    radius = max(1, int(np.ceil(3 * sigma)))
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / max(sigma, 1e-6)) ** 2)
    matrix = np.zeros((size, size))
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        matrix[np.arange(size), np.clip(np.arange(size) + offset, 0, size - 1)] += weight
    return matrix


Baseline = float | np.ndarray | str | Callable[[tf.Tensor], tf.Tensor] | list
