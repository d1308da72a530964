"""The kernel that makes the channels of a layer, found in the graph."""

from __future__ import annotations

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.blocks import BY_CHANNEL

# Operation to how its kernel becomes (weights, channels).
KERNELS = {
    "Conv2D": lambda op, kernel: tf.reshape(kernel, [-1, kernel.shape[-1]]),
    "Conv3D": lambda op, kernel: tf.reshape(kernel, [-1, kernel.shape[-1]]),
    "DepthwiseConv2dNative": lambda op, kernel: tf.reshape(kernel, [-1, kernel.shape[-2] * kernel.shape[-1]]),
    "MatMul": lambda op, kernel: tf.transpose(kernel) if op.get_attr("transpose_b") else kernel,
}


def kernel(image: tf.Tensor, layer: tf.Tensor) -> tf.Tensor | None:
    """(weights, channels) of the one operation with weights before a layer; None if there is none, or several.

    Between it and the layer may be what treats each channel on its own: shifts, scales, activations.
    """
    reached = {op.name for op in graph.between(image, layer)}
    waiting, seen, found = [layer.op], set(), []
    while waiting:
        op = waiting.pop()
        if op.name in seen:
            continue
        seen.add(op.name)
        if op.type in KERNELS:
            found.append(op)
        elif op.type in BY_CHANNEL and op.name in reached:
            waiting += [tensor.op for tensor in op.inputs if tensor.op.name in reached or tensor.name == image.name]
        else:
            return None
    if len(found) != 1 or found[0].inputs[1].op.name in reached:
        return None
    matrix = KERNELS[found[0].type](found[0], tf.cast(found[0].inputs[1], tf.float32))
    return matrix if matrix.shape[-1] == layer.shape[-1] else None
