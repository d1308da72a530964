"""What a model's maps of attention are, and which part of which input their tokens stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from tfxai.models import open_model
from tfxai.models.attention import Attention, find
from tfxai.models.keras import KerasView
from tfxai.models.keras_layers import walk
from tfxai.models.placement import position_axes
from tfxai.models.receptive_field import in_flat_graph
from tfxai.models.token_places import Grid, Labels, flat, grid, labelled
from tfxai.models.view import ModelView


class AttentionMap(NamedTuple):
    """One map of attention of a model.

    Attributes
    ----------
    name : str
        The layer that it belongs to; ``"attention#1"`` is the second of one layer.
    kind : {"self", "cross"}
        Whether queries and keys come from one sequence.
    heads : int or None
        How many maps lie side by side.
    queries, keys : int or None
        How many tokens look, and are looked at; None where that varies.
    windows : int
        In how many parts, each with tokens of its own, an input is cut; 1: all tokens can meet.
    causal : bool
        Whether no token looks at those after it. It is seen in a pass that `attention` makes, so that it does not
        matter how the model hides them.
    """

    name: str
    kind: Literal["self", "cross"]
    heads: int | None
    queries: int | None
    keys: int | None
    windows: int
    causal: bool = False


class Known(NamedTuple):
    """What is known of attention before a model runs.

    Attributes
    ----------
    maps : list of AttentionMap
        In the order in which they run.
    sequences : list of (int, int)
        For each map, which sequence its queries belong to, and which its keys.
    grids : list of dict
        For each map, the inputs of which its keys are parts, and how they lie there.
    """

    maps: list[AttentionMap]
    sequences: list[tuple[int, int]]
    grids: list[dict[str, Grid]]


def attention(
    model: Any, output: str | int | None = None, signature: str | None = None, inputs: Any = None
) -> list[AttentionMap]:
    """List the maps of attention of a model in the order in which they run.

    They are read from its graph, by the pattern of what computes them: a softmax between two products of data. So it
    does not matter how the model is written, nor whether its layers can return scores.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function or path
        The model.
    output : str or int, optional
        Which output, if there are several: what leads to it is listed.
    signature : str, optional
        Which signature of a SavedModel.
    inputs : array, or list or dict of them, optional
        A batch, for a model that does not say what it takes, or that takes any number of tokens.

    Returns
    -------
    list of AttentionMap
        Tuples ``(name, kind, heads, queries, keys, windows, causal)``; empty if there is none.

    Examples
    --------
    >>> import keras, tfxai
    >>> x = keras.Input((6, 8))
    >>> model = keras.Model(x, keras.layers.MultiHeadAttention(2, 4, name="look")(x, x))
    >>> tfxai.attention(model)
    [AttentionMap(name='look', kind='self', heads=2, queries=6, keys=6, windows=1, causal=False)]
    """
    view = open_model(model, output, signature)
    if view.opaque:
        raise ValueError("A Python function is a black box. Give the model itself, or a tf.function.")
    if isinstance(inputs, list | tuple):
        inputs = dict(zip(view.takes or [f"input_{number}" for number in range(len(inputs))], inputs, strict=True))
    if inputs is None and view.inputs is None:
        view.layers()  # tells why nothing is known
    given = view.declared if inputs is None else tf.nest.map_structure(np.asarray, inputs)
    maps = known(view, given).maps
    return [one._replace(causal=seen) for one, seen in zip(maps, causal(view, given), strict=True)] if maps else []


def causal(view: ModelView, inputs: Any) -> list[bool]:
    """For each map, whether tokens look at none after them, seen in one pass."""
    specs = view.one_row(inputs)

    def any_number(spec: tf.TensorSpec) -> tf.Tensor:
        """Tokens that stand for something, and masks that hide nothing, are 1."""
        shape = [size or LENGTH for size in spec.shape]
        if spec.dtype.is_floating:
            return tf.random.stateless_normal(shape, [0, 0], dtype=spec.dtype)
        return tf.cast(tf.ones(shape), spec.dtype)

    @tf.function(autograph=False)
    def behind(inputs: Any) -> list[tf.Tensor]:
        found = []
        for one in find(tf.nest.flatten(inputs), view.forward(inputs, (), "flat").outputs):
            shares = one.by_head(one.weights)
            own = tf.shape(shares)[-2] == tf.shape(shares)[-1]
            beyond = tf.reduce_max(tf.abs(shares - tf.linalg.band_part(shares, -1, 0)))
            found.append(own & (tf.shape(shares)[-1] > 1) & (beyond < 1e-6) & (one.stream == one.source))
        return found

    with tf.init_scope(), view.running():  # at once, also while something else is traced
        return [bool(one) for one in behind(tf.nest.map_structure(any_number, specs))]


def known(view: ModelView, inputs: Any) -> Known:
    """What is known of the attention of a model, for inputs like these."""
    specs, rows = view.one_row(inputs), view.batch_size or 1
    key = tuple(tf.nest.flatten(specs))
    found = _KNOWN.setdefault(view, {})
    if key not in found:
        layers = _layers(view, specs)
        with tf.init_scope():
            in_flat_graph(view, [], specs, lambda ins, _, end: found.update({key: _look(ins, end, layers, rows)}))
    return found[key]


LENGTH = 8  # of sequences that may have any
_KNOWN: WeakKeyDictionary[ModelView, dict] = WeakKeyDictionary()


def _layers(view: ModelView, specs: Any) -> list[str]:
    """Names of the layers that may hold attention, those included whose output is no tensor."""
    if isinstance(view, KerasView):
        return [name for name, layer in walk(view.model) if type(layer).__name__ != "Softmax"]
    return [layer.name for layer in view.layers(specs)]


def _look(inputs: Mapping[str, tf.Tensor], output: tf.Tensor, layers: Sequence[str], rows: int) -> Known:
    maps = find(list(inputs.values()), output)
    grids: list[dict[str, Grid]] = [{} for _ in maps]
    for name, x in inputs.items():
        if not maps or not x.shape.is_fully_defined() or x.dtype == tf.bool:
            continue
        axes = position_axes(x, output) if x.dtype.is_floating and x.shape.rank > 2 else range(1, x.shape.rank)
        found = labelled(x, axes, {one.keys.name for one in maps}, output)
        for one, grid_of in zip(maps, grids, strict=True):
            laid = _laid(found.get(one.keys.name), one)
            if laid is not None:
                grid_of[name] = laid
    return Known(_described(maps, layers, rows), [(one.stream, one.source) for one in maps], grids)


def _laid(labels: list[Labels] | None, one: Attention) -> Grid | None:
    return None if labels is None else grid([flat(by_axis, one.keys, one.key_axis) for by_axis in labels])


def _described(maps: Sequence[Attention], layers: Sequence[str], rows: int) -> list[AttentionMap]:
    names = [_layer(one.weights.op.name, layers) for one in maps]
    found = []
    for number, (one, name) in enumerate(zip(maps, names, strict=True)):
        shape = one.by_head(one.weights).shape
        numbered = name if names.count(name) == 1 else f"{name}#{names[:number].count(name)}"
        kind: Literal["self", "cross"] = "self" if one.stream == one.source else "cross"
        found.append(AttentionMap(numbered, kind, shape[1], shape[2], shape[3], (shape[0] or rows) // rows))
    return found


def _layer(operation: str, layers: Sequence[str]) -> str:
    """The innermost layer in whose scope an operation stands; where there is none, the scope."""
    scopes = operation.split("/")[1:-1]
    bare = [scope.rpartition("_")[0] if scope.rpartition("_")[2].isdigit() else scope for scope in scopes]

    def depth(layer: str) -> int:
        """Where the path of a layer ends among the scopes; -1 if it does not lie there."""
        at = -1
        for part in layer.split("/"):
            at = next((n for n in range(at + 1, len(scopes)) if part in (scopes[n], bare[n])), len(scopes))
            if at == len(scopes):
                return -1
        return at

    ends = {layer: depth(layer) for layer in layers}
    best = max(ends, key=lambda layer: (ends[layer], len(layer.split("/"))), default="")
    return best if best and ends[best] >= 0 else "/".join(scopes)
