"""Affine layers of a graph: a convolution or product with weights, and the scales and shifts after it, as one.

A bias, a batch normalisation in inference mode or a constant factor belongs to the layer before it: with z = a W, then
s z + t has the weights s W and the shift t. Folding changes no output, and relevance rules are not sound without it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np
import tensorflow as tf

from tfxai.models import convolutions, graph
from tfxai.models.operations import CONVOLUTIONS, NORMS, PASSING, PRODUCTS, SCALES, SHIFTS, TRANSPOSED_CONVOLUTIONS
from tfxai.models.signs import is_nonnegative

# Operation: which input is data, which is weights, and the axis of the weights along which the outputs lie.
LINEAR = dict.fromkeys(CONVOLUTIONS | PRODUCTS, (0, 1, -1)) | dict.fromkeys(TRANSPOSED_CONVOLUTIONS, (2, 1, -2))
_SAME = ("EnsureShape", "Identity")  # as between functions that have been inlined


@dataclass(frozen=True)
class Affine:
    """z = a W + b.

    Attributes
    ----------
    op : tf.Operation
        The linear operation.
    before, behind : tuple of tf.Operation
        What only pads and arranges its input and arranges its output, as for dilated convolutions.
    a : tf.Tensor
        The input, float32.
    W : tf.Tensor
        The weights, with all scales after them folded in, float32.
    b : tf.Tensor or None
        Shift, to be broadcast against z.
    through : tuple of tf.Tensor
        The output, and what the graph makes of it by scales and shifts: the last is z.
    """

    op: tf.Operation
    before: tuple[tf.Operation, ...]
    behind: tuple[tf.Operation, ...]
    a: tf.Tensor
    W: tf.Tensor
    b: tf.Tensor | None
    through: tuple[tf.Tensor, ...]

    @property
    def source(self) -> tf.Tensor:
        """The input as the graph has it."""
        return self.before[0].inputs[0] if self.before else self.op.inputs[LINEAR[self.op.type][0]]

    @property
    def signed(self) -> tuple[tf.Tensor, ...]:
        """Positive and negative part of the input; the first alone where nothing is negative."""
        return (self.a,) if is_nonnegative(self.source) else parts(self.a)

    @property
    def operations(self) -> set[str]:
        """Names of all operations that the layer is made of."""
        folded = (tensor.op for tensor in self.through[1:])
        return {op.name for op in (self.op, *self.before, *self.behind, *folded)}

    @property
    def z(self) -> tf.Tensor:
        """Output, in the shape that it has before scales and shifts."""
        return shaped_as(_float(self.through[-1]), self.through[0])

    def forward(self, a: tf.Tensor, W: tf.Tensor) -> tf.Tensor:
        """a W, for any a and W, without b."""
        for op in self.before:
            a = _again(op, [a, *op.inputs[1:]])
        data, weights, _ = LINEAR[self.op.type]
        inputs = list(self.op.inputs)
        inputs[data], inputs[weights] = a, W
        y = _again(self.op, inputs)
        if convolutions.is_grouped(self.op):
            y = convolutions.unfused(y)
        for op in self.behind:
            y = _again(op, [y, *op.inputs[1:]])
        return y

    def back(self, s: tf.Tensor, W: tf.Tensor) -> tf.Tensor:
        """s W^T: how much of s each input gets through W."""
        plain = not (self.before or self.behind)
        if plain and (direct := convolutions.pulled_back(self.op, s, W)) is not None:
            return direct
        y = self.forward(self.a, W)
        while y.name != self.a.name:
            place = LINEAR[y.op.type][0] if y.op.type in LINEAR else 0
            s, y = graph.pulled_back(y.op, [s])[place], y.op.inputs[place]
        return s

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
    if op.type not in LINEAR:
        return None
    data, weights, axis = LINEAR[op.type]
    if op.inputs[weights].op.name in on_path or op.inputs[data].op.name not in on_path:
        return None
    before = _before(op.inputs[data], on_path)
    behind = _behind(op.outputs[0], on_path, any(one.type == "SpaceToBatchND" for one in before))
    source = before[0].inputs[0] if before else op.inputs[data]
    end = behind[-1].outputs[0] if behind else op.outputs[0]
    found = Affine(op, before, behind, _float(source), _float(op.inputs[weights]), None, (end,))
    first = graph.channels_first(op)
    count = _channel_axes(op)
    own = [end.shape[1], *[1] * (end.shape.rank - 2)] if first else end.shape.as_list()[end.shape.rank - count :]
    if not count or None in own:
        return found
    tail = own  # sizes of the axes along which the channels lie
    while (step := _next(found.through[-1], on_path)) is not None:
        constant = _constant(step, on_path, tail)
        if step.type in SHIFTS and constant is not None:
            shift = -constant if step.type == "Sub" else constant
            found = replace(found, b=shift if found.b is None else found.b + shift)
        elif step.type in SCALES and constant is not None:
            found = _scaled(found, 1 / constant if step.type == "RealDiv" else constant, axis)
        elif step.type in NORMS and not step.get_attr("is_training") and graph.channels_first(step) == first:
            gamma, beta, mean, variance = map(_float, step.inputs[1:5])
            scale = gamma * tf.math.rsqrt(variance + step.get_attr("epsilon"))
            found = _scaled(found, scale, axis)
            found = replace(found, b=beta - mean * scale + (0 if found.b is None else found.b))
        elif step.type == "IdentityN":  # a custom gradient, as quantised layers have
            place = [x.name for x in step.inputs].index(found.through[-1].name)
            found = replace(found, through=(*found.through, step.outputs[place]))
            continue
        elif first and step.type in (*_SAME, "Cast"):
            pass
        elif not first and step.type in PASSING - {"Transpose"} and (arranged := _tail(step.outputs[0], tail)):
            tail = arranged
        else:
            break
        found = replace(found, through=(*found.through, step.outputs[0]))
    return found if found.b is None else replace(found, b=_shaped(found.b, own))


def parts(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Positive and negative part."""
    positive = tf.nn.relu(x)
    return positive, x - positive


