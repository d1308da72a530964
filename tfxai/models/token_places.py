"""Which part of an input each token stands for, derived from the graph.

Every value of the input is labelled with its coordinates, and labels go through the graph as values do: what moves
values moves labels, windows have the middle of what they see, weights the mean of what they sum, and what has met all
of the input has none. Class, register and distillation tokens come from no place, and so have no label either. Beside
what came from one place, what was added from elsewhere does not count.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.attention import terms
from tfxai.models.operations import (
    BLOCKS,
    CONVOLUTIONS,
    PADDINGS,
    PARTS,
    POOLINGS,
    PRODUCTS,
    REDUCTIONS,
    RESHAPES,
    RESIZES,
)

Labels = np.ndarray  # of the rank of its tensor, and of size 1 along axes on which they do not depend; NaN: none

_MOVES = RESHAPES | PARTS | PADDINGS | BLOCKS | {"BroadcastTo", "GatherNd", "ReverseV2", "Roll", "Tile", "Transpose"}
_WINDOWS = CONVOLUTIONS | POOLINGS | {"ExtractImagePatches"}
_LOOKUPS = {"Gather", "GatherV2", "OneHot", "ResourceGather"}


class Grid(NamedTuple):
    """Tokens that stand for places of an input, along its axes that are positions.

    Attributes
    ----------
    tokens : ndarray of int
        Which token stands at each place: (h, w) for an image. Others, such as class tokens, are left out.
    first : tuple of float
        Where the first place of each axis has its middle, in pixels.
    step : tuple of float
        Pixels from one place to the next.
    """

    tokens: np.ndarray
    first: tuple[float, ...]
    step: tuple[float, ...]


def flat(labels: Labels, tensor: tf.Tensor, axis: int | None = None) -> np.ndarray:
    """Labels of the tokens of a tensor, one after the other, where windows are rows window after window.

    They lie along one axis, or along all but the last, which holds their features.
    """
    wide = np.broadcast_to(labels, tensor.shape.as_list())
    if axis is None:
        return wide[..., 0].ravel()
    return np.moveaxis(wide, axis, 1).reshape([wide.shape[0], wide.shape[axis], -1])[..., 0].ravel()


def grid(coordinates: Sequence[np.ndarray]) -> Grid | None:
    """The grid of tokens with these labels, for each axis of the input that is a position; None if they make none."""
    placed = np.flatnonzero(~np.isnan(coordinates).any(0))
    found = [np.unique(np.round(one[placed], 4), return_inverse=True) for one in coordinates]
    shape = [len(places) for places, _ in found]
    if len(placed) < 2 or np.prod(shape) != len(placed):
        return None
    if any(np.ptp(np.diff(places)) > 1e-3 for places, _ in found if len(places) > 2):
        return None
    index = np.full(shape, -1)
    index[tuple(number for _, number in found)] = placed
    if (index < 0).any():
        return None
    step = tuple(float(places[1] - places[0]) if len(places) > 1 else np.inf for places, _ in found)
    return Grid(index, tuple(float(places[0]) for places, _ in found), step)


def evenly(shape: Sequence[int], sizes: Sequence[int], tokens: int | None) -> Grid:
    """The last tokens as a grid over all of an input, whose axes have these sizes."""
    count = int(np.prod(shape))
    if len(shape) != len(sizes) or tokens is None or count > tokens:
        raise ValueError(
            f"Expected grid to be {len(sizes)} numbers whose product is at most {tokens}, the number of tokens, "
            f"got {tuple(shape)}."
        )
    index = np.arange(tokens - count, tokens).reshape(shape)
    step = tuple(pixels / places for pixels, places in zip(sizes, shape, strict=True))
    return Grid(index, tuple((one - 1) / 2 for one in step), step)


def labelled(x: tf.Tensor, axes: Sequence[int], wanted: Collection[str], end: tf.Tensor) -> dict[str, list[Labels]]:
    """Labels of tensors between an input and an output, for each axis of the input that is a position.

    Parameters
    ----------
    x : tf.Tensor
        The input, in a flat graph of one row.
    axes : sequence of int
        Its axes that are positions.
    wanted : collection of str
        Names of the tensors.
    end : tf.Tensor
        The output.
    """
    steps = graph.flow([x], end)
    last = {name: number for number, step in enumerate(steps) for _, name in step.sources}
    known: dict[str, list[Labels]] = {x.name: [_coordinates(x, axis) for axis in axes]}
    found: dict[str, list[Labels]] = {}
    for number, (op, sources, outputs) in enumerate(steps):
        given = [(place, known[name]) for place, name in sources if name in known]
        for output in outputs if len(given) == len(sources) else ():
            by_axis = ([(place, one[axis]) for place, one in given] for axis in range(len(axes)))
            known[output.name] = found[output.name] = [_passed(op, one, output) for one in by_axis]
        for name in {name for _, name in sources if last[name] == number}:
            known.pop(name, None)
        found = {name: labels for name, labels in found.items() if name in wanted}
    return found


def _coordinates(x: tf.Tensor, axis: int) -> Labels:
    return np.arange(x.shape[axis], dtype=float).reshape([-1 if n == axis else 1 for n in range(x.shape.rank)])


def _nothing(output: tf.Tensor) -> Labels:
    return np.full([1] * (output.shape.rank or 0), np.nan)


def _passed(op: tf.Operation, given: list[tuple[int, Labels]], output: tf.Tensor) -> Labels:
    """Labels of an output, given those of the inputs that have any, by their numbers."""
    if not output.shape.is_fully_defined():
        return _nothing(output)
    if op.type in _LOOKUPS and not op.inputs[given[0][0]].dtype.is_floating:
        return given[0][1][..., None]
    if op.type in _WINDOWS:
        return _of_windows(op, given[0][1], output)
    if op.type in RESIZES:
        return _resized(op, given[0][1], output)
    if op.type in _MOVES:
        return _moved(op, given, output)
    if op.type in PRODUCTS:
        return _multiplied(op, given, output)
    if op.type in REDUCTIONS:
        axes = tf.get_static_value(op.inputs[1])
        return _nothing(output) if axes is None else _reduced(op, given[0][1], np.atleast_1d(axes))
    return _together([labels for _, labels in given], output)


def _together(labels: Sequence[Labels], output: tf.Tensor) -> Labels:
    """Of elementwise operations: of all that have a place there, the mean."""
    if any(len(one.shape) > output.shape.rank for one in labels):
        return _nothing(output)
    found = _nothing(output)
    try:
        for one in labels:
            found = np.where(np.isnan(found), one, np.where(np.isnan(one), found, (found + one) / 2))
        np.broadcast_shapes(found.shape, output.shape.as_list())
    except ValueError:
        return _nothing(output)
    return found


def _mean(labels: Labels, axes: tuple[int, ...], keepdims: bool = True) -> Labels:
    """What a sum over axes tells of: the middle of what was summed, and nothing if that was everything."""
    axes = tuple(axis for axis in axes if labels.shape[axis] > 1)
    if not axes:
        return labels
    low, high = np.nanmin(labels), np.nanmax(labels)
    least = np.where(np.isnan(labels), np.inf, labels).min(axes, keepdims=True)
    most = np.where(np.isnan(labels), -np.inf, labels).max(axes, keepdims=True)
    everything = (least == low) & (most == high) & (high > low)
    return np.where(everything | (most < least), np.nan, (least + np.where(most < least, least, most)) / 2)


def _reduced(op: tf.Operation, labels: Labels, axes: np.ndarray) -> Labels:
    gone = tuple(int(axis) % labels.ndim for axis in axes)
    found = _mean(labels, gone)
    found = found[tuple(slice(0, 1) if axis in gone else slice(None) for axis in range(labels.ndim))]
    kept = "keep_dims" in op.node_def.attr and op.get_attr("keep_dims")
    return found if kept else found.reshape([size for axis, size in enumerate(found.shape) if axis not in gone])


def _multiplied(op: tf.Operation, given: list[tuple[int, Labels]], output: tf.Tensor) -> Labels:
    """With weights: what the other axes tell. A product of data mixes all of them."""
    if len(given) > 1:
        return _nothing(output)
    number, labels = given[0]
    factors, result = terms(op)
    own = factors[number]
    labels = _mean(labels, tuple(axis for axis, letter in enumerate(own) if letter not in result))
    labels = labels[tuple(slice(0, 1) if letter not in result else slice(None) for letter in own)]
    sizes = dict(zip(own, labels.shape, strict=True))
    kept = [letter for letter in own if letter in result]
    labels = labels.reshape([sizes[letter] for letter in kept])
    labels = labels.transpose([kept.index(letter) for letter in result if letter in kept])
    return labels.reshape([sizes.get(letter, 1) for letter in result])


def _of_windows(op: tf.Operation, labels: Labels, output: tf.Tensor) -> Labels:
    first = graph.channels_first(op)
    spatial = range(2, labels.ndim) if first else range(1, labels.ndim - 1)
    labels = labels[:, :1] if first else labels[..., :1]
    for number, axis in enumerate(spatial):
        size, stride, low = _window(op, axis, number, output)
        if size is None:
            return _nothing(output)
        at = np.arange(output.shape[axis]) * stride - low + (size - 1) / 2
        labels = _at(labels, axis, at, op.inputs[0].shape[axis])
    return labels


def _window(op: tf.Operation, axis: int, number: int, output: tf.Tensor) -> tuple[int | None, int, float]:
    """Size, stride, and what is padded before, along an axis."""
    stride = op.get_attr("strides")[axis]
    if op.type in CONVOLUTIONS:
        kernel, dilation = op.inputs[1].shape[number], op.get_attr("dilations")[axis]
    elif op.type == "ExtractImagePatches":
        kernel, dilation = op.get_attr("ksizes")[axis], op.get_attr("rates")[axis]
    else:
        kernel, dilation = op.get_attr("ksize")[axis], 1
    if kernel is None:
        return None, stride, 0
    size = (kernel - 1) * dilation + 1
    padding = op.get_attr("padding")
    if padding == b"EXPLICIT":
        return size, stride, op.get_attr("explicit_paddings")[2 * axis]
    missing = (output.shape[axis] - 1) * stride + size - op.inputs[0].shape[axis]
    return size, stride, max(missing, 0) // 2 if padding == b"SAME" else 0


def _resized(op: tf.Operation, labels: Labels, output: tf.Tensor) -> Labels:
    for axis in (1, 2):
        old, new = op.inputs[0].shape[axis], output.shape[axis]
        labels = _at(labels, axis, (np.arange(new) + 0.5) * old / new - 0.5, old)
    return labels


def _at(labels: Labels, axis: int, places: np.ndarray, size: int) -> Labels:
    """Labels between those of an axis, and beyond its ends."""
    if labels.shape[axis] == 1:
        return labels if size > 1 else np.repeat(labels, len(places), axis)
    low = np.clip(np.floor(places).astype(int), 0, size - 2)
    share = (places - low).reshape([-1 if n == axis else 1 for n in range(labels.ndim)])
    before, after = np.take(labels, low, axis), np.take(labels, low + 1, axis)
    return np.where(share == 0, before, np.where(share == 1, after, (1 - share) * before + share * after))


def _moved(op: tf.Operation, given: list[tuple[int, Labels]], output: tf.Tensor) -> Labels:
    """The operation itself, run on labels."""
    known = dict(given)
    inputs: list[Any] = []
    for number, x in enumerate(op.inputs):
        if number in known:
            inputs.append(np.broadcast_to(known[number], x.shape.as_list()))
        elif x.dtype.is_floating:
            inputs.append(np.full(x.shape.as_list(), np.nan))
        else:
            inputs.append(graph.constant_value(x))
            if inputs[-1] is None:
                return _nothing(output)
    with contextlib.suppress(tf.errors.InvalidArgumentError), tf.init_scope():
        found = _run(op, inputs)[output.value_index].numpy()
        return _narrow(found)
    return _nothing(output)


def _narrow(labels: Labels) -> Labels:
    """Of size 1 along axes on which they do not depend."""
    for axis in range(labels.ndim):
        first = np.take(labels, [0], axis)
        if ((labels == first) | (np.isnan(labels) & np.isnan(first))).all():
            labels = first
    return labels


def _run(op: tf.Operation, inputs: list[Any]) -> list[tf.Tensor]:
    """An operation, at once, on arrays; where it pads, with NaN."""
    kind, definition = ("PadV2" if op.type == "Pad" else op.type), op.op_def
    run: Callable[..., Any] = getattr(tf.raw_ops, kind)
    names = iter(inspect.signature(run).parameters)  # inputs come first; some have other names here
    derived = {name for one in definition.input_arg for name in (one.type_attr, one.number_attr, one.type_list_attr)}
    options: dict[str, Any] = {one.name: op.get_attr(one.name) for one in definition.attr if one.name not in derived}
    waiting = iter(inputs)
    for one in definition.input_arg:
        many = [next(waiting) for _ in range(op.get_attr(one.number_attr))] if one.number_attr else None
        options[next(names)] = next(waiting) if many is None else many
    if op.type == "Pad":
        options["constant_values"] = np.float64(np.nan)
    found = run(**options)
    return list(found) if isinstance(found, list | tuple) else [found]
