"""Rows of a tf.data.Dataset, whose ids are their numbers."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.scale.records import Row
from tfxai.streams import described, unpacked

LABEL = "label"  # what the second of a pair is called
COMPARED = 3  # batches that tell whether a dataset is the same when it is read again


class Stream:
    """The rows of a dataset of batches, one after the other; what is not asked for is read and left aside.

    The number of a row is its id, so each reading must give the same rows in the same order: work that goes on beside
    is put in order, and a dataset that reshuffles itself is an error.
    """

    raw = True

    def __init__(self, dataset: tf.data.Dataset, labels: bool = False):
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError("The dataset is infinite. Take a part of it, such as dataset.take(batches).")
        options = tf.data.Options()
        options.deterministic = True
        self.dataset, self.labels, self.rows = dataset.with_options(options), labels, None
        first, again = (list(itertools.islice(self._batches(), COMPARED)) for _ in range(2))
        if not first:
            raise ValueError("The dataset is empty: expected at least one batch.")
        if not all(map(_same, first, again)):
            raise ValueError(
                "The dataset gives different rows, or a different order, each time it is read, so numbers of rows "
                "could not be ids. Leave out shuffle and random changes, or give shuffle a seed and "
                "reshuffle_each_iteration=False."
            )
        (x, y), *_ = first
        found = hashlib.sha256(x[:1].tobytes())  # of another run, whose order may be another one
        found.update(b"" if y is None else y[:1].tobytes())
        self.facts = {"kind": "dataset", "first row": found.hexdigest()[:16], "shape": list(x.shape[1:])}
        self._open: Iterator[tuple[Any, Any]] | None = None
        self._next = 0

    def read(self, first: int, last: int) -> Iterator[Row]:
        if self._open is None or first < self._next:
            self._open, self._next = self._pairs(), 0
        for row, target in self._open:
            self._next += 1
            if self._next > first:
                yield Row(str(self._next - 1), row, target)
            if self._next >= last:
                return

    def _pairs(self) -> Iterator[tuple[Any, Any]]:
        for x, y in self._batches():
            yield from zip(x, itertools.repeat(None) if y is None else y, strict=y is not None)

    def _batches(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        for batch in self.dataset:
            x, y = unpacked(batch)
            if isinstance(x, dict | list | tuple):
                raise TypeError(f"Expected a dataset of batches of one input, got {described(x)}.")
            if not x.shape.rank:
                raise ValueError("Expected a dataset of batches, got single numbers: dataset.batch(32).")
            if self.labels and not isinstance(y, tf.Tensor):
                raise ValueError(
                    f"Expected a dataset of pairs, (inputs, labels), the labels an array, got {described(y)}."
                )
            yield x.numpy(), y.numpy() if self.labels else None


def _same(one: tuple[np.ndarray, np.ndarray | None], other: tuple[np.ndarray, np.ndarray | None]) -> bool:
    return all(
        a is b or (a is not None and b is not None and a.tobytes() == b.tobytes())
        for a, b in zip(one, other, strict=True)
    )
