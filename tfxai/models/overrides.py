"""Modified gradients: of ReLUs by guided backpropagation or deconvnet, of strided convolutions, of max-pooling.

Operations that are a ReLU (``Relu``, ``Relu6``, ``LeakyRelu``, ``Elu``, ``Selu``, and ``Maximum`` with zero) get
another gradient by type, whatever wrote them. A ReLU that is composed of several operations is modified as a whole.

The rules take effect through `tf.gradients`; a `tf.GradientTape` does not see them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import tensorflow as tf

from tfxai.checks import one_of
from tfxai.models import convolutions, strided, unpooling
from tfxai.models.composed import modify_composed
from tfxai.models.operations import CONVOLUTIONS

Backward = str | tuple[str, ...]  # one, or several for different kinds of operations
Relus: TypeAlias = Literal["gradient", "guided", "deconvnet"]
Strided: TypeAlias = Literal["gradient", "resampled"]
Pooling: TypeAlias = Literal["gradient", "switch", "repeat"]
RELUS = ("guided", "deconvnet")
_LAYER = "IdentityN"

# The ordinary gradient of every operation that counts as a ReLU: signal g arriving at op -> signal leaving it.
_PLAIN: dict[str, Callable[[tf.Operation, tf.Tensor], tf.Tensor]] = {
    "Relu": lambda op, g: tf.raw_ops.ReluGrad(gradients=g, features=op.outputs[0]),
    "Relu6": lambda op, g: tf.raw_ops.Relu6Grad(gradients=g, features=op.outputs[0]),
    "LeakyRelu": lambda op, g: tf.raw_ops.LeakyReluGrad(gradients=g, features=op.inputs[0], alpha=op.get_attr("alpha")),
    "Elu": lambda op, g: tf.raw_ops.EluGrad(gradients=g, outputs=op.outputs[0]),
    "Selu": lambda op, g: tf.raw_ops.SeluGrad(gradients=g, outputs=op.outputs[0]),
}


def _guided(plain: Callable, op: tf.Operation, g: tf.Tensor) -> tf.Tensor:
    """Springenberg et al. (2014): f'(a) * relu(g)."""
    return plain(op, tf.nn.relu(g))


def _deconvnet(plain: Callable, op: tf.Operation, g: tf.Tensor) -> tf.Tensor:
    """Zeiler and Fergus (2013): relu(g), whatever the forward pass did."""
    return tf.nn.relu(g)


def _zero_side(op: tf.Operation) -> int | None:
    """Which input of a ``Maximum`` is the constant zero that makes it a ReLU."""
    for side in (1, 0):
        value = tf.get_static_value(op.inputs[side])
        if value is not None and value.ndim == 0 and value == 0:
            return side
    return None


def _maximum(rule: Callable) -> Callable:
    def gradient(op: tf.Operation, g: tf.Tensor) -> list[tf.Tensor | None]:
        zero = _zero_side(op)
        if zero is None:
            chosen = op.inputs[0] >= op.inputs[1]
            none = tf.zeros_like(g)
            parts = tf.where(chosen, g, none), tf.where(chosen, none, g)
            return [_unbroadcast(part, tensor) for part, tensor in zip(parts, op.inputs, strict=True)]
        signal = rule(lambda op, g: tf.raw_ops.ReluGrad(gradients=g, features=op.outputs[0]), op, g)
        return [signal, None] if zero == 1 else [None, signal]

    return gradient


def _unbroadcast(g: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(like), s1=tf.shape(g))
    return tf.reshape(tf.reduce_sum(g, axes), tf.shape(like))


def _register(name: str, rule: Callable) -> dict[str, str]:
    """Register the gradients of one rule; returns the map from operation type to gradient name."""
    overrides = {}
    for kind, plain in _PLAIN.items():
        overrides[kind] = f"Tfxai_{name}_{kind}"
        tf.RegisterGradient(overrides[kind])(lambda op, g, plain=plain: rule(plain, op, g))
    overrides["Maximum"] = f"Tfxai_{name}_Maximum"
    tf.RegisterGradient(overrides["Maximum"])(_maximum(rule))
    return overrides


def _resampled() -> dict[str, str]:
    overrides = {kind: f"Tfxai_resampled_{kind}" for kind in CONVOLUTIONS}
    for name in overrides.values():
        tf.RegisterGradient(name)(strided.resampled)
    return overrides


tf.RegisterGradient("Tfxai_switch_MaxPool")(unpooling.by_switches)
tf.RegisterGradient("Tfxai_repeat_MaxPool")(unpooling.by_repetition)

