"""Keras models: nested, shared and subclassed alike."""

from __future__ import annotations

import contextlib
import functools
import inspect
import weakref
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfxai.models import rewriting
from tfxai.models.custom_gradients import ConcreteFunction
from tfxai.models.flat import FlatGraph
from tfxai.models.keras_layers import inlined, locate, makes_mask, mask_of, name_of, structure, walk
from tfxai.models.keras_trace import TRACING, Calls, Weights, pick, run, stateless
from tfxai.models.overrides import Backward
from tfxai.models.stack import last_stack
from tfxai.models.traced import as_given
from tfxai.models.view import Forward, Layer, ModelView, Recording, Tensors, by_name, choose_output, record

_RECORDINGS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # by model; they do not keep it alive
_KEPT = 8  # recordings of one model, the last ones: graphs of a large network take megabytes


@dataclass(kw_only=True)
class _Recorded(Recording):
    """A recording of a Keras model, whatever its output.

    Attributes
    ----------
    outputs : nested tensors
        All that the model returns.
    calls : mapping
        What each layer gave, call by call, by the id of the layer.
    rows : list of (str, str, object)
        Name, class and output of every call, in the order of running.
    last : dict
        What `KerasView.last_spatial` has found, by output: the name of a layer, or the text of an error and its kind.
    """

    outputs: Any
    calls: Calls
    rows: list[tuple[str, str, Any]]
    last: dict[Hashable, tuple[str, type[ValueError] | None]] = field(default_factory=dict)


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
    weights: Weights | None = None  # what passes read in the place of the model's own

    def __init__(self, model: keras.Model, output: str | int | None = None):
        self.model = model
        self.output = output
        self._arguments = _arguments(model)
        self._shapes = {} if self._arguments else _input_shapes(model)
        self.inputs = None if self._arguments else _input_specs(model)
        if self.inputs is not None and not model.built:
            raise ValueError(f"The model {model.name!r} is not built. Call it once on data, or load its weights.")
        # The pass that was traced last to be pasted, and its flat graph, by what it is of.
        self._passes: dict[tuple[Hashable, tuple[str, ...]], tuple[ConcreteFunction, FlatGraph]] = {}
        self._moved = tf.Variable(0, trainable=False, dtype=tf.int64)  # moves the seeds of random layers in `probe`

    @property
    def takes(self) -> Mapping[str, tf.TensorSpec | None] | None:
        return self.inputs or dict.fromkeys(self._arguments or self._shapes) or None

    @property
    def in_graph(self) -> bool:
        return all(map(_is_of_keras, self._everything))

    @property
    def _everything(self) -> list[keras.Operation]:
        """The model, and all that is in it."""
        return [self.model, *(layer for _, layer in walk(self.model))]

    def forward(self, inputs: Any, read: Sequence[str] = (), backward: Backward | None = None) -> Forward:
        layers = [locate(self.model, name)[0] for name in read]
        layers += [layer for _, layer in walk(self.model) if makes_mask(layer)]

        def passed(inputs: Tensors, draw: Any = self.draw) -> Forward:
            outputs, calls = self._run(inputs, layers, draw, self.weights)
            return self._seen(outputs, calls, read, tf.compat.v1.get_default_graph())

        if backward is None:
            return passed(inputs)
        key = self._kind_of_pass(inputs)
        if (key, tuple(read)) not in self._passes:
            self._passes.clear()  # of another kind of batch, or of the model before a layer was changed
            specs = tf.nest.map_structure(lambda x: tf.TensorSpec([None, *x.shape[1:]], x.dtype), inputs)
            draw = self._moved if self.draw is None else self.draw
            with tf.init_scope():
                function = tf.function(lambda x: _listed(passed(x, draw)), autograph=False).get_concrete_function(specs)
            self._passes[key, tuple(read)] = function, FlatGraph(function)
        flat = self._passes[key, tuple(read)][1]
        (outputs, *tensors), modified = flat.paste_modified(tf.nest.flatten(inputs), flat.outputs, backward)
        names = list(dict.fromkeys(read))
        return Forward(outputs, dict(zip(names, tensors, strict=False)), modified, tensors[len(names) :])

    def _kind_of_pass(self, inputs: Any) -> Hashable:
        """What is equal for batches of one kind, as long as the model's layers stay the same."""
        named = sorted(by_name(inputs).items())
        return structure(self.model), tuple((name, x.dtype, *x.shape[1:]) for name, x in named), self.draw is None

    def recorded(self, inputs: Any = None, layers: Sequence[str] = ()) -> tuple[Recording, Forward]:
        found = self._recorded(inputs)
        return found, self._seen(found.outputs, found.calls, layers, found.function.graph)

    def layers(self, inputs: Any = None) -> list[Layer]:
        rows = self._recorded(inputs).rows
        return [Layer(name, kind, tuple(x.shape)) for name, kind, x in rows if isinstance(x, tf.Tensor)]

    def find(self, layer: Any) -> str:
        return name_of(self.model, layer)

    def last_spatial(self, inputs: Any = None) -> str:
        found = self._recorded(inputs)
        if self.output not in found.last:
            tensors = [(name, x) for name, _, x in found.rows if isinstance(x, tf.Tensor)]
            given, output = tf.nest.flatten(found.inputs), self._chosen(found.outputs)
            try:
                name = last_stack(f"the model {self.model.name!r}", given, output, tensors)
                found.last[self.output] = name, None
            except ValueError as error:  # itself it would keep the model alive
                found.last[self.output] = str(error), type(error)
        text, kind = found.last[self.output]
        if kind is not None:
            raise kind(text)
        return text

    def probe(self, inputs: Any, draw: int, compiled: bool = False, traced: bool = False) -> np.ndarray:
        plain = all(inlined(layer) == layer.call for layer in self._everything)
        if plain and not (compiled or traced):  # to trace takes longer than to run once
            with contextlib.suppress(Exception):  # a model that runs in graphs only
                given = tf.nest.map_structure(tf.constant, inputs)
                kind = self._kind_of_pass(given)
                known = next((function for (one, _), (function, _) in self._passes.items() if one == kind), None)
                if known is not None and self.draw is None:
                    self._moved.assign(draw)
                    try:
                        with rewriting.as_written():
                            return known(given)[0].numpy()
                    finally:
                        self._moved.assign(0)
                return self._chosen(stateless(lambda: self._call(given, training=False), draw, self.weights)).numpy()
        return super().probe(inputs, draw, compiled, traced)

    def _chosen(self, outputs: Any) -> tf.Tensor:
        return choose_output(outputs, _output_names(self.model, outputs), self.output)

    def _run(
        self, inputs: Tensors, read: Sequence[keras.Operation], draw: Any = None, weights: Weights | None = None
    ) -> tuple[Any, Calls]:
        """Call the model in the current graph; its outputs, and those of layers."""
        self._build(inputs)
        return run(self.model, functools.partial(self._call, inputs, training=False), read, draw, weights)

    def _seen(self, outputs: Any, calls: Calls, read: Sequence[str], here: tf.Graph) -> Forward:
        """The pass that gave these outputs, and those of layers, in a graph."""
        located = {name: locate(self.model, name) for name in read}
        masking = [layer for _, layer in walk(self.model) if makes_mask(layer)]
        masks = [mask_of(x) for layer in masking for x in tf.nest.flatten(calls.get(id(layer), []))]
        return Forward(
            self._chosen(outputs),
            {name: pick(name, calls.get(id(layer), []), call, here) for name, (layer, call) in located.items()},
            masks=[mask for mask in masks if _is_in(mask, here)],
        )

    @property
    def _recordings(self) -> dict[Any, _Recorded]:
        """Those that are kept."""
        return _RECORDINGS.setdefault(self.model, {})

    def _recorded(self, inputs: Any) -> _Recorded:
        """The recording for inputs like these, made once as long as the model's layers stay the same."""
        specs = self._specs(inputs)
        with TRACING, tf.init_scope():
            self._build(specs)
            signature = tuple(sorted(specs.items())) if isinstance(specs, dict) else specs
            known = self._recordings
            key = structure(self.model), signature
            if key not in known:
                while len(known) >= _KEPT:
                    del known[next(iter(known))]
                known[key] = self._record(specs, given=inputs is not None)
            return known[key]

    def _record(self, specs: Any, given: bool) -> _Recorded:
        layers: dict[int, tuple[str, keras.Operation]] = {}
        for name, layer in walk(self.model):
            layers.setdefault(id(layer), (name, layer))
        seen: dict[str, Any] = {}

        def everything(inputs: Tensors) -> list[tf.Tensor]:
            outputs, calls = self._run(inputs, [layer for _, layer in layers.values()], weights=self.weights)
            seen.update(outputs=outputs, calls=calls)
            here = tf.compat.v1.get_default_graph()
            return [x for x in tf.nest.flatten([outputs, list(calls.values())]) if _is_in(x, here)]

        try:
            found = record(everything, specs)
        except Exception as error:
            if given or self.inputs is not None:
                raise
            raise ValueError(
                f"The types of the inputs {list(self._shapes)} of the model {self.model.name!r} are not known, and it "
                "does not take them all as floats. Give a batch: tfxai.layers(model, inputs=batch)."
            ) from error
        rows = []
        for key, calls in seen["calls"].items():
            name, layer = layers[key]
            numbered = [name] if len(calls) == 1 else [f"{name}#{number}" for number in range(len(calls))]
            rows += [(one, type(layer).__name__, output) for one, output in zip(numbered, calls, strict=True)]
        order = {op.name: number for number, op in enumerate(found.function.graph.get_operations())}
        rows.sort(key=lambda row: order.get(getattr(getattr(row[2], "op", None), "name", None), 0))
        return _Recorded(**vars(found), **seen, rows=rows)

    def _build(self, inputs: Any) -> None:
        """Have a model that has seen nothing make its weights, for inputs or specs like these."""
        with TRACING:
            if not self.model.built:
                with tf.init_scope():
                    self._call(tf.nest.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), inputs))

    def _specs(self, inputs: Any) -> Any:
        """Specs of inputs like these; where none are given, of what is known of the model's."""
        if inputs is not None:
            return self.specs_like(inputs)
        if not (self.inputs or self._shapes):
            hint = "Give a batch" if self.model.built else "Call it once on a batch, or give one"
            raise ValueError(
                f"The shapes in the model {self.model.name!r} are not known before it is given data. "
                f"{hint}: tfxai.layers(model, inputs=batch)."
            )
        shapes = {name: tf.TensorSpec(shape, keras.config.floatx()) for name, shape in self._shapes.items()}
        specs = self.specs_like(self.inputs or shapes)
        return next(iter(specs.values())) if len(specs) == 1 else specs

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


def _is_of_keras(part: keras.Operation) -> bool:
    """Whether neither a layer nor a function that it was given, such as its activation, is a user's."""
    code = [type(part), *filter(inspect.isfunction, vars(part).values())]
    own = all(one.__module__.partition(".")[0] in ("keras", "tensorflow") for one in code)
    return own and not isinstance(part, keras.layers.Lambda)  # whose function may say that it is of Keras


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


def _is_in(tensor: Any, here: tf.Graph) -> bool:
    return isinstance(tensor, tf.Tensor) and getattr(tensor, "graph", None) is here  # eager ones are in none


def _listed(run: Forward) -> list[tf.Tensor]:
    return [run.outputs, *run.read.values(), *run.masks]
