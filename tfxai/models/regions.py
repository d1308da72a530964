"""What becomes of a change in a region: where an operation's outputs change, and how to compute only these.

What a patch of the input reaches is its projective field (Nakandala, Kumar and Papakonstantinou, "Incremental and
Approximate Inference for Faster Occlusion-based Deep CNN Explanations", SIGMOD 2019). A rule is given an operation and
where its inputs change. It answers with nothing where an operation mixes all positions, or with a `Local`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import (
    AVERAGE_POOLINGS,
    CONVOLUTIONS,
    ELEMENTWISE,
    MATRIX_PRODUCTS,
    MAX_POOLINGS,
    NORMS,
    REDUCTIONS,
    SIZES,
    SOFTMAXES,
)
from tfxai.models.span_rules import geometry, kernel, slices


class Region(NamedTuple):
    """Boxes of one size, one for each of several windows, in a tensor (n, positions, channels).

    Attributes
    ----------
    starts : np.ndarray
        (windows, axes) the first place along each axis of positions; before 0 where padding is read.
    sizes : tuple of int
        How many places.
    """

    starts: np.ndarray
    sizes: tuple[int, ...]

    @property
    def ends(self) -> np.ndarray:
        return self.starts + self.sizes

    def same(self, other: Region) -> bool:
        return self.sizes == other.sizes and np.array_equal(self.starts, other.starts)


class Reader(Protocol):
    """What a step may ask for besides its inputs."""

    @property
    def count(self) -> tf.Tensor:
        """How many copies there are of rows of the first pass."""

    def before(self, x: tf.Tensor, region: Region) -> tf.Tensor:
        """(copies, *sizes, channels) what a tensor was in the first pass."""

    def inside(self, within: Sequence[int], region: Region) -> tf.Tensor:
        """(copies, *sizes, 1) 1 where a region lies within the border of a tensor of such lengths."""

    def repeated(self, x: tf.Tensor) -> tf.Tensor:
        """(copies, ...) the rows that a tensor had in the first pass."""


@dataclass(frozen=True)
class Local:
    """How an operation runs on regions.

    Attributes
    ----------
    reads : dict
        The region that it reads of each of its inputs that change, by number.
    region : Region or None
        Where its outputs change; None: they are computed whole.
    compute : callable
        From its inputs, cut to these regions, to its outputs.
    outside : float
        What it finds beyond the border.
    """

    reads: Mapping[int, Region]
    region: Region | None
    compute: Callable[[Sequence[tf.Tensor], Reader], list[tf.Tensor]]
    outside: float = 0.0


Rule = Callable[[tf.Operation, Mapping[int, Region]], Local | None]


def local(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    """How an operation runs on regions of those of its inputs that change, by number; None if it takes them whole."""
    rule = RULES.get(op.type)
    shapes = [op.inputs[number].shape for number in regions]
    if rule is None or graph.channels_first(op) or not all(map(_has_places, shapes)):
        return None
    return rule(op, regions)


def _has_places(shape: tf.TensorShape) -> bool:
    return (shape.rank or 0) >= 3 and shape[1:].is_fully_defined()


def lengths(tensor: tf.Tensor) -> list[int]:
    """How many places a tensor (n, positions, channels) has along each axis."""
    return tensor.shape[1:-1].as_list()


def union(regions: Sequence[Region], within: Sequence[int]) -> Region:
    """The smallest boxes that hold those of all regions."""
    if len(regions) == 1:
        return regions[0]
    starts = np.min([region.starts for region in regions], 0)
    return boxes(starts, np.max([region.ends for region in regions], 0) - 1, within)


def boxes(first: np.ndarray, last: np.ndarray, within: Sequence[int]) -> Region:
    """Boxes of one size that hold all from (windows, axes) first to last places, and lie within the border."""
    first, last = np.maximum(first, 0), np.minimum(last, np.array(within) - 1)
    sizes = np.maximum((last - first + 1).max(0), 1)
    return Region(np.clip(first, 0, np.array(within) - sizes), tuple(sizes.tolist()))


def _pointwise(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    """Each number by itself, or each position."""
    if op.type in NORMS and op.get_attr("is_training"):
        return None
    places = lengths(op.inputs[next(iter(regions))])
    for number, x in enumerate(op.inputs):
        along = x.shape.as_list()[-len(places) - 1 : -1] if x.shape.rank else []  # if it is constant: of its positions
        if (number in regions and lengths(x) != places) or (number not in regions and set(along) - {1}):
            return None
    region = union(list(regions.values()), places)
    return Local(dict.fromkeys(regions, region), region, lambda inputs, _: graph.again(op, inputs, custom=False))


def _each_position(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    """Channels of one position are mixed: shares and means of them, and products with a matrix."""
    rank = op.inputs[0].shape.rank
    if set(regions) != {0}:
        return None
    if op.type in MATRIX_PRODUCTS and (op.get_attr("adj_x") or op.inputs[1].shape.rank != 2):
        return None
    if op.type in REDUCTIONS:
        axes = tf.get_static_value(op.inputs[1])
        if axes is None or not op.get_attr("keep_dims") or set(np.atleast_1d(axes) % rank) != {rank - 1}:
            return None
    return Local(regions, regions[0], lambda inputs, _: graph.again(op, inputs, custom=False))


def _reduced(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    """Sums and means over all positions change by what changed; those over channels are of each position."""
    rank, axes = op.inputs[0].shape.rank, tf.get_static_value(op.inputs[1])
    if op.type not in ("Mean", "Sum") or axes is None or set(np.atleast_1d(axes) % rank) != set(range(1, rank - 1)):
        return _each_position(op, regions)
    (region,), x = regions.values(), op.inputs[0]
    count = math.prod(lengths(x)) if op.type == "Mean" else 1

    def compute(inputs: Sequence[tf.Tensor], reader: Reader) -> list[tf.Tensor]:
        change = tf.reduce_sum(inputs[0] - reader.before(x, region), axes, bool(op.get_attr("keep_dims")))
        return [reader.repeated(op.outputs[0]) + change / tf.cast(count, x.dtype)]

    return Local(regions, None, compute)


def _convolved(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    return _windowed(op, regions, kernel(op, op.outputs[0].shape.rank))


def _pooled(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    if op.type == "MaxPoolV2":
        return None
    return _windowed(op, regions, op.get_attr("ksize"))


def _windowed(op: tf.Operation, regions: Mapping[int, Region], window: Sequence[int]) -> Local | None:
    """A window moves over the input: of what it reads, all that lies beyond the border is given, and none is added."""
    if set(regions) != {0}:
        return None
    (region,), x, y = regions.values(), op.inputs[0], op.outputs[0]
    axes = range(1, x.shape.rank - 1)
    stride, reach, before = np.transpose([geometry(op, axis, window[axis], x.shape[axis]) for axis in axes])
    first = -((reach - before - region.starts) // stride)  # rounded up
    found = boxes(first, (region.ends - 1 + before) // stride, lengths(y))
    read = Region(found.starts * stride - before, tuple(((np.array(found.sizes) - 1) * stride + reach + 1).tolist()))
    valid = {"padding": tf.compat.v1.AttrValue(s=b"VALID")}
    if "explicit_paddings" in op.node_def.attr:
        valid["explicit_paddings"] = tf.compat.v1.AttrValue(list=tf.compat.v1.AttrValue.ListValue())
    padded = bool((read.starts < 0).any() or (read.ends > lengths(x)).any())

    def compute(inputs: Sequence[tf.Tensor], reader: Reader) -> list[tf.Tensor]:
        outputs = graph.again(op, inputs, custom=False, attributes=valid)
        if padded and op.type in AVERAGE_POOLINGS:  # the mean is of what lies within the border
            share = graph.again(op, [tf.cast(reader.inside(lengths(x), read), x.dtype)], False, valid)[0]
            outputs[0] /= tf.repeat(share, y.shape[-1], -1)
        return outputs

    return Local({0: read}, found, compute, x.dtype.min if op.type in MAX_POOLINGS else 0.0)


def _padded(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    widths = graph.constant_value(op.inputs[1])
    if widths is None or widths[[0, -1]].any() or (widths < 0).any():
        return None
    (region,) = regions.values()
    moved = Region(region.starts + widths[1:-1, 0], region.sizes)
    return Local(regions, moved, lambda inputs, _: [inputs[0]])


def _cropped(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    """What is left of the positions, all next to each other; channels may be left out too."""
    cut, (region,), rank = slices(op), regions.values(), op.inputs[0].shape.rank
    if set(regions) != {0} or cut is None or len(cut) > rank or not all(isinstance(one, slice) for one in cut):
        return None
    cut += (slice(None),) * (rank - len(cut))
    if cut[0] != slice(None) and cut[0] != slice(None, None, 1):
        return None
    ranges = [range(size)[one] for one, size in zip(cut[1:], op.inputs[0].shape[1:], strict=True)]
    if any(one.step != 1 for one in ranges):
        return None
    begin = np.array([one.start for one in ranges[:-1]])
    found = boxes(region.starts - begin, region.ends - 1 - begin, lengths(op.outputs[0]))
    read = Region(found.starts + begin, found.sizes)
    return Local({0: read}, found, lambda inputs, _: [inputs[0][..., ranges[-1].start : ranges[-1].stop]])


def _concatenated(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    """Channels side by side; where some do not change, those of the first pass."""
    axis, rank = tf.get_static_value(op.inputs[-1]), op.outputs[0].shape.rank
    if axis is None or axis % rank != rank - 1:
        return None
    sources = list(op.inputs)[:-1]
    region = union(list(regions.values()), lengths(op.outputs[0]))

    def compute(inputs: Sequence[tf.Tensor], reader: Reader) -> list[tf.Tensor]:
        parts = [x if n in regions else reader.before(sources[n], region) for n, x in enumerate(inputs[:-1])]
        return [tf.concat(parts, -1)]

    return Local(dict.fromkeys(regions, region), region, compute)


def _with_axis(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    """One place along a new axis, as convolutions of series have it."""
    axis, rank = tf.get_static_value(op.inputs[1]), op.outputs[0].shape.rank
    if axis is None or not 0 < axis % rank < rank - 1:
        return None
    region, at = regions[0], axis % rank - 1
    sizes = (*region.sizes[:at], 1, *region.sizes[at:])
    wider = Region(np.insert(region.starts, at, 0, 1), sizes)
    return Local(regions, wider, lambda inputs, _: [tf.expand_dims(inputs[0], axis)])


def _without_axis(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    region, rank = regions[0], op.inputs[0].shape.rank
    axes = [axis % rank for axis in op.get_attr("squeeze_dims")]
    if not axes or not all(0 < axis < rank - 1 for axis in axes) or len(axes) == rank - 2:
        return None
    kept = [at for at in range(rank - 2) if at + 1 not in axes]
    narrower = Region(region.starts[:, kept], tuple(region.sizes[at] for at in kept))
    return Local(regions, narrower, lambda inputs, _: [tf.squeeze(inputs[0], axes)])


def _sized(op: tf.Operation, regions: Mapping[int, Region]) -> Local | None:
    """The shape of the whole tensor, of which only regions are there."""
    if op.type != "Shape":
        return None
    behind = op.inputs[0].shape[1:].as_list()

    def compute(inputs: Sequence[tf.Tensor], reader: Reader) -> list[tf.Tensor]:
        return [tf.cast(tf.stack([reader.count, *behind]), op.outputs[0].dtype)]

    return Local(regions, None, compute)


RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE | NORMS, _pointwise),
    **dict.fromkeys(SOFTMAXES | MATRIX_PRODUCTS - {"MatMul"} | {"LRN"}, _each_position),
    **dict.fromkeys(REDUCTIONS, _reduced),
    **dict.fromkeys(CONVOLUTIONS, _convolved),
    **dict.fromkeys(AVERAGE_POOLINGS | MAX_POOLINGS - {"MaxPoolWithArgmax"}, _pooled),
    **dict.fromkeys(("Pad", "PadV2"), _padded),
    **dict.fromkeys(("Slice", "StridedSlice"), _cropped),
    "ConcatV2": _concatenated,
    "ExpandDims": _with_axis,
    "Squeeze": _without_axis,
    **dict.fromkeys(SIZES, _sized),
}
