"""Sums over many samples, steps, windows or masks, as one loop in the graph.

Each turn of the loop takes so many samples that samples times inputs fill a batch; memory is that of a batch, however
many samples there are, and one trace serves every batch size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def chunks(count: int, inputs: tf.Tensor, batch_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Number of turns and samples a turn, for ``count`` samples of each of ``inputs`` inputs.

    The last turn is filled up, so of the sizes that fill at least half a batch the one that wastes least is taken.
    """
    room = tf.clip_by_value(batch_size // tf.maximum(1, inputs), 1, count)
    sizes = tf.range(room, (room - 1) // 2, -1)
    turns = -(-count // sizes)
    best = tf.argmin(turns * sizes)  # the first, of several: the fewest turns
    return turns[best], sizes[best]


def accumulate(body: Callable, init: Any, count: int, inputs: tf.Tensor, batch_size: int) -> Any:
    """Sum of ``body(index, weight)`` over all samples.

    Parameters
    ----------
    body : callable
        Takes the (k,) numbers of the samples of one turn and their (k,) weights, 1 or, where the last turn is not
        full, 0; returns the weighted sum over these samples, in the structure of ``init``.
    init : nested tensors
        Zeros.
    count : int
        Number of samples.
    inputs : tf.Tensor
        Number of inputs, n.
    batch_size : int
        How many copies of inputs one turn may hold.

    Returns
    -------
    nested tensors
        As ``init``.
    """
    if count == 1:  # a loop would only take longer to trace
        return tf.nest.map_structure(tf.add, init, body(tf.constant([0]), tf.ones([1])))
    turns, size = chunks(count, inputs, batch_size)

    def turn(number: tf.Tensor, total: Any) -> tuple:
        index = number * size + tf.range(size)
        weight = tf.cast(index < count, tf.float32)
        part = body(tf.minimum(index, count - 1), weight)
        return number + 1, tf.nest.map_structure(tf.add, total, part)

    return tf.while_loop(lambda number, _: number < turns, turn, (0, init), parallel_iterations=1)[1]


def collect(body: Callable, count: int, inputs: tf.Tensor, batch_size: int) -> tf.Tensor:
    """A number for each input and sample.

    Parameters
    ----------
    body : callable
        Takes the (k,) numbers of the samples of one turn, returns their results as (k, n).
    count, inputs, batch_size
        As for `accumulate`.

    Returns
    -------
    tf.Tensor
        (n, count) float32.
    """
    turns, size = chunks(count, inputs, batch_size)
    rows = tf.TensorArray(tf.float32, turns)

    def turn(number: tf.Tensor, rows: tf.TensorArray) -> tuple:
        index = tf.minimum(number * size + tf.range(size), count - 1)
        return number + 1, rows.write(number, body(index))

    rows = tf.while_loop(lambda number, _: number < turns, turn, (0, rows), parallel_iterations=1)[1]
    return tf.transpose(tf.reshape(rows.stack(), [turns * size, inputs])[:count])


def standard_error(mean: tf.Tensor, squares: tf.Tensor, count: int) -> tf.Tensor:
    """Of means over so many samples, from the means of the squares."""
    return tf.sqrt(tf.maximum(squares - tf.square(mean), 0) / (count - 1))


def named_errors(errors: Any) -> dict[str, tf.Tensor]:
    """Standard errors as `Explanation.uncertainty` finds them among the extras."""
    if not isinstance(errors, dict):
        return {"standard_error": errors}
    return {f"standard_error/{name}": x for name, x in errors.items()}


def not_inlined(step: Callable) -> Callable:
    """A function of tensors that stays one operation of the graph.

    For gradients in a loop each of whose turns needs the one before: among operations in such a circle TensorFlow's
    oneDNN meets some before their inputs, and leaves gradients of pooling to an operation that takes ten times as long.
    """

    def operation(*given: Any) -> Any:  # arguments name nodes, and "_" is no name that TensorFlow takes
        return step(*given)

    return tf.function(operation, autograph=False, experimental_attributes={"_noinline": True})


def merge(x: tf.Tensor) -> tf.Tensor:
    """(k, n, ...) to (k * n, ...)."""
    return tf.reshape(x, [-1, *x.shape[2:]])


def split(x: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """(k * n, ...) to (k, n, ...)."""
    return tf.reshape(x, [-1, inputs, *x.shape[1:]])


def repeated(x: tf.Tensor, times: int) -> tf.Tensor:
    """Each row so many times, one behind the other."""
    return x if times == 1 else tf.repeat(x, times, 0)  # which takes some twenty operations


def column(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """(n,) as (n, 1, ..., 1), to be broadcast against ``like``."""
    return tf.reshape(x, [-1] + [1] * (like.shape.rank - 1))


def where_rows(rows: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Rows of x where (n,) rows is true, else of y: on a CPU seven times as fast as a condition that is broadcast."""
    return tf.raw_ops.Select(condition=rows, x=x, y=y)


class Seeded:
    """An object whose random numbers follow ``seed``, which may be changed between calls without tracing again.

    The same seed gives the same numbers on every device; only XLA draws other ones (also the same each time).
    """

    def __init__(self, seed: int):
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool):
            raise TypeError(f"Expected seed to be an integer, got {seed!r}.")
        self._seed = tf.Variable(seed, trainable=False, dtype=tf.int64)

    @property
    def seed(self) -> int:
        return int(self._seed)

    @seed.setter
    def seed(self, seed: int) -> None:
        self._seed.assign(seed)

    def draw(self, index: tf.Tensor, sample: Callable[[tf.Tensor], Any]) -> Any:
        """``sample(seed)`` for each of (k,) sample numbers: the same number gives the same sample in any chunk."""
        seeds = tf.stack([tf.fill(tf.shape(index), self._seed.read_value()), tf.cast(index, tf.int64)], 1)
        kinds = tf.nest.map_structure(lambda x: tf.TensorSpec(x.shape, x.dtype), sample(tf.zeros(2, tf.int64)))
        return tf.map_fn(sample, seeds, fn_output_signature=kinds)
