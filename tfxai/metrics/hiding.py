"""Scores of inputs of which parts are hidden: what all measures of faithfulness are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, Unpack

import numpy as np
import tensorflow as tf

from tfxai.baselines import input_references
from tfxai.explanation import Explanation
from tfxai.imputation import Fill, from_surroundings
from tfxai.loops import collect, merge, split
from tfxai.metrics.given import maps_of, of_all
from tfxai.options import ModelOptions
from tfxai.players import ROWS, Parts, Players, as_parts, players, segmented
from tfxai.run import Run
from tfxai.runner import Runner
from tfxai.segmentations import Segments
from tfxai.types import Inputs, Model, Target, Verbose
from tfxai.words import numbers

Hide: TypeAlias = Callable[[tf.Tensor], tf.Tensor]
VALUES = "values"


class Hiding(Runner):
    """Copies of each input with parts of them hidden: ``scores`` (n, copies), and ``drops`` from that of the whole.

    A subclass writes `plan`.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is scored.
    fill, groups, input
        What hides a part, what the parts are, and of which input.
    **options
        As for `Explainer`.
    """

    def __init__(
        self,
        model: Model,
        *,
        fill: Fill = 0.0,
        groups: Parts = None,
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        self.around = from_surroundings(fill, options)
        super().__init__(model, **options)
        self.input, self.groups = input, as_parts(groups)
        self.reference = 0.0 if self.around else fill

    def plan(self, run: Run, parts: Players, values: tf.Tensor) -> tuple[int, Hide, dict[str, tf.Tensor]]:
        """What is hidden of how many copies, and what else is found.

        Parameters
        ----------
        run : Run
            One pass of the inputs.
        parts : Players
            The parts that can be hidden.
        values : tf.Tensor
            (n, *size) what is judged.

        Returns
        -------
        tuple
            The number of copies; a function from the numbers (k,) of copies to (k, 1 or n, ...) of the
            input's shape, 1 where it is hidden; and further results.
        """
        raise NotImplementedError

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        run = run.chosen_or_only()
        image, x = run.image, run.pixels
        parts = players(run, image, self.groups)
        copies, hide, found = self.plan(run, parts, self._relevance(run, image))
        fills = input_references(run, image)

        def score(index: tf.Tensor) -> tf.Tensor:
            hidden = hide(index % copies)
            if self.around is not None:
                fill = self.finished(self.around(x, hidden), x, index)
            else:
                fill = fills if fills.shape[0] == 1 else tf.gather(fills, index // copies)
            changed = run.with_padding(x * (1 - hidden) + fill * hidden, image)
            again = run.with_image(merge(changed), tf.size(index))
            return split(self.rerun(run, again, tf.size(index)).score, run.count)

        scores = collect(score, copies * fills.shape[0], run.count, run.batch_size)
        scores = tf.reduce_mean(tf.reshape(scores, [-1, fills.shape[0], copies]), 1)
        return {"scores": scores, "drops": run.score[:, None] - scores} | found, {}

    def finished(self, fill: tf.Tensor, x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """(k, n, ...) what is put into the holes of the copies of these numbers, if it is as surroundings have it."""
        return fill

    def alongside(self, batch: dict[str, Any], start: int, end: int, total: int | None) -> dict[str, np.ndarray]:
        """The values, and to which part positions belong, where inputs differ in that."""
        found = super().alongside(batch, start, end, total)
        return found | (segmented(self.groups, batch, self.input) if isinstance(self.groups, Segments) else {})

    def _relevance(self, run: Run, x: tf.Tensor) -> tf.Tensor:
        """(n, *size) the values that are judged, without channels."""
        values, size = run.beside[VALUES], run.size(x)
        if list(values.shape[1:]) == size:
            return values
        if values.shape[1:] == x.shape[1:]:
            return tf.reduce_sum(values, [axis for axis in range(1, x.shape.rank) if axis not in run.positions(x)])
        raise ValueError(
            f"Expected values with one number for each of the positions {tuple(size)}, or of the input's shape "
            f"{tuple(x.shape[1:])}, got {tuple(values.shape[1:])}. Take an Explanation, which knows where they lie, or "
            "enlarge them."
        )

    def judged(
        self,
        explanation: Explanation | np.ndarray,
        inputs: Inputs | None,
        target: Target,
        batch_size: int,
        verbose: Verbose,
        values: np.ndarray | None = None,
    ) -> dict[str, np.ndarray]:
        """What is found for all inputs, with a row for each; ``values``: what is judged, if not the explanation's."""
        values = maps_of(explanation, self.input) if values is None else values
        self.beside = {VALUES: values}
        if isinstance(self.groups, str) and self.groups == "words":
            if not isinstance(explanation, Explanation) or explanation.pieces is None:
                raise ValueError('Expected an Explanation that knows the pieces of its texts, for groups="words".')
            self.groups = numbers(explanation.pieces)
        if isinstance(self.groups, np.ndarray) and len(self.groups) == len(values):
            self.beside |= {ROWS: self.groups}
        found = of_all(self, explanation, inputs, target, batch_size, verbose)
        if not np.isfinite(found["scores"]).all():
            raise ValueError(
                f"The model has no finite score where parts are hidden by fill={self.reference!r}. For words, the "
                "number of padding leaves nothing to look at once all are hidden: take that of an unknown word."
            )
        return found
