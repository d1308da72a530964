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
from tfxai.models.regions import Reader, Region, lengths


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
        What is wanted, computed from ``start`` and constants.
    region : Region
        Where each of several windows lies in ``start``.

    Attributes
    ----------
    share : float
        What a pass is estimated to cost, as a share of a full one.
    """

    def __init__(self, start: tf.Tensor, end: tf.Tensor, region: Region):
        self.start, self.end, self.region = start, end, region
        self._steps, self.share = cheapest(start, end, region)

    def __call__(self, values: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """The end, (k * n, ...), of copies that have values (k * n, *sizes, channels) in windows ``index``, (k,)."""
        copies = _Copies(index, tf.shape(self.start)[0])
        known = {self.start.name: Changed(values, self.region)}
        for step in self._steps:
            inputs = [
                copies.cut(known[x.name], x, step.reads(number), step.outside) if x.name in known else graph.here(x)
                for number, x in enumerate(step.inputs)
            ]
            outputs, changed = step.run(inputs, copies.reader), step.changed(known)
            pairs = zip(step.outputs, outputs, strict=False)
            known |= {x.name: Changed(y, step.region) for x, y in pairs if x.name in changed}
        return copies.cut(known[self.end.name], self.end, None)


def cut(x: tf.Tensor, region: Region, index: tf.Tensor, block: tf.Tensor | int = 0, blocks: int = 1) -> tf.Tensor:
    """(k * n, *sizes, channels) what a tensor has in windows ``index`` (k,), of blocks (k,) of n rows each."""
    return _Copies(index, tf.shape(x)[0] // blocks, block).before(x, region)


class _Copies:
    """k copies of n rows, of the windows (k,) index: regions of them, and what was there in the first pass."""

    def __init__(self, index: tf.Tensor, rows: tf.Tensor, block: tf.Tensor | int = 0):
        self.index, self.rows = index, rows
        self.first = tf.reshape(block * rows, [-1, 1, 1])
        self.reader = Reader(self.before, self.inside, self.repeated, rows * tf.size(index))

    def cut(self, changed: Changed, x: tf.Tensor, region: Region | None, outside: float = 0.0) -> tf.Tensor:
        """A region of what a tensor of the first pass has become; None: all of it."""
        if changed.region is None:
            return changed.values
        if region is None:
            whole = tuple(lengths(x))
            region = Region(np.zeros_like(changed.region.starts), whole)
        if region.same(changed.region):
            return changed.values
        return self._put_together(x, region, changed.values, changed.region, outside)

    def before(self, x: tf.Tensor, region: Region) -> tf.Tensor:
        return self._shaped(self._first(x, region), region)

    def inside(self, within: Sequence[int], region: Region) -> tf.Tensor:
        return self._shaped(tf.cast(self._among(region, 0, within), tf.float32)[..., None], region, rows=1)

    def repeated(self, x: tf.Tensor) -> tf.Tensor:
        return tf.tile(x, [tf.size(self.index), *[1] * (x.shape.rank - 1)])

    def _put_together(self, x: tf.Tensor, region: Region, values: tf.Tensor, own: Region, outside: float) -> tf.Tensor:
        """In a region: the values in their own, ``outside`` beyond the border, and else the first pass."""
        channels, places = x.shape[-1], math.prod(own.sizes)
        beyond = tf.fill([1, channels], tf.cast(outside, x.dtype))
        table = tf.concat([tf.reshape(values, [-1, channels]), beyond], 0)
        within = self._among(region, own.starts, own.sizes)  # (k, places)
        number = tf.reshape(tf.range(tf.size(self.index) * self.rows), [-1, self.rows, 1])
        at = number * places + self._numbers(region, own.starts, own.sizes)[:, None]
        at = tf.where(within[:, None], at, tf.size(table) // channels - 1)
        rows = tf.gather(table, tf.reshape(at, [-1]))
        kept = self._among(region, 0, lengths(x)) & ~within
        first = tf.reshape(self._first(x, region), [-1, channels])
        kept = tf.reshape(tf.tile(kept[:, None], [1, self.rows, 1]), [-1])
        return self._shaped(tf.raw_ops.Select(condition=kept, x=first, y=rows), region)

    def _first(self, x: tf.Tensor, region: Region) -> tf.Tensor:
        """(k, n, places, channels) of the first pass; what lies beyond the border is that of the border."""
        within = lengths(x)
        rows = self.first + tf.range(self.rows)[:, None]  # (1 or k, n, 1)
        rows = rows * math.prod(within) + self._numbers(region, 0, within)[:, None]
        return tf.gather(tf.reshape(x, [-1, x.shape[-1]]), rows)

    def _numbers(self, region: Region, starts: np.ndarray | int, sizes: Sequence[int]) -> tf.Tensor:
        """(k, places) numbers that the places of a region have in boxes, the nearest where they lie beyond."""
        numbers = tf.zeros([1, 1], tf.int32)
        for at, size in zip(self._along(region, starts), sizes, strict=True):
            numbers = numbers[..., None] * size + tf.clip_by_value(at, 0, size - 1)[:, None]
            numbers = tf.reshape(numbers, [tf.size(self.index), -1])
        return numbers

    def _among(self, region: Region, starts: np.ndarray | int, sizes: Sequence[int]) -> tf.Tensor:
        """(k, places) whether the places of a region lie in boxes."""
        among = tf.ones([1, 1], tf.bool)
        for at, size in zip(self._along(region, starts), sizes, strict=True):
            among = among[..., None] & ((at >= 0) & (at < size))[:, None]
            among = tf.reshape(among, [tf.size(self.index), -1])
        return among

    def _along(self, region: Region, starts: np.ndarray | int) -> list[tf.Tensor]:
        """(k, places) of each axis, counted from starts."""
        first = (region.starts - starts).astype(np.int32)
        return [
            tf.gather(tf.constant(first[:, axis, None] + np.arange(size, dtype=np.int32)), self.index)
            for axis, size in enumerate(region.sizes)
        ]

    def _shaped(self, values: tf.Tensor, region: Region, rows: int | None = None) -> tf.Tensor:
        if rows is not None:
            values = tf.repeat(values[:, None], self.rows, 1)
        return tf.reshape(values, [-1, *region.sizes, values.shape[-1]])
