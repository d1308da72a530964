"""The blocks of a network, and the layers in which they end: what is looked at by default in statistics of channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import (
    ACTIVATIONS,
    CLIPS,
    CONVOLUTIONS,
    NORMS,
    PASSING,
    PRODUCTS,
    SCALES,
    SELECTIONS,
    SHIFTS,
    TRANSPOSED_CONVOLUTIONS,
)
from tfxai.models.view import Forward, ModelView, traced

# Operations that mix channels by weights, their second input: each begins a block. A depthwise convolution mixes none,
# it repeats the channels of the block before it.
_MIXING = CONVOLUTIONS - {"DepthwiseConv2dNative"} | TRANSPOSED_CONVOLUTIONS | PRODUCTS
_AFFINE = PASSING | SHIFTS | SCALES | NORMS | {"IdentityN", "Neg"}
_NORMALIZING = {"SquaredDifference", "Rsqrt"}  # with means that keep the axes
_FUNCTIONS = {"ClipByValue", "Erf", "Erfc", "Exp", "Log1p", "Pow", "Softmax", "Square"}  # activations are written with
_ACTIVATING = ACTIVATIONS | CLIPS | SELECTIONS | _FUNCTIONS
BY_CHANNEL = _AFFINE | _ACTIVATING
"""Operations that treat each channel on its own: shifts, scales, activations."""


def default_layers(view: ModelView, inputs: Any) -> tuple[str, ...]:
    """One layer for each block of a model: the one after the activation that follows a convolution or product.

    The last block, which makes the classes, is left out: its features are the classes. A block without activation ends
    where something else begins: with the sum, in a residual network.

    Parameters
    ----------
    view : ModelView
        The model.
    inputs : array or dict of arrays
        A batch, for the shapes.

    Raises
    ------
    ValueError
        If there is no such block.
    """
    names = [layer.name for layer in view.layers(None if view.inputs else inputs)]

    def ends(inputs: Any, run: Forward) -> set[str]:
        by_tensor: dict[str, str] = {}  # where a model and its last layer come to the same, the layer, which is first
        for name in names:
            by_tensor.setdefault(run.read[name].name, name)
        on_path = {op.name for x in tf.nest.flatten(inputs) for op in graph.between(x, run.outputs)}
        path = [op for op in run.outputs.graph.get_operations() if op.name in on_path]
        return _ends([op for op in path if any(x.dtype.is_floating for x in op.outputs)], by_tensor)

    found = traced(view, names, inputs, ends)
    if not found:
        raise ValueError(
            "The model has no convolution or product before the one that makes the classes, so no features. Give "
            "layers=[...]; tfxai.layers(model) lists them."
        )
    return tuple(name for name in names if name in found)


def channel_counts(view: ModelView, layers: Sequence[str], inputs: Any) -> tuple[int, ...]:
    """Number of channels of each layer; ValueError where it is not known."""
    shapes = traced(view, layers, inputs, lambda _, run: [run.read[name].shape for name in layers])
    for name, shape in zip(layers, shapes, strict=True):
        if not shape.rank or shape.rank < 2 or shape[-1] is None:
            raise ValueError(f"The layer {name!r} has output {shape}, whose channel axis is unknown. Leave it out.")
    return tuple(shape[-1] for shape in shapes)


def _ends(path: Sequence[tf.Operation], names: Mapping[str, str]) -> set[str]:
    """Names of the layers in which the blocks of a network end, but for the last block."""
    users = defaultdict(list)
    for op in path:
        for tensor in op.inputs:
            users[tensor.name].append(op)
    on_path = {op.name for op in path}
    blocks = {op.name: op for op in path if op.type in _MIXING and op.inputs[1].op.name not in on_path}
    leading: set[str] = set()  # operations that lead to a block
    for op in reversed(path):
        after = {user.name for tensor in op.outputs for user in users[tensor.name]}
        if after & (leading | set(blocks)):
            leading.add(op.name)
    ends = {_end(op, users, names) for name, op in blocks.items() if name in leading}
    return {end for end in ends if end}


def _end(block: tf.Operation, users: Mapping[str, list[tf.Operation]], names: Mapping[str, str]) -> str | None:
    """The layer whose output is the first after the activation, or the last before whatever else follows."""
    channels = block.outputs[0].shape[-1]
    live = {block.outputs[0].name: block.outputs[0]}  # computed, and not yet used by all its users
    seen: set[str] = set()
    end, active = None, False
    while True:
        if len(live) == 1:  # all that follows comes through this tensor
            tensor = next(iter(live.values()))
            if tensor.name in names and tensor.shape[-1] == channels:
                end = names[tensor.name]
                if active:
                    return end
        following = {op.name: op for tensor in live.values() for op in users[tensor.name] if op.name not in seen}
        if not following or not all(_is_elementwise(op) for op in following.values()):
            return end
        op = min(following.values(), key=lambda op: op._id)
        seen.add(op.name)
        active = active or op.type in _ACTIVATING
        live |= {tensor.name: tensor for tensor in op.outputs if users[tensor.name]}
        live = {name: x for name, x in live.items() if any(user.name not in seen for user in users[name])}


def _is_elementwise(op: tf.Operation) -> bool:
    """Whether each channel of its output goes back to that channel of its input, or is normalised by all."""
    return op.type in BY_CHANNEL | _NORMALIZING or (op.type == "Mean" and op.get_attr("keep_dims"))
