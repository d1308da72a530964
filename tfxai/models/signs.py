"""Which tensors cannot be negative, as far as their graph tells."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfxai.models.operations import (
    ADDITIONS,
    BLOCKS,
    PADDINGS,
    PARTS,
    PASSING,
    POOLINGS,
    REDUCTIONS,
    RESIZES,
)

_NEVER = {"Abs", "Exp", "Relu", "Relu6", "Sigmoid", "Softmax", "Softplus", "Sqrt", "Square"}
_MOVE = PASSING | PADDINGS | BLOCKS | PARTS | RESIZES - {"ResizeBicubic"}  # which overshoots
_KEEP = _MOVE | POOLINGS | REDUCTIONS | ADDITIONS | {"AddN", "Minimum", "Mul"}


def is_nonnegative(tensor: tf.Tensor) -> bool:
    """Whether the operations that made a tensor say that none of its values is below zero."""
    if tensor.op.type in _NEVER:
        return True
    values = [x for x in tensor.op.inputs if x.dtype.is_floating]
    if tensor.op.type == "Const":
        return bool(np.all(tf.get_static_value(tensor) >= 0))
    if tensor.op.type == "Maximum":  # a ReLU in other words
        return any(map(is_nonnegative, values))
    if tensor.op.type == "ClipByValue":
        return is_nonnegative(values[1])
    return tensor.op.type in _KEEP and bool(values) and all(map(is_nonnegative, values))
