"""Layers of tokens as maps: which layer is the last, and how tokens are laid out as the grid in which they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfxai.maps import token_grids
from tfxai.models import ModelView
from tfxai.models.stack import TokensAreLast, no_maps
from tfxai.models.token_layers import last_tokens
from tfxai.models.token_places import Grid, evenly
from tfxai.run import Run


def last_layer(view: ModelView, inputs: Any = None) -> str:
    """Name of the layer with the last maps that all paths pass through, or of the last tokens that stand for places.

    ``inputs``: a batch, or specs; where there is none, those that the model says it takes.
    """
    try:
        return view.last_spatial(inputs)
    except TokensAreLast:
        last = last_tokens(view, view.one_row(view.declared if inputs is None else inputs))
        if last is None:
            raise
        return last


def grids(run: Run, layer: str, given: Sequence[int] | None = None) -> dict[str, Grid]:
    """Of a layer of tokens, where they lie, by the names of inputs; empty for one of maps.

    ``given``: rows and columns of the last tokens, for a layer of which the graph does not tell.

    Raises
    ------
    ValueError
        If the positions of the layer are known to be no grid of an input's.
    """
    if layer not in run._grids:  # it takes a walk through the graph
        run._grids[layer] = _grids(run, layer, given)
    return run._grids[layer]


def _grids(run: Run, layer: str, given: Sequence[int] | None) -> dict[str, Grid]:
    x = run.read[layer]
    reason = no_maps(layer, x, tf.nest.flatten(run.inputs))
    if reason is None:
        return {}
    if given is not None and x.shape.rank == 3:
        return {run.name(run.image): evenly(given, run.size(run.image), x.shape[1])}
    found = token_grids(run.view, [layer], run.inputs)[layer]
    if not found:
        raise ValueError(reason)
    return found


def as_maps(x: tf.Tensor, known: Mapping[str, Grid]) -> tf.Tensor:
    """(n, h, w, c) float32 of what has the shape of a layer, whose tokens lie so; of maps, as they are."""
    x = tf.cast(x, tf.float32)
    if not known:
        return x
    tokens = next(iter(known.values())).tokens
    held = x.shape[1:-1].num_elements()
    windows = -(-(int(tokens.max()) + 1) // held)  # rows that hold the tokens of one image
    rows = tf.reshape(x, [-1, held * windows, x.shape[-1]])
    return tf.reshape(tf.gather(rows, tokens.ravel(), axis=1), [-1, *tokens.shape, x.shape[-1]])
