"""The layer whose channels make the mask, where the user names none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfxai.inversion.settings import Base
from tfxai.models import ModelView, graph
from tfxai.models.positions import positions
from tfxai.models.signs import is_nonnegative
from tfxai.models.view import Forward, traced

CELLS = 12  # along the shorter side of a fine layer; the last convolution of VGG, which the paper takes, has 14


def default_base_layer(rule: Base, inversion: str, view: ModelView, inputs: Any) -> str:
    """The base layer for an inversion layer, see `Settings`."""
    if rule == "inversion":
        return inversion
    layers = view.layers(inputs)
    number = next((n for n, layer in enumerate(layers) if f"/{layer.name}".endswith(f"/{inversion}")), 0)
    last, before = layers[number], [layer for layer in layers[:number] if len(layer.shape) == len(layers[number].shape)]
    sides = {layer.name: min((side or 0 for side in layer.shape[1:-1]), default=0) for layer in before}
    fine = [layer for layer in before if sides[layer.name] >= CELLS] if rule == "fine" else []
    pooled = [layer for layer in before if layer.shape[-1] == last.shape[-1]] if "Pool" in last.kind else []
    found = _leading([layer.name for layer in [*fine, *pooled]], inversion, view, inputs)
    names = [layer.name for layer in fine if found.get(layer.name)]  # which have no negative values
    names = names or [layer.name for layer in fine or pooled if layer.name in found]
    names = names or [layer.name for layer in pooled if layer.name in found]  # their maps are larger than the pooled
    return names[-1] if names else inversion


def _leading(names: Sequence[str], inversion: str, view: ModelView, inputs: Any) -> dict[str, bool]:
    """Of some layers those with maps that lead to the inversion layer, and whether these have no negative values."""

    def look(given: Any, run: Forward) -> dict[str, bool]:
        starts, end = tf.nest.flatten(given), run.read[inversion]
        steps = graph.flow(starts, end)
        known, passed = positions(steps, starts), graph.cuts(steps, graph.origin(end).name)
        found = {}
        for name in names:
            tensor = graph.origin(run.read[name])
            leads = tensor.name in known and tensor is not graph.origin(end)
            by_luck = "#" in name and tensor.name not in passed  # one of several runs
            if leads and known[tensor.name].holds_features(tensor) and not by_luck:
                found[name] = is_nonnegative(tensor)
        return found

    return traced(view, [*names, inversion], view.declared if inputs is None else inputs, look) if names else {}
