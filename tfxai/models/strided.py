"""The way back through strided convolutions without grid artefacts: Oramas et al. (2019).

The gradient of a convolution with stride s puts s - 1 zeros between the values of the signal, so that positions of the
input take part in unequal numbers of windows: a grid. Here the signal is resampled instead, to what the same
convolution would have at stride 1, and goes back at stride 1.

Resampling is by the nearest value, with value u at position s u, where its window is. To stretch the signal over all
positions, as the paper's code does, moves it towards the middle: by a pixel or two for one such layer, but a map of
7 x 7 behind five of them would cover 86 % of the image's width.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry  # has no public name

CONVOLUTIONS = {
    "Conv2D": tf.raw_ops.Conv2DBackpropInput,  # grouped ones too
    "DepthwiseConv2dNative": tf.raw_ops.DepthwiseConv2dNativeBackpropInput,
    "Conv3D": tf.raw_ops.Conv3DBackpropInputV2,
}


def is_strided(node: Any) -> bool:
    """Whether the convolution of a NodeDef has a stride."""
    return max(node.attr["strides"].list.i) > 1


def resampled(op: tf.Operation, g: tf.Tensor) -> list[tf.Tensor]:
    """Nearest resampling to H + pads - k + 1 positions along each axis, and the gradient at stride 1; k is dilated.

    The signal is divided by how often it is repeated, so that branches with and without strides keep their shares.
    Kernels, which may be computed too, get their ordinary gradient.
    """
    x, kernel = op.inputs
    kind = op.get_attr("data_format").decode()
    strides, dilations = op.get_attr("strides"), op.get_attr("dilations")
    sizes, extents = tf.unstack(tf.shape(x)), tf.shape(kernel)
    begin = [0] * len(sizes)
    signal = g
    for number, axis in enumerate(spatial_axes(kind)):
        extent = (extents[number] - 1) * dilations[axis] + 1
        begin[axis], after = padding(op, axis, sizes[axis], tf.shape(g)[axis], extent)
        sizes[axis] += begin[axis] + after
        signal = _nearest(signal, axis, strides[axis], sizes[axis] - extent + 1)
    signal *= tf.cast(tf.size(g) / tf.size(signal), g.dtype)
    padded = CONVOLUTIONS[op.type](
        input_sizes=tf.stack(sizes),
        filter=kernel,
        out_backprop=signal,
        strides=[1] * len(sizes),
        padding="VALID",
        data_format=kind,
        dilations=dilations,
    )
    back = tf.ensure_shape(tf.slice(padded, tf.stack(begin), tf.shape(x)), x.shape)
    return [back, gradient_registry.lookup(op.type)(op, g)[1]]


def spatial_axes(data_format: str) -> list[int]:
    """Axes that are positions, of "NHWC" and its kin."""
    return [axis for axis, letter in enumerate(data_format) if letter in "DHW"]


def padding(op: tf.Operation, axis: int, before: tf.Tensor, after: tf.Tensor, extent: Any) -> tuple[Any, Any]:
    """What an operation with such windows adds to both ends of an axis, of these sizes before and after it."""
    kind = op.get_attr("padding")
    if kind == b"VALID":
        return 0, 0
    if kind == b"EXPLICIT":
        return tuple(op.get_attr("explicit_paddings")[2 * axis : 2 * axis + 2])
    total = tf.maximum((after - 1) * op.get_attr("strides")[axis] + extent - before, 0)
    return total // 2, total - total // 2


def _nearest(x: tf.Tensor, axis: int, stride: int, wanted: tf.Tensor) -> tf.Tensor:
    """At each position i of ``wanted`` the value nearest to i / stride; of two that are equally near, the mean."""
    position, last = 2 * tf.range(wanted) + stride, tf.shape(x)[axis] - 1
    near = [tf.gather(x, tf.minimum(i // (2 * stride), last), axis=axis) for i in (position - 1, position)]
    return tf.add_n(near) / 2
