"""One run of a Keras model in a graph, and what each of its layers gave on the way.

While the model is traced, the ``call`` of the layers concerned is wrapped on the instance; afterwards the model is as
it was, and the traced graph keeps what the wrappers recorded. This reaches layers that no sub-model can. A wrapper acts
in the graph that is being traced and nowhere else: the model may serve in other threads meanwhile.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.keras_layers import inlined, walk

TRACING = threading.RLock()  # one trace wraps layers at a time

Calls = Mapping[int, list]  # by the id of a layer, its outputs, call by call
Weights = Mapping[int, tf.Variable]  # by the id of a variable of Keras, what is read in its place


def run(
    model: keras.Model,
    call: Callable[[], Any],
    read: Sequence[keras.Operation],
    draw: Any,
    weights: Weights | None = None,
) -> tuple[Any, Calls]:
    """What ``call`` returns, which calls the model in the current graph; and the outputs of the layers to read.

    Parameters
    ----------
    model : keras.Model
        The model.
    call : callable
        Calls it.
    read : sequence of layers
        Whose outputs are recorded.
    draw : tf.Variable, optional
        Moves the seeds of random layers.
    weights : mapping, optional
        What stands in the place of the model's variables, by their ids.
    """
    calls: dict[int, list] = defaultdict(list)
    recorded = {id(layer) for layer in read}
    traced = tf.compat.v1.get_default_graph()

    def wrap(layer: keras.Operation) -> Callable | None:
        own, inside = layer.call, inlined(layer)
        if inside == own and id(layer) not in recorded:
            return None

        def call(*args, **kwargs):
            if not graph.within(traced):
                return own(*args, **kwargs)
            output = inside(*args, **kwargs)
            if id(layer) in recorded:
                calls[id(layer)].append(output)
            return output

        return call

    with TRACING, _wrapped([model, *(layer for _, layer in walk(model))], wrap):
        return stateless(call, draw, weights), calls


def stateless(call: Callable[[], Any], draw: Any, weights: Weights | None = None) -> Any:
    """What ``call`` returns, run so that the model keeps its state."""
    with _Stateless(draw, weights):
        return _Within(call)(tf.zeros([]))


def pick(name: str, calls: list, number: int | None, here: tf.Graph) -> tf.Tensor:
    """One recorded output of a layer; ValueError if it was not run, or several times, or not in this graph."""
    if not calls:
        raise ValueError(f"The layer {name!r} belongs to the model but takes no part in computing its output.")
    if number is None and len(calls) > 1:
        names = " or ".join(f"{name}#{call}" for call in range(len(calls)))
        raise ValueError(f"The layer {name!r} is shared and runs {len(calls)} times; say which run is meant: {names}.")
    if (number or 0) >= len(calls):
        raise ValueError(f"The layer {name.partition('#')[0]!r} runs {len(calls)} times; there is no run {number}.")
    output = calls[number or 0]
    if not isinstance(output, tf.Tensor):
        raise ValueError(f"The layer {name!r} returns several tensors; choose a layer inside or after it.")
    if output.graph is not here:
        raise ValueError(
            f"The layer {name!r} runs inside a loop or a condition of the model, where it cannot be read from outside. "
            "Choose a layer before or after it."
        )
    return output


class _Stateless(keras.StatelessScope):
    """What a layer would assign or add to its losses while it runs is dropped; ``draw`` moves its random seeds.

    Variables are read where ``weights`` says, if it has them.
    """

    def __init__(self, draw: Any = None, weights: Weights | None = None):
        super().__init__()
        self.draw, self.weights = draw, weights or {}

    def get_current_value(self, variable: keras.Variable) -> Any:
        value = super().get_current_value(variable)
        if value is None:
            value = self.weights.get(id(variable))
        if value is None and self.draw is not None and variable.name == "seed_generator_state":
            value = variable._value + tf.cast(self.draw, variable.dtype)
        return value


class _Within(keras.Layer):
    """A layer around a call: the model that it calls is not the outermost, so it keeps the losses of the last call."""

    def __init__(self, run: Callable):
        super().__init__(name="within", dtype="float32")
        self._run = run

    def call(self, _: tf.Tensor) -> Any:
        with tf.name_scope("/"):  # names of operations begin with the model
            return self._run()


@contextlib.contextmanager
def _wrapped(layers: Sequence[keras.Operation], wrap: Callable) -> Iterator[None]:
    """Replace the ``call`` of instances by what ``wrap`` makes of them, for the duration."""
    changed: list[tuple[keras.Operation, Any]] = []
    try:
        for layer in {id(layer): layer for layer in layers}.values():
            call = wrap(layer)
            if call is not None:
                changed.append((layer, vars(layer).get("call")))
                vars(layer)["call"] = call
        yield
    finally:
        for layer, own in changed:
            if own is None:
                del vars(layer)["call"]
            else:
                vars(layer)["call"] = own
