"""Passes of inputs that differ from those of a first pass in a region only: what this cannot reach is not run again.

Each operation runs on the region that the change reaches, and finds the rest of what it reads in the first pass. Where
the region is nearly all, or an operation mixes all positions, whole tensors are put together, and the rest of the graph
runs on these. What comes out equals a full pass, up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.plan import cheapest
from tfxai.models.regions import Region, lengths

MOST = 8  # copies in place of one, by which time what does not grow with them, such as reading large weights, is little


@dataclass(frozen=True)
class Changed:
    """A tensor of which some rows and places are no longer those of the first pass.

    Attributes
    ----------
    values : tf.Tensor
        (copies, *sizes, channels) of a region, or (copies, ...) all.
    region : Region, optional
        Which; None: all.
    """

    values: tf.Tensor
    region: Region | None


class Incremental:
    """The end of a graph, for starts that differ from the first in a region.

    Parameters
    ----------
    start : tf.Tensor
        (n, positions, channels), such as images.
    end : tf.Tensor
        What is to be computed, from ``start`` and constants.
    region : Region
        Where each of several windows lies in ``start``.

    Attributes
    ----------
    share : float
        What a pass is estimated to cost, as a share of a full one.
    room : int
        How many copies take no more memory than one full pass, up to 8: more of them at a time are quicker.
    """

    def __init__(self, start: tf.Tensor, end: tf.Tensor, region: Region):
        self.start, self.end, self.region = start, end, region
        plan, full = cheapest(start, end, region)
        self._steps, self.share = plan.steps, plan.cost / full.cost
        self.room = max(1, min(MOST, full.held // plan.held))

    def __call__(self, values: tf.Tensor, copies: Copies) -> tf.Tensor:
        """The end for copies that have ``values``, (copies, *sizes, channels), in the boxes of their windows."""
        known = {self.start.name: Changed(values, self.region)}
        for step in self._steps:
            inputs = [
                copies.cut(known[x.name], x, step.reads(number), step.outside) if x.name in known else graph.here(x)
                for number, x in enumerate(step.inputs)
            ]
            outputs, changed = step.run(inputs, copies), step.changed(known)
            pairs = zip(step.outputs, outputs, strict=False)
            known |= {x.name: Changed(y, step.region) for x, y in pairs if x.name in changed}
        return copies.cut(known[self.end.name], self.end, None)


@dataclass(frozen=True)
class Copies:
    """Copies of rows of a first pass, each of which differs from its row in the box of one window.

    Attributes
    ----------
    window : tf.Tensor
        (copies,) which window.
    row : tf.Tensor
        (copies,) which row.
    """

    window: tf.Tensor
    row: tf.Tensor

    @property
    def count(self) -> tf.Tensor:
        return tf.size(self.window)

    def before(self, x: tf.Tensor, region: Region) -> tf.Tensor:
        return tf.reshape(self._first(x, region), [-1, *region.sizes, x.shape[-1]])

    def inside(self, within: Sequence[int], region: Region) -> tf.Tensor:
        return tf.reshape(tf.cast(self._among(region, 0, within), tf.float32), [-1, *region.sizes, 1])

    def repeated(self, x: tf.Tensor) -> tf.Tensor:
        return tf.gather(x, self.row)

    def cut(self, changed: Changed, x: tf.Tensor, region: Region | None, outside: float = 0.0) -> tf.Tensor:
        """A region of what a tensor of the first pass has become; None: all of it."""
        if changed.region is None:
            return changed.values
        if region is None:
            region = Region(np.zeros_like(changed.region.starts), tuple(lengths(x)))
        if region.same(changed.region):
            return changed.values
        return self._put_together(x, region, changed.values, changed.region, outside)

    def _put_together(self, x: tf.Tensor, region: Region, values: tf.Tensor, own: Region, outside: float) -> tf.Tensor:
        """In a region: the values in their own, ``outside`` beyond the border, and else the first pass."""
        channels, places = x.shape[-1], math.prod(own.sizes)
        table = tf.concat([tf.reshape(values, [-1, channels]), tf.fill([1, channels], tf.cast(outside, x.dtype))], 0)
        within = self._among(region, own.starts, own.sizes)
        at = tf.range(self.count)[:, None] * places + self._numbers(region, own.starts, own.sizes)
        at = tf.where(within, at, self.count * places)  # the last of the table
        kept = tf.reshape(self._among(region, 0, lengths(x)) & ~within, [-1])
        first = tf.reshape(self._first(x, region), [-1, channels])
        found = tf.raw_ops.Select(condition=kept, x=first, y=tf.gather(table, tf.reshape(at, [-1])))
        return tf.reshape(found, [-1, *region.sizes, channels])

    def _first(self, x: tf.Tensor, region: Region) -> tf.Tensor:
        """(copies, places, channels) of the first pass; what lies beyond the border is that of the border."""
        within = lengths(x)
        at = self.row[:, None] * math.prod(within) + self._numbers(region, 0, within)
        return tf.gather(tf.reshape(x, [-1, x.shape[-1]]), at)

    def _numbers(self, region: Region, starts: np.ndarray | int, sizes: Sequence[int]) -> tf.Tensor:
        """(copies, places) numbers that the places of a region have in boxes, the nearest where they lie beyond."""
        numbers = tf.zeros([1, 1], tf.int32)
        for at, size in zip(self._along(region, starts), sizes, strict=True):
            numbers = numbers[..., None] * size + tf.clip_by_value(at, 0, size - 1)[:, None]
            numbers = tf.reshape(numbers, [self.count, -1])
        return numbers

    def _among(self, region: Region, starts: np.ndarray | int, sizes: Sequence[int]) -> tf.Tensor:
        """(copies, places) whether the places of a region lie in boxes."""
        among = tf.ones([1, 1], tf.bool)
        for at, size in zip(self._along(region, starts), sizes, strict=True):
            among = tf.reshape(among[..., None] & ((at >= 0) & (at < size))[:, None], [self.count, -1])
        return among

    def _along(self, region: Region, starts: np.ndarray | int) -> list[tf.Tensor]:
        """(copies, places) of each axis, counted from starts."""
        first = tf.gather(tf.constant((region.starts - starts).astype(np.int32)), self.window)
        return [first[:, axis, None] + tf.range(size) for axis, size in enumerate(region.sizes)]
