"""Players: the parts of an input that can be absent, each as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import tensorflow as tf
from scipy.ndimage import maximum, minimum

from tfxai.checks import one_of, positive
from tfxai.groups import Groups, numbered, partition
from tfxai.models.graph import constant_value
from tfxai.models.regions import Region, boxes
from tfxai.run import Run
from tfxai.segmentations import ALGORITHMS, Algorithm, Segments
from tfxai.segments import MOST, superpixels

# The side of patches, or GRID of these along the longest axis; regions of like colour; all tokens of a word; columns of
# a table; or to which part each position belongs, for all inputs or for each.
Parts: TypeAlias = int | Literal["patches", "superpixels", "words"] | Algorithm | Segments | Groups | np.ndarray | None
NAMES = ("patches", "superpixels", *ALGORITHMS, "words")
GRID = 9  # as muFidelity takes it (Bhatt et al. 2020, in Xplique)
ROWS = "groups"  # the name in `Run.beside` of parts that differ between inputs


@dataclass(frozen=True)
class Players:
    """The parts into which the positions of an input are divided.

    Attributes
    ----------
    size : list of int
        How many positions the input has along each axis.
    count : int
        How many parts there are, at most.
    labels : tf.Tensor, optional
        (1 or n, positions) to which part a position belongs; None: each is a part of its own.
    kept : tf.Tensor, optional
        (n, positions) False where an input has padding, which is no part of it.
    cells : list of int, optional
        How many parts there are along each axis, if they are cells of a grid.
    """

    size: list[int]
    count: int
    labels: tf.Tensor | None = None
    kept: tf.Tensor | None = None
    cells: list[int] | None = None

    @property
    def alike(self) -> bool:
        """Whether all inputs have the same parts."""
        return self.kept is None and (self.labels is None or self.labels.shape[0] == 1)

    def boxes(self) -> Region | None:
        """The least box that holds each part, all as large as the largest; None if inputs have parts of their own."""
        if self.labels is None:
            return Region(np.stack([index.ravel() for index in np.indices(self.size)], 1), (1,) * len(self.size))
        known = constant_value(self.labels) if self.labels.shape[0] == 1 else None
        if known is None:
            return None
        labels = known.reshape(self.size)
        numbers = np.arange(self.count)
        first = [minimum(index, labels, numbers) for index in np.indices(self.size)]
        last = [maximum(index, labels, numbers) for index in np.indices(self.size)]
        return boxes(np.stack(first, 1), np.stack(last, 1), self.size)

    def totals(self, values: tf.Tensor) -> tf.Tensor:
        """(n, *size) values of positions, summed up over each part: (n, count)."""
        flat = tf.reshape(values, [-1, int(np.prod(self.size))])
        if self.kept is not None:
            flat = tf.where(self.kept, flat, 0)
        if self.labels is None:
            return flat
        n = tf.shape(flat)[0]
        own = self.labels + self.count * tf.range(n)[:, None]  # the parts of one input are not those of another
        return tf.reshape(tf.math.unsorted_segment_sum(flat, own, self.count * n), [-1, self.count])

    def over(self, parts: tf.Tensor) -> tf.Tensor:
        """(k, 1 or n, count) something of each part, for each of its positions: (k, 1 or n, *size)."""
        if self.labels is not None and self.labels.shape[0] == 1:
            parts = tf.gather(parts, self.labels[0], axis=2)
        elif self.labels is not None:
            n = tf.shape(self.labels)[0]
            parts = tf.broadcast_to(parts, [tf.shape(parts)[0], n, self.count])
            parts = tf.vectorized_map(lambda own: tf.gather(own, self.labels, axis=1, batch_dims=1), parts)
        return tf.reshape(parts, [tf.shape(parts)[0], -1, *self.size])


def players(run: Run, x: tf.Tensor, groups: Parts = None) -> Players:
    """The parts of one of a run's inputs.

    Parameters
    ----------
    run : Run
        Whose input it is; an array of ``groups`` with a row for each input is in its ``beside``.
    x : tf.Tensor
        The input.
    groups : int, "patches", "superpixels", "words", Segments, mapping, sequence or array, optional
        See `Parts`, as `as_parts` has them. Default: each position, of all channels, is one.

    Returns
    -------
    Players

    Raises
    ------
    ValueError
        If the parts do not fit the input.
    """
    size, kept = run.size(x), run.kept(x)
    if kept is not None:
        over = tf.zeros([1, *size], tf.bool)  # steps of a sequence, for all positions beside them
        kept = tf.reshape(tf.reshape(kept, [-1, size[0], *[1] * (len(size) - 1)]) | over, [-1, int(np.prod(size))])
    if isinstance(groups, str):
        one_of("groups", groups, NAMES)
    if isinstance(groups, str) and groups == "patches":  # of a series, a table or words each position is one
        groups = None if len(size) == 1 else -(-max(size) // GRID)
    cells = None
    if groups is None:
        return Players(size, int(np.prod(size)), None, kept, size)
    if isinstance(groups, str) and groups == "words":
        return Players(size, size[0], _of_each(run), kept)
    if isinstance(groups, str):
        return Players(size, MOST, _flat(superpixels(tf.cast(x, tf.float32)), size), kept)
    if isinstance(groups, Segments):
        labels = _of_each(run)
        if list(labels.shape[1:]) != size:
            raise ValueError(f"Expected images with channels last, got an input with the positions {tuple(size)}.")
        return Players(size, groups.most, _flat(labels, size), kept)
    if isinstance(groups, np.ndarray):
        each = groups.ndim == len(size) + 1
        if list(groups.shape[-len(size) :]) != size or (not each and groups.ndim != len(size)):
            raise ValueError(
                f"Expected groups= with the number of a part for each position, {tuple(size)}, or such a row for each "
                f"input, got an array of shape {groups.shape}."
            )
        labels = _of_each(run) if each else tf.constant(groups[None], tf.int32)
        return Players(size, int(groups.max()) + 1, _flat(labels, size), kept)
    if isinstance(groups, int | np.integer):
        cells = [-(-length // positive("groups", groups)) for length in size]
        labels = np.ravel_multi_index(tuple(np.indices(size) // groups), cells)
    elif len(size) == 1:
        labels = np.zeros(size[0], int)
        for number, (_, columns) in enumerate(partition(groups, numbered(size[0]))):
            labels[columns] = number
    else:
        raise ValueError(f"Groups of columns need a table, but the input has the positions {tuple(size)}.")
    return Players(size, int(labels.max()) + 1, tf.constant(labels.reshape(1, -1), tf.int32), kept, cells)


def as_parts(groups: Parts) -> Parts:
    """What users give as groups, checked: arrays hold whole numbers from 0, names of algorithms are `Segments`."""
    if isinstance(groups, str) and groups in ALGORITHMS:
        return Segments(groups)  # type: ignore[arg-type]
    if not hasattr(groups, "__array__"):
        return groups
    labels = np.asarray(groups)
    if labels.ndim == 0 or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise ValueError(f"Expected an array of groups= to hold whole numbers from 0, got {labels.dtype}.")
    return labels.astype(np.int32)


def segmented(groups: Segments, batch: dict[str, Any], chosen: str | None) -> dict[str, np.ndarray]:
    """What stands beside the inputs of a batch, by name: the segments of the chosen one, or of the only images."""
    images = [x for name, x in batch.items() if (name == chosen if chosen else np.ndim(x) == 4 or len(batch) == 1)]
    return {ROWS: groups.of(np.asarray(images[0]))} if len(images) == 1 else {}


def _of_each(run: Run) -> tf.Tensor:
    """(n, positions) the parts of each input."""
    if ROWS not in run.beside:
        raise ValueError(
            "Inside another explainer, or for one of several inputs without input=, expected groups= that are the same "
            "for all inputs, or are found in the graph, such as superpixels."
        )
    return run.beside[ROWS]


def _flat(labels: tf.Tensor, size: list[int]) -> tf.Tensor:
    return tf.reshape(labels, [labels.shape[0] if labels.shape[0] == 1 else -1, int(np.prod(size))])
