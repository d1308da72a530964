"""Models that take strings: what makes numbers of them, and the rest, which can be explained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def apart(model: keras.Model) -> tuple[keras.Model, Callable[[Any], Any] | None]:
    """A model of numbers, and what makes these from strings, if the model brings it.

    A task of KerasHub has a preprocessor. A Sequential or Functional model that begins with a
    `keras.layers.TextVectorization` into integers is separated from it; all layers are those of the model. Any other
    model that takes strings stays as it is.
    """
    if isinstance(model, keras.Sequential):
        first, *rest = model.layers or [None]
        if not _vectorizes(first):
            return model, None
        numbers = keras.Input((first._output_sequence_length,), dtype="int64")
        return keras.Sequential([numbers, *rest], name=model.name), first
    inputs = getattr(model, "inputs", None) or []
    if [x.dtype for x in inputs] != ["string"]:
        preprocessor = getattr(model, "preprocessor", None)
        return model, preprocessor if callable(preprocessor) else None
    # the layer may be called in other models too: the call is meant that takes this model's input
    calls = [
        (layer, call.output_tensors[0])
        for layer in filter(_vectorizes, model.layers)
        for call in layer._inbound_nodes
        if call.arguments.keras_tensors[0] is inputs[0]
    ]
    if len(calls) != 1:
        return model, None
    layer, numbers = calls[0]
    return keras.Model(numbers, model.output, name=model.name), layer


def _vectorizes(layer: Any) -> bool:
    return isinstance(layer, keras.layers.TextVectorization) and layer._output_mode == "int"
