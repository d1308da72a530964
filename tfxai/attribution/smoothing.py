"""Statistics of any explanation over noisy copies of the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

import tensorflow as tf

from tfxai.attribution.gradients import Reduction, Saliency
from tfxai.attribution.sampled import POWERS, Sampled
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.goal import Goal
from tfxai.loops import merge, split, standard_error
from tfxai.maps import Place
from tfxai.options import InputOptions
from tfxai.provenance import made_with
from tfxai.run import Run, cast
from tfxai.types import Model, Tensors


class _Noisy(Sampled):
    """Statistics of an explanation over noisy copies of the input."""

    wraps = True
    powers: tuple[int, ...] = (1, 2)
    more_powers: tuple[int, ...] = (3, 4)
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
        self.reference = base.reference
        if self.alike:
            self.polarity = base.polarity
        self.sampled(samples, noise, seed, uncertainty, until)

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

    def attribute(self, run: Run) -> Tensors:
        def values(index: tf.Tensor) -> Tensors:
            noisy = tf.nest.map_structure(lambda x, own: cast(merge(x), own.dtype), self.noisy(run, index), run.noisy)
            copies = self.rerun(run, run.among(noisy, tf.size(index)), tf.size(index))
            return tf.nest.map_structure(lambda v: split(v, run.count), self.base.attribute(copies))

        # Only the shape of the clean values is used, so the graph never computes them.
        shapes = self.base.attribute(run)
        run.extras.clear()
        return self.over_samples(
            run, values, tf.nest.map_structure(lambda v: tf.zeros([run.count, *v.shape[1:]]), shapes)
        )


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
        Also estimate the standard error of every value, `Explanation.uncertainty`, at the memory cost of a second value
        each.
    until : float, optional
        Stop once the map is steady: when, for each input separately, the estimated noise is this share of what the map
        shows, such as 0.05 (standard deviations; see `tfxai.loops.steady`). ``samples`` is the upper limit;
        ``extras["samples"]`` holds the number used. Implies ``uncertainty``.
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`, if a model is given.

    Raises
    ------
    ValueError
        For numbers out of range, or options of the model given along with an explainer, which has its own.

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
    facts = Facts.of("smooth_grad")


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
        Also estimate the standard error of every value, `Explanation.uncertainty`, at the memory cost of a second value
        each.
    until : float, optional
        Stop once the map is steady: when, for each input separately, the estimated noise is this share of what the map
        shows, such as 0.05 (standard deviations; see `tfxai.loops.steady`). ``samples`` is the upper limit;
        ``extras["samples"]`` holds the number used. Implies ``uncertainty``.
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`, if a model is given.

    Raises
    ------
    ValueError
        For numbers out of range, or options of the model given along with an explainer, which has its own.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.SquareGrad(tfxai.datasets.flowers.load_model(), samples=5)(images).values.shape
    (2, 112, 112, 3)
    """

    powers = (2,)
    more_powers = (4,)
    facts = Facts.of("square_grad")

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
        Also estimate the standard error of every value, `Explanation.uncertainty`, at the memory cost of two more
        values each.
    until : float, optional
        Stop once the map is steady: when, for each input separately, the estimated noise is this share of what the map
        shows, such as 0.05 (standard deviations; see `tfxai.loops.steady`). ``samples`` is the upper limit;
        ``extras["samples"]`` holds the number used. Implies ``uncertainty``.
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`, if a model is given.

    Raises
    ------
    ValueError
        For numbers out of range, or options of the model given along with an explainer, which has its own.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.VarGrad(tfxai.datasets.flowers.load_model(), samples=5)(images).values.shape
    (2, 112, 112, 3)
    """

    facts = Facts.of("var_grad")

    def statistic(self, mean: tf.Tensor, square: tf.Tensor) -> tf.Tensor:
        return tf.maximum(square - tf.square(mean), 0)

    def error(self, count: tf.Tensor | int, *moments: tf.Tensor) -> tf.Tensor:
        """Of a variance: the root of (the fourth central moment - the variance squared) / n."""
        mean, square, cube, fourth = moments
        central = fourth - 4 * mean * cube + 6 * tf.square(mean) * square - 3 * POWERS[4](mean)
        return standard_error(self.statistic(mean, square), central, count)
