"""What an explainer may ask of a model, of whatever kind."""

from __future__ import annotations

import abc
import contextlib
import difflib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import tensorflow as tf

from tfxai.models.categories import Columns
from tfxai.models.custom_gradients import ConcreteFunction
from tfxai.models.flat import FlatGraph
from tfxai.models.overrides import Backward

Answer = TypeVar("Answer")
Tensors: TypeAlias = tf.Tensor | dict[str, tf.Tensor]  # what a model takes: one input, or several by name


class Layer(NamedTuple):
    """One layer of a model, as `tfxai.layers` lists it.

    Attributes
    ----------
    name : str
        What the ``layer=`` of an explainer takes; layers of inner models are ``"inner/name"``.
    kind : str
        Its class, such as ``"Conv2D"``; in a traced function its first operation, or ``"scope"`` if it holds layers.
    shape : tuple
        Shape of its output, None where it varies.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]

    @property
    def spatial(self) -> bool:
        """Whether the output is a stack of maps, so that the CAM family applies."""
        return len(self.shape) >= 3 and any(size is None or size > 1 for size in self.shape[1:-1])


@dataclass
class Forward:
    """One forward pass in the graph that is being traced.

    Attributes
    ----------
    outputs : tf.Tensor
        The selected output of the model, as the model gives it.
    read : dict
        Outputs of the layers that were asked for, by the name that was asked.
    modified_relus : int
        How many ReLUs have a modified gradient.
    masks : list of tf.Tensor
        Masks that layers gave to their outputs, where the model's framework has any.
    """

    outputs: tf.Tensor
    read: dict[str, tf.Tensor] = field(default_factory=dict)
    modified_relus: int = 0
    masks: list[tf.Tensor] = field(default_factory=list)


@dataclass
class Recording:
    """A pass of a model that was traced once, of which everything can be asked.

    Attributes
    ----------
    function : tf.types.experimental.ConcreteFunction
        From the inputs to all the tensors that may be asked for.
    inputs : tf.Tensor or dict
        The inputs, in the graph of the function.
    tensors : list of tf.Tensor
        What the function returns, as it is called in the graph.
    """

    function: ConcreteFunction
    inputs: Tensors
    tensors: list[tf.Tensor]

    @functools.cached_property
    def flat(self) -> FlatGraph:
        """The graph, flat, to be asked about."""
        return FlatGraph(self.function, gradients=False)

    @functools.cached_property
    def with_gradients(self) -> FlatGraph:
        """The graph, flat, to be run and differentiated."""
        return FlatGraph(self.function)

    def flat_name(self, tensor: tf.Tensor) -> str:
        """Name that one of the tensors has in the flat graph."""
        return self.flat.outputs[next(n for n, known in enumerate(self.tensors) if known is tensor)]


class ModelView(abc.ABC):
    """Read and edit one model, and modify its gradients, without changing it.

    What is to be computed is traced where it is computed, by `forward`. What is only asked, such as the names of layers
    and the shapes of their outputs, is answered by a pass that is traced for the question, by `recorded`; views whose
    models can be told apart by what they hold keep it for the next one.

    Attributes
    ----------
    inputs : dict or None
        Name to `tf.TensorSpec`; None as long as the model has not seen data.
    opaque : bool
        Whether it is called as it stands: outputs are what they are, and XLA has no part in it.
    kind : str
        What it is: a Keras model, a SavedModel, a TensorFlow or a Python function.
    preprocessor : callable, optional
        From a list of strings to inputs, where the model brings such a function.
    columns : Columns, optional
        What makes inputs of columns with strings, where the model brings such layers.
    origin : mapping
        Which model it is: ``model``, its name, ``model_kind``, and if given ``model_path``, ``output``, ``signature``.
    """

    inputs: dict[str, tf.TensorSpec] | None
    opaque: bool = False
    draw: tf.Variable | None = None
    preprocessor: Callable[[list[str]], Any] | None = None
    columns: Columns | None = None
    kind: str
    origin: Mapping[str, Any] = MappingProxyType({})

    @property
    def takes(self) -> Mapping[str, tf.TensorSpec | None] | None:
        """The same, also where no more is known of an input than its name: then its spec is None."""
        return self.inputs

    @property
    def batch_size(self) -> int | None:
        """How many rows the model takes, where that is fixed; None where it takes any number."""
        return next(iter(self.inputs.values())).shape[0] if self.inputs else None

    @property
    def in_graph(self) -> bool:
        """Whether no Python of a user's decides anything when the model is traced, so that its graph is all it does."""
        return not self.opaque

    def prepare(self, inputs: Any) -> None:  # noqa: B027
        """See a batch before the first trace; for views that learn shapes from data."""

    def running(self) -> contextlib.AbstractContextManager:
        """Context in which graphs that hold passes of the model are run."""
        return contextlib.nullcontext()

    def probe(self, inputs: Any, draw: int, compiled: bool = False, traced: bool = False) -> np.ndarray:
        """The selected output for a batch of arrays, computed now; of a random model that of a draw, if it is told.

        ``compiled``: by XLA, where it has to be. ``traced``: in a graph whose number of rows is open, as explanations
        are, even if that takes longer.
        """
        specs = self.specs_like(inputs)
        key = (*tf.nest.flatten(specs), compiled)
        if key not in self._probes:  # kept, for a new function would begin with the same random numbers
            function = tf.function(lambda x: self.forward(x).outputs, autograph=False, jit_compile=compiled or None)
            self._probes[key] = function.get_concrete_function(specs)
        return self._probes[key](tf.nest.map_structure(tf.constant, inputs)).numpy()

    def specs_like(self, inputs: Any) -> Any:
        """Specs of arrays, tensors or specs, with as many rows as the model takes."""
        return tf.nest.map_structure(lambda x: tf.TensorSpec([self.batch_size, *x.shape[1:]], x.dtype), inputs)

    def one_row(self, inputs: Any) -> Any:
        """The same for a single row, or as many as the model takes: what can be known of shapes is known then."""
        return tf.nest.map_structure(lambda x: tf.TensorSpec([self.batch_size or 1, *x.shape[1:]], x.dtype), inputs)

    @property
    def declared(self) -> Any:
        """The specs of the inputs as they are handed in: one alone, or several by name; None if they are not known."""
        if not self.inputs:
            return None
        return self.inputs if len(self.inputs) > 1 else next(iter(self.inputs.values()))

    @functools.cached_property
    def _probes(self) -> dict[tuple, ConcreteFunction]:
        return {}

    @abc.abstractmethod
    def forward(self, inputs: Any, read: Sequence[str] = (), backward: Backward | None = None) -> Forward:
        """Run the model in inference mode inside the current graph.

        Parameters
        ----------
        inputs : tf.Tensor or dict
            A tensor, or for several inputs a dict of tensors by name.
        read : sequence of str
            Names of layers whose outputs are requested, as `find` returns them.
        backward : str or tuple of str, optional
            How gradients are modified: of ReLUs by "guided" or "deconvnet", of strided convolutions by "resampled", of
            max-pooling by "switch" or "repeat". "flat": not at all, but in a graph of operations that calls no
            functions, as all of these are.
        """

    def recorded(self, inputs: Any, layers: Sequence[str] = ()) -> tuple[Recording, Forward]:
        """A pass for inputs like these, traced to be asked about, and what it reads of layers."""
        passes: list[Forward] = []

        def run(inputs: Tensors) -> list[tf.Tensor]:
            passes.append(self.forward(inputs, layers))
            return [passes[-1].outputs, *passes[-1].read.values()]

        return record(run, self.specs_like(inputs)), passes[-1]

    @abc.abstractmethod
    def layers(self, inputs: Any = None) -> list[Layer]:
        """All layers in the order in which they run."""

    @abc.abstractmethod
    def find(self, layer: Any) -> str:
        """Name of a layer given by name or as an object; ValueError with close matches if there is none."""

    @abc.abstractmethod
    def last_spatial(self, inputs: Any = None) -> str:
        """Name of the layer with the last maps that all paths to the selected output pass through; else ValueError."""


