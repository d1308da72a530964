"""Gradient ascent of each image on its own, as a loop in the graph that can be left and entered again.

Between two turns of the loop nothing is lost, so a long ascent runs in pieces: the user sees how far it is and may
interrupt it, intermediate images can be kept, and memory does not depend on the number of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfxai.attribution.inversion.descent import adam
from tfxai.loops import chosen, whole


class State(NamedTuple):
    """An ascent between two steps, row by row.

    Attributes
    ----------
    numbers : tf.Tensor
        (n, ...) what is sought.
    moments : tuple of tf.Tensor
        Adam's.
    best : tf.Tensor
        (n, ...) those with the highest total so far.
    highest : tf.Tensor
        (n,) that total.
    terms : tf.Tensor
        (n, terms) the last ones.
    active : tf.Tensor
        (n,) bool, which rows go on.
    reached : tf.Tensor
        (n,) bool, which stopped because they are good enough.
    steps : tf.Tensor
        (n,) int32, how many steps each has made.
    number : tf.Tensor
        () int32, how many steps there were.
    """

    numbers: tf.Tensor
    moments: tuple[tf.Tensor, tf.Tensor]
    best: tf.Tensor
    highest: tf.Tensor
    terms: tf.Tensor
    active: tf.Tensor
    reached: tf.Tensor
    steps: tf.Tensor
    number: tf.Tensor


class Evaluated(NamedTuple):
    """What is known of numbers: the terms of the total, its gradient, and whether they are good enough."""

    terms: tf.Tensor  # (n, terms), whose sum is to rise
    gradient: tf.Tensor
    enough: tf.Tensor  # (n,) bool


def begin(numbers: tf.Tensor, terms: int) -> State:
    """An ascent before its first step."""
    count, zeros = tf.shape(numbers)[0], tf.zeros_like(numbers)
    yes, no = tf.fill([count], True), tf.fill([count], False)
    nothing = tf.zeros([count, terms]), tf.fill([count], tf.float32.min)
    none = tf.zeros([count], tf.int32)
    return State(numbers, (zeros, zeros), numbers, nothing[1], nothing[0], yes, no, none, tf.constant(0))


def ascend(
    state: State,
    until: tf.Tensor,
    most: int,
    rate: tf.Tensor,
    evaluate: Callable[[tf.Tensor, tf.Tensor], Evaluated],
    project: Callable[[tf.Tensor], tf.Tensor],
) -> tuple[State, tf.Tensor]:
    """Go on until a step, at most ``most`` steps.

    Parameters
    ----------
    state : State
        Where to begin.
    until : tf.Tensor
        () int32, number of steps after which to stop.
    most : int
        Room for the history.
    rate : tf.Tensor
        Learning rate of Adam.
    evaluate : callable
        From numbers and the number of the step to what is known of them.
    project : callable
        Brings numbers back to where they are allowed.

    Returns
    -------
    tuple
        The state, and (n, most, terms): the terms at each step; of rows that have stopped, their last ones.
    """
    first, evaluate = state.number, whole(evaluate)
    history = tf.TensorArray(tf.float32, most, element_shape=state.terms.shape)

    def step(now: State, history: tf.TensorArray) -> tuple[State, tf.TensorArray]:
        terms, gradient, enough = evaluate(now.numbers, now.number)
        total = tf.reduce_sum(terms, 1)
        finite = tf.math.is_finite(total) & tf.reduce_all(tf.math.is_finite(_flat(gradient)), 1)
        seen = now.active & finite
        reached = seen & enough
        better = reached | (seen & (total > now.highest))
        going = seen & ~enough

        change, moments = adam(chosen(finite, gradient, tf.zeros_like(gradient)), now.moments, now.number + 1)
        moved = project(now.numbers + rate * change)
        terms = chosen(seen, terms, now.terms)
        return State(
            numbers=chosen(going, moved, now.numbers),
            moments=moments,
            best=chosen(better, now.numbers, now.best),
            highest=tf.where(better, total, now.highest),
            terms=terms,
            active=going,
            reached=now.reached | reached,
            steps=now.steps + tf.cast(going, tf.int32),
            number=now.number + 1,
        ), history.write(now.number - first, terms)

    end, history = tf.while_loop(
        lambda now, _: (now.number < until) & (now.number < first + most) & tf.reduce_any(now.active),
        step,
        (state, history),
        parallel_iterations=1,
    )
    return end, tf.transpose(history.stack(), [1, 0, 2])


def _flat(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(x, [tf.shape(x)[0], -1])
