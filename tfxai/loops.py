"""Sums over many samples, steps, windows or masks, as one loop in the graph.

Each turn of the loop takes so many samples that samples times inputs fill a batch; memory is that of a batch, however
many samples there are, and one trace serves every batch size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

BLOCK = 10  # samples, between two questions whether there are enough


def chunks(count: int | tf.Tensor, inputs: tf.Tensor, batch_size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Number of turns and samples a turn, for ``count`` samples of each of ``inputs`` inputs.

    The last turn is filled up, so of the sizes that fill at least half a batch the one that wastes least is taken.
    """
    room = tf.clip_by_value(batch_size // tf.maximum(1, inputs), 1, count)
    sizes = tf.range(room, (room - 1) // 2, -1)
    turns = -(-count // sizes)
    best = tf.argmin(turns * sizes)  # the first, of several: the fewest turns
    return turns[best], sizes[best]


def accumulate(body: Callable, init: Any, count: int | tf.Tensor, inputs: tf.Tensor, batch_size: int) -> Any:
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
    if isinstance(count, int) and count == 1:  # a loop would only take longer to trace
        return tf.nest.map_structure(tf.add, init, body(tf.constant([0]), tf.ones([1])))
    turns, size = chunks(count, inputs, batch_size)

    def turn(number: tf.Tensor, total: Any) -> tuple:
        index = number * size + tf.range(size)
        weight = tf.cast(index < count, tf.float32)
        part = body(tf.minimum(index, count - 1), weight)
        return number + 1, tf.nest.map_structure(tf.add, total, part)

    return tf.while_loop(lambda number, _: number < turns, turn, (0, init), parallel_iterations=1)[1]


def accumulate_until(
    body: Callable,
    init: Any,
    count: int,
    inputs: tf.Tensor,
    batch_size: int,
    done: Callable[[Any, tf.Tensor], tf.Tensor],
    block: int = BLOCK,
) -> tuple[Any, tf.Tensor]:
    """Sums over samples as by `accumulate`, of each input until it is done.

    Whether it is, is asked after each block of samples, however many fill a turn: so no input depends on its batch.

    Parameters
    ----------
    body, init, inputs, batch_size
        As for `accumulate`.
    count : int
        The maximum number of samples.
    done : callable
        From the sums, and (n,) of how many samples each of them is, to (n,) bool.
    block : int
        After how many samples it is asked.

    Returns
    -------
    tuple
        The sums, and (n,) float32 how many samples were taken.
    """
    block = min(block, count)

    def turn(number: tf.Tensor, total: Any, used: tf.Tensor, active: tf.Tensor) -> tuple:
        first = number * block

        def shifted(index: tf.Tensor, weight: tf.Tensor) -> Any:
            sample = first + index
            return body(tf.minimum(sample, count - 1), weight * tf.cast(sample < count, tf.float32))

        part = accumulate(shifted, init, block, inputs, batch_size)
        total = tf.nest.map_structure(lambda t, p: t + column(active, p) * p, total, part)
        used += active * tf.cast(tf.minimum(block, count - first), tf.float32)
        return number + 1, total, used, active * (1 - tf.cast(done(total, used), tf.float32))

    def unfinished(number: tf.Tensor, total: Any, used: tf.Tensor, active: tf.Tensor) -> tf.Tensor:
        return (number * block < count) & tf.reduce_any(active > 0)

    start = 0, init, tf.zeros([inputs]), tf.ones([inputs])
    _, total, used, _ = tf.while_loop(unfinished, turn, start, parallel_iterations=1)
    return total, used


def halves(index: tf.Tensor, weight: tf.Tensor) -> list[tf.Tensor]:
    """The weights (k,) of samples in two: of those with even numbers, and of those with odd ones."""
    even = tf.cast(index % 2 == 0, tf.float32)
    return [weight * even, weight * (1 - even)]


def steady(one: Any, other: Any, until: float) -> tf.Tensor:
    """(n,) whether the map that two halves of the samples make has noise of at most such a share of what it shows.

    If the halves correlate by r, the whole map correlates with that of infinitely many samples by the root of
    2 r / (1 + r) (Spearman and Brown 1910), so that the share of noise, as standard deviations, is the root of
    (1 - r) / (2 r). Noise that all values have in common is none.
    """
    a, b = (
        tf.concat([tf.reshape(x, [tf.shape(x)[0], -1]) for x in tf.nest.flatten(given)], 1) for given in (one, other)
    )
    a, b = (x - tf.reduce_mean(x, 1, keepdims=True) for x in (a, b))
    shared = tf.reduce_sum(a * b, 1)
    lengths = tf.norm(a, axis=1) * tf.norm(b, axis=1)
    return lengths - shared <= 2 * shared * until**2


def collect(body: Callable, count: int | tf.Tensor, inputs: tf.Tensor, batch_size: int) -> tf.Tensor:
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


def standard_error(mean: tf.Tensor, squares: tf.Tensor, count: tf.Tensor | int) -> tf.Tensor:
    """Of means over so many samples, in all or of each input, from the means of the squares."""
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
    """Each row so many times, one after the other."""
    return x if times == 1 else tf.repeat(x, times, 0)  # which takes some twenty operations


def column(x: tf.Tensor, like: tf.Tensor) -> tf.Tensor:
    """(n,) as (n, 1, ..., 1), to be broadcast against ``like``."""
    return tf.reshape(x, [-1] + [1] * (like.shape.rank - 1))


def where_rows(rows: tf.Tensor, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Rows of x where (n,) rows is true, else of y: on a CPU seven times as fast as a condition that is broadcast."""
    return tf.raw_ops.Select(condition=rows, x=x, y=y)


def apart(seed: tf.Tensor, kind: int) -> tf.Tensor:
    """A seed for random numbers of another kind, of the same sample."""
    return seed + tf.constant([kind << 32, 0], tf.int64)


def shuffled(count: int, seed: tf.Tensor, kind: int = 0) -> tf.Tensor:
    """(count,) the numbers from 0 in random order."""
    return tf.argsort(tf.random.stateless_uniform([count], apart(seed, kind)))


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

    def draw_once(self, sample: Callable[[tf.Tensor], Any]) -> Any:
        """``sample(seed)``, once for all samples: of the first number."""
        return tf.nest.map_structure(lambda x: x[0], self.draw(tf.constant([0]), sample))
