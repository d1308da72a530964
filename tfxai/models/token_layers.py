"""Layers whose output holds tokens that stand for places of an image, and the last that a map can be made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.attention import find
from tfxai.models.operations import BLOCKS, PARTS
from tfxai.models.placement import position_axes
from tfxai.models.receptive_field import in_flat_graph
from tfxai.models.token_places import Grid, Labels, flat, grid, labelled
from tfxai.models.view import ModelView

_CUTS = PARTS - {"ConcatV2", "Pack"} | {"GatherNd"} | BLOCKS


def grids_of(view: ModelView, layers: Sequence[str], specs: Any) -> dict[str, dict[str, Grid]]:
    """For each layer, the images of which its tokens are parts, and how they lie there.

    Parameters
    ----------
    view : ModelView
        The model.
    layers : sequence of str
        Names of layers, as the view's `find` gives them.
    specs : tf.TensorSpec or dict of them
        Shapes of the inputs, all known.
    """
    found: dict[str, dict[str, Grid]] = {name: {} for name in layers}

    def look(inputs: Mapping[str, tf.Tensor], ends: Mapping[str, tf.Tensor], output: tf.Tensor) -> None:
        for name, x in _images(inputs).items():
            origins = {layer: graph.origin(end, {x.name}) for layer, end in ends.items()}
            labels = _labels(x, {one.name for one in origins.values()}, output)
            for layer, one in origins.items():
                laid = _grid(labels.get(one.name), one)
                if laid is not None:
                    found[layer][name] = laid

    in_flat_graph(view, layers, specs, look)
    return found


def last_tokens(view: ModelView, specs: Any) -> str | None:
    """Name of the last layer of tokens that all paths from an image pass, and of whose tokens all are read.

    Behind the last attention, a model that reads its class token reads no other; one that averages tokens reads all.
    """
    names = [layer.name for layer in view.layers(specs) if len(layer.shape) >= 3]
    found: list[str | None] = [None]

    def look(inputs: Mapping[str, tf.Tensor], ends: Mapping[str, tf.Tensor], output: tf.Tensor) -> None:
        layers: dict[str, str] = {}
        for layer, end in ends.items():
            layers.setdefault(graph.origin(end).name, layer)
        for x in _images(inputs).values():
            steps = graph.flow([x], output)
            passed = graph.cuts(steps, graph.origin(output, {x.name}).name)
            maps = find([x], output)
            labels = _labels(x, {y.name for step in steps for y in step.outputs}, output)
            made = {y.name: y for step in steps for y in step.outputs}
            tokens = [name for name in passed if name in layers and _grid(labels.get(name), made[name]) is not None]
            if maps and not _all_read(steps, labels, maps[-1].mixed.name):
                before = graph.ancestors([maps[-1].weights])
                tokens = [name for name in tokens if made[name].op.name in before]
            if tokens:
                found[0] = layers[tokens[-1]]

    in_flat_graph(view, names, specs, look)
    return found[0]


def _images(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {name: x for name, x in inputs.items() if x.dtype.is_floating and x.shape.rank >= 4}


def _labels(x: tf.Tensor, wanted: Collection[str], output: tf.Tensor) -> dict[str, list[Labels]]:
    return labelled(x, position_axes(x, output), wanted, output)


def _grid(labels: list[Labels] | None, tensor: tf.Tensor) -> Grid | None:
    """The grid of the vectors along the last axis of a tensor; None if they make none."""
    if labels is None or tensor.shape.rank < 3 or any(one.shape[-1] > 1 for one in labels):
        return None
    return grid([flat(one, tensor) for one in labels])


def _all_read(steps: Sequence[graph.Step], labels: Mapping[str, list[Labels]], last: str) -> bool:
    """Whether what follows an operation takes all tokens together, and does not only pick one."""

    def placed(name: str) -> bool:
        return any(len(np.unique(one[~np.isnan(one)])) > 1 for one in labels.get(name, []))

    behind = False
    for step in steps:
        taken = behind and step.op.type not in _CUTS and any(placed(name) for _, name in step.sources)
        if taken and not any(placed(y.name) for y in step.outputs):
            return True
        behind = behind or step.op.name == last
    return False
