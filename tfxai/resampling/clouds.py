"""Clouds: copies of images that differ from them a little, in one way or another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias, get_args

import tensorflow as tf

from tfxai.choices import CloudName
from tfxai.segments import MOST, superpixels

Perturbation: TypeAlias = CloudName | Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Sample: TypeAlias = Callable[[tf.Tensor], tf.Tensor]  # from a seed, whose second number is that of the copy, to a copy
Cloud: TypeAlias = Callable[[tf.Tensor], Sample]  # from images (n, ...) to what makes copies of them


def open_cloud(kind: Perturbation, sigma: float, clip: tuple[float, float] | None) -> Cloud:
    """The cloud of a name or a function; its copy number 0 is the image itself.

    Raises
    ------
    ValueError
        For a name that does not exist.
    """
    if not callable(kind) and kind not in get_args(CloudName):
        raise ValueError(f"Expected perturbation to be one of {list(get_args(CloudName))} or a function, got {kind!r}.")

    def cloud(x: tf.Tensor) -> Sample:
        make = (lambda seed: tf.cast(kind(x, seed), x.dtype)) if callable(kind) else CLOUDS[kind](x, sigma)

        def sample(seed: tf.Tensor) -> tf.Tensor:
            copies = make(seed)
            if not copies.shape.is_compatible_with(x.shape):
                raise ValueError(f"Expected the perturbation to return images of shape {x.shape}, got {copies.shape}.")
            copies = copies if clip is None else tf.clip_by_value(copies, *clip)
            begins_clean = kind == "multiplicative_ramp" and clip is None
            return copies if begins_clean else tf.where(seed[1] == 0, x, copies)

        return sample

    return cloud


def normal(shape: tf.TensorShape, seed: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers (Box and Muller 1958) up to 4.8, in half the time of `tf.random.stateless_normal`.

    Radius and angle of each pair are made of 16 random bits each, enough for noise.
    """
    half = -(-shape.num_elements() // 2)
    bits = tf.bitcast(tf.random.stateless_uniform([half], seed, None, None, tf.uint32), tf.uint16)
    uniform = tf.unstack((tf.cast(bits, tf.float32) + 0.5) * 2.0**-16, axis=-1)
    radius = tf.sqrt(-2 * tf.math.log(uniform[0]))
    angle = 2 * math.pi * uniform[1]
    pairs = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], 0)
    return tf.reshape(pairs[: shape.num_elements()], shape)


def _ramp(x: tf.Tensor, sigma: float) -> Sample:
    return lambda seed: x * (1 + tf.cast(seed[1], tf.float32) * sigma * normal(x.shape[1:], seed))


def _multiplicative(x: tf.Tensor, sigma: float) -> Sample:
    return lambda seed: x * (1 + sigma * normal(x.shape[1:], seed))


def _additive(x: tf.Tensor, sigma: float) -> Sample:
    axes = list(range(1, x.shape.rank))
    spread = tf.reduce_max(x, axes, keepdims=True) - tf.reduce_min(x, axes, keepdims=True)
    return lambda seed: x + sigma * spread * normal(x.shape[1:], seed)


def _mask_superpixel(x: tf.Tensor, sigma: float) -> Sample:
    labels = superpixels(x)
    mean = tf.reduce_mean(x, [1, 2], keepdims=True)

    def sample(seed: tf.Tensor) -> tf.Tensor:
        off = tf.random.stateless_uniform([MOST], seed) < sigma
        return tf.where(tf.gather(off, labels)[..., None], mean, x)

    return sample


def _crop_shift(x: tf.Tensor, sigma: float) -> Sample:
    if x.shape.rank != 4:
        raise ValueError(f'The perturbation "crop_shift" needs images, (n, h, w, c), got shape {x.shape}.')
    size = [max(1, round((1 - min(sigma, 1)) * length)) for length in x.shape[1:3]]
    room = tf.constant([whole - part + 1 for whole, part in zip(x.shape[1:3], size, strict=True)], tf.float32)

    def sample(seed: tf.Tensor) -> tf.Tensor:
        corner = tf.cast(tf.floor(room * tf.random.stateless_uniform([2], seed)), tf.int32)
        part = tf.slice(x, [0, corner[0], corner[1], 0], [x.shape[0] or -1, *size, x.shape[3]])
        return tf.image.resize(part, x.shape[1:3])

    return sample


CLOUDS: dict[CloudName, Callable[[tf.Tensor, float], Sample]] = {
    "multiplicative_ramp": _ramp,
    "multiplicative": _multiplicative,
    "additive": _additive,
    "mask_superpixel": _mask_superpixel,
    "crop_shift": _crop_shift,
}
