"""Gradient descent for each input of a batch on its own, as a loop in the graph that can be left and entered again.

Between two turns of the loop nothing is lost. So a long descent may run in pieces: the user sees how far it is and may
interrupt it, what it has come to can be kept on the way, and memory does not depend on the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

from tfxai.loops import not_inlined, where_rows

DECAYS = (0.9, 0.999)  # of Adam's moments (Kingma and Ba 2015)
EPSILON = 1e-8

Moments = tuple[tf.Tensor, tf.Tensor]


@dataclass(frozen=True)
class Schedule:
    """How fast to descend, and when to stop.

    Attributes
    ----------
    rate : float or tf.Tensor
        Learning rate of Adam.
    decay : int, optional
        Halve the rate every this many steps.
    patience : int, optional
        An input stops when its loss has not fallen for this many steps; None: never.
    tolerance : float
        The share of itself by which the loss must fall to count.
    """

    rate: Any
    decay: int | None = None
    patience: int | None = None
    tolerance: float = 0.0


class Evaluated(NamedTuple):
    """What is known of values."""

    terms: tf.Tensor  # (n, terms) of the loss, whose sum is to fall
    gradient: tf.Tensor  # of that sum
    enough: tf.Tensor | None = None  # (n,) bool, whether the values are good enough to stop


class State(NamedTuple):
    """A descent between two steps, row by row.

    Attributes
    ----------
    values : tf.Tensor
        (n, ...) float32, what is sought.
    moments : tuple of tf.Tensor
        Adam's.
    number : tf.Tensor
        () int32, how many steps there were.
    active : tf.Tensor
        (n,) bool, which rows go on.
    best : tf.Tensor
        (n, ...) the values with the lowest loss so far, or those that were good enough.
    lowest : tf.Tensor
        (n,) that loss.
    idle : tf.Tensor
        (n,) int32, for how many steps the loss has not fallen.
    steps : tf.Tensor
        (n,) int32, how often the loss was evaluated before the row stopped.
    reached : tf.Tensor
        (n,) bool, whether the row stopped because its values are good enough.
    broken : tf.Tensor
        (n,) bool, whether a step led nowhere (not finite, or not ``usable``) and was taken back.
    terms : tf.Tensor
        (n, terms) of the loss when it was evaluated last.
    """

    values: tf.Tensor
    moments: Moments
    number: tf.Tensor
    active: tf.Tensor
    best: tf.Tensor
    lowest: tf.Tensor
    idle: tf.Tensor
    steps: tf.Tensor
    reached: tf.Tensor
    broken: tf.Tensor
    terms: tf.Tensor


def begin(
    start: tf.Tensor,
    terms: int,
    active: tf.Tensor | None = None,
    moments: Moments | None = None,
    number: int = 0,
) -> State:
    """A descent before its first step.

    Parameters
    ----------
    start : tf.Tensor
        (n, ...) float32.
    terms : int
        Of how many the loss is the sum.
    active : tf.Tensor, optional
        (n,) bool, which rows descend at all. Default: all.
    moments : tuple of tf.Tensor, optional
        Adam's, of an earlier descent.
    number : int
        Of steps of that descent.
    """
    count = tf.shape(start)[0]
    none, no = tf.zeros([count], tf.int32), tf.zeros([count], tf.bool)
    return State(
        values=start,
        moments=moments or (tf.zeros_like(start), tf.zeros_like(start)),
        number=tf.constant(number),
        active=~no if active is None else active,
        best=start,
        lowest=tf.fill([count], tf.float32.max),
        idle=none,
        steps=none,
        reached=no,
        broken=no,
        terms=tf.zeros([count, terms]),
    )


def descend(
    state: State,
    evaluate: Callable[[tf.Tensor, tf.Tensor], Evaluated],
    schedule: Schedule,
    most: int,
    until: tf.Tensor | None = None,
    project: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
    usable: Callable[[tf.Tensor], tf.Tensor] | None = None,
    note: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] = lambda values, terms: terms,
) -> tuple[State, tf.Tensor]:
    """Minimise a loss of each row by Adam.

    Nothing in a row depends on the other rows: one that has stopped stays as it is while the others go on.

    Parameters
    ----------
    state : State
        Where to begin.
    evaluate : callable
        From values and the number of the step to what is known of them.
    schedule : Schedule
        How fast to descend, and when to stop.
    most : int
        The maximum number of steps.
    until : tf.Tensor, optional
        () int32, number of the step before which to stop, if that is earlier.
    project : callable, optional
        Brings values back to where they are allowed, after each step.
    usable : callable, optional
        From values to (n,) bool. A row whose step leads to useless or infinite values takes it back and stops.
    note : callable
        From values and terms of a step to what the history keeps of it, (n, numbers). Default: the terms.

    Returns
    -------
    tuple
        The state, and (n, most, numbers): what is noted of each step; where a row has made no step, of its last one.
    """
    first, evaluate = state.number, not_inlined(evaluate)
    end = first + most if until is None else tf.minimum(first + most, until)
    numbers, history = first + tf.range(most)[:, None], tf.tile(note(state.values, state.terms)[:, None], [1, most, 1])

    def step(now: State, history: tf.Tensor) -> tuple[State, tf.Tensor]:
        terms, gradient, enough = evaluate(now.values, now.number)
        total = tf.reduce_sum(terms, 1)
        finite = tf.math.is_finite(total) & tf.reduce_all(tf.math.is_finite(_flat(gradient)), 1)
        seen = now.active & finite

        reached = seen & enough if enough is not None else tf.zeros_like(seen)
        better = reached | (seen & (total < now.lowest))
        fallen = total < now.lowest - schedule.tolerance * tf.abs(now.lowest)
        idle = tf.where(fallen, 0, now.idle + 1)
        going = seen & ~reached
        if schedule.patience is not None:
            going &= idle < schedule.patience

        change, moments = adam(where_rows(finite, gradient, tf.zeros_like(gradient)), now.moments, now.number + 1)
        halved = 0.5 ** tf.cast(now.number // schedule.decay, tf.float32) if schedule.decay else 1.0
        moved = project(now.values - schedule.rate * halved * change)
        sound = tf.reduce_all(tf.math.is_finite(_flat(moved)), 1)
        if usable is not None:
            sound &= usable(moved)
        terms = where_rows(seen, terms, now.terms)
        return State(
            values=where_rows(going & sound, moved, now.values),
            moments=moments,
            number=now.number + 1,
            active=going & sound,
            best=where_rows(better, now.values, now.best),
            lowest=tf.where(better, total, now.lowest),
            idle=idle,
            steps=now.steps + tf.cast(now.active, tf.int32),
            reached=now.reached | reached,
            broken=now.broken | (now.active & ~finite) | (going & ~sound),
            terms=terms,
        ), tf.where(numbers >= now.number, note(now.values, terms)[:, None], history)

    return tf.while_loop(
        lambda now, _: (now.number < end) & tf.reduce_any(now.active), step, (state, history), parallel_iterations=1
    )


def adam(gradient: tf.Tensor, moments: Moments, number: tf.Tensor) -> tuple[tf.Tensor, Moments]:
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


def _flat(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, [tf.shape(x)[0], -1])
