"""Gradients on a path that goes first where the score hardly changes."""

from __future__ import annotations

import math
from typing import Unpack

import numpy as np
import tensorflow as tf

from tfxai.attribution.paths import mean_score
from tfxai.baselines import compared, run_references
from tfxai.checks import at_least, positive
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.loops import accumulate, merge, not_inlined, split
from tfxai.options import InputOptions
from tfxai.run import Run, gradients, tiled, totals
from tfxai.types import Background, Baseline, Model, Tensors

SORTED = 8192  # values by which is told in which quarter a gradient is: to sort all takes as long as a pass


class GuidedIG(Explainer):
    """Integrated gradients along a path of each input's own, which first moves the values that matter least.

    Kapishnikov et al. (2021). In each step, the values with the smallest gradients move towards the input, a
    ``fraction`` of all after the other, until the path from baseline to input is shorter by 1/steps, in the L1 norm; no
    value is further than ``max_dist`` from where it would be on the straight path. So the path is to keep out of places
    with large gradients that mean nothing, which leave noise in the map. The gradient is averaged over the ends of each
    step; the values sum to S(x) - S(x0), and what is missing is reported as ``extras["completeness_gap"]``.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    baseline : number, array, "mean", "blur", "noise", function, or dict of these by input
        What the input is compared with. Default 0, in the model's own scale. See `tfxai.baselines.references`.
    background : array or list of baselines, or dict of these by input, optional
        Several baselines for every input, (b, ...), instead of one: the values are averaged over them.
    steps : int
        Of the path. Default 200 (the authors' code); each needs the one before.
    fraction : float
        Share of all values that move together. Default 0.25 (the authors' code).
    max_dist : float
        How far a value may be ahead of the straight path or behind, as a share of its whole path. Default 0.02 (the
        authors' code); 0 is the straight path, 1 leaves every value free.
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For numbers out of range.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.GuidedIG(tfxai.datasets.flowers.load_model(), steps=10)(images).values.shape
    (2, 112, 112, 3)
    """

    embeds = True
    facts = Facts.of("guided_ig")

    def __init__(
        self,
        model: Model,
        *,
        baseline: Baseline = 0.0,
        background: Background | None = None,
        steps: int = 200,
        fraction: float = 0.25,
        max_dist: float = 0.02,
        **options: Unpack[InputOptions],
    ):
        super().__init__(model, **options)
        if not 0 < fraction <= 1:
            raise ValueError(f"Expected fraction to be more than 0 and at most 1, got {fraction!r}.")
        at_least(0, max_dist=max_dist)
        self.reference = compared(baseline, background)
        self.steps, self.fraction, self.max_dist = positive("steps", steps), float(fraction), float(max_dist)

    def attribute(self, run: Run) -> Tensors:
        x, each = run.floating, tf.nest.map_structure
        starts = run_references(run)
        count = tf.nest.flatten(starts)[0].shape[0]

        def from_baselines(index: tf.Tensor, active: tf.Tensor) -> Tensors:
            start = each(lambda starts: merge(tf.gather(starts, index)), starts)
            found = self.along_own_way(run, each(lambda x: tiled(x, tf.size(index)), x), start, tf.size(index))
            return each(lambda v: tf.tensordot(active / count, split(v, run.count), 1), found)

        values = accumulate(from_baselines, each(tf.zeros_like, x), count, run.count, run.batch_size)
        run.extras["completeness_gap"] = totals(values) - (run.score - mean_score(self, run, starts))
        return values

    def along_own_way(self, run: Run, x: Tensors, start: Tensors, times: tf.Tensor) -> Tensors:
        """The values of so many copies of the inputs, x, from these baselines.

        A place is told by ``at``, (n, N): which share of its path each of all N values of an input has gone.
        """
        flat_start, length = flattened(start), flattened(x) - flattened(start)
        cost = tf.abs(length)

        def slope(at: tf.Tensor) -> tf.Tensor:
            points = like(flat_start + at * length, x)
            again = self.rerun(run, run.among(points, times), times)
            moved = {name: again.inputs[name] for name in points} if isinstance(points, dict) else again.inputs
            return flattened(gradients(again.score, moved, "input"))

        slope = not_inlined(slope)

        def step(number: tf.Tensor, at: tf.Tensor, before: tf.Tensor, values: tf.Tensor) -> tuple:
            share = tf.cast(number + 1, tf.float32) / self.steps
            further = self.moved(at, before, cost, share)
            after = slope(further)
            return number + 1, further, after, values + (further - at) * length * (before + after) / 2

        at = tf.zeros_like(flat_start)
        given = 0, at, slope(at), at
        end = tf.while_loop(lambda number, *_: number < self.steps, step, given, parallel_iterations=1)
        return like(end[3], x)

    def moved(self, at: tf.Tensor, slope: tf.Tensor, cost: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        """(n, N) where a step ends that begins at ``at``, if all have to go such a share of their path on average.

        ``cost``: (n, N) how long the path of each value is.
        """
        low, high = tf.maximum(share - self.max_dist, 0), tf.minimum(share + self.max_dist, 1)
        at = tf.maximum(at, low)
        left = (high - at) * cost
        owed = tf.reduce_sum((share - at) * cost, 1, keepdims=True)
        # Whatever can move, in groups of which each has larger gradients than the one before.
        rank = tf.where(left > 0, tf.abs(slope), np.inf)
        size = rank.shape[1]
        together = min(size, 1 + int(self.fraction * (size - 1)))
        groups = -(-size // together)
        seen = tf.sort(rank[:, :: _stride(size)], axis=1)
        group = tf.zeros_like(rank, tf.int32)
        for end in np.arange(1, groups) * together * seen.shape[1] // size:
            group += tf.cast(rank > seen[:, max(0, end - 1), None], tf.int32)
        group = tf.where(left > 0, group, groups - 1)
        inside = [group == number for number in range(groups)]  # faster than to scatter and gather, of a few groups
        room = tf.stack([tf.reduce_sum(tf.where(own, left, 0), 1) for own in inside], 1)
        before = tf.cumsum(room, 1, exclusive=True)
        gone = tf.clip_by_value(tf.math.divide_no_nan(owed - before, room), 0, 1)  # all, a part, and nothing
        share = tf.add_n([tf.where(own, one, 0) for own, one in zip(inside, tf.split(gone, groups, 1), strict=True)])
        return at + share * (high - at)


def _stride(size: int) -> int:
    """Of so many values, about `SORTED` are looked at, of all rows and channels alike."""
    return next(step for step in range(max(1, size // SORTED), size + 1) if math.gcd(step, size) == 1)


def flattened(x: Tensors) -> tf.Tensor:
    """(n, N) all values of each input, of one input of the model after those of another."""
    return tf.concat([tf.reshape(one, [-1, one.shape[1:].num_elements()]) for one in tf.nest.flatten(x)], 1)


def like(flat: tf.Tensor, x: Tensors) -> Tensors:
    """All values of each input, (n, N), in the structure of inputs."""
    shapes = [one.shape[1:] for one in tf.nest.flatten(x)]
    parts = tf.split(flat, [shape.num_elements() for shape in shapes], 1)
    return tf.nest.pack_sequence_as(x, [tf.reshape(p, [-1, *s]) for p, s in zip(parts, shapes, strict=True)])