def traced(view: ModelView, layers: Sequence[str], inputs: Any, look: Callable[[Tensors, Forward], Answer]) -> Answer:
    """What ``look`` says about a pass of the model that reads layers, for inputs like these.

    The pass is the one that the view has `recorded`: of a Keras model all questions share it. ``look`` may look at the
    graph, which is the current one, and make operations of what is in it; none of them is ever run.
    """
    recording, forward = view.recorded(inputs, layers)
    with recording.function.graph.as_default():
        return look(recording.inputs, forward)


def record(run: Callable[[Tensors], list[tf.Tensor]], specs: Any) -> Recording:
    """Trace what takes the inputs of a model, of such specs, and returns all that may be asked for."""
    found: list[Any] = []

    def recording(inputs: Tensors) -> list[tf.Tensor]:
        found[:] = inputs, run(inputs)  # a model that makes its weights now is traced twice
        return found[1]

    with tf.init_scope():
        return Recording(tf.function(recording, autograph=False).get_concrete_function(specs), *found)


def by_name(inputs: Any) -> dict[str, Any]:
    """Inputs by their names; a single one is called "input"."""
    return inputs if isinstance(inputs, dict) else {"input": inputs}


def padded(arrays: Any, rows: int) -> Any:
    """Each array of a nested structure with its last row repeated until there are so many rows."""
    return tf.nest.map_structure(lambda x: np.concatenate([x, np.repeat(x[-1:], rows - len(x), 0)]), arrays)


