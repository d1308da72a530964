"""Channels of layers: of which layers, what their units see, and what a model gives without some of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from tfxai.maps import token_grids
from tfxai.models import ModelView
from tfxai.models.graph import edited
from tfxai.models.receptive_field import ReceptiveField, TokenField, receptive_fields
from tfxai.models.view import by_name
from tfxai.types import Layer


def named(view: ModelView, layers: Sequence[Layer] | None) -> tuple[str, ...] | None:
    """The names of the layers that are given, each once; None if none are.

    Raises
    ------
    ValueError
        If it is not a list of layers, or a layer does not exist.
    """
    if layers is None:
        return None
    if isinstance(layers, str) or not len(layers):
        raise ValueError(f"Expected layers to be a list of at least one layer, got {layers!r}.")
    return tuple(dict.fromkeys(view.find(one) for one in layers))


def fields(view: ModelView, layers: tuple[str, ...], inputs: Any) -> dict[str, ReceptiveField]:
    """What the units of layers see of inputs of this size; of tokens of an image, the part that each stands for."""
    specs = view.one_row(inputs)
    sequences: list[str] = []
    if any(x.shape.rank == 4 for x in tf.nest.flatten(specs)):
        ranks = {layer.name: len(layer.shape) for layer in view.layers(specs)}
        sequences = [name for name in layers if ranks.get(name) == 3]
    tokens = token_grids(view, sequences, inputs) if sequences else {}
    found = receptive_fields(view, [name for name in layers if not tokens.get(name)], specs)
    for name, grids in tokens.items():
        for input, grid in grids.items():
            found[name] = TokenField.of_grid(grid, by_name(specs)[input].shape[1:-1])
    return found


def over_sites(x: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """(n, channels) as (n, 1, ..., channels), to be combined with maps, (n, ..., channels)."""
    return tf.reshape(x, [-1, *[1] * (maps.shape.rank - 2), maps.shape[-1]])


def at_peaks(chosen: tf.Tensor, maps: tf.Tensor) -> tf.Tensor:
    """(n, ..., channels) bool: of the channels that are chosen, (n, channels), the unit that is active most."""
    flat = tf.reshape(maps, [tf.shape(maps)[0], -1, maps.shape[-1]])
    peaks = tf.one_hot(tf.argmax(flat, 1), tf.shape(flat)[1], True, False, axis=1, dtype=tf.bool)
    return tf.reshape(peaks & chosen[:, None], tf.shape(maps))


def without(read: Mapping[str, tf.Tensor], removed: Mapping[str, tf.Tensor], end: tf.Tensor) -> tf.Tensor:
    """What ``end`` would be if some channels of layers were zero, and all that depends on them were computed again.

    Parameters
    ----------
    read : mapping
        Layer to its output, (n, ..., channels).
    removed : mapping
        Layer to (n, channels) bool, true where a channel is zero; or (1, channels), for all inputs; or of the shape of
        the layer, true where a unit is zero.
    end : tf.Tensor
        What is to be computed.
    """

    def zeroed(mask: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        return lambda maps: tf.where(
            over_sites(mask, maps) if len(mask.shape) == 2 else mask, tf.zeros([], maps.dtype), maps
        )

    return edited([(read[layer], zeroed(mask)) for layer, mask in removed.items()], end)
