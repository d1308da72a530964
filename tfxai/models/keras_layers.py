"""The layers of a Keras model: nested, shared, in lists and attributes, with operations between them; by name."""

from __future__ import annotations

import inspect
import weakref
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfxai.models.view import unknown_layer

_IN_LAMBDA = (
    " Layers that a Lambda calls are not among them: to see these, explain tf.function(model, input_signature=...)."
)


def walk(layer: keras.Operation, prefix: str = "") -> Iterator[tuple[str, keras.Operation]]:
    """Every layer and operation below ``layer``, with its path. Namesakes side by side are numbered: "relu.1"."""
    children = _children(layer)
    namesakes = Counter(child.name for child in children)
    numbers: Counter[str] = Counter()
    for child in children:
        numbers[child.name] += 1
        path = prefix + child.name + (f".{numbers[child.name]}" if namesakes[child.name] > 1 else "")
        yield path, child
        yield from walk(child, f"{path}/")


def _children(layer: keras.Operation) -> list[keras.Operation]:
    if isinstance(layer, keras.Sequential):
        return list(layer.layers)
    parts: list[keras.Operation] = []
    if hasattr(layer, "operations"):  # functional: includes keras.ops between the layers
        parts = [op for op in layer.operations if not isinstance(op, keras.layers.InputLayer)]
    if isinstance(layer, keras.Layer):
        known = {id(part) for part in parts}
        parts += [sub for sub in layer._flatten_layers(include_self=False, recursive=False) if id(sub) not in known]
    return [part for part in parts if not isinstance(part, keras.layers.InputLayer)]


def locate(model: keras.Model, name: str) -> tuple[keras.Operation, int | None]:
    """The layer called ``name`` and which of its calls is meant: "name#1" is the second.

    Raises
    ------
    ValueError
        If there is no such layer, or several have this name.
    """
    known = list(walk(model))
    plain, _, call = name.partition("#")
    found = {id(layer): layer for full, layer in known if full == plain}
    found = found or {id(layer): layer for full, layer in known if full.rsplit("/", 1)[-1] == plain}
    if not found or (call and not call.isdigit()):
        hidden = any(isinstance(layer, keras.layers.Lambda) for _, layer in known)
        raise unknown_layer(name, [full for full, _ in known], _IN_LAMBDA if hidden else "")
    if len(found) > 1:
        paths = [full for full, layer in known if id(layer) in found]
        raise ValueError(f"The layer name {name!r} is ambiguous: {paths}. Give the whole path, or the layer itself.")
    return next(iter(found.values())), int(call) if call else None


def name_of(model: keras.Model, layer: Any) -> str:
    """Name of a layer given by name or as an object; ValueError if the model has no such layer."""
    if isinstance(layer, str):
        locate(model, layer)
        return layer
    for name, candidate in walk(model):
        if candidate is layer:
            return name
    if isinstance(layer, keras.Operation):
        raise ValueError(f"The layer {layer.name!r} is not part of the model {model.name!r}.")
    raise TypeError(f"Expected layer to be a name or a Keras layer, got {type(layer).__name__}.")


def structure(model: keras.Model) -> Hashable:
    """What is equal as long as a model has the same layers, precisions and activations; keeps none of them alive."""
    return tuple(
        (name, weakref.ref(layer), getattr(layer, "dtype_policy", None) and layer.dtype_policy.name, _activation(layer))
        for name, layer in walk(model)
    )


def _activation(layer: keras.Operation) -> int:
    return id(getattr(layer, "activation", None))


def makes_mask(layer: keras.Operation) -> bool:
    """Whether a layer may make a mask of its own."""
    return isinstance(layer, keras.Layer) and type(layer).compute_mask is not keras.Layer.compute_mask


def mask_of(tensor: Any) -> Any:
    """The mask that a layer gave to its output."""
    return getattr(tensor, "_keras_mask", None)


def inlined(layer: keras.Operation) -> Callable:
    """The layer's ``call``; if it is a `tf.function`, what is inside, for a graph within the graph hides its layers."""
    call = inspect.getattr_static(layer, "call")
    if not isinstance(call, tf.types.experimental.PolymorphicFunction):
        return layer.call
    inside = tf.autograph.to_graph(call.python_function)
    return inside if "call" in vars(layer) else inside.__get__(layer)
