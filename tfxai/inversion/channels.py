"""Of what the mask is made: whose channels, where the user does not say, and what of these speaks for the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfxai.models import ModelView, graph
from tfxai.models.positions import positions
from tfxai.models.signs import is_nonnegative
from tfxai.models.view import Forward, traced
from tfxai.run import Run

CELLS = 12  # along the shorter side of a fine layer; the last convolution of VGG, which the paper takes, has 14


def base_layer(rule: str, inversion: str, view: ModelView, inputs: Any) -> str:
    """The base layer by default, see `Settings`."""
    if rule == "inversion":
        return inversion
    layers = view.layers(inputs)
    number = next((n for n, layer in enumerate(layers) if f"/{layer.name}".endswith(f"/{inversion}")), 0)
    last, before = layers[number], [layer for layer in layers[:number] if len(layer.shape) == 4]
    fine = [layer for layer in before if min(side or 0 for side in layer.shape[1:3]) >= CELLS] if rule == "fine" else []
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

    if inputs is None and view.inputs:
        inputs = view.inputs if len(view.inputs) > 1 else next(iter(view.inputs.values()))
    return traced(view, [*names, inversion], inputs, look) if names else {}


def evidence(run: Run, inversion: str, base: str) -> tf.Tensor:
    """What speaks for the class in each channel of the base layer, where it does so in the inversion layer too.

    ::

        E_c = relu(A_c dy/dA_c) relu(sum_k B_k dy/dB_k) / max

    with A of the base layer, B of the inversion layer, enlarged. The first factor, whose sum is LayerCAM (Jiang et al.
    2021), is fine, but finds edges of everything; the second (HiResCAM, Draelos and Carin 2020) is coarse, but knows
    classes. Where either is zero everywhere, it is left out; where nothing is left, the activations are taken.

    Parameters
    ----------
    run : Run
        A pass that read both layers.
    inversion, base : str
        The layers' names.

    Returns
    -------
    tf.Tensor
        (n, h, w, channels) in [0, 1], or the activations.
    """
    a = run.read[base]
    if a.shape.rank != 4:
        return a
    own, coarse = run.gradients([a, run.read[inversion]])
    a, b = tf.cast(a, tf.float32), tf.cast(run.read[inversion], tf.float32)
    found = _unit(tf.nn.relu(a * own), or_else=a)
    if base == inversion or b.shape.rank != 4:
        return found
    where = tf.nn.relu(tf.reduce_sum(b * coarse, -1, keepdims=True))
    return _unit(found * tf.image.resize(_unit(where, or_else=1.0), a.shape[1:3]), or_else=found)


def _unit(maps: tf.Tensor, or_else: tf.Tensor | float) -> tf.Tensor:
    """Maps with a maximum of 1 in each input; or something else, where all of them are zero."""
    most = tf.reduce_max(maps, [1, 2, 3], keepdims=True)
    return tf.where(most > 0, tf.math.divide_no_nan(maps, most), or_else)
