"""Reaching into Keras models: functional, Sequential, nested, shared and subclassed alike.

While the model is traced, the ``call`` of the layers concerned is wrapped on the instance; afterwards the model is as
it was, and the traced graph keeps what the wrappers recorded. This reaches layers that no sub-model can. A wrapper acts
in the graph that is being traced and nowhere else: the model may serve in other threads meanwhile.
"""

from __future__ import annotations

import contextlib
import inspect
import threading
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.flat import FlatGraph
from tfxai.models.overrides import Backward
from tfxai.models.stack import last_stack
from tfxai.models.traced import as_given
from tfxai.models.view import Forward, Layer, ModelView, choose_output, unknown_layer

_IN_LAMBDA = (
    " Layers that a Lambda calls are not among them: to see these, explain tf.function(model, input_signature=...)."
)
_TRACING = threading.RLock()  # one trace wraps layers at a time
_ANSWERS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # by model: names and shapes, no tensors


class KerasView(ModelView):
    """A Keras 3 model as explainers see it.

    Parameters
    ----------
    model : keras.Model
        Any Keras model; it is never changed.
    output : str or int, optional
        Which output is explained, where there are several.
    """

    kind = "Keras model"

    def __init__(self, model: keras.Model, output: str | int | None = None):
        self.model = model
        self.output = output
        self._arguments = _arguments(model)
        self._shapes = {} if self._arguments else _input_shapes(model)
        self.inputs = None if self._arguments else _input_specs(model)
        if self.inputs is not None and not model.built:
            raise ValueError(f"The model {model.name!r} is not built. Call it once on data, or load its weights.")

    @property
    def takes(self) -> Mapping[str, tf.TensorSpec | None] | None:
        return self.inputs or dict.fromkeys(self._arguments or self._shapes) or None

    def forward(self, inputs: Any, read: Sequence[str] = (), backward: Backward | None = None) -> Forward:
        wanted = {name: self._locate(name) for name in read}

        masking = [layer for _, layer in _walk(self.model) if _masks(layer)]

        def run(inputs: Any) -> list[tf.Tensor]:
            outputs, records = self._trace(inputs, [*(layer for layer, _ in wanted.values()), *masking])
            here, calls = tf.compat.v1.get_default_graph(), [call for one in masking for call in records[id(one)]]
            masks = [keras_mask(one) for one in tf.nest.flatten(calls)]
            return [
                self._chosen(outputs),
                *(_pick(name, records[id(layer)], call) for name, (layer, call) in wanted.items()),
                *(mask for mask in masks if isinstance(mask, tf.Tensor) and mask.graph is here),
            ]

        if backward is None:
            tensors, modified = run(inputs), 0
        else:
            specs = tf.nest.map_structure(lambda x: tf.TensorSpec([None, *x.shape[1:]], x.dtype), inputs)
            with tf.init_scope():
                function = tf.function(run, autograph=False).get_concrete_function(specs)
            flat = FlatGraph(function)
            tensors, modified = flat.paste_modified(tf.nest.flatten(inputs), flat.outputs, backward)
        reads, masks = tensors[1 : 1 + len(wanted)], tensors[1 + len(wanted) :]
        return Forward(tensors[0], dict(zip(wanted, reads, strict=True)), modified, masks)

    def layers(self, inputs: Any = None) -> list[Layer]:
        def look() -> list[Layer]:
            return [
                Layer(name, type(layer).__name__, tuple(tensor.shape))
                for name, layer, tensor in self._record_all(inputs)[0]
                if isinstance(tensor, tf.Tensor)
            ]

        return list(self._remembered("layers", inputs, look))

    def last_spatial(self, inputs: Any = None) -> str:
        def look() -> tuple[str, str]:
            records, outputs, given = self._record_all(inputs)
            tensors = [(name, tensor) for name, _, tensor in records if isinstance(tensor, tf.Tensor)]
            try:
                return last_stack(f"the model {self.model.name!r}", given, self._chosen(outputs), tensors), ""
            except ValueError as error:
                return "", str(error)

        name, error = self._remembered(("last", self.output), inputs, look)
        if error:
            raise ValueError(error)
        return name

    def _remembered(self, question: Any, inputs: Any, look: Callable[[], Any]) -> Any:
        """The answer to a question, for which the model is traced once, as long as its layers stay the same."""
        structure = tuple((name, id(layer)) for name, layer in _walk(self.model))
        key = (question, structure, *self._specs(inputs).items())
        with _TRACING:
            known = _ANSWERS.setdefault(self.model, {})
            if key not in known:
                known[key] = look()
            return known[key]

    def find(self, layer: Any) -> str:
        if isinstance(layer, str):
            self._locate(layer)
            return layer
        for name, candidate in _walk(self.model):
            if candidate is layer:
                return name
        if isinstance(layer, keras.Operation):
            raise ValueError(f"The layer {layer.name!r} is no part of the model {self.model.name!r}.")
        raise TypeError(f"Expected layer to be a name or a Keras layer, got {type(layer).__name__}.")

    def _locate(self, name: str) -> tuple[keras.Operation, int | None]:
        """The layer called ``name`` and which of its calls is meant ("name#1" is the second)."""
        known = list(_walk(self.model))
        plain, _, call = name.partition("#")
        found = {id(layer): layer for full, layer in known if full == plain}
        found = found or {id(layer): layer for full, layer in known if full.rsplit("/", 1)[-1] == plain}
        if not found or (call and not call.isdigit()):
            hidden = any(isinstance(layer, keras.layers.Lambda) for _, layer in known)
            raise unknown_layer(name, [full for full, _ in known], _IN_LAMBDA if hidden else "")
        if len(found) > 1:
            paths = [full for full, layer in known if id(layer) in found]
            raise ValueError(
                f"The layer name {name!r} is ambiguous: {paths}. Give the whole path, or the layer itself."
            )
        return next(iter(found.values())), int(call) if call else None

    def _chosen(self, outputs: Any) -> tf.Tensor:
        return choose_output(outputs, _output_names(self.model, outputs), self.output)

    def _trace(self, inputs: Any, read: Sequence[keras.Operation]) -> tuple[Any, dict]:
        """Call the model in the current graph; returns its outputs, and those of ``read`` by layer id."""
        records: dict[int, list] = defaultdict(list)
        recorded = {id(layer) for layer in read}
        traced = tf.compat.v1.get_default_graph()

        def wrap(layer: keras.Operation) -> Callable | None:
            own, inside = layer.call, _inlined(layer)
            if inside == own and id(layer) not in recorded:
                return None

            def call(*args, **kwargs):
                if not graph.within(traced):
                    return own(*args, **kwargs)
                output = inside(*args, **kwargs)
                if id(layer) in recorded:
                    records[id(layer)].append(output)
                return output

            return call

        with _TRACING:
            if not self.model.built:
                with tf.init_scope():
                    self._call(tf.nest.map_structure(lambda t: keras.KerasTensor(t.shape, t.dtype), inputs))
            everything = [self.model, *(layer for _, layer in _walk(self.model))]
            with _wrapped(everything, wrap):
                outputs = self._stateless(inputs, self.draw)
        return outputs, records

    def _stateless(self, inputs: Any, draw: Any) -> Any:
        with _Stateless(draw):
            return _Within(lambda: self._call(inputs, training=False))(tf.zeros([]))

    def probe(self, inputs: Any, draw: int, compiled: bool = False, traced: bool = False) -> np.ndarray:
        everything = [self.model, *(layer for _, layer in _walk(self.model))]
        plain = all(_inlined(layer) == layer.call for layer in everything)
        if plain and not (compiled or traced):  # to trace takes longer than to run once
            with contextlib.suppress(Exception):  # a model that runs in graphs only
                return self._chosen(self._stateless(tf.nest.map_structure(tf.constant, inputs), draw)).numpy()
        return super().probe(inputs, draw, compiled, traced)

    def _record_all(self, inputs: Any) -> tuple[list[tuple[str, keras.Operation, Any]], Any, list[tf.Tensor]]:
        """(name, layer, output) of every call of every layer, in the order of running; the outputs and the inputs."""
        found: list[tuple[str, keras.Operation, Any]] = []
        result: list[Any] = []
        layers: dict[int, tuple[str, keras.Operation]] = {}
        for name, layer in _walk(self.model):
            layers.setdefault(id(layer), (name, layer))

        @tf.function(autograph=False)
        def record(inputs):
            found.clear()  # a model that makes its weights now is traced twice
            result.clear()
            outputs, records = self._trace(inputs, [layer for _, layer in layers.values()])
            result.extend([outputs, tf.nest.flatten(inputs)])
            for key, calls in records.items():
                name, layer = layers[key]
                for number, tensor in enumerate(calls):
                    found.append((name if len(calls) == 1 else f"{name}#{number}", layer, tensor))

        specs = self._specs(inputs)
        try:
            record.get_concrete_function(next(iter(specs.values())) if len(specs) == 1 else specs)
        except Exception as error:
            if inputs is not None or self.inputs is not None:
                raise
            raise ValueError(
                f"The types of the inputs {list(specs)} of the model {self.model.name!r} are not known, and it does "
                "not take them all as floats. Give a batch: tfxai.layers(model, inputs=batch)."
            ) from error
        operations = tf.nest.flatten(result[0])[0].graph.get_operations()
        order = {op.name: number for number, op in enumerate(operations)}
        found.sort(key=lambda row: order.get(getattr(getattr(row[2], "op", None), "name", None), 0))
        return found, result[0], result[1]

    def _specs(self, inputs: Any) -> dict[str, tf.TensorSpec]:
        if inputs is not None:
            flat = inputs if isinstance(inputs, dict) else {"input": inputs}
            return {name: tf.TensorSpec([None, *x.shape[1:]], x.dtype) for name, x in flat.items()}
        if self.inputs is not None:
            return self.inputs
        if not self._shapes:
            hint = "Give a batch" if self.model.built else "Call it once on a batch, or give one"
            raise ValueError(
                f"The shapes in the model {self.model.name!r} are not known before it is given data. "
                f"{hint}: tfxai.layers(model, inputs=batch)."
            )
        return {name: tf.TensorSpec(shape, keras.config.floatx()) for name, shape in self._shapes.items()}

    def _call(self, inputs: Any, **options: Any) -> Any:
        """The model's outputs for inputs in the structure and the precision in which it takes them."""
        if self._arguments:
            return self.model(**inputs, **options)
        if self.inputs is None:
            return self.model(as_given(inputs), **options)
        flat = inputs if isinstance(inputs, dict) else dict.fromkeys(self.inputs, inputs)
        cast = {name: tf.cast(flat[name], spec.dtype) for name, spec in self.inputs.items()}
        structure = getattr(self.model, "input", None)
        if structure is None:  # a subclass
            return self.model(next(iter(cast.values())), **options)
        if not isinstance(structure, dict):
            structure = keras.tree.pack_sequence_as(structure, list(cast.values()))
        return self.model(cast if isinstance(structure, dict) else structure, **options)


