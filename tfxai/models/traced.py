"""Reaching into traced functions, white-box: those of SavedModels, and any `tf.function`."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfxai.models.custom_gradients import ConcreteFunction
from tfxai.models.flat import FlatGraph
from tfxai.models.overrides import Backward
from tfxai.models.scopes import Scopes
from tfxai.models.view import Forward, Layer, ModelView, choose_output, without_gradient


class TracedView(ModelView):
    """A function in TensorFlow operations as explainers see it.

    Parameters
    ----------
    function : ConcreteFunction, or callable
        A traced function; or one that takes the `tf.TensorSpec` of its inputs, as they are given, and returns one.
    output : str or int, optional
        Which output is explained, where there are several.
    name : str
        What errors call it.
    owner : object, optional
        Kept alive as long as the view, for traced functions do not keep their variables.
    loaded : bool
        Whether the function came with a SavedModel.
    """

    def __init__(
        self,
        function: ConcreteFunction | Callable[..., ConcreteFunction],
        output: str | int | None = None,
        name: str = "function",
        owner: Any = None,
        loaded: bool = False,
    ):
        self.output = output
        self.name = name
        self._function = function
        self._owner = owner
        self._loaded = loaded
        self.kind = "SavedModel" if loaded else "TensorFlow function"
        self._seen: dict[Any, _Traced] = {}
        self._looking = threading.RLock()  # threads that share a view look into the function once
        self.inputs = _specs(function) if isinstance(function, tf.types.experimental.ConcreteFunction) else None

    def forward(self, inputs: Any, read: Sequence[str] = (), backward: Backward | None = None) -> Forward:
        traced = self._traced(inputs)
        wanted = {name: traced.scopes.find(name) for name in read}
        (outputs, *reads), modified = traced.run(inputs, wanted.values(), backward, self._captured)
        return Forward(outputs, dict(zip(wanted, reads, strict=True)), modified)

    # From what the function refers to, such as a variable, to what is read in its place; None: itself.
    _captured: Callable[[tf.Tensor], tf.Tensor] | None = None

    def layers(self, inputs: Any = None) -> list[Layer]:
        return self._traced(inputs).scopes.layers

    def find(self, layer: Any) -> str:
        if not isinstance(layer, str):
            raise TypeError(f"Expected the name of a layer of {self.name}, got {type(layer).__name__}.")
        if self.inputs is not None:
            self._traced().scopes.find(layer)
        return layer

    def last_spatial(self, inputs: Any = None) -> str:
        return self._traced(inputs).scopes.last_spatial(self.name)

    def _traced(self, inputs: Any = None) -> _Traced:
        """What is known of the function, for inputs like these."""
        if self.inputs is not None:
            key, wanted = None, None
        elif inputs is None:
            raise ValueError(
                f"The shapes inside {self.name} are not known before it has seen data. "
                "Give it an input_signature, or explain a batch first."
            )
        else:
            wanted = tf.nest.map_structure(lambda x: tf.TensorSpec([None, *x.shape[1:]], x.dtype), as_given(inputs))
            key = tuple(tf.nest.flatten(wanted))
        with self._looking:
            if key not in self._seen:
                with tf.init_scope():  # the function may make its variables now
                    concrete = self._function if wanted is None else self._function(wanted)
                    self._seen[key] = _Traced(concrete, self.output, self._loaded)
            return self._seen[key]


class _Traced:
    """One traced function: its flat graph, its inputs by name, and the output that is explained."""

    def __init__(self, function: ConcreteFunction, output: str | int | None, loaded: bool):
        self.specs = _specs(function)
        self.flat = FlatGraph(function, loaded)
        self._output = choose_output(self.flat.outputs, _output_names(function), output)
        self.closed = self.flat.is_closed(self._output)
        self._function = function

    def run(
        self,
        inputs: Any,
        fetches: Iterable[str],
        backward: Backward | None,
        captured: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tuple[list[tf.Tensor], int]:
        """The output and other tensors, given by their names in the flat graph, and the number of modified ReLUs."""
        named = isinstance(inputs, dict) and set(inputs) == set(self.specs)
        given = [inputs[name] for name in self.specs] if named else tf.nest.flatten(as_given(inputs))
        cast = [tf.cast(x, spec.dtype) for x, spec in zip(given, self.specs.values(), strict=True)]
        if not self.closed:
            return self.flat.paste_modified(cast, [self._output, *fetches], backward, captured=captured)
        if backward or list(fetches):
            raise _closed()
        return [without_gradient(self._call, cast, _closed())], 0

    def _call(self, *inputs: tf.Tensor) -> tf.Tensor:
        args, kwargs = tf.nest.pack_sequence_as(self._function.structured_input_signature, inputs)
        found = tf.nest.flatten(self._function(*args, **kwargs))
        return found[self.flat.outputs.index(self._output)]

    @functools.cached_property
    def scopes(self) -> Scopes:
        if self.closed:
            raise _closed()
        found = []

        @tf.function(autograph=False)
        def trace(inputs):
            (output,), _ = self.run(inputs, [], None)
            found.append(Scopes(tf.nest.flatten(inputs), output, self.flat.variables()))

        trace.get_concrete_function(self.specs)
        return found[0]


def _closed() -> ValueError:
    return ValueError(
        "This method needs gradients or layers, and the model has loops or conditions of TensorFlow 1, which cannot be "
        "inspected. Use Occlusion."
    )


def _specs(function: ConcreteFunction) -> dict[str, tf.TensorSpec]:
    """Name to spec of each argument, in the order in which the graph takes them."""
    args, kwargs = function.structured_input_signature
    given = args[0] if len(args) == 1 and isinstance(args[0], Mapping) else kwargs
    flat = [spec for spec in tf.nest.flatten((args, kwargs)) if isinstance(spec, tf.TensorSpec)]
    names = sorted(given)  # the order in which TensorFlow flattens them
    if len(names) != len(flat):
        names = [spec.name or f"input_{number}" for number, spec in enumerate(flat)]
    return dict(zip(names, flat, strict=True))


def _output_names(function: ConcreteFunction) -> list[str]:
    outputs = function.structured_outputs
    if isinstance(outputs, Mapping) and len(outputs) == len(function.outputs):
        return sorted(outputs)  # the order in which TensorFlow flattens them
    return [str(number) for number in range(len(function.outputs))]


def as_given(inputs: Any) -> Any:
    """Inputs in the structure in which the function's caller gives them: a tensor, a list or a dict."""
    unnamed = isinstance(inputs, dict) and list(inputs) == [f"input_{number}" for number in range(len(inputs))]
    return list(inputs.values()) if unnamed else inputs
