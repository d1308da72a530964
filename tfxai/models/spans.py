"""Which positions of the input a unit sees along one axis.

Unit i along an axis sees the positions from ``low + i step`` to ``high + i step``. This is the usual recursion of
sizes, strides and centres (Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks",
Distill 2019), with both ends in place of size and centre, so that branches can be joined.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import tensorflow as tf


class Span(NamedTuple):
    """What the units of a tensor see along one axis of the input.

    Attributes
    ----------
    low, high : Fraction, or float if infinite
        First and last position that unit 0 sees.
    step : Fraction
        From one unit to the next.
    axis : int
        Axis of the tensor along which units move; -1 if all see the same.
    units : float
        Number of units; infinite if unknown.
    inner : int
        How many places along the axis in succession belong to one unit; more than one where axes were merged.
    apart : int
        How many steps neighbours are apart; what lies between them is in the batch, as `SpaceToBatchND` puts it.
    """

    low: Fraction | float
    high: Fraction | float
    step: Fraction = Fraction(0)
    axis: int = -1
    units: float = 1
    inner: int = 1
    apart: int = 1

    @property
    def fixed(self) -> bool:
        """Whether all units see the same."""
        return self.axis < 0


def joined(spans: Sequence[Span]) -> Span:
    """What units see that see all of several."""
    if len({span[2:] for span in spans}) > 1:
        spans = [together(span) for span in spans]
    return spans[0]._replace(low=min(span.low for span in spans), high=max(span.high for span in spans))


def together(span: Span) -> Span:
    """What all units along the axis see."""
    return Span(span.low, span.high + (span.units * span.apart - 1) * span.step)


def along_axis(span: Span, tensor: tf.Tensor) -> Span:
    """The span with a unit at each place along its axis; of all units together where there is no such."""
    size = places(tensor, span.axis)
    if span.fixed or span.inner * span.units != size or (span.inner > 1 and span.apart > 1):
        return together(span)
    return enlarged(span, span.inner, size)


def enlarged(span: Span, factor: int, units: float) -> Span:
    """So many places in succession have each unit; that a place may be the last of them makes the span wider."""
    step = span.step / factor
    return span._replace(low=span.low - (factor - 1) * step, step=step, units=units, inner=1)


def shifted(span: Span, by: int, units: float) -> Span:
    """Unit 0 is what unit ``by`` was."""
    change = by * span.step * span.apart
    return span._replace(low=span.low + change, high=span.high + change, units=units)


def places(tensor: tf.Tensor, axis: int) -> float:
    """Size of a tensor along an axis, infinite if unknown."""
    return tensor.shape[axis] or math.inf if tensor.shape.rank else math.inf
