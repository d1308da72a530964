"""Segments of images: regions of like colour."""

from __future__ import annotations

import tensorflow as tf

CELLS, ROUNDS = 7, 5  # super-pixels along each axis, and rounds of k-means
MOST = CELLS * CELLS  # super-pixels of an image


def superpixels(x: tf.Tensor) -> tf.Tensor:
    """(n, h, w) numbers of regions: k-means of place and colour from a grid of cells, as SLIC (Achanta et al. 2012).

    A step of one cell counts as much as a standard deviation of the image's colours.
    """
    if x.shape.rank != 4:
        raise ValueError(f"Super-pixels need images, (n, h, w, c), got shape {x.shape}.")
    height, width, channels = x.shape[1:]
    rows, columns = min(CELLS, height), min(CELLS, width)
    y, z = tf.range(height, dtype=tf.float32) * rows / height, tf.range(width, dtype=tf.float32) * columns / width
    place = tf.stack(tf.meshgrid(y, z, indexing="ij"), -1)
    colours = tf.math.divide_no_nan(x, tf.math.reduce_std(x, [1, 2, 3], keepdims=True))
    places = tf.broadcast_to(place, tf.concat([tf.shape(x)[:3], [2]], 0))
    points = tf.reshape(tf.concat([places, colours], -1), [-1, height * width, 2 + channels])
    cells = tf.reshape(tf.floor(place), [-1, 2])
    labels = tf.cast(cells[:, 0] * columns + cells[:, 1], tf.int32) + tf.zeros_like(points[..., 0], tf.int32)
    for _ in range(ROUNDS):
        members = tf.one_hot(labels, rows * columns)
        sums = tf.matmul(members, points, transpose_a=True)
        centres = tf.math.divide_no_nan(sums, tf.reduce_sum(members, 1)[..., None])
        # |p - c|^2 without |p|^2, which is the same for all centres
        distances = tf.reduce_sum(centres**2, -1)[:, None] - 2 * tf.matmul(points, centres, transpose_b=True)
        labels = tf.argmin(distances, -1, tf.int32)
    return tf.reshape(labels, [-1, height, width])
