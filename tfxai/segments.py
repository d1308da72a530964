"""Segments of images: regions of like colour."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
import tensorflow as tf

CELLS, ROUNDS = 7, 5  # super-pixels along each axis, and rounds of k-means
MOST = CELLS * CELLS  # super-pixels of an image


def superpixels(x: tf.Tensor, along: int = CELLS) -> tf.Tensor:
    """(n, h, w) numbers of regions: k-means of place and colour from a grid of cells, as SLIC (Achanta et al. 2012).

    A step of one cell counts as much as a standard deviation of the image's colours. ``along``: cells along each axis.
    """
    if x.shape.rank != 4:
        raise ValueError(f"Super-pixels need images, (n, h, w, c), got shape {x.shape}.")
    height, width, channels = x.shape[1:]
    rows, columns = min(along, height), min(along, width)
    y, z = tf.range(height, dtype=tf.float32) * rows / height, tf.range(width, dtype=tf.float32) * columns / width
    place = tf.stack(tf.meshgrid(y, z, indexing="ij"), -1)
    colours = tf.math.divide_no_nan(x, tf.math.reduce_std(x, [1, 2, 3], keepdims=True))
    places = tf.broadcast_to(place, tf.concat([tf.shape(x)[:3], [2]], 0))
    points = tf.reshape(tf.concat([places, colours], -1), [-1, height * width, 2 + channels])
    cells = tf.reshape(tf.floor(place), [-1, 2])
    labels = tf.cast(cells[:, 0] * columns + cells[:, 1], tf.int32) + tf.zeros_like(points[..., 0], tf.int32)
    count, n = rows * columns, tf.shape(x)[0]

    points = tf.pad(points, [[0, 0], [0, 0], [0, 1]], constant_values=1)  # which counts them, and carries |c|^2

    def assigned(number: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        own = labels + count * tf.range(n)[:, None]  # the cells of one image are not those of another
        sums = tf.math.unsorted_segment_sum(points, own, count * n)
        centres = tf.reshape(tf.math.divide_no_nan(sums[:, :-1], sums[:, -1:]), [n, count, 2 + channels])
        # |p - c|^2 without |p|^2, which is the same for all centres
        line = tf.concat([-2 * centres, tf.reduce_sum(centres**2, -1, keepdims=True)], -1)
        distances = tf.matmul(points, line, transpose_b=True)
        return number + 1, tf.ensure_shape(tf.argmin(distances, -1, tf.int32), labels.shape)

    labels = tf.while_loop(lambda number, _: number < ROUNDS, assigned, (0, labels), parallel_iterations=1)[1]
    return tf.reshape(labels, [-1, height, width])


def scaled_superpixels(x: tf.Tensor, scales: Sequence[int]) -> tf.Tensor:
    """(n, k, h, w) regions of like colour by so many cells along each axis; no two maps have a number in common."""

    def of_one(image: tf.Tensor) -> tf.Tensor:  # for each alone: of many cells, k-means of a batch takes much memory
        return tf.concat([superpixels(image[None], along) for along in scales], 0)

    found = tf.map_fn(of_one, x, fn_output_signature=tf.TensorSpec([len(scales), *x.shape[1:3]], tf.int32))
    counts = [min(along, x.shape[1]) * min(along, x.shape[2]) for along in scales]
    return found + np.cumsum([0, *counts[:-1]], dtype=np.int32)[:, None, None]


FELZENSZWALB = (50, 100, 150, 250, 500, 1200)  # preferences for large regions, as the authors of XRAI take them
INSTEAD = "leave segments= out, for superpixels, or give label maps (k, h, w)"


def felzenszwalb(images: np.ndarray) -> np.ndarray:
    """(n, k, h, w) int32 regions by Felzenszwalb and Huttenlocher (2004), from fine to coarse, by scikit-image.

    No region is smaller than a square of 12 pixels in an image of 224.
    """
    segmentation = scikit_image("felzenszwalb", INSTEAD)
    low, high = images.min((1, 2, 3), keepdims=True), images.max((1, 2, 3), keepdims=True)
    images = (images - low) / np.maximum(high - low, np.finfo(np.float32).tiny)
    least = max(1, round(150 / 224**2 * images.shape[1] * images.shape[2]))

    def regions(image: np.ndarray, scale: int) -> np.ndarray:
        return segmentation.felzenszwalb(image, scale=scale, sigma=0.8, min_size=least)

    return np.array([[regions(image, scale) for scale in FELZENSZWALB] for image in images], np.int32)


def scikit_image(algorithm: str, instead: str) -> ModuleType:
    """Its module of segmentations; ImportError that says how to install it, or what to do ``instead``."""
    try:
        from skimage import segmentation
    except ImportError as error:
        raise ImportError(
            f'Segments by "{algorithm}" need scikit-image: pip install tfxai[segments]. Or {instead}.'
        ) from error
    return segmentation


def numbered_apart(labels: np.ndarray) -> np.ndarray:
    """(..., k, h, w) int32 maps of labels, of which no two have a number in common; numbers run from 0."""
    first, maps = 0, []
    for one in np.moveaxis(labels, -3, 0):
        numbers = np.unique(one, return_inverse=True)[1].reshape(one.shape) + first
        first = numbers.max() + 1
        maps.append(numbers)
    return np.stack(maps, -3).astype(np.int32)
