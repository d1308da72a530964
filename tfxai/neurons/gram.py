"""What the mu-LASSO needs of a stream of descriptors, however long: sums, and a few rows to check solutions by."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

BLOCK = 512  # rows that are summed at once, so that the sums need not be read and written for each batch
SHARE, MOST = 0.2, 2000  # of the rows are held out, but no more than these


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over all rows but those held out, which are kept.

    Attributes
    ----------
    gram : ndarray
        (m, m), sum of x x'.
    cross : ndarray
        (m, C), sum of x l'.
    squares : ndarray
        (C,) sum of l^2, over all rows.
    counts : ndarray
        (C,) images of each class, over all rows.
    held, held_labels : ndarray
        (k, m) and (k, C), weighted like all others.
    """

    gram: np.ndarray
    cross: np.ndarray
    squares: np.ndarray
    counts: np.ndarray
    held: np.ndarray
    held_labels: np.ndarray

    def totals(self) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrix and cross products of all rows."""
        held = self.held.astype(np.float64)
        return self.gram + held.T @ held, self.cross + held.T @ self.held_labels


class Stream:
    """Adds up the rows of a stream on the device: blocks of rows in single precision, and these in double precision.

    Parameters
    ----------
    channels : sequence of int
        Features of each layer, m together.
    classes : int
        Number of classes, C.
    seed : int
        Chooses the rows that are held out.
    """

    def __init__(self, channels: Sequence[int], classes: int, seed: int):
        ends = np.cumsum(channels)
        features = int(ends[-1])
        self._parts = [slice(int(end) - count, int(end)) for end, count in zip(ends, channels, strict=True)]
        # The matrix is symmetric: of each layer the products with itself and what follows.
        self._gram = [
            tf.Variable(tf.zeros([part.stop - part.start, features - part.start], tf.float64)) for part in self._parts
        ]
        self._cross = tf.Variable(tf.zeros([features, classes], tf.float64))
        self._counts = np.zeros(classes, np.int64)
        self._squares = np.zeros(classes)
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []
        self._held: list[tuple[float, np.ndarray, np.ndarray]] = []  # a heap by key, which is random
        self._random = np.random.default_rng(seed)
        signature = tf.TensorSpec([None, features]), tf.TensorSpec([None, classes])
        self._add = tf.function(self._sum, autograph=False).get_concrete_function(*signature)

    def add(self, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take descriptors (n, m), their labels (n, C) in 0 and 1, and the weight of each (n,)."""
        self._counts += labels.sum(0).astype(np.int64)
        if weights is not None:
            root = np.sqrt(weights, dtype=np.float32)[:, None]
            rows, labels = root * rows, root * labels
        self._squares += np.square(labels).sum(0, dtype=np.float64)
        keys = self._random.random(len(rows))
        rest = keys >= SHARE
        self._waiting.append((rows[rest], labels[rest]))
        for number in np.flatnonzero(~rest):
            # Those with the smallest keys are a random choice, however long the stream.
            entry = (-keys[number], rows[number].copy(), labels[number].copy())
            if len(self._held) < MOST:
                heapq.heappush(self._held, entry)
            else:
                _, row, label = heapq.heappushpop(self._held, entry)
                self._waiting.append((row[None], label[None]))
        if sum(len(rows) for rows, _ in self._waiting) >= BLOCK:
            self._sum_up()

    def close(self) -> Sums:
        """The sums, at the end of the stream."""
        self._sum_up()
        gram = np.empty((self._cross.shape[0],) * 2)
        for part, block in zip(self._parts, self._gram, strict=True):
            gram[part, part.start :] = block.numpy()
            gram[part.start :, part] = gram[part, part.start :].T
        cross = self._cross.numpy()
        held = np.array([row for _, row, _ in self._held], np.float32).reshape(-1, len(gram))
        held_labels = np.array([label for _, _, label in self._held], np.float32).reshape(-1, cross.shape[1])
        return Sums(gram, cross, self._squares, self._counts, held, held_labels)

    def _sum_up(self) -> None:
        if not self._waiting:
            return
        rows, labels = (np.concatenate(parts) for parts in zip(*self._waiting, strict=True))
        self._waiting = []
        self._add(tf.constant(rows), tf.constant(labels))

    def _sum(self, rows: tf.Tensor, labels: tf.Tensor) -> None:
        # A GPU may round the factors of float32 products to ten bits; a CPU keeps all, and takes half the time.
        kind = tf.float64 if tf.config.list_physical_devices("GPU") else tf.float32
        rows, labels = tf.cast(rows, kind), tf.cast(labels, kind)

        def product(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.matmul(left, right, transpose_a=True), tf.float64)

        for part, block in zip(self._parts, self._gram, strict=True):
            block.assign_add(product(rows[:, part], rows[:, part.start :]))
        self._cross.assign_add(product(rows, labels))


def row_weights(labels: np.ndarray, class_weight: Sequence[float] | None) -> np.ndarray | None:
    """(n,) what each row counts, the mean over its classes; None if all count alike.

    Raises
    ------
    ValueError
        Unless there is a positive number for each class.
    """
    if class_weight is None:
        return None
    weights = np.asarray(class_weight, np.float32)
    if weights.shape != labels.shape[1:] or not (weights > 0).all():
        raise ValueError(f"Expected class_weight to be {labels.shape[1]} positive numbers, got {class_weight!r}.")
    return labels @ weights / np.maximum(labels.sum(1), 1)
