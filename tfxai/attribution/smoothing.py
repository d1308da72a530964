"""Statistics of any explanation over noisy copies of the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from tfxai.attribution.gradients import Reduction, Saliency
from tfxai.baselines import limits
from tfxai.checks import above, positive
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.goal import Goal
from tfxai.loops import (
    Seeded,
    accumulate,
    accumulate_until,
    column,
    halves,
    merge,
    named_errors,
    split,
    standard_error,
    steady,
)
from tfxai.maps import Place
from tfxai.options import InputOptions
from tfxai.provenance import made_with
from tfxai.run import Run, cast
from tfxai.types import Model, Tensors

POWERS = {1: tf.identity, 2: tf.square, 3: lambda v: v * tf.square(v), 4: lambda v: tf.square(tf.square(v))}


class _Noisy(Explainer, Seeded):
    """Statistics of an explanation over noisy copies of the input."""

    wraps = True
    powers: tuple[int, ...] = (1, 2)  # the moments of the values over the samples that the statistic needs
    more_powers: tuple[int, ...] = (3, 4)  # further ones that its standard error needs
    alike: bool = False  # whether the statistic is read as the explanations are, and shown in the same way

    def __init__(
        self,
        model: Model | Explainer,
        *,
        samples: int = 50,
        noise: float = 0.15,
        seed: int = 0,
        reduction: Reduction = "none",
        uncertainty: bool = False,
        until: float | None = None,
        **options: Unpack[InputOptions],
    ):
        if isinstance(model, Explainer):
            given = [*options, *(["reduction"] if reduction != "none" else [])]
            if given:
                raise ValueError(f"Give {given} to the explainer that is wrapped, not to {type(self).__name__}.")
            self.base = model
        else:
            self.base = Saliency(model, reduction=reduction, **options)
        base = self.base
        shared = {name: getattr(base, name) for name in ("score", "classes", "jit_compile", "draws")}
        Explainer.__init__(self, base.view, **shared)
        Seeded.__init__(self, seed)
        self.reference = base.reference
        if self.alike:
            self.polarity = base.polarity
        self.samples = positive("samples", samples)
        if not np.isfinite(noise) or noise < 0:
            raise ValueError(f"Expected noise to be 0 or more, as a share of the input's range, got {noise!r}.")
        self.noise = float(noise)
        self.uncertainty, self.until = uncertainty or until is not None, until
        if until is not None:
            above(0, until=until)
        if self.uncertainty and samples < 2:
            raise ValueError(f"Expected 2 samples or more for uncertainty=True or until=, got {samples}.")

    def statistic(self, *moments: tf.Tensor) -> tf.Tensor:
        """From the mean of each of `powers` of the values."""
        raise NotImplementedError

    def error(self, count: tf.Tensor | int, *moments: tf.Tensor) -> tf.Tensor:
        """Standard error of the statistic, from the mean of each of `powers` and then of `more_powers`."""
        mean, square = moments
        return standard_error(mean, square, count)

    def adapt(self, inputs: Any) -> None:
        self.base.adapt(inputs)

    @property
    def where(self) -> str | None:
        return self.base.where

    def places(self, run: Run, values: Any) -> dict[str, Place] | None:
        return self.base.places(run, values)

    def describe(self) -> dict[str, Any]:
        inner = self.base.describe()
        nested = {name: inner[name] for name in ("base", "base_options") if name in inner}
        return inner | {"base": self.base.facts.name, "base_options": made_with(self.base) | nested}

    def run(self, inputs: Tensors, goal: Goal, batch_size: int, numbers: Mapping[str, tf.Tensor] | None = None) -> Run:
        return self.base.run(inputs, goal, batch_size, numbers)

    def perturb(self, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Standard normal noise for one sample: the same for all inputs, so that none depends on its batch."""
        return tf.random.stateless_normal(x.shape[1:], seed)

    def spread(self, x: tf.Tensor, kept: tf.Tensor | None = None) -> tf.Tensor:
        """What a noise level of 1 means for each input: its range, of which padding is no part."""
        low, high = limits(tf.cast(x, tf.float32), kept)
        return high - low

    def attribute(self, run: Run) -> Tensors:
        noised = run.noisy

        powers = (*self.powers, *self.more_powers) if self.uncertainty else self.powers

        def noisy(x: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
            kept = run.kept(x)
            spread = self.spread(x) if kept is None else self.spread(x, kept)
            copies = tf.cast(x, tf.float32) + self.noise * spread * noise[:, None]
            return cast(merge(run.with_padding(copies, x)), x.dtype)

        def samples(index: tf.Tensor, active: tf.Tensor) -> list[Tensors]:
            noise = self.draw(index, lambda seed: tf.nest.map_structure(lambda x: self.perturb(x, seed), noised))
            perturbed = tf.nest.map_structure(noisy, noised, noise)
            copies = self.rerun(run, run.among(perturbed, tf.size(index)), tf.size(index))
            values = tf.nest.map_structure(lambda v: split(v, run.count), self.base.attribute(copies))
            raised = [tf.nest.map_structure(POWERS[power], values) for power in powers]
            weights = [active] if self.until is None else halves(index, active)
            return [tf.nest.map_structure(lambda v: tf.tensordot(w, v, 1), raised) for w in weights]  # noqa: B023

        # Only the shape of the clean values is used, so the graph never computes them.
        shapes = self.base.attribute(run)
        run.extras.clear()
        zeros = tf.nest.map_structure(lambda v: tf.zeros([run.count, *v.shape[1:]]), shapes)
        parts = 1 if self.until is None else 2
        given = samples, [[zeros] * len(powers)] * parts, self.samples, run.count, run.batch_size

        def told(sums: list[Tensors], used: tf.Tensor) -> Tensors:
            """The statistic of sums over so many samples."""
            means = tf.nest.map_structure(lambda x: x / column(used, x), sums[: len(self.powers)])
            return tf.nest.map_structure(self.statistic, *means)

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


class SmoothGrad(_Noisy):
    """The mean of an explanation over noisy copies of the input, for the class of the clean input.

    Smilkov et al. (2017): (1/n) sum of M(x + e), e ~ N(0, (noise * range)^2), for any explainer M.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable, path or Explainer
        What is explained; for a model, the gradient (`Saliency`) is taken.
    samples : int
        Noisy copies of each input. Default 50 (Smilkov et al. 2017).
    noise : float
        Standard deviation as a share of each input's range, max - min. Default 0.15 (the paper: 0.1 to 0.2).
    seed : int
        The same seed gives the same noise, for every input and in every batch.
    reduction : {"none", "max_abs", "l2", "sum"}
        As for `Saliency`, if a model is given.
    uncertainty : bool
        Also find the standard error of every value, `Explanation.uncertainty`, for the memory of a second value each.
    until : float, optional
        Take samples only until the map is steady: until, for each input on its own, noise is estimated to be this
        share of what the map shows, such as 0.05 (standard deviations; see `tfxai.loops.steady`).
        ``samples`` is the most; ``extras["samples"]`` has how many it took. Includes
        ``uncertainty``.
    at : str or sequence of str, optional
        Of integers, such as those of words: the inputs that are explained where they are embedded, or a layer behind
        the embedding. Default: the input of words.
    **options
        As for `Explainer`, if a model is given.

    Raises
    ------
    ValueError
        For numbers out of range, or options of the model beside an explainer, which has its own.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> guided = tfxai.GuidedBackprop(tfxai.datasets.flowers.load_model())
    >>> tfxai.SmoothGrad(guided, samples=5)(images).values.shape
    (2, 112, 112, 3)
    """

    powers = (1,)
    more_powers = (2,)
    alike = True
    facts = Facts(
        "smooth_grad",
        use="a steadier version of another explanation",
        cost="50 passes of the method inside (samples)",
        needs="what the method inside needs",
        drawback="the noise level is a choice; noisy copies lie off the data",
        reference="Smilkov et al. 2017",
    )

    def statistic(self, mean: tf.Tensor) -> tf.Tensor:
        return mean


class SquareGrad(_Noisy):
    """The mean square of an explanation over noisy copies of the input.

    Hooker et al. (2019): (1/n) sum of M(x + e)^2.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable, path or Explainer
        What is explained; for a model, the gradient (`Saliency`) is taken.
    samples : int
        Noisy copies of each input. Default 50 (Smilkov et al. 2017).
    noise : float
        Standard deviation as a share of each input's range, max - min. Default 0.15 (the paper: 0.1 to 0.2).
    seed : int
        The same seed gives the same noise, for every input and in every batch.
    reduction : {"none", "max_abs", "l2", "sum"}
        As for `Saliency`, if a model is given.
    uncertainty : bool
        Also find the standard error of every value, `Explanation.uncertainty`, for the memory of a second value each.
    until : float, optional
        Take samples only until the map is steady: until, for each input on its own, noise is estimated to be this
        share of what the map shows, such as 0.05 (standard deviations; see `tfxai.loops.steady`).
        ``samples`` is the most; ``extras["samples"]`` has how many it took. Includes
        ``uncertainty``.
    at : str or sequence of str, optional
        Of integers, such as those of words: the inputs that are explained where they are embedded, or a layer behind
        the embedding. Default: the input of words.
    **options
        As for `Explainer`, if a model is given.

    Raises
    ------
    ValueError
        For numbers out of range, or options of the model beside an explainer, which has its own.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.SquareGrad(tfxai.datasets.flowers.load_model(), samples=5)(images).values.shape
    (2, 112, 112, 3)
    """

    powers = (2,)
    more_powers = (4,)
    facts = Facts(
        "square_grad",
        use="where an explanation is strong, of either sign",
        cost="50 passes of the method inside (samples)",
        needs="what the method inside needs",
        drawback="loses the sign",
        reference="Hooker et al. 2019",
    )

    def statistic(self, square: tf.Tensor) -> tf.Tensor:
        return square


class VarGrad(_Noisy):
    """The variance of an explanation over noisy copies of the input.

    Adebayo et al. (2018): mean of M(x + e)^2 minus the square of the mean; independent of the gradient's mean.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable, path or Explainer
        What is explained; for a model, the gradient (`Saliency`) is taken.
    samples : int
        Noisy copies of each input. Default 50 (Smilkov et al. 2017).
    noise : float
        Standard deviation as a share of each input's range, max - min. Default 0.15 (the paper: 0.1 to 0.2).
    seed : int
        The same seed gives the same noise, for every input and in every batch.
    reduction : {"none", "max_abs", "l2", "sum"}
        As for `Saliency`, if a model is given.
    uncertainty : bool
        Also find the standard error of every value, `Explanation.uncertainty`, for the memory of two more values each.
    until : float, optional
        Take samples only until the map is steady: until, for each input on its own, noise is estimated to be this
        share of what the map shows, such as 0.05 (standard deviations; see `tfxai.loops.steady`).
        ``samples`` is the most; ``extras["samples"]`` has how many it took. Includes
        ``uncertainty``.
    at : str or sequence of str, optional
        Of integers, such as those of words: the inputs that are explained where they are embedded, or a layer behind
        the embedding. Default: the input of words.
    **options
        As for `Explainer`, if a model is given.

    Raises
    ------
    ValueError
        For numbers out of range, or options of the model beside an explainer, which has its own.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.VarGrad(tfxai.datasets.flowers.load_model(), samples=5)(images).values.shape
    (2, 112, 112, 3)
    """

    facts = Facts(
        "var_grad",
        use="where an explanation is unsteady",
        cost="50 passes of the method inside (samples)",
        needs="what the method inside needs",
        drawback="loses the sign",
        reference="Adebayo et al. 2018",
    )

    def statistic(self, mean: tf.Tensor, square: tf.Tensor) -> tf.Tensor:
        return tf.maximum(square - tf.square(mean), 0)

    def error(self, count: tf.Tensor | int, *moments: tf.Tensor) -> tf.Tensor:
        """Of a variance: the root of (the fourth central moment - the variance squared) / n."""
        mean, square, cube, fourth = moments
        central = fourth - 4 * mean * cube + 6 * tf.square(mean) * square - 3 * POWERS[4](mean)
        return standard_error(self.statistic(mean, square), central, count)