def shaped_as(x: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """x in the shape of another tensor, which need not be kept for that where its shape is known but for the batch."""
    sizes = [None, None] if other.shape.rank is None else other.shape.as_list()
    if sizes.count(None) > 1:
        return tf.reshape(x, tf.shape(other))
    known = x.shape.rank is not None and x.shape.as_list() == sizes
    return x if known else tf.reshape(x, [-1 if n is None else n for n in sizes])


def _before(tensor: tf.Tensor, on_path: Collection[str]) -> tuple[tf.Operation, ...]:
    """What pads a layer's input with zeros, and arranges it, for this layer alone."""
    found: list[tf.Operation] = []
    kinds = {"Pad", "SpaceToBatchND", "ExpandDims", *_SAME}
    while tensor.op.type in kinds and _next(tensor, on_path) is not None:
        found.insert(0, tensor.op)
        tensor = tensor.op.inputs[0]
    while found and found[0].type in _SAME:
        del found[0]
    return tuple(found)


def _behind(tensor: tf.Tensor, on_path: Collection[str], dilated: bool) -> tuple[tf.Operation, ...]:
    """What arranges the output of a dilated convolution."""
    found: list[tf.Operation] = []
    kinds = {"BatchToSpaceND", "Squeeze", *_SAME}
    while dilated and (step := _next(tensor, on_path)) is not None and step.type in kinds:
        found.append(step)
        tensor = step.outputs[0]
    return tuple(found) if any(op.type == "BatchToSpaceND" for op in found) else ()


def _again(op: tf.Operation, inputs: list[tf.Tensor]) -> tf.Tensor:
    """The same operation in float32 on other inputs."""
    attributes = {key: value for key, value in op.node_def.attr.items() if key == "_gradient_op_type" or key[0] != "_"}
    for key in {"T", "Ta", "Tb", "Tout"} & attributes.keys():
        attributes[key] = tf.compat.v1.AttrValue(type=tf.float32.as_datatype_enum)
    current = tf.compat.v1.get_default_graph()
    return current.create_op(op.type, inputs, [tf.float32], attrs=attributes, op_def=op.op_def).outputs[0]


def _channel_axes(op: tf.Operation) -> int:
    """How many of the last axes of a layer's output are the last of its weights, and so hold its channels."""
    if op.type != "Einsum":
        return 1
    left, _, output = op.get_attr("equation").decode().partition("->")
    pairs = zip(reversed(left.split(",")[1]), reversed(output), strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def _scaled(layer: Affine, scale: tf.Tensor, axis: int) -> Affine:
    transposed = any(layer.op.node_def.attr[name].b for name in ("transpose_b", "adj_y"))
    if layer.op.type == "DepthwiseConv2dNative" and scale.shape[0] != 1:
        along = tf.reshape(scale, layer.W.shape[-2:])
    elif layer.op.type == "Einsum":
        along = tf.reshape(scale, layer.W.shape[-_channel_axes(layer.op) :])
    else:
        along = scale[:, None] if (axis == -2 or transposed) and scale.shape[0] != 1 else scale
    return replace(layer, W=layer.W * along, b=None if layer.b is None else layer.b * scale)


def _next(tensor: tf.Tensor, on_path: Collection[str]) -> tf.Operation | None:
    """The operation that takes a tensor, if only one does."""
    users = {user.name: user for user in tensor.consumers() if user.name in on_path}
    return next(iter(users.values())) if len(users) == 1 else None


def _constant(op: tf.Operation, on_path: Collection[str], tail: list[int]) -> tf.Tensor | None:
    """The second operand of an operation, (channels,), if it does not depend on the data nor on the position."""
    if len(op.inputs) != 2 or (op.type in ("Sub", "RealDiv") and op.inputs[0].op.name not in on_path):
        return None  # of c - x there is nothing to fold
    free = [x for x in op.inputs if x.op.name not in on_path]
    if len(free) != 1 or not free[0].shape.is_fully_defined():
        return None
    if op.type == "BiasAdd" and graph.channels_first(op):
        return _float(free[0]) if len(tail) > 1 else None
    size = free[0].shape.as_list()
    while size and size[0] == 1:
        size = size[1:]
    fits = len(size) <= len(tail) and all(n in (1, m) for n, m in zip(reversed(size), reversed(tail), strict=False))
    if not fits:
        return None
    found = _shaped(_float(free[0]), size)
    return _shaped(found if size == tail else tf.broadcast_to(found, tail), [int(np.prod(tail))])


def _tail(tensor: tf.Tensor, tail: list[int]) -> list[int]:
    """Sizes of the last axes of a tensor that hold what lay along ``tail``; none if it is arranged in another way."""
    sizes = tensor.shape.as_list()
    for count in range(1, len(sizes)):
        if None in sizes[-count:]:
            break
        if int(np.prod(sizes[-count:])) == int(np.prod(tail)):
            return sizes[-count:]
    return []


def _shaped(x: tf.Tensor, shape: list[int]) -> tf.Tensor:
    """A tensor in a shape, that it may have already."""
    return x if x.shape.rank is not None and x.shape.as_list() == shape else tf.reshape(x, shape)


def _float(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(x, tf.float32)