def _input_specs(model: keras.Model) -> dict[str, tf.TensorSpec] | None:
    """Name to spec of each input, if the model knows them."""
    try:
        tensors = model.inputs
    except (AttributeError, ValueError):
        tensors = None
    if tensors:
        structure = getattr(model, "input", None)
        if isinstance(structure, dict) and len(structure) == len(tensors):
            return {key: tf.TensorSpec(x.shape, x.dtype, x.name) for key, x in structure.items()}
        return {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name) for tensor in tensors}
    shape = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if shape and all(size is None or isinstance(size, int) for size in shape):
        return {"input": tf.TensorSpec([None, *shape[1:]], keras.config.floatx(), "input")}
    return None


def _input_shapes(model: keras.Model) -> dict[str, tuple[int | None, ...]]:
    """Name to shape of each input of a subclass that was called on a list or a dict of them."""
    given = (model.get_build_config() or {}).get("input_shape") if model.built else None
    if isinstance(given, list | tuple) and not all(size is None or isinstance(size, int) for size in given):
        given = {f"input_{number}": shape for number, shape in enumerate(given)}  # as `as_given` expects them
    if not isinstance(given, dict) or not all(isinstance(shape, list | tuple) for shape in given.values()):
        return {}
    return {name: (None, *shape[1:]) for name, shape in given.items()}


