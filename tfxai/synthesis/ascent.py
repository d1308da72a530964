"""The way up of a total, as compiled functions: some steps, what is returned at the end, and the images on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import tensorflow as tf

from tfxai.descent import Evaluated, Schedule, State, begin, descend
from tfxai.loops import where_rows
from tfxai.synthesis.objective import Numbers
from tfxai.synthesis.total import Total

PIECE = 25  # steps between two looks at the progress


class Ascent:
    """The functions, traced for one kind of objective: its numbers (classes, channels, factors) are tensors.

    Parameters
    ----------
    total : Total
        What rises.
    most : int
        How many steps are made at once, at most.
    keep : {"best", "last"}
        What is returned.
    threshold : float, optional
        Probability of the class at which an image stops.
    jit_compile : bool
        Whether XLA compiles.

    Attributes
    ----------
    ascend : callable
        From a state of the descent, numbers of the objective, the step before which to stop and the learning rate, to
        the next state and the terms of the total at each step.
    finish : callable
        From the last state and the numbers of the objective, to what is returned: what was sought, the images, their
        terms, none being moved, and their probability, None if there is none.
    images : callable
        From what is sought to its images.
    """

    def __init__(
        self, total: Total, most: int, *, keep: Literal["best", "last"], threshold: float | None, jit_compile: bool
    ):
        self.total, self.most, self.keep, self.threshold = total, most, keep, threshold
        rows = total.spec.shape[0]
        values = [tf.TensorSpec([rows, *value.shape[1:]], value.dtype) for value in total.objective.values]
        state = tf.nest.map_structure(
            lambda x: tf.TensorSpec([rows, *x.shape[1:]] if x.shape.rank else [], x.dtype),
            begin(tf.zeros([1, *total.canvas.shape]), len(total.names)),
        )

        def compiled(function: Callable, *signature: Any) -> Callable:
            made = tf.function(function, autograph=False, jit_compile=jit_compile or None)
            return made.get_concrete_function(*signature)

        scalar = tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.float32)
        self.ascend = compiled(self._ascend, state, values, *scalar)
        self.finish = compiled(self._finish, state, values)
        self.images = compiled(total.canvas.image, state.values)

    def _ascend(self, state: State, values: Numbers, until: tf.Tensor, rate: tf.Tensor) -> tuple[State, tf.Tensor]:
        """The total is to rise, so its negative is what descends."""

        def evaluate(numbers: tf.Tensor, step: tf.Tensor) -> Evaluated:
            look = self.total.look(numbers, values, step)
            enough, probability = None, self.total.objective.probability
            if self.threshold is not None and probability is not None:
                enough = probability(look.seen, values) >= self.threshold
            return Evaluated(-tf.stack(look.terms, 1), -self.total.gradient(numbers, look), enough)

        state, costs = descend(state, evaluate, Schedule(rate), self.most, until, self.total.canvas.project)
        return state, -costs

    def _finish(self, state: State, values: Numbers) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor | None]:
        numbers = state.values
        if self.keep == "best":
            last = tf.add_n(self.total.look(numbers, values).terms)  # the last step has not been evaluated before
            numbers = where_rows((-last < state.lowest) & ~state.reached, numbers, state.best)
        images, terms, seen = self.total.look(numbers, values)
        probability = self.total.objective.probability
        known = probability is not None and seen.knows_probabilities
        return numbers, images, tf.stack(terms, 1), probability(seen, values) if probability and known else None
