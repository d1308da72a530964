"""Gradient descent for each input of a batch on its own, as one loop in the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from tfxai.loops import chosen, whole

DECAYS = (0.9, 0.999)  # of Adam's moments (Kingma and Ba 2015)
EPSILON = 1e-8


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to descend.

    Attributes
    ----------
    steps : int
        How many, at most.
    rate : float
        Learning rate of Adam.
    decay : int, optional
        Halve the rate after so many steps, again and again.
    patience : int, optional
        An input stops when its loss has not fallen for so many steps; None: never.
    tolerance : float
        By which share of itself the loss must fall to count.
    keep_best : bool
        Return what had the lowest loss, or what came last.
    first : int
        Number of the first step, where a descent goes on.
    """

    steps: int
    rate: float
    decay: int | None = None
    patience: int | None = None
    tolerance: float = 0.0
    keep_best: bool = True
    first: int = 0


class Descent(NamedTuple):
    """What a descent came to, row by row.

    Attributes
    ----------
    values : tf.Tensor
        (n, ...) what was sought.
    moments : tuple of tf.Tensor
        Adam's, to go on with.
    steps : tf.Tensor
        (n,) int32, how often the loss was evaluated before the row stopped.
    broken : tf.Tensor
        (n,) bool, whether a step led nowhere (not finite, or not ``usable``) and was taken back.
    history : tf.Tensor
        (n, steps, terms); after a row has stopped, its last terms.
    """

    values: tf.Tensor
    moments: tuple[tf.Tensor, tf.Tensor]
    steps: tf.Tensor
    broken: tf.Tensor
    history: tf.Tensor


class _State(NamedTuple):
    values: tf.Tensor
    moments: tuple[tf.Tensor, tf.Tensor]
    active: tf.Tensor
    best: tf.Tensor
    lowest: tf.Tensor
    idle: tf.Tensor
    steps: tf.Tensor
    broken: tf.Tensor
    history: tf.Tensor


def descend(
    start: tf.Tensor,
    evaluate: Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    terms: int,
    schedule: Schedule,
    active: tf.Tensor,
    project: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    usable: Callable[[tf.Tensor], tf.Tensor] | None = None,
    moments: tuple[tf.Tensor, tf.Tensor] | None = None,
) -> Descent:
    """Minimise a loss of each row by Adam.

    Nothing in a row depends on the other rows: one that has stopped stays as it is while the others go on.

    Parameters
    ----------
    start : tf.Tensor
        (n, ...) float32.
    evaluate : callable
        From values and the number of the step to the (n, terms) terms of the loss, whose sum is minimised, and the
        gradient of that sum.
    terms : int
        Their number.
    schedule : Schedule
        Steps and rate.
    active : tf.Tensor
        (n,) bool, which rows descend at all.
    project : callable, optional
        Brings values back to where they are allowed, after each step.
    usable : callable, optional
        From values to (n,) bool. A row whose step leads to useless or infinite values takes it back and stops.
    moments : tuple of tf.Tensor, optional
        Adam's, of an earlier descent.
    """
    count, evaluate = tf.shape(start)[0], whole(evaluate)
    rows, none = tf.range(schedule.steps)[None, :, None], tf.zeros([count], tf.int32)

    def step(number: tf.Tensor, now: _State) -> tuple[tf.Tensor, _State]:
        parts, gradient = evaluate(now.values, number)
        total = tf.reduce_sum(parts, 1)
        finite = tf.math.is_finite(total) & tf.reduce_all(tf.math.is_finite(_flat(gradient)), 1)
        gradient = chosen(finite, gradient, tf.zeros_like(gradient))
        seen = now.active & finite

        better = seen & (total < now.lowest)
        fallen = total < now.lowest - schedule.tolerance * tf.abs(now.lowest)
        idle = tf.where(fallen, 0, now.idle + 1)
        going = seen if schedule.patience is None else seen & (idle < schedule.patience)

        change, moments = adam(gradient, now.moments, schedule.first + number + 1)
        halved = (schedule.first + number) // schedule.decay if schedule.decay else 0
        moved = project(now.values - schedule.rate * 0.5 ** tf.cast(halved, tf.float32) * change)
        sound = tf.reduce_all(tf.math.is_finite(_flat(moved)), 1)
        if usable is not None:
            sound &= usable(moved)
        return number + 1, _State(
            values=chosen(going & sound, moved, now.values),
            moments=moments,
            active=going & sound,
            best=chosen(better, now.values, now.best),
            lowest=tf.where(better, total, now.lowest),
            idle=idle,
            steps=now.steps + tf.cast(now.active, tf.int32),
            broken=now.broken | (now.active & ~finite) | (going & ~sound),
            history=tf.where((rows >= number) & seen[:, None, None], parts[:, None], now.history),
        )

    state = _State(
        values=start,
        moments=moments or (tf.zeros_like(start), tf.zeros_like(start)),
        active=active,
        best=start,
        lowest=tf.fill([count], tf.float32.max),
        idle=none,
        steps=none,
        broken=tf.zeros([count], tf.bool),
        history=tf.zeros([count, schedule.steps, terms]),
    )
    _, end = tf.while_loop(
        lambda number, now: (number < schedule.steps) & tf.reduce_any(now.active),
        step,
        (0, state),
        parallel_iterations=1,
    )
    return Descent(end.best if schedule.keep_best else end.values, end.moments, end.steps, end.broken, end.history)


def adam(
    gradient: tf.Tensor, moments: tuple[tf.Tensor, tf.Tensor], number: tf.Tensor
) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor]]:
    """Adam's step number ``number``, counted from 1, at a rate of 1, and its moments.

    Our own because the optimisers of Keras keep their state in variables, which a loop cannot carry and which have a
    fixed batch size; ``stateless_apply`` refuses to work on TensorFlow. Epsilon is added where PyTorch adds it.
    """
    first, second = (
        decay * old + (1 - decay) * new
        for decay, old, new in zip(DECAYS, moments, (gradient, tf.square(gradient)), strict=True)
    )
    power = tf.cast(number, tf.float32)
    mean, square = (moment / (1 - decay**power) for decay, moment in zip(DECAYS, (first, second), strict=True))
    return mean / (tf.sqrt(square) + EPSILON), (first, second)


def told(descent: Descent, terms: Sequence[str], stage: str = "") -> dict[str, tf.Tensor]:
    """What a descent leaves for the user: each term of the loss at each step, their sum, and how many steps it took."""
    history = {f"{stage}history/{term}": descent.history[..., number] for number, term in enumerate(terms)}
    total = {f"{stage}history/total": tf.reduce_sum(descent.history, 2)}
    return history | total | {f"{stage}steps": descent.steps}


def _flat(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, [tf.shape(x)[0], -1])
