"""Which tensors cannot be negative: for their layers, half of the terms of signed rules is nothing."""

from __future__ import annotations

import tensorflow as tf

_NEVER = {"Abs", "Exp", "Relu", "Relu6", "Sigmoid", "Softmax", "Softplus", "Sqrt", "Square"}
_KEEP = {
    *("Add", "AddN", "AddV2", "Mul"),
    *("AvgPool", "AvgPool3D", "Max", "MaxPool", "MaxPool3D", "Mean", "Min", "Sum"),
    *("BatchToSpaceND", "Cast", "ConcatV2", "ExpandDims", "Identity", "MirrorPad", "Pack", "Pad", "Reshape"),
    *("ResizeBilinear", "ResizeNearestNeighbor", "Slice", "SpaceToBatchND", "Squeeze", "StridedSlice", "Transpose"),
}


def is_nonnegative(tensor: tf.Tensor) -> bool:
    """Whether the operations that made a tensor say that none of its values is below zero."""
    if tensor.op.type in _NEVER:
        return True
    values = [x for x in tensor.op.inputs if x.dtype.is_floating]
    return tensor.op.type in _KEEP and bool(values) and all(map(is_nonnegative, values))
