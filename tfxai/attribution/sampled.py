"""Means over random samples, with their standard errors, of as many samples as are asked for or needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.baselines import limits
from tfxai.checks import above, positive
from tfxai.explainer import Explainer
from tfxai.loops import (
    Seeded,
    accumulate,
    accumulate_until,
    column,
    halves,
    named_errors,
    standard_error,
    steady,
)
from tfxai.run import Run
from tfxai.types import Tensors

POWERS = {1: tf.identity, 2: tf.square, 3: lambda v: v * tf.square(v), 4: lambda v: tf.square(tf.square(v))}


def told_of(uncertainty: bool, until: float | None, **count: int) -> tuple[bool, float | None]:
    """Whether standard errors are found, and until when samples are drawn; ``count`` is named as users know it."""
    if until is not None:
        above(0, until=until)
    ((name, number),) = count.items()
    if (uncertainty or until is not None) and number < 2:
        raise ValueError(f"Expected 2 {name} or more for uncertainty=True or until=, got {number}.")
    return uncertainty or until is not None, until


class Sampled(Explainer, Seeded):
    """Base of the methods that find a statistic of values over random samples, their mean if nothing else is said."""

    powers: tuple[int, ...] = (1,)  # the moments of the values over the samples that the statistic needs
    more_powers: tuple[int, ...] = (2,)  # further ones that its standard error needs

    def sampled(self, samples: int, noise: float, seed: int, uncertainty: bool, until: float | None) -> None:
        """Keep what says how many samples there are, and what is told of them."""
        Seeded.__init__(self, seed)
        self.samples = positive("samples", samples)
        if not np.isfinite(noise) or noise < 0:
            raise ValueError(f"Expected noise to be 0 or more, as a share of the input's range, got {noise!r}.")
        self.noise = float(noise)
        self.uncertainty, self.until = told_of(uncertainty, until, samples=samples)

    def statistic(self, *moments: tf.Tensor) -> tf.Tensor:
        """From the mean of each of `powers` of the values."""
        return moments[0]

    def error(self, count: tf.Tensor | int, *moments: tf.Tensor) -> tf.Tensor:
        """Standard error of the statistic, from the mean of each of `powers` and then of `more_powers`."""
        mean, square = moments
        return standard_error(mean, square, count)

    def perturb(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Standard normal noise for one sample: the same for all inputs, so that none depends on its batch."""
        return tf.random.stateless_normal(x.shape[1:], seed)

    def spread(self, x: tf.Tensor, kept: tf.Tensor | None = None) -> tf.Tensor:
        """What a noise level of 1 means for each input: its range, of which padding is no part."""
        low, high = limits(tf.cast(x, tf.float32), kept)
        return high - low

    def noisy(self, run: Run, index: tf.Tensor) -> Tensors:
        """(k, n, ...) float32 copies of the inputs with the noise of (k,) samples."""

        def copies(x: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
            kept = run.kept(x)
            spread = self.spread(x) if kept is None else self.spread(x, kept)
            return run.with_padding(tf.cast(x, tf.float32) + self.noise * spread * noise[:, None], x)

        noise = self.draw(index, lambda seed: tf.nest.map_structure(lambda x: self.perturb(x, seed), run.noisy))
        return tf.nest.map_structure(copies, run.noisy, noise)

    def over_samples(self, run: Run, values: Callable[[tf.Tensor], Tensors], zeros: Tensors) -> Tensors:
        """The statistic of each input's values; standard errors and numbers of samples go into ``run.extras``.

        Parameters
        ----------
        run : Run
            Of the clean inputs.
        values : callable
            From (k,) numbers of samples to values (k, n, ...).
        zeros : nested tensors
            Of the shape of the statistic, (n, ...).
        """
        powers = (*self.powers, *self.more_powers) if self.uncertainty else self.powers

        def sums_of(index: tf.Tensor, active: tf.Tensor) -> list[Tensors]:
            found = values(index)
            raised = [tf.nest.map_structure(POWERS[power], found) for power in powers]
            weights = [active] if self.until is None else halves(index, active)
            return [tf.nest.map_structure(lambda v: tf.tensordot(w, v, 1), raised) for w in weights]  # noqa: B023

        def told(sums: list[Tensors], used: tf.Tensor) -> Any:
            """The statistic of sums over so many samples."""
            means = tf.nest.map_structure(lambda x: x / column(used, x), sums[: len(self.powers)])
            return tf.nest.map_structure(self.statistic, *means)

        parts = 1 if self.until is None else 2
        given = sums_of, [[zeros] * len(powers)] * parts, self.samples, run.count, run.batch_size
        if self.until is None:
            (sums,), used = accumulate(*given), tf.fill([run.count], float(self.samples))
        else:
            until = self.until
            (even, odd), used = accumulate_until(
                *given, lambda both, used: steady(told(both[0], used / 2), told(both[1], used / 2), until)
            )
            sums = tf.nest.map_structure(tf.add, even, odd)
            run.extras["samples"] = used
        if self.uncertainty:
            means = tf.nest.map_structure(lambda x: x / column(used, x), sums)
            errors = tf.nest.map_structure(lambda *x: self.error(column(used, x[0]), *x), *means)
            run.extras |= named_errors(errors)
        return told(sums, used)
