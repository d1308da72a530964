"""Max-pooling undone by its switches, as Zeiler and Fergus (2013) do, or by repetition.

The signal of each window goes to the window's first maximum. Where windows overlap and share a maximum, the last of
them, row by row, overwrites the others; the gradient would add them up. Windows that do not overlap are left to the
gradient, which does the same.
"""

from __future__ import annotations

import itertools

import tensorflow as tf

from tfxai.models.composed import Node
from tfxai.models.convolutions import padding, spatial_axes


def overlaps(node: Node) -> bool:
    """Whether the windows of the max-pooling of a NodeDef overlap."""
    return any(size > step for size, step in zip(node.attr["ksize"].list.i, node.attr["strides"].list.i, strict=True))


def by_switches(op: tf.Operation, g: tf.Tensor) -> tf.Tensor:
    """The signal at the windows of a ``MaxPool``, sent to the first maximum of each."""
    axes = spatial_axes(op)
    order = [0, *axes, 6 - sum(axes)]  # to NHWC
    x, y, g = (tf.transpose(tensor, order) for tensor in (op.inputs[0], op.outputs[0], g))
    height, width = (op.get_attr("ksize")[axis] for axis in axes)
    down, right = (op.get_attr("strides")[axis] for axis in axes)
    batch, rows, columns, channels = tf.unstack(tf.shape(y))
    start, ends = [], []  # what is missing around x of a canvas that every window fits into
    for axis, given, number, extent, step in ((1, axes[0], rows, height, down), (2, axes[1], columns, width, right)):
        length = tf.shape(x)[axis]
        before, _ = padding(op, given, length, number, extent)
        start.append(before)
        ends.append(number * step + extent - 1 - length - before)
    margins = [[0, 0], [start[0], ends[0]], [start[1], ends[1]], [0, 0]]
    canvas = tf.pad(x, margins, constant_values=x.dtype.min)

    def taken(a: int, b: int) -> tf.Tensor:
        """What all windows have in row a, column b."""
        return canvas[:, a : a + rows * down : down, b : b + columns * right : right]

    def placed(values: tf.Tensor, a: int, b: int) -> tf.Tensor:
        """One value a window, in its row a, column b."""
        cells = tf.pad(values[:, :, None, :, None], [[0, 0], [0, 0], [0, down - 1], [0, 0], [0, right - 1], [0, 0]])
        flat = tf.reshape(cells, [batch, rows * down, columns * right, channels])
        return tf.pad(flat, [[0, 0], [a, height - 1 - a], [b, width - 1 - b], [0, 0]])

    waiting = tf.ones_like(y, tf.bool)  # windows whose maximum has not been met
    switches = []
    for a, b in itertools.product(range(height), range(width)):
        here = waiting & (taken(a, b) == y)
        waiting &= ~here
        switches.append((here, a, b))
    signal = tf.zeros_like(canvas)
    for here, a, b in reversed(switches):  # of the windows over one position, the later has it higher and further left
        signal = tf.where(placed(here, a, b), placed(g, a, b), signal)
    inside = tf.slice(signal, [0, start[0], start[1], 0], tf.shape(x))
    back = tf.transpose(inside, [order.index(axis) for axis in range(4)])
    return tf.ensure_shape(back, op.inputs[0].shape)


def by_repetition(op: tf.Operation, g: tf.Tensor) -> tf.Tensor:
    """The signal at the windows of a ``MaxPool``, repeated over their places: up-sampling to the nearest."""
    signal = g
    for axis in spatial_axes(op):
        extent, step = op.get_attr("ksize")[axis], op.get_attr("strides")[axis]
        length, number = tf.shape(op.inputs[0])[axis], tf.shape(g)[axis]
        before, _ = padding(op, axis, length, number, extent)
        place = tf.range(length) + before
        inside = tf.cast(place < (number - 1) * step + extent, g.dtype)
        shape = [-1 if other == axis else 1 for other in range(4)]
        signal = tf.gather(signal, tf.minimum(place // step, number - 1), axis=axis) * tf.reshape(inside, shape)
    return tf.ensure_shape(signal, op.inputs[0].shape)