def _arguments(model: keras.Model) -> list[str]:
    """Names of the inputs of a subclass that takes them one by one, ``call(self, image, table)``; else none."""
    parameters = inspect.signature(model.call).parameters.values()
    names = [
        one.name
        for one in parameters
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    names = [name for name in names if name not in ("training", "mask")]
    return names if len(names) > 1 else []


def _output_names(model: keras.Model, outputs: Any) -> list[str]:
    if isinstance(outputs, dict):
        return list(outputs)
    names = getattr(model, "output_names", None)
    return list(names) if names else [str(number) for number in range(len(tf.nest.flatten(outputs)))]


def _walk(layer: keras.Operation, prefix: str = "") -> Iterator[tuple[str, keras.Operation]]:
    """Every layer and operation below ``layer``, with its path. Namesakes side by side are numbered: "relu.1"."""
    children = _children(layer)
    namesakes = Counter(child.name for child in children)
    numbers: Counter[str] = Counter()
    for child in children:
        numbers[child.name] += 1
        path = prefix + child.name + (f".{numbers[child.name]}" if namesakes[child.name] > 1 else "")
        yield path, child
        yield from _walk(child, f"{path}/")


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


def _masks(layer: keras.Operation) -> bool:
    """Whether a layer may make a mask of its own."""
    return isinstance(layer, keras.Layer) and type(layer).compute_mask is not keras.Layer.compute_mask


def keras_mask(tensor: Any) -> Any:
    """The mask that a layer gave to its output."""
    return getattr(tensor, "_keras_mask", None)


def _inlined(layer: keras.Operation) -> Callable:
    """The layer's ``call``; if it is a `tf.function`, what is inside, for a graph within the graph hides its layers."""
    call = inspect.getattr_static(layer, "call")
    if not isinstance(call, tf.types.experimental.PolymorphicFunction):
        return layer.call
    inside = tf.autograph.to_graph(call.python_function)
    return inside if "call" in vars(layer) else inside.__get__(layer)


def _pick(name: str, calls: list, number: int | None) -> tf.Tensor:
    """One recorded output; errors for layers that were not run, or run several times."""
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
    if output.graph is not tf.compat.v1.get_default_graph():
        raise ValueError(
            f"The layer {name!r} runs inside a loop or a condition of the model, where it cannot be read from outside. "
            "Choose a layer before or after it."
        )
    return output


class _Stateless(keras.StatelessScope):
    """What a layer would assign or add to its losses while it runs is dropped; ``draw`` moves its random seeds."""

    def __init__(self, draw: Any = None):
        super().__init__()
        self.draw = draw

    def get_current_value(self, variable: keras.Variable) -> Any:
        value = super().get_current_value(variable)
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
