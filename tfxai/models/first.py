"""What a model does with an image first."""

from __future__ import annotations

import tensorflow as tf

from tfxai.models.view import ModelView, traced

_MOVING = {"Identity", "Cast", "Pad", "PadV2", "Transpose", "Reshape", "EnsureShape", "ResizeBilinear"}
_CONVOLUTIONS = {"Conv2D", "DepthwiseConv2dNative", "_FusedConv2D"}


def takes_pixels_unscaled(view: ModelView) -> bool:
    """Whether an image meets the weights of a convolution as it is, so that whoever calls the model scales it.

    False where this cannot be told, such as of Python functions and models that take other inputs.
    """
    if view.opaque or view.inputs is None or len(view.inputs) != 1:
        return False
    (spec,) = view.inputs.values()
    if spec is None or spec.shape.rank != 4 or not spec.dtype.is_floating:
        return False

    def first(inputs: dict[str, tf.Tensor], _: object) -> bool:
        (tensor,) = tf.nest.flatten(inputs)
        while True:
            users = [op for op in tensor.consumers() if op.outputs and op.type not in ("Shape", "NoOp")]
            if not users or any(op.type in _CONVOLUTIONS and op.inputs[0] is tensor for op in users):
                return bool(users)
            moving = [op for op in users if op.type in _MOVING]
            if len(moving) != len(users):
                return False
            tensor = moving[0].outputs[0]

    return traced(view, [], spec, first)