def cut(arrays: Any, size: int | None) -> Iterator[Any]:
    """The arrays of a nested structure in parts of at most so many rows; all at once if that is None."""
    rows = len(tf.nest.flatten(arrays)[0])
    for start in range(0, rows, size or rows):
        yield tf.nest.map_structure(lambda x: x[start : start + (size or rows)], arrays)  # noqa: B023


def without_gradient(call: Callable, inputs: Sequence[tf.Tensor], error: Exception) -> tf.Tensor:
    """``call(*inputs)``; who asks for its gradient gets the error."""

    @tf.custom_gradient
    def called(*inputs: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def gradient(*signals: tf.Tensor, variables: Any = None) -> None:
            raise error

        return call(*inputs), gradient

    return called(*inputs)


def unknown_layer(name: str, known: Sequence[str], beside: str = "") -> ValueError:
    """The error for a layer that does not exist, and what else is to be said of it."""
    # A user may well leave out the path of a nested layer, so its last part is compared too.
    by_tail = {full.rsplit("/", 1)[-1]: full for full in known}
    close = difflib.get_close_matches(name, [*known, *by_tail], n=4, cutoff=0.5)
    names = list(dict.fromkeys(by_tail.get(match, match) for match in close))
    hint = f"Did you mean {' or '.join(map(repr, names))}?" if names else "No name is close."
    return ValueError(f"Unknown layer {name!r}. {hint} tfxai.layers(model) lists all {len(known)} layers.{beside}")


def choose_output(outputs: Any, names: Sequence[str], output: str | int | None) -> Any:
    """Pick one of a model's outputs by name or position; ValueError that lists them where that is not possible."""
    flat = list(outputs.values()) if isinstance(outputs, Mapping) else tf.nest.flatten(outputs)
    if output is None and len(flat) == 1:
        return flat[0]
    if isinstance(output, str) and output in names:
        return flat[list(names).index(output)]
    if isinstance(output, int) and not isinstance(output, bool) and -len(flat) <= output < len(flat):
        return flat[output]
    raise ValueError(
        f"The model has {len(flat)} outputs; expected output= to be one of {list(names)}, got {output!r}. For a score "
        "over several of them, explain a model that ends in their concatenation, such as keras.Model(model.inputs, "
        "keras.layers.Concatenate()(model.outputs)), with a function as target."
    )