# Rule -> operation type -> name of the gradient. "flat" modifies nothing, but has the graph flattened.
_OVERRIDES: dict[str, dict[str, str]] = {
    "flat": {},
    "guided": _register("guided", _guided),
    "deconvnet": _register("deconvnet", _deconvnet),
    "resampled": _resampled(),
    "switch": {"MaxPool": "Tfxai_switch_MaxPool"},
    "repeat": {"MaxPool": "Tfxai_repeat_MaxPool"},
}
_ONLY_IF = dict.fromkeys(_OVERRIDES["resampled"].values(), strided.is_strided)
_ONLY_IF["Tfxai_switch_MaxPool"] = unpooling.overlaps
_ORDINARY = {"Conv2D": convolutions.GRADIENT}  # whatever the rules say nothing of


# A modified layer ends in IdentityN(input, output): guided sends the signal on into the layer, deconvnet around it.
@tf.RegisterGradient("Tfxai_guided_layer")
def _guided_layer(op: tf.Operation, unused: tf.Tensor, g: tf.Tensor) -> list[tf.Tensor]:
    return [tf.zeros_like(op.inputs[0]), tf.nn.relu(g)]


@tf.RegisterGradient("Tfxai_deconvnet_layer")
def _deconvnet_layer(op: tf.Operation, unused: tf.Tensor, g: tf.Tensor) -> list[tf.Tensor]:
    return [tf.nn.relu(g), tf.zeros_like(op.inputs[1])]


def backward_rules(relus: Relus, strided: Strided, pooling: Pooling) -> tuple[str, ...]:
    """The rules for `ModelView.forward`; ValueError for an option that does not exist."""
    one_of("relus", relus, get_args(Relus))
    one_of("strided", strided, get_args(Strided))
    one_of("pooling", pooling, get_args(Pooling))
    return tuple(rule for rule in (relus, strided, pooling) if rule != "gradient")


def relu_gradient(backward: Backward | None) -> str | None:
    """The one of the rules that is for ReLUs."""
    return next((name for name in _names(backward) if name in RELUS), None)


def modify_gradients(graph_def: tf.compat.v1.GraphDef, backward: Backward | None) -> dict[str, str]:
    """Give the operations of a graph the gradients of the rules, before it is imported.

    Returns
    -------
    dict
        Tensors that have another name afterwards.
    """
    relus = relu_gradient(backward)
    moved, composed = modify_composed(graph_def, _LAYER, f"Tfxai_{relus}_layer") if relus else ({}, set())
    gradients = {kind: name for one in _names(backward) for kind, name in _OVERRIDES[one].items()}
    bodies = [node for body in graph_def.library.function for node in body.node_def]
    for node in (*(node for node in graph_def.node if node.name not in composed), *bodies):
        name = gradients.get(node.op)
        if name in _ONLY_IF and not _ONLY_IF[name](node):
            name = None
        name = name or _ORDINARY.get(node.op)
        if name and "_gradient_op_type" not in node.attr:
            node.attr["_gradient_op_type"].s = name.encode()
    return moved


def _names(backward: Backward | None) -> tuple[str, ...]:
    return (backward,) if isinstance(backward, str) else backward or ()


def count_modified(operations: list[tf.Operation]) -> int:
    """How many ReLUs among ``operations`` carry a rule of ours."""

    def is_modified(op: tf.Operation) -> bool:
        if op.type not in (*_PLAIN, "Maximum", _LAYER):
            return False
        if not op.node_def.attr["_gradient_op_type"].s.startswith(b"Tfxai_") or not op.outputs[0].dtype.is_floating:
            return False
        return op.type != "Maximum" or _zero_side(op) is not None

    return sum(is_modified(op) for op in operations) + _count_in_bodies(operations)


def _count_in_bodies(operations: list[tf.Operation]) -> int:
    """How many ReLUs carry a rule in the bodies of loops and the branches of conditions."""
    called = {attr.func.name for op in operations for attr in op.node_def.attr.values() if attr.HasField("func")}
    if not called:
        return 0
    bodies = {body.signature.name: body.node_def for body in operations[0].graph.as_graph_def().library.function}
    waiting, seen, found = list(called), set(called), 0
    while waiting:
        for node in bodies.get(waiting.pop(), ()):
            found += node.op in _PLAIN and node.attr["_gradient_op_type"].s.startswith(b"Tfxai_")
            inner = {attr.func.name for attr in node.attr.values() if attr.HasField("func")} - seen
            seen |= inner
            waiting += inner
    return found
