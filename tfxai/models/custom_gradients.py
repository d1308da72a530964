"""Custom gradients of functions that are flattened.

A custom gradient belongs to an operation and refers to tensors of the graph in which it was made. In a flat graph these
tensors have other names. So the gradient is traced as a function, and what it refers to is looked up around the
operation when it is asked for.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry  # has no public name

ConcreteFunction: TypeAlias = tf.types.experimental.ConcreteFunction

UNSAVED = "UnsavedGradient"
_FOUND = weakref.WeakKeyDictionary[tf.Graph, dict[str, str]]()  # names of operations, by that of their gradient
_LOADER = "saved_model.function_deserialization"  # the module whose gradients come out of SavedModels


@tf.RegisterGradient(UNSAVED)
def _unsaved(op: tf.Operation, *signals: tf.Tensor) -> None:
    raise ValueError(
        f"The operation {op.name!r} has a custom gradient that cannot be followed. If the model is a SavedModel, "
        "export it with tf.saved_model.SaveOptions(experimental_custom_gradients=True); if it is a tf.function that "
        "calls another, take the decorator off the inner one. Or use a method without gradients, such as Occlusion."
    )


def adopt(name: str, function: ConcreteFunction, loaded: bool, flatten: Callable[[ConcreteFunction], Any]) -> str:
    """Name of a registered gradient that does in a flat graph what ``name`` does in the function that was flattened.

    Parameters
    ----------
    name : str
        Name of a custom gradient in the function's graph.
    function : tf.types.experimental.ConcreteFunction
        The function.
    loaded : bool
        Whether the function came with a SavedModel. Names are numbers, so the name of a gradient that was not saved
        may well be that of a stranger in this process.
    flatten : callable
        From a function to its `FlatGraph`: the gradient is pasted like the function to which it belongs.
    """
    adopted = f"Flat{name}"
    if _lookup(adopted) is None:
        trace = _from_saved_model(name) if loaded else _from_process(name, function)
        if trace is None:
            return UNSAVED
        _register(adopted, name, trace, flatten)
    return adopted


def _lookup(name: str) -> Callable | None:
    try:
        return gradient_registry.lookup(name)
    except LookupError:
        return None


def _from_saved_model(name: str) -> Callable[[], ConcreteFunction] | None:
    gradient = _lookup(name)
    if gradient is None or not getattr(gradient, "__module__", "").endswith(_LOADER):
        return None
    return lambda: inspect.getclosurevars(gradient).nonlocals["func"]


def _from_process(name: str, function: ConcreteFunction) -> Callable[[], ConcreteFunction] | None:
    gradient, op = _lookup(name), _find(function.graph, name)
    if gradient is None or op is None:
        return None

    def trace() -> ConcreteFunction:
        with function.graph.as_default():
            specs = [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in op.outputs]
            return tf.function(lambda *signals: gradient(op, *signals), autograph=False).get_concrete_function(*specs)

    return trace


def _find(graph: tf.Graph, name: str) -> Any:
    """The operation that has the custom gradient of this name; None if there is none.

    All of a finished graph are looked up at once: models have hundreds, and to read one attribute takes long.
    """
    if graph not in _FOUND:
        operations = reversed(graph.get_operations())  # the first of a name counts
        attributes = ((op.name, op.node_def.attr["_gradient_op_type"].s.decode()) for op in operations)
        _FOUND[graph] = {gradient: operation for operation, gradient in attributes if gradient}
    found = _FOUND[graph].get(name)
    return None if found is None else graph.get_operation_by_name(found)


def _register(
    adopted: str, name: str, trace: Callable[[], ConcreteFunction], flatten: Callable[[ConcreteFunction], Any]
) -> None:
    @cache
    def traced_and_flat() -> tuple[ConcreteFunction, Any]:
        with tf.init_scope():  # not within the graph that asks
            traced = trace()
            return traced, flatten(traced)

    @tf.RegisterGradient(adopted)
    def gradient(op: tf.Operation, *signals: tf.Tensor) -> list[tf.Tensor]:
        traced, flat = traced_and_flat()  # when a signal arrives: many methods send none, and each takes 50 ms
        pairs = zip(op.outputs, signals, strict=True)
        arrived = [tf.zeros_like(y) if signal is None else signal for y, signal in pairs]
        found = iter(flat.paste(arrived, flat.outputs, captured=lambda tensor: _here(_around(op, tensor, name))))
        return [None if spec is None else next(found) for spec in tf.nest.flatten(traced.structured_outputs)]


def _here(tensor: tf.Tensor) -> tf.Tensor:
    """The tensor in the current graph, which may lie within its own."""
    here = tf.compat.v1.get_default_graph()
    return tensor if tensor.graph is here else here.capture(tensor)


def _around(op: tf.Operation, tensor: tf.Tensor, name: str) -> tf.Tensor:
    """The tensor of a flat graph that was ``tensor`` in the function from which the operation comes."""
    if not hasattr(tensor, "op"):  # eager: a variable
        return op.graph.capture(tensor)
    original = _find(tensor.graph, name)
    for own, given in zip(original.inputs, op.inputs, strict=True):
        if own is tensor:
            return given
    prefix = op.name.removesuffix(original.name)
    try:
        return op.graph.get_tensor_by_name(prefix + tensor.name)
    except KeyError as error:
        raise ValueError(
            f"The custom gradient of {op.name!r} needs {tensor.name!r}, which cannot be reached from where it is used. "
            "Use a method without gradients, such as Occlusion."
        ) from error
