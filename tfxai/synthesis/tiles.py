"""Images cut into tiles of one size, and put together again."""

from __future__ import annotations

import tensorflow as tf


def to_tiles(images: tf.Tensor, tile: tuple[int, int] | None) -> tuple[tf.Tensor, tf.Tensor]:
    """(tiles, n, h, w, c) parts of images (n, H, W, c), and (2,) how many stand in a column and in a row.

    Beyond its edges, an image goes on from the other side. Without a tile, the whole image is one.
    """
    if tile is None:
        return images[None], tf.constant([1, 1])
    shape = tf.shape(images)
    grid = -(-shape[1:3] // tile)
    for axis, side in enumerate(tile):
        places = tf.range(grid[axis] * side) % shape[1 + axis]
        images = tf.gather(images, places, axis=1 + axis)
    channels = images.shape[-1]
    cut = tf.reshape(images, [shape[0], grid[0], tile[0], grid[1], tile[1], channels])
    return tf.reshape(tf.transpose(cut, [1, 3, 0, 2, 4, 5]), [-1, shape[0], *tile, channels]), grid


def from_tiles(tiles: tf.Tensor, grid: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """The images of which tiles were cut, in the size of ``like``; what lay beyond their edges is dropped."""
    shape = tf.shape(tiles)
    whole = tf.reshape(tiles, tf.concat([grid, shape[1:]], 0))
    whole = tf.transpose(whole, [2, 0, 3, 1, 4, 5])
    whole = tf.reshape(whole, [shape[1], grid[0] * shape[2], grid[1] * shape[3], tiles.shape[-1]])
    return whole[:, : tf.shape(like)[1], : tf.shape(like)[2]]
