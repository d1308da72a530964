"""Of what the mask is made: whose channels, where the user does not say, and what of these speaks for the class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfxai.models import Layer, ModelView, graph
from tfxai.models.signs import is_nonnegative
from tfxai.models.view import Pass, traced
from tfxai.run import Run

CELLS = 12  # along the shorter side of a fine layer; the last convolution of VGG, which the paper takes, has 14
PADDINGS = {"Pad", "PadV2", "MirrorPad"}  # their rings have no place in the image


def base_layer(rule: str, inversion: str, view: ModelView, inputs: Any) -> str:
    """The base layer by default, see `Settings`."""
    if rule == "inversion":
        return inversion
    layers = view.layers(inputs)
    number = next((n for n, layer in enumerate(layers) if f"/{layer.name}".endswith(f"/{inversion}")), 0)
    fine = _fine(layers[:number], inversion, view, inputs) if rule == "fine" else None
    return fine or _pooled(layers[: number + 1], inversion)


def _pooled(layers: Sequence[Layer], inversion: str) -> str:
    """The layer before a pooling, whose maps are larger than the pooled ones; of any other layer, itself."""
    *before, last = layers
    if "Pool" in last.kind:
        for layer in reversed(before):
            if layer.spatial and len(layer.shape) == len(last.shape) and layer.shape[-1] == last.shape[-1]:
                return layer.name
    return inversion


def _fine(layers: Sequence[Layer], inversion: str, view: ModelView, inputs: Any) -> str | None:
    """The last of some layers that leads to the inversion layer and has enough positions."""
    names = [
        layer.name for layer in layers if len(layer.shape) == 4 and min(side or 0 for side in layer.shape[1:3]) >= CELLS
    ]

    def leading(_: Any, run: Pass) -> list[tuple[bool, str]]:
        end = run.read[inversion]
        path = graph.ancestors([end])
        found = [(name, run.read[name]) for name in names if run.read[name] is not end]
        return [
            (is_nonnegative(tensor), name)
            for name, tensor in found
            if tensor.op.name in path and tensor.op.type not in PADDINGS
        ]

    if inputs is None and view.inputs:
        inputs = view.inputs if len(view.inputs) > 1 else next(iter(view.inputs.values()))
    found = traced(view, [*names, inversion], inputs, leading) if names else []
    without_negative = [name for positive, name in found if positive]
    return next(reversed(without_negative or [name for _, name in found]), None)


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
