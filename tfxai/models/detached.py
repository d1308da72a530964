"""A model with weights of its own: they may be changed, and the model stays as it is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfxai.models.keras import KerasView
from tfxai.models.keras_layers import walk
from tfxai.models.traced import TracedView
from tfxai.models.view import ModelView

# What Keras calls the initialiser of a weight, where that is not its name and "_initializer".
INITIALIZERS = {"recurrent_kernel": "recurrent", "depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise"}


class Weight(NamedTuple):
    """One weight of a layer, in a detached view.

    Attributes
    ----------
    name : str
        Path of the layer and its own name, such as ``"block/conv/kernel"``.
    value : tf.Variable
        What the view reads; it may be assigned.
    original : keras.Variable or tf.Variable
        The weight of the model.
    initializer : callable, optional
        The layer's, where it tells.
    """

    name: str
    value: tf.Variable
    original: keras.Variable | tf.Variable
    initializer: Any

    def restore(self) -> None:
        """Have the view read what the model has."""
        self.value.assign(tf.convert_to_tensor(self.original))

    def initialized(self, random: np.random.Generator) -> np.ndarray | None:
        """Values as the layer's initialiser draws them; None where it has none."""
        if not callable(self.initializer):
            return None
        config = self.initializer.get_config() if hasattr(self.initializer, "get_config") else {}
        drawn = self.initializer
        if "seed" in config:  # one that is fixed would draw the weights before training
            drawn = type(drawn).from_config(config | {"seed": int(random.integers(2**31 - 1))})
        return np.asarray(drawn(self.value.shape, dtype=self.value.dtype.name))


class DetachedView(KerasView):
    """The view of a Keras model that reads weights of its own, which are the model's at first.

    Nothing of the model is copied but these: while it is called, its variables are looked up here.
    """

    def __init__(self, view: KerasView):
        if not view.model.built:
            raise ValueError(f"The model {view.model.name!r} is not built. Call it once on data, or load its weights.")
        super().__init__(view.model, view.output)
        self.preprocessor, self.columns, self.origin = view.preprocessor, view.columns, view.origin
        self.weights = {id(one): tf.Variable(one.value, trainable=False) for one in view.model.weights}
        self._own_recordings: dict[Any, Any] = {}

    @property
    def _recordings(self) -> dict[Any, Any]:
        return self._own_recordings  # which read these weights, and go with them

    def layer_weights(self, inputs: Any = None) -> dict[str, list[Weight]]:
        """The weights of each layer that has some, by its path; the first layer is the one nearest to the output.

        Of nested models and blocks every layer is one of its own.
        """
        recording = self._recorded(inputs)
        order = {op.name: number for number, op in enumerate(recording.function.graph.get_operations())}
        found: dict[int, tuple[int, str, keras.Operation]] = {}
        places = {"": len(order)}
        for path, layer in walk(self.model):
            outputs = tf.nest.flatten(recording.calls.get(id(layer), []))
            own = [order[x.op.name] for x in outputs if getattr(x, "graph", None) is recording.function.graph]
            # one that runs inside a loop lies where what it is a part of does
            places[path] = max(own, default=places[path.rpartition("/")[0]])
            found.setdefault(id(layer), (places[path], path, layer))
        found[id(self.model)] = places[""], self.model.name, self.model
        ordered = sorted(found.values(), key=lambda one: -one[0])
        named = {path: list(self._own(path, layer)) for _, path, layer in ordered}
        return {path: weights for path, weights in named.items() if weights}

    def _own(self, path: str, layer: keras.Operation) -> Iterator[Weight]:
        """The weights of a layer that none of its parts has."""
        if not isinstance(layer, keras.Layer):
            return
        below = {id(one) for _, part in walk(layer) if isinstance(part, keras.Layer) for one in part.weights}
        for one in layer.weights:
            if id(one) not in below and id(one) in (self.weights or {}):
                initializer = getattr(layer, f"{INITIALIZERS.get(one.name, one.name)}_initializer", None)
                yield Weight(f"{path}/{one.name}", self.weights[id(one)], one, initializer)  # type: ignore[index]


class DetachedTracedView(TracedView):
    """The view of a SavedModel or a `tf.function` that reads weights of its own, which are the model's at first.

    Its graph is pasted with these in the place of the variables to which it refers. A layer is what stands before the
    last "/" in the name of a variable, as Keras exports them.
    """

    def __init__(self, view: TracedView):
        super().__init__(view._function, view.output, view.name, view._owner, view._loaded)
        self.preprocessor, self.columns, self.origin = view.preprocessor, view.columns, view.origin
        self._own: dict[int, tf.Variable] = {}

    def _captured(self, tensor: tf.Tensor) -> tf.Tensor:
        own = self._own.get(id(tensor))
        return tf.compat.v1.get_default_graph().capture(tensor if own is None else own.handle)

    def _traced(self, inputs: Any = None) -> Any:
        traced = super()._traced(inputs)
        if traced.closed:
            raise ValueError(
                f"The weights of {self.name} cannot be replaced: it has loops or conditions of TensorFlow 1. Take the "
                "Keras model from which it was exported."
            )
        with self._looking, tf.init_scope():
            for _, one in traced.flat.last_read():
                if id(one.handle) not in self._own and one.dtype.is_floating:
                    self._own[id(one.handle)] = tf.Variable(one, trainable=False)
        return traced

    def layer_weights(self, inputs: Any = None) -> dict[str, list[Weight]]:
        """The weights of each layer that has some, by its path; the first layer is the one nearest to the output."""
        found: dict[str, list[Weight]] = defaultdict(list)
        for _, one in sorted(self._traced(inputs).flat.last_read(), key=lambda pair: -pair[0]):
            name = one.name.partition(":")[0]
            if id(one.handle) in self._own:
                found[name.rpartition("/")[0] or name].append(Weight(name, self._own[id(one.handle)], one, None))
        return dict(found)


Detached: TypeAlias = DetachedView | DetachedTracedView


def detached(view: ModelView) -> Detached:
    """The same model with weights of its own.

    Raises
    ------
    ValueError
        If it has none to exchange, or they are not made yet.
    """
    if isinstance(view, KerasView):
        return DetachedView(view)
    if isinstance(view, TracedView):
        return DetachedTracedView(view)
    raise ValueError(
        f"Expected a Keras model, a SavedModel or a tf.function, whose weights can be replaced, got a {view.kind}."
    )
