"""Where in the inputs the units of a layer lie, and which axes of an input are positions.

A receptive field holds all that a unit sees; a place is where its centre is. So what a gate, an average or attention
adds from everywhere does not count beside what came from one place, and the region that a crop has left stays that
region, however far later windows reach.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import CONDITIONS, CONVOLUTIONS, LOOPS, RESHAPES, TRANSPOSED_CONVOLUTIONS
from tfxai.models.receptive_field import entire, follow, in_flat_graph
from tfxai.models.span_rules import RULES, passed
from tfxai.models.spans import Span, along_axis, joined, places, shifted, together
from tfxai.models.view import ModelView


class Stretch(NamedTuple):
    """Where the units of a tensor lie along one axis of the input.

    Attributes
    ----------
    span : Span
        What each of them sees.
    low, high : float
        First and last position that they see together, and have seen on the way.
    merged : bool
        Whether the axis of the tensor along which they lie holds another axis of the input too.
    """

    span: Span
    low: float
    high: float
    merged: bool = False


class Placement(NamedTuple):
    """Where a layer lies in one input.

    Attributes
    ----------
    positions : tuple of int
        The axes of the input that are positions; the others are channels.
    stretches : tuple of Stretch
        For each of these axes; the axis of its span is that of the layer with its channels last.
    """

    positions: tuple[int, ...]
    stretches: tuple[Stretch, ...]


def layers_in_inputs(view: ModelView, layers: Sequence[str], specs: Any) -> dict[str, dict[str, Placement]]:
    """For each layer, the inputs in which it has places.

    Parameters
    ----------
    view : ModelView
        The model.
    layers : sequence of str
        Names of layers, as the view's `find` gives them.
    specs : tf.TensorSpec or dict of them
        Shapes of the inputs, all known.
    """
    found: dict[str, dict[str, Placement]] = {name: {} for name in layers}

    def look(inputs: dict[str, tf.Tensor], ends: dict[str, tf.Tensor], output: tf.Tensor) -> None:
        for input, x in inputs.items():
            positions = position_axes(x, output)
            start = [Stretch(span, 0, span.units - 1) for span in _axes(x)]
            known = follow(x, start, ends.values(), _moved, _beside, side_by_side=_marked)
            for name, end in ends.items():
                laid = [_of_units(known[end.name][axis - 1], end) for axis in positions] if end.name in known else []
                if any(not stretch.span.fixed for stretch in laid):
                    found[name][input] = Placement(positions, tuple(laid))

    in_flat_graph(view, layers, specs, look)
    return found


def position_axes(x: tf.Tensor, output: tf.Tensor) -> tuple[int, ...]:
    """Axes of an input along which it has positions; the others hold channels.

    What the first convolution moves along are positions, and what it sums over are channels. Where none tells, the last
    of two axes or more holds channels.
    """
    rank = x.shape.rank
    if rank < 3:
        return tuple(range(1, rank))
    moved: set[int] = set()
    summed: set[int] = set()

    def enough(op: tf.Operation, sources: list[tuple[int, list[Span]]]) -> bool:
        number, spans = sources[0]
        if number > 0 and op.type not in TRANSPOSED_CONVOLUTIONS:
            return False
        source = op.inputs[number]
        if op.type in CONVOLUTIONS | {"Dilation2D"} or number == 2:
            channel = 1 if graph.channels_first(op) else source.shape.rank - 1
            for axis, span in enumerate(spans, 1):
                if span.axis > 0:
                    (summed if span.axis == channel else moved).add(axis)
        return bool(moved)

    follow(x, _axes(x), [output], passed, lambda op, output, spans: joined(spans), enough)
    channels = summed - moved
    if rank - 1 not in moved:
        channels.add(rank - 1)
    return tuple(axis for axis in range(1, rank) if axis not in channels)


def _axes(x: tf.Tensor) -> list[Span]:
    return [entire(x, axis) for axis in range(1, x.shape.rank)]


def _of_units(stretch: Stretch, layer: tf.Tensor) -> Stretch:
    """With a unit at each place along an axis of the layer that is neither batch nor channels, or of all together."""
    span, channel = stretch.span, graph.channel_axis(layer)
    if span.axis in (0, channel) or stretch.merged or span.apart > 1:
        return stretch._replace(span=together(span))
    found = along_axis(span, layer)
    return stretch._replace(span=found._replace(axis=found.axis - (found.axis > channel)))


def _marked(stretches: list[Stretch]) -> list[Stretch]:
    axes = [stretch.span.axis for stretch in stretches if not stretch.span.fixed]
    return [stretch._replace(merged=axes.count(stretch.span.axis) > 1) for stretch in stretches]


def _moved(op: tf.Operation, number: int, output: tf.Tensor, stretch: Stretch) -> Stretch:
    if op.type in CONDITIONS:
        ends = graph.chosen_branch(op)
        if ends:
            source, end = op.inputs[number], ends[output.value_index]
            output.set_shape(end.shape)  # which was not known as long as either branch could be meant
            found = follow(source, [stretch], [end], _moved, _beside)
            return found[end.name][0] if end.name in found else stretch._replace(span=together(stretch.span))
    if op.type == "Identity":
        output.set_shape(op.inputs[0].shape)
    span = _moved_span(op, number, output, stretch)
    if span.fixed:
        ends = [span.low, span.high]
    else:
        last = (span.units * span.apart - 1) * span.step
        ends = [span.low, span.high, span.low + last, span.high + last]
    return Stretch(span, max(stretch.low, min(ends)), min(stretch.high, max(ends)))


def _moved_span(op: tf.Operation, number: int, output: tf.Tensor, stretch: Stretch) -> Span:
    source, span = op.inputs[number], stretch.span
    if span.fixed:
        return span
    # A step of a recurrent layer comes from the same step.
    if op.type in LOOPS or op.type in ("TensorListFromTensor", "TensorListStack"):
        kept = span.axis == 0 and (op.type == "TensorListStack" or output.dtype == tf.variant)
        return span if kept else together(span)
    if op.type == "ReverseV2" and span.axis in _reversed(op):
        span = along_axis(span, source)
        return span if span.fixed else shifted(span, int(span.units) - 1, span.units)._replace(step=-span.step)
    if op.type not in RULES and output.shape.rank == source.shape.rank and number == 0:
        same = places(output, span.axis) == places(source, span.axis)
        return span if same else together(span)
    found = passed(op, number, output, span)
    if stretch.merged and span.inner > 1 and found.inner == 1 and op.type not in RESHAPES:  # they would come apart
        return together(span)
    return found


def _reversed(op: tf.Operation) -> list[int]:
    axes = tf.get_static_value(op.inputs[1])
    return [] if axes is None else [axis % op.inputs[0].shape.rank for axis in axes.tolist()]


def _beside(op: tf.Operation, output: tf.Tensor, stretches: Sequence[Stretch]) -> Stretch:
    """What came from one place decides where a unit lies, not what was added from everywhere."""
    stacked = _stacked(op, output, stretches)
    if stacked:
        return stacked
    moving = [stretch for stretch in stretches if not stretch.span.fixed] or stretches
    low, high = min(one.low for one in moving), max(one.high for one in moving)
    spans = [stretch.span for stretch in moving]
    if len({span[3:] for span in spans}) > 1:  # an upsampled branch has several places for each unit
        spans = [along_axis(span, output) for span in spans]
    if len({span[3:] for span in spans}) > 1:
        return Stretch(joined([together(span) for span in spans]), low, high)
    step = sum((span.step for span in spans), Fraction(0)) / len(spans)  # they differ where one branch was resized
    return Stretch(joined([span._replace(step=step) for span in spans]), low, high)


def _stacked(op: tf.Operation, output: tf.Tensor, stretches: Sequence[Stretch]) -> Stretch | None:
    """Frames that were taken apart, put side by side again."""
    spans = [stretch.span for stretch in stretches]
    if op.type not in ("ConcatV2", "Pack") or len(spans) < 2 or not all(span.fixed for span in spans):
        return None
    axis = (op.get_attr("axis") if op.type == "Pack" else int(tf.get_static_value(op.inputs[-1]))) % output.shape.rank
    steps = {Fraction(after.low - before.low) for before, after in itertools.pairwise(spans)}
    if places(output, axis) != len(spans) or len(steps) > 1 or steps == {0}:
        return None
    span = spans[0]._replace(step=steps.pop(), axis=axis, units=len(spans))
    return Stretch(span, min(one.low for one in stretches), max(one.high for one in stretches))
