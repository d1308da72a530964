"""What operations make of spans: what each unit of their outputs sees, given what each unit of their inputs sees.

A span may be wider than what a unit sees where units differ in more than their place, as behind an enlargement. An
operation that is not in the list is taken to see all that its inputs see.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import (
    CONVOLUTIONS,
    DECISIONS,
    ELEMENTWISE,
    MATRIX_PRODUCTS,
    NORMS,
    PADDINGS,
    POOLINGS,
    PRODUCTS,
    REDUCTIONS,
    RESHAPES,
    RESIZES,
    SOFTMAXES,
    TRANSPOSED_CONVOLUTIONS,
)
from tfxai.models.spans import Span, along_axis, enlarged, places, shifted, together

Rule = Callable[[tf.Operation, int, tf.Tensor, Span], Span]
"""From an operation, the number of one of its inputs, an output, and the span of that input, to that of the output."""


def passed(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    """What the units of an output see through one input, of which the span is given."""
    rule = RULES.get(op.type)
    if span.fixed:
        return span
    if rule is None or (number > 0 and op.type not in _SEVERAL) or output.shape.rank is None:
        return together(span)
    found = rule(op, number, output, span)
    return together(found) if found.units in (1, math.inf) else found


def _same(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    """Elementwise, and what repeats values: axes are paired from the last."""
    axis = span.axis + output.shape.rank - op.inputs[number].shape.rank
    return span._replace(axis=axis) if axis >= 0 else together(span)


def _channels_mixed(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    return together(span) if span.axis == output.shape.rank - 1 else span


def _normalized(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    return together(span) if op.get_attr("is_training") else _same(op, number, output, span)


def _convolved(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    return _windowed(op, number, output, span, kernel(op, output.shape.rank))


def _pooled(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    sizes = _attribute(op, "ksize") or _attribute(op, "ksizes") or _static(op.inputs[1])
    return _windowed(op, number, output, span, sizes)


def _windowed(op: tf.Operation, number: int, output: tf.Tensor, span: Span, sizes: Sequence[int] | None) -> Span:
    """A window of these sizes along the axes moves over the input."""
    if span.axis == 0:
        return span
    span = along_axis(span, op.inputs[number])
    if span.fixed or not sizes or not sizes[span.axis]:
        return together(span)
    stride, reach, before = geometry(op, span.axis, sizes[span.axis], int(span.units))
    if span.apart > 1 and stride > 1:
        return together(span)
    found = shifted(span, -before, places(output, span.axis))
    return found._replace(high=found.high + reach * span.step * span.apart, step=span.step * stride)


def _transposed_convolved(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    """A place takes unit i if it is i times the stride, minus the padding, plus a place of the kernel."""
    if number != 2:
        return together(span)
    if span.axis == 0:
        return span
    span, sizes = along_axis(span, op.inputs[2]), kernel(op, output.shape.rank)
    wide = places(output, span.axis)
    if span.fixed or not sizes[span.axis] or math.isinf(wide) or span.apart > 1:
        return together(span)
    stride, reach, before = geometry(op, span.axis, sizes[span.axis], int(wide))
    step = span.step / stride
    low, high = span.low + (before - reach) * step, span.high + before * step
    return span._replace(low=low, high=high, step=step, units=wide)


def geometry(op: tf.Operation, axis: int, size: int, wide: int) -> tuple[int, int, int]:
    """The stride; how far the window reaches beyond its first place; how much padding comes before."""
    strides = _attribute(op, "strides") or _static(op.inputs[2])  # of MaxPoolV2 an input
    dilations = _attribute(op, "dilations") or _attribute(op, "rates")
    stride, reach = strides[axis], (size - 1) * (dilations[axis] if dilations else 1)
    padding = op.get_attr("padding")
    if padding == b"EXPLICIT":
        return stride, reach, op.get_attr("explicit_paddings")[2 * axis]
    missing = (math.ceil(wide / stride) - 1) * stride + reach + 1 - wide if padding == b"SAME" else 0
    return stride, reach, max(missing, 0) // 2


def kernel(op: tf.Operation, rank: int) -> list[int]:
    """Size of the kernel along each axis, 0 where values are mixed."""
    sizes = op.inputs[1].shape.as_list()[: rank - 2]
    return [0, 0, *sizes] if graph.channels_first(op) else [0, *sizes, 0]


def _padded(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    paddings = graph.constant_value(op.inputs[1])
    if paddings is None:
        return together(span)
    before, after = paddings[span.axis].tolist()
    if before == after == 0:
        return span
    span = along_axis(span, op.inputs[0])
    return span if span.fixed else shifted(span, -before, places(output, span.axis))


def _reshaped(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    """Values keep their order, so the number of a unit stays a digit of the number of a value."""
    value = span.inner * _behind(op.inputs[0], span.axis)
    for axis in range(output.shape.rank):
        behind = _behind(output, axis)
        if value and behind and value % behind == 0 and value // behind * span.units <= places(output, axis):
            return span._replace(axis=axis, inner=value // behind)
    for axis in range(output.shape.rank):  # cut into pieces of so many units
        pieces, rest = divmod(_behind(output, axis), value or 1)
        if pieces > 1 and rest == 0 and 1 < places(output, axis) == span.units / pieces:
            high = span.high + (pieces - 1) * span.step
            return span._replace(high=high, step=pieces * span.step, axis=axis, units=span.units // pieces, inner=1)
    return together(span)


def _behind(tensor: tf.Tensor, axis: int) -> int:
    """How many values lie between neighbours along an axis, 0 if unknown."""
    return math.prod(size or 0 for size in tensor.shape[axis + 1 :])


def _transposed(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    order = _static(op.inputs[1])
    return together(span) if order is None else span._replace(axis=order.index(span.axis))


def _reduced(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    axes = _static(op.inputs[1])
    if axes is None:
        return together(span)
    axes = {axis % op.inputs[0].shape.rank for axis in np.atleast_1d(axes)}
    if span.axis in axes:
        return together(span)
    gone = 0 if _attribute(op, "keep_dims") else sum(axis < span.axis for axis in axes)
    return span._replace(axis=span.axis - gone)


def _multiplied(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    """Matrices, after any number of axes that are paired."""
    rank, names = op.inputs[number].shape.rank, (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))[number]
    if span.axis < rank - 2:
        return _same(op, number, output, span)
    row = (span.axis == rank - 2) != any(_attribute(op, name) for name in names)
    return span._replace(axis=output.shape.rank - 2 + number) if row == (number == 0) else together(span)


def _einsum(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    left, _, right = op.get_attr("equation").decode().partition("->")
    label = "." if "." in left else left.split(",")[number][span.axis]
    return span._replace(axis=right.index(label)) if "." != label in right else together(span)


def _concatenated(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    axis = _static(op.inputs[-1]) % output.shape.rank
    return _part(op, number, output, span, axis, [-places(x, axis) for x in op.inputs[:number]])


def _split(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    axis = _static(op.inputs[0 if op.type == "Split" else 2]) % output.shape.rank
    return _part(op, number, output, span, axis, [places(y, axis) for y in op.outputs[: output.value_index]])


def _part(op: tf.Operation, number: int, output: tf.Tensor, span: Span, axis: int, before: Sequence[float]) -> Span:
    """The units come to lie behind, or begin with, so many places."""
    if span.axis != axis:
        return span
    span = along_axis(span, op.inputs[number])
    if span.fixed or math.isinf(sum(before)):
        return together(span)
    return shifted(span, int(sum(before)), places(output, axis))


def _packed(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    return span._replace(axis=span.axis + (op.get_attr("axis") % output.shape.rank <= span.axis))


def _unpacked(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    axis = op.get_attr("axis") % op.inputs[0].shape.rank
    if span.axis != axis:
        return span._replace(axis=span.axis - (axis < span.axis))
    span = along_axis(span, op.inputs[0])
    return span if span.fixed else together(shifted(span, output.value_index, 1))


def _gathered(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    axis = _static(op.inputs[2]) % op.inputs[0].shape.rank
    if op.get_attr("batch_dims"):
        return together(span)
    if span.axis == axis:
        return _chosen(op, output, along_axis(span, op.inputs[0]))
    return span._replace(axis=span.axis + (op.inputs[1].shape.rank - 1) * (axis < span.axis))


def _chosen(op: tf.Operation, output: tf.Tensor, span: Span) -> Span:
    """Places that are chosen by numbers, as frames of a signal: the first axis of the numbers is that of the units."""
    numbers = graph.constant_value(op.inputs[1])
    if span.fixed or numbers is None or not numbers.size or numbers.min() < 0:
        return together(span)
    rows = numbers.reshape(len(numbers) if numbers.ndim else 1, -1)
    stride = rows[1, 0] - rows[0, 0] if len(rows) > 1 else 0
    if stride < 0 or (rows != rows[0] + stride * np.arange(len(rows))[:, None]).any():
        return together(span)
    found = shifted(span, int(rows[0].min()), len(rows))
    return found._replace(high=found.high + int(np.ptp(rows[0])) * span.step, step=span.step * int(stride))


def _cut(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    """The numbers that a slice leaves of the places along the axis tell where they went."""
    source, key = op.inputs[0], slices(op)
    if key is None or not source.shape[1:].is_fully_defined():
        return together(span)
    shape = [source.shape[0] or 1, *source.shape[1:]]
    numbers = np.arange(shape[span.axis]).reshape([-1] + [1] * (len(shape) - span.axis - 1))
    left = np.broadcast_to(numbers, shape)[key]
    axis = next((n for n, size in enumerate(left.shape) if size > 1 and left.strides[n]), -1)
    stride = left.strides[axis] // left.itemsize if axis >= 0 else 0
    if stride == 1 and left.shape[axis] == numbers.size:
        return span._replace(axis=axis)
    span = along_axis(span, source)
    if span.fixed or not left.size or stride < 0 or span.apart > 1:
        return together(span)
    found = shifted(span, int(left.flat[0]), left.shape[axis] if axis >= 0 else 1)
    return found._replace(axis=axis, step=span.step * stride)


def slices(op: tf.Operation) -> tuple | None:
    """The index of a slice, as NumPy takes it."""
    found = [graph.constant_value(x) for x in op.inputs[1:]]
    if any(value is None for value in found):
        return None
    values = [value.tolist() for value in found if value is not None]
    if op.type == "Slice":
        return tuple(slice(begin, None if size < 0 else begin + size) for begin, size in zip(*values, strict=True))
    marks = [op.get_attr(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis", "begin", "end")]
    key: list[Any] = []
    for entry, (begin, end, step) in enumerate(zip(*values, strict=True)):
        ellipsis, new, shrink, from_start, to_end = (mark >> entry & 1 for mark in marks)
        part = slice(None if from_start else begin, None if to_end else end, step)
        key.append(... if ellipsis else None if new else begin if shrink else part)
    return tuple(key)


def _to_batch(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    blocks, paddings = _static(op.inputs[1]), _static(op.inputs[2])
    if not blocks or not paddings or span.axis == 0:
        return together(span)
    if span.axis > len(blocks):
        return span
    span = along_axis(span, op.inputs[0])
    if span.fixed or span.apart > 1:
        return together(span)
    return shifted(span, -paddings[span.axis - 1][0], places(output, span.axis))._replace(apart=blocks[span.axis - 1])


def _from_batch(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    blocks, crops = _static(op.inputs[1]), _static(op.inputs[2])
    if not blocks or not crops or span.axis == 0:
        return together(span)
    if span.axis > len(blocks):
        return span
    if span.apart != blocks[span.axis - 1]:
        return together(span)
    return shifted(span._replace(apart=1), crops[span.axis - 1][0], places(output, span.axis))


def _blocked(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    """Squares of places become channels, or the reverse."""
    channel = 1 if graph.channels_first(op) else output.shape.rank - 1
    if span.axis == 0:
        return span
    span, block = along_axis(span, op.inputs[0]), op.get_attr("block_size")
    if span.fixed or span.axis == channel or span.apart > 1:
        return together(span)
    if op.type == "DepthToSpace":
        return enlarged(span, block, places(output, span.axis))
    high = span.high + (block - 1) * span.step
    return span._replace(high=high, step=span.step * block, units=places(output, span.axis))


def _resized(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    """A place takes what lies less than ``reach`` from where it comes from."""
    if span.axis not in (1, 2):
        return span
    span = along_axis(span, op.inputs[0])
    before, after = span.units, places(output, span.axis)
    if span.fixed or span.apart > 1 or math.isinf(after):
        return together(span)
    scale, first = Fraction(int(before), int(after)), Fraction(0)
    if op.get_attr("align_corners") and after > 1:
        scale = Fraction(int(before) - 1, int(after) - 1)
    elif op.get_attr("half_pixel_centers"):
        first = (scale - 1) / 2
    grid = math.lcm(scale.denominator, first.denominator)
    reach = {"ResizeNearestNeighbor": 1, "ResizeBilinear": 1, "ResizeBicubic": 2}[op.type] - Fraction(1, grid)
    low, high = span.low + (first - reach) * span.step, span.high + (first + reach) * span.step
    return span._replace(low=low, high=high, step=span.step * scale, units=after)


def _rescaled(op: tf.Operation, number: int, output: tf.Tensor, span: Span) -> Span:
    """The whole input on the whole output, each place from a window as wide as it shrinks."""
    if span.axis not in (1, 2):
        return span
    span, moved = along_axis(span, op.inputs[0]), _static(op.inputs[3])
    before, after = span.units, places(output, span.axis)
    if span.fixed or span.apart > 1 or math.isinf(after) or moved is None or any(moved):
        return together(span)
    scale = Fraction(int(before), int(after))
    first, reach = (scale - 1) / 2, max(scale, Fraction(1)) * (1 if _attribute(op, "kernel_type") == b"triangle" else 3)
    low, high = span.low + (first - reach) * span.step, span.high + (first + reach) * span.step
    return span._replace(low=low, high=high, step=span.step * scale, units=after)


def _attribute(op: tf.Operation, name: str) -> Any:
    return op.get_attr(name) if name in op.node_def.attr else None


def _static(tensor: tf.Tensor) -> Any:
    value = graph.constant_value(tensor)
    return None if value is None else value.tolist()


_SAME = ELEMENTWISE | {"BroadcastTo", "Tile"}
RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(SOFTMAXES | {"LRN"}, _channels_mixed),
    **dict.fromkeys(NORMS, _normalized),
    **dict.fromkeys(CONVOLUTIONS | {"Dilation2D"}, _convolved),
    **dict.fromkeys(TRANSPOSED_CONVOLUTIONS, _transposed_convolved),
    **dict.fromkeys(POOLINGS | {"ExtractImagePatches"}, _pooled),
    **dict.fromkeys(PADDINGS, _padded),
    **dict.fromkeys(RESHAPES, _reshaped),
    "Transpose": _transposed,
    **dict.fromkeys(REDUCTIONS | DECISIONS, _reduced),
    **dict.fromkeys(MATRIX_PRODUCTS, _multiplied),
    "Einsum": _einsum,
    "ConcatV2": _concatenated,
    **dict.fromkeys(("Split", "SplitV"), _split),
    "Pack": _packed,
    "Unpack": _unpacked,
    "GatherV2": _gathered,
    **dict.fromkeys(("Slice", "StridedSlice"), _cut),
    "SpaceToBatchND": _to_batch,
    "BatchToSpaceND": _from_batch,
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), _blocked),
    **dict.fromkeys(RESIZES, _resized),
    "ScaleAndTranslate": _rescaled,
}
# Operations of which more than the first input has positions.
_SEVERAL = _SAME | TRANSPOSED_CONVOLUTIONS | PRODUCTS | {"ConcatV2", "Pack", "Split"}
