"""The way back through strided convolutions without grid artefacts: Oramas et al. (2019).

The gradient of a convolution with stride s puts s - 1 zeros between the values of the signal, so that positions of the
input take part in unequal numbers of windows: a grid. Here the signal is resampled instead, to what the same
convolution would have at stride 1, and goes back at stride 1.

Resampling is by the nearest value, with value u at position s u, where its window is. To stretch the signal over all
positions, as the paper's code does, moves it towards the middle: by a pixel or two for one such layer, but a map of
7 x 7 behind five of them would cover 86 % of the image's width.
"""

from __future__ import annotations

import tensorflow as tf

from tfxai.models.composed import Node
from tfxai.models.convolutions import gradient, sent_back


def is_strided(node: Node) -> bool:
    """Whether the convolution of a NodeDef has a stride."""
    return max(node.attr["strides"].list.i) > 1


def resampled(op: tf.Operation, g: tf.Tensor) -> list[tf.Tensor]:
    """Nearest resampling to H + pads - k + 1 positions along each axis, and the gradient at stride 1; k is dilated.

    Kernels, which may be computed too, get their ordinary gradient.
    """
    return [sent_back(op, g, _nearest), gradient(op, g)[1]]


def _nearest(x: tf.Tensor, axis: int, stride: int, wanted: tf.Tensor) -> tf.Tensor:
    """At each position i of ``wanted`` the value nearest to i / stride; of two that are equally near, the mean.

    It is divided by how often it is repeated, so that branches with and without strides keep their shares.
    """
    position, size = 2 * tf.range(wanted) + stride, tf.shape(x)[axis]
    near = [tf.gather(x, tf.minimum(i // (2 * stride), size - 1), axis=axis) for i in (position - 1, position)]
    return tf.add_n(near) * tf.cast(size / (2 * wanted), x.dtype)
