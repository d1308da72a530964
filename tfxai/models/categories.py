"""Keras models that take columns of strings: the layers that make categories of these, and the rest, with gradients."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

LAYERS = keras.layers
ENCODING = (
    LAYERS.StringLookup,
    LAYERS.IntegerLookup,
    LAYERS.Hashing,
    LAYERS.HashedCrossing,
    LAYERS.Discretization,
    LAYERS.CategoryEncoding,
    LAYERS.TextVectorization,
)


class Columns:
    """What makes the inputs of the rest of a model of its columns.

    Parameters
    ----------
    inputs : mapping of str to KerasTensor
        The columns.
    cut : mapping of str to KerasTensor
        What is made of them, where the rest begins.
    categories : mapping of str to sequence of str
        What the columns, or the integers, of these stand for.

    Attributes
    ----------
    takes : dict of str to TensorSpec
        The columns.
    categories : dict of str to list of str
        As the parameter.
    """

    def __init__(self, inputs: Mapping[str, Any], cut: Mapping[str, Any], categories: Mapping[str, Sequence[str]]):
        self.takes = {name: tf.TensorSpec(x.shape, x.dtype) for name, x in inputs.items()}
        self.categories = {name: list(own) for name, own in categories.items()}
        self._encode = keras.Model(dict(inputs), dict(cut))

    def __call__(self, data: Any) -> dict[str, Any]:
        """The inputs of the rest, from a dict or a table of columns, or a list of all; as they are if no strings come.

        Raises
        ------
        ValueError
            If a column is missing, or holds what the model does not take.
        """
        columns = self._named(data)
        texts = [name for name, spec in self.takes.items() if spec.dtype == tf.string and name in columns]
        if not any(np.asarray(columns[name]).dtype.kind in "USO" for name in texts):
            return columns
        missing = [name for name in self.takes if name not in columns]
        if missing:
            raise ValueError(f"Expected the columns {list(self.takes)}; {missing} are missing in {list(columns)[:20]}.")
        given = {name: self._column(name, columns[name]) for name in self.takes}
        found = {name: x.numpy() for name, x in self._encode(given).items()}
        return {name: x.numpy() for name, x in given.items() if name not in found} | found

    def _named(self, data: Any) -> dict[str, Any]:
        if isinstance(data, Mapping):
            return dict(data)
        if hasattr(data, "columns"):
            return {str(name): data[name] for name in data.columns}
        if isinstance(data, list | tuple) and len(data) == len(self.takes):
            return dict(zip(self.takes, data, strict=True))
        if len(self.takes) == 1 and hasattr(data, "__array__"):
            return dict.fromkeys(self.takes, data)
        raise ValueError(
            f"The model takes columns with strings. Expected a dict or a table with {list(self.takes)}, got "
            f"{type(data).__name__}."
        )

    def _column(self, name: str, column: Any) -> tf.Tensor:
        """A column in the type and the shape in which the model takes it."""
        spec, values = self.takes[name], np.asarray(column)
        if spec.dtype == tf.string:
            wrong = [one for one in values.ravel() if not isinstance(one, str | bytes)]
            if wrong:
                raise ValueError(f"Expected strings in the column {name!r}, got {wrong[0]!r}.")
        try:
            found = tf.constant(values.astype(spec.dtype.as_numpy_dtype))
        except (ValueError, TypeError) as error:
            raise ValueError(f"Expected numbers in the column {name!r}: {error}.") from error
        return tf.expand_dims(found, -1) if len(found.shape) == spec.shape.rank - 1 else found


def apart(model: keras.Model) -> tuple[keras.Model, Columns | None]:
    """A model after the layers that make categories of strings, and these; any other model stays as it is.

    A Functional or Sequential model of columns, some of them strings, is separated from all layers at its beginning
    that look up, hash, cross or bucket, those of a `keras.utils.FeatureSpace` as well. Columns of numbers that go
    elsewhere stay what they are, with their normalization.
    """
    if isinstance(model, keras.Sequential) and [x.dtype for x in getattr(model, "inputs", None) or []] == ["string"]:
        model = keras.Model(model.inputs, model.outputs[0], name=model.name)  # of the same layers
    inputs = _inputs(model)
    texts = {name for name, x in inputs.items() if x.dtype == "string"}
    if not texts:
        return model, None
    made = {id(x): [name] for name, x in inputs.items()}  # tensor to the columns of which it was made
    behind: dict[int, Any] = {}  # what the rest begins with
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            given = node.arguments.keras_tensors
            if node.is_input:
                continue
            if isinstance(node.operation, ENCODING) and all(id(x) in made for x in given):
                columns = list(dict.fromkeys(name for x in given for name in made[id(x)]))
                made |= {id(x): columns for x in node.output_tensors}
            else:
                behind |= {id(x): x for x in given if id(x) in made}
    behind |= {id(x): x for x in model.outputs if id(x) in made}
    if any(x.dtype == "string" for x in behind.values()):
        return model, None
    order, raw = list(inputs), {id(x) for x in inputs.values()}
    named: dict[str, Any] = {}
    for key, x in sorted(behind.items(), key=lambda item: item[0] not in raw):  # columns keep their names
        name = " x ".join(made[key])
        same = sum(name in (one, one.partition(" #")[0]) for one in named)
        named[f"{name} #{same + 1}" if same else name] = x
    named = dict(sorted(named.items(), key=lambda item: order.index(made[id(item[1])][0])))
    cut = {name: x for name, x in named.items() if id(x) not in raw}
    categories = {name: found for name, x in cut.items() if (found := _categories(x))}
    with warnings.catch_warnings():  # Keras would have tensors called as the inputs are
        warnings.simplefilter("ignore", UserWarning)
        return keras.Model(named, model.output, name=model.name), Columns(inputs, cut, categories)


def _inputs(model: keras.Model) -> dict[str, Any]:
    """The inputs of a Functional model by name; none of any other."""
    if not isinstance(model, keras.Model) or not hasattr(model, "_nodes_by_depth"):
        return {}
    structure = model.input
    return dict(structure) if isinstance(structure, dict) else {x.name: x for x in model.inputs}


def _categories(x: Any) -> list[str]:
    """What the columns of an encoded tensor, or its integers, stand for."""
    width = x.shape[-1] if x.dtype.startswith("float") or (x.shape[-1] or 0) > 1 else None
    before = x
    while before is not None:
        operation, index, _ = before._keras_history
        if hasattr(operation, "get_vocabulary"):
            words = [str(word) for word in operation.get_vocabulary()]
            if width in (None, len(words)):
                return words
        given = operation._inbound_nodes[index].arguments.keras_tensors
        before = given[0] if len(given) == 1 else None
    return [str(number) for number in range(width or 0)]
