"""Images moved, scaled and turned a little in each step, so that what is found does not depend on single pixels.

The transforms of this module are affine. Those that follow each other are multiplied first, and the images are sampled
once. Beyond an image, its edges are repeated. All images of a batch are moved alike: what becomes of one does not
depend on the others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import tensorflow as tf

Transform = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # of images (n, h, w, c) and a seed, (2,) integers
Size = tuple[int, int]


@dataclass(frozen=True)
class Affine:
    """A random affine transform.

    Parameters
    ----------
    draw : callable
        From a seed and the (h, w) of the image to the (3, 3) matrix that says, for the row and column of each pixel of
        the result, counted from the middle, where in the image it comes from.
    """

    draw: Callable[[tf.Tensor, Size], tf.Tensor]

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        images = tf.convert_to_tensor(images)
        return sampled(images, self.draw(seed, _size(images)))


def jitter(most: int | float) -> Affine:
    """Move by whole pixels along both axes.

    Parameters
    ----------
    most : int or float
        By up to this many pixels; below 1, this share of the shorter side.

    Returns
    -------
    Affine

    Raises
    ------
    ValueError
        If it is negative, or 1 or more and not a whole number.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> tfxai.transforms.jitter(2)(np.eye(5, dtype="f")[None, ..., None], (0, 1)).shape
    TensorShape([1, 5, 5, 1])
    """
    if isinstance(most, bool) or not most >= 0 or (most >= 1 and most != int(most)):
        raise ValueError(f"Expected a number of pixels or a share below 1, got {most!r}.")

    def draw(seed: tf.Tensor, size: Size) -> tf.Tensor:
        pixels = int(most if most >= 1 else round(most * min(size)))
        by = tf.random.stateless_uniform([2], seed, -pixels, pixels + 1, tf.int32)
        return _matrix(((1, 0), (0, 1)), -tf.cast(by, tf.float32))

    return Affine(draw)


def scale(low: float, high: float) -> Affine:
    """Enlarge, or shrink, around the middle.

    Parameters
    ----------
    low, high : float
        Bounds of the factor.

    Returns
    -------
    Affine

    Raises
    ------
    ValueError
        Unless 0 < low <= high.
    """
    if not 0 < low <= high:
        raise ValueError(f"Expected 0 < low <= high, got {low!r} and {high!r}.")

    def draw(seed: tf.Tensor, size: Size) -> tf.Tensor:
        part = 1 / _uniform(seed, low, high)
        return _matrix(((part, 0), (0, part)))

    return Affine(draw)


def rotate(low: float, high: float) -> Affine:
    """Turn around the middle.

    Parameters
    ----------
    low, high : float
        Bounds of the angle in degrees, counter-clockwise.

    Returns
    -------
    Affine

    Raises
    ------
    ValueError
        Unless low <= high.
    """
    if not low <= high:
        raise ValueError(f"Expected low <= high, got {low!r} and {high!r}.")

    def draw(seed: tf.Tensor, size: Size) -> tf.Tensor:
        angle = _uniform(seed, low, high) * np.float32(np.pi / 180)
        return _matrix(((tf.cos(angle), tf.sin(angle)), (-tf.sin(angle), tf.cos(angle))))

    return Affine(draw)


def crop(share: float) -> Affine:
    """Enlarge a part of the image, somewhere in it, to the whole.

    Parameters
    ----------
    share : float
        Of the sides.

    Returns
    -------
    Affine

    Raises
    ------
    ValueError
        Unless 0 < share <= 1.
    """
    if not 0 < share <= 1:
        raise ValueError(f"Expected a share of the sides, above 0 and up to 1, got {share!r}.")

    def draw(seed: tf.Tensor, size: Size) -> tf.Tensor:
        room = (1 - share) / 2 * np.array(size, np.float32)
        return _matrix(((share, 0), (0, share)), tf.random.stateless_uniform([2], seed, -1, 1) * room)

    return Affine(draw)


def pad(share: float) -> Affine:
    """Shrink the image, its edges repeated around it.

    Parameters
    ----------
    share : float
        Width of the margin on each side, as a share of the image's.

    Returns
    -------
    Affine

    Raises
    ------
    ValueError
        If it is negative.
    """
    if not share >= 0:
        raise ValueError(f"Expected a share of the sides, 0 or more, got {share!r}.")
    return scale(1 / (1 + 2 * share), 1 / (1 + 2 * share))


def compose(*transforms: Transform) -> Transform:
    """One transform after the other, each with random numbers of its own.

    Parameters
    ----------
    *transforms : callable
        Those of this module, or any function in TensorFlow operations from images and a seed, (2,) integers, to images.

    Returns
    -------
    callable

    Examples
    --------
    >>> import tfxai
    >>> moves = tfxai.transforms.compose(tfxai.transforms.jitter(8), tfxai.transforms.rotate(-5, 5))
    """

    def composed(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        images = tf.convert_to_tensor(images)
        if not transforms:
            return images
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, len(transforms)))
        pairs = zip(transforms, seeds, strict=True)
        for affine, group in groupby(pairs, lambda pair: isinstance(pair[0], Affine)):
            if affine:
                matrices = [one.draw(own, _size(images)) for one, own in group]  # type: ignore[attr-defined]
                images = sampled(images, functools.reduce(tf.matmul, matrices))
            else:
                for one, own in group:
                    images = one(images, own)
        return images

    return composed


def robust() -> Transform:
    """Those that serve photographs: jitter by 15 % of the side, scale 0.6 to 1.3, and 15 degrees either way.

    Olah et al. (2017) move less: by 1/14, 0.9 to 1.1, and 10 degrees. Ours show larger shapes, which another network is
    more likely to recognise.

    Returns
    -------
    callable
    """
    return compose(jitter(0.15), scale(0.6, 1.3), rotate(-15, 15))


def sampled(images: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """Images (n, h, w, c) at the places to which a matrix sends each pixel, counted from the middle; bilinear."""
    height, width = _size(images)
    last = np.array([[height - 1], [width - 1]], np.float32)
    middle = last / 2
    pixels = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij")).reshape(2, -1)
    places = tf.matmul(matrix[:2, :2], pixels - middle) + matrix[:2, 2:] + middle
    # Rounding in the products must not make of a whole number the next smaller one and a weight of nearly 1.
    places = tf.clip_by_value(tf.round(places * 4096) / 4096, 0, last)
    corner = tf.floor(tf.minimum(places, np.maximum(last - 1, 0)))
    near = places - corner
    (top, left), ends = tf.unstack(tf.cast(corner, tf.int32)), (min(height - 1, 1), min(width - 1, 1))
    rows = tf.reshape(tf.transpose(images, [1, 2, 0, 3]), [height * width, -1])
    total: tf.Tensor = 0.0
    for down in (0, 1):
        for right in (0, 1):
            share = (near[0] if down else 1 - near[0]) * (near[1] if right else 1 - near[1])
            place = (top + down * ends[0]) * width + left + right * ends[1]
            total += share[:, None] * tf.gather(rows, place)
    channels = images.shape[-1]
    return tf.transpose(tf.reshape(total, [height, width, -1, channels]), [2, 0, 1, 3])


def _matrix(part: Sequence, shift: tf.Tensor | Sequence = (0.0, 0.0)) -> tf.Tensor:
    rows = [tf.stack([tf.cast(a, tf.float32) for a in (*row, shift[axis])]) for axis, row in enumerate(part)]
    return tf.stack([*rows, tf.constant([0.0, 0.0, 1.0])])


def _uniform(seed: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + (high - low) * tf.random.stateless_uniform([], seed)


def _size(images: tf.Tensor) -> Size:
    if images.shape.rank != 4:
        raise ValueError(f"Transforms need images, (n, h, w, c), got shape {images.shape}.")
    return images.shape[1], images.shape[2]
