"""Affine layers of a graph: a convolution or product with weights, and the scales and shifts behind it, as one.

A bias, a batch normalisation in inference mode or a constant factor belongs to the layer before it: with z = a W, then
s z + t has the weights s W and the shift t. Folding changes no output, and relevance rules are not sound without it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import tensorflow as tf

from tfxai.models import graph

# Operation: which input is data, which is weights, and the axis of the weights along which the outputs lie.
_LINEAR = {
    "Conv2D": (0, 1, -1),
    "Conv3D": (0, 1, -1),
    "DepthwiseConv2dNative": (0, 1, -1),
    "MatMul": (0, 1, -1),
    "BatchMatMulV2": (0, 1, -1),
    "Einsum": (0, 1, -1),
    "Conv2DBackpropInput": (2, 1, -2),
    "Conv3DBackpropInputV2": (2, 1, -2),
}
_SHIFTS = ("BiasAdd", "AddV2", "Add", "Sub")
_SCALES = ("Mul", "RealDiv")


@dataclass(frozen=True)
class Affine:
    """z = a W + b.

    Attributes
    ----------
    op : tf.Operation
        The linear operation.
    a : tf.Tensor
        Its input, float32.
    W : tf.Tensor
        Its weights, with all scales behind it folded in, float32.
    b : tf.Tensor or None
        Shift of each output channel, (channels,) or a scalar.
    through : tuple of tf.Tensor
        Its output, and what the graph makes of it by scales and shifts: the last is z.
    """

    op: tf.Operation
    a: tf.Tensor
    W: tf.Tensor
    b: tf.Tensor | None
    through: tuple[tf.Tensor, ...]

    @property
    def z(self) -> tf.Tensor:
        """Output, in the shape that the linear operation gives it."""
        return tf.reshape(tf.cast(self.through[-1], tf.float32), tf.shape(self.op.outputs[0]))

    @property
    def source(self) -> tf.Tensor:
        """Its input as the graph has it."""
        return self.op.inputs[_LINEAR[self.op.type][0]]

    def forward(self, a: tf.Tensor, W: tf.Tensor) -> tf.Tensor:
        """a W, for any a and W, without b."""
        data, weights, _ = _LINEAR[self.op.type]
        inputs = list(self.op.inputs)
        inputs[data], inputs[weights] = a, W
        attributes = {key: value for key, value in self.op.node_def.attr.items() if not key.startswith("_")}
        if "T" in attributes:
            attributes["T"] = tf.compat.v1.AttrValue(type=tf.float32.as_datatype_enum)
        current = tf.compat.v1.get_default_graph()
        return current.create_op(self.op.type, inputs, [tf.float32], attrs=attributes, op_def=self.op.op_def).outputs[0]

    def back(self, s: tf.Tensor, W: tf.Tensor) -> tf.Tensor:
        """s W^T: how much of s each input gets through W."""
        return tf.gradients(self.forward(self.a, W), self.a, grad_ys=s)[0]

    def without_bias(self) -> Affine:
        """The same layer without its shift, and so with another z."""
        return self if self.b is None else _Unbiased(**vars(self) | {"b": None})


class _Unbiased(Affine):
    @property
    def z(self) -> tf.Tensor:
        return self.forward(self.a, self.W)


def find_affine(op: tf.Operation, on_path: Collection[str]) -> Affine | None:
    """The affine layer that begins with this operation; None if none does, or its weights depend on the data.

    Parameters
    ----------
    op : tf.Operation
        An operation between the inputs and the output.
    on_path : collection of str
        Names of all operations between these.
    """
    if op.type not in _LINEAR:
        return None
    data, weights, axis = _LINEAR[op.type]
    if op.inputs[weights].op.name in on_path or op.inputs[data].op.name not in on_path:
        return None
    found = Affine(op, _float(op.inputs[data]), _float(op.inputs[weights]), None, (op.outputs[0],))
    channels = op.outputs[0].shape[-1]
    while (step := _next(found.through[-1], on_path)) is not None:
        constant = _constant(step, on_path)
        if step.type in _SHIFTS and constant is not None and _per_channel(constant, channels):
            shift = tf.reshape(_float(constant), [-1]) * (-1 if step.type == "Sub" else 1)
            found = replace(found, b=shift if found.b is None else found.b + shift)
        elif step.type in _SCALES and constant is not None and _per_channel(constant, channels):
            scale = tf.reshape(_float(constant), [-1])
            found = _scaled(found, 1 / scale if step.type == "RealDiv" else scale, axis)
        elif step.type == "FusedBatchNormV3" and not step.get_attr("is_training"):
            gamma, beta, mean, variance = map(_float, step.inputs[1:5])
            scale = gamma * tf.math.rsqrt(variance + step.get_attr("epsilon"))
            found = _scaled(found, scale, axis)
            found = replace(found, b=beta - mean * scale + (0 if found.b is None else found.b))
        elif step.type not in graph.PASSING - {"Transpose"} or step.outputs[0].shape[-1] != channels:
            break
        found = replace(found, through=(*found.through, step.outputs[0]))
    return found


def _scaled(layer: Affine, scale: tf.Tensor, axis: int) -> Affine:
    transposed = any(layer.op.node_def.attr[name].b for name in ("transpose_b", "adj_y"))
    if layer.op.type == "DepthwiseConv2dNative" and scale.shape[0] != 1:
        along = tf.reshape(scale, layer.W.shape[-2:])
    else:
        along = scale[:, None] if (axis == -2 or transposed) and scale.shape[0] != 1 else scale
    return replace(layer, W=layer.W * along, b=None if layer.b is None else layer.b * scale)


def _next(tensor: tf.Tensor, on_path: Collection[str]) -> tf.Operation | None:
    """The operation that takes a tensor, if only one does."""
    users = {user.name: user for user in tensor.consumers() if user.name in on_path}
    return next(iter(users.values())) if len(users) == 1 else None


def _constant(op: tf.Operation, on_path: Collection[str]) -> tf.Tensor | None:
    """The second operand of an operation, if it does not depend on the data; of c - x there is none to fold."""
    if len(op.inputs) != 2 or (op.type in ("Sub", "RealDiv") and op.inputs[0].op.name not in on_path):
        return None
    free = [x for x in op.inputs if x.op.name not in on_path]
    return free[0] if len(free) == 1 else None


def _per_channel(constant: tf.Tensor, channels: int | None) -> bool:
    """Whether a constant is one number, or one for each channel."""
    count = constant.shape.num_elements()
    return count == 1 or (count == channels and constant.shape[-1] == channels)


def _float(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(x, tf.float32)
