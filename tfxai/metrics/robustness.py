"""How much an explanation moves when the input hardly does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tfxai.baselines import limits
from tfxai.checks import positive
from tfxai.explainer import Explainer
from tfxai.loops import Seeded, collect, merge, split
from tfxai.models.view import by_name
from tfxai.run import Run, cast, totals
from tfxai.runner import Runner
from tfxai.types import Inputs, Target, Tensors, Verbose

Perturbations: TypeAlias = np.ndarray | Mapping[str, np.ndarray]


def max_sensitivity(
    explainer: Explainer,
    inputs: Inputs,
    target: Target = None,
    *,
    radius: float = 0.02,
    samples: int = 10,
    perturbations: Perturbations | None = None,
    seed: int = 0,
    batch_size: int = 32,
    verbose: Verbose = "auto",
) -> np.ndarray:
    """The largest relative change of an explanation in a small neighbourhood of each input.

    Yeh et al. (2019): the largest norm of phi(x + d) - phi(x) by that of phi(x), Euclidean over all values, for d in a
    box around the input. Of a random search this is a lower bound, which rises with the number of samples. The class
    stays the one that is predicted for the input itself. Words are moved where they have been embedded.

    Parameters
    ----------
    explainer : Explainer
        Of any method.
    inputs : array, tensor, list or dict of them, or dataset
        As `Explainer.explain` takes them.
    target : None, int, str, sequence, callable or target
        As `Explainer.explain` takes it.
    radius : float
        How far each number may move, as a share of the range of its input, the largest number less the smallest.
        Default 0.02 (captum, for pixels in [0, 1]). An input whose numbers are all the same does not move.
    samples : int
        How often the input is moved, at random. Default 10 (captum). As many explanations are the cost.
    perturbations : ndarray or dict of ndarray, optional
        (samples, ...) what is added to every input instead; by the names of inputs, if the model has several.
    seed : int
        The same seed gives the same perturbations, for every input and in every batch.
    batch_size : int
        The number of inputs, perturbed copies included, that pass through the model at once, which bounds the memory.
    verbose : {"auto", 0, 1}
        Progress bar; "auto": if there is more than one batch.

    Returns
    -------
    ndarray
        (n,) of 0 or more; 0 if the explanation does not move. Where the explanation of the input is zero everywhere,
        the change is not divided (as in captum).

    Raises
    ------
    ValueError
        For numbers out of range, or perturbations that do not fit the inputs.
    TypeError
        If it is not an explainer.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> saliency = tfxai.Saliency(tfxai.datasets.flowers.load_model())
    >>> (tfxai.metrics.max_sensitivity(saliency, images, samples=3) > 0).tolist()
    [True, True]
    """
    return Moved(explainer, samples, radius, perturbations, seed).ratios(inputs, target, batch_size, verbose).max(1)


def average_sensitivity(
    explainer: Explainer,
    inputs: Inputs,
    target: Target = None,
    *,
    radius: float = 0.02,
    samples: int = 10,
    perturbations: Perturbations | None = None,
    seed: int = 0,
    batch_size: int = 32,
    verbose: Verbose = "auto",
) -> np.ndarray:
    """The mean relative change of an explanation in a small neighbourhood of each input (Bhatt et al. 2020).

    Parameters
    ----------
    explainer, inputs, target, radius, samples, perturbations, seed, batch_size, verbose
        As for `max_sensitivity`, whose largest change is the mean here.

    Returns
    -------
    ndarray
        (n,) of 0 or more.

    Raises
    ------
    ValueError, TypeError
        As `max_sensitivity`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> saliency = tfxai.Saliency(tfxai.datasets.flowers.load_model())
    >>> tfxai.metrics.average_sensitivity(saliency, images, samples=3).shape
    (2,)
    """
    return Moved(explainer, samples, radius, perturbations, seed).ratios(inputs, target, batch_size, verbose).mean(1)


def local_lipschitz(
    explainer: Explainer,
    inputs: Inputs,
    target: Target = None,
    *,
    radius: float = 0.02,
    samples: int = 10,
    perturbations: Perturbations | None = None,
    seed: int = 0,
    batch_size: int = 32,
    verbose: Verbose = "auto",
) -> np.ndarray:
    """How fast an explanation moves with each input, at most.

    Alvarez-Melis and Jaakkola (2018): the largest norm of phi(x + d) - phi(x) by that of d, in a box around the input.
    It has the units of the explanation, so only explanations of one kind compare.

    Parameters
    ----------
    explainer, inputs, target, radius, samples, perturbations, seed, batch_size, verbose
        As for `max_sensitivity`.

    Returns
    -------
    ndarray
        (n,) of 0 or more.

    Raises
    ------
    ValueError, TypeError
        As `max_sensitivity`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> saliency = tfxai.Saliency(tfxai.datasets.flowers.load_model())
    >>> tfxai.metrics.local_lipschitz(saliency, images, samples=3).shape
    (2,)
    """
    moved = Moved(explainer, samples, radius, perturbations, seed, per_distance=True)
    return moved.ratios(inputs, target, batch_size, verbose).max(1)


class Around(Runner, Seeded):
    """A number for each input and each of its changed copies, of the explanations of both.

    The parameters are those of `Runner`, but for the explainer ``base``, by which the model is run.
    """

    def __init__(self, base: Explainer, samples: int, seed: int):
        if not isinstance(base, Explainer):
            raise TypeError(f"Expected an explainer, such as tfxai.Saliency(model), got {type(base).__name__}.")
        shared = {name: getattr(base, name) for name in ("score", "classes", "jit_compile", "draws")}
        Runner.__init__(self, base.view, **shared)
        Seeded.__init__(self, seed)
        self.base, self.samples = base, positive("samples", samples)
        self.reference, self.embeds = base.reference, base.embeds

    def adapt(self, inputs: Any) -> None:
        self.base.adapt(inputs)

    def run(self, inputs: Any, goal: Any, batch_size: int, numbers: Mapping[str, tf.Tensor] | None = None) -> Run:
        return self.base.run(inputs, goal, batch_size, numbers)

    def attribute(self, run: Run) -> Tensors:
        """The explanation that the base gives of a pass."""
        return tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), self.base.attribute(run))

    def ratios(self, inputs: Inputs, target: Target, batch_size: int, verbose: Verbose) -> np.ndarray:
        """(n, samples) the numbers."""
        found = self.outcomes(inputs, target, batch_size, verbose)
        return np.concatenate([one.found["ratios"] for one in found])


class Moved(Around):
    """How far the explanation moves, relative to its length, or to how far the input does."""

    def __init__(
        self,
        base: Explainer,
        samples: int,
        radius: float,
        perturbations: Perturbations | None,
        seed: int,
        per_distance: bool = False,
    ):
        if not (np.isfinite(radius) and radius >= 0):
            raise ValueError(f"Expected radius to be 0 or more, as a share of the input's range, got {radius!r}.")
        self.given = None
        if perturbations is not None:
            self.given = {name: np.asarray(x, np.float32) for name, x in by_name(perturbations).items()}
            samples = len(next(iter(self.given.values())))
        super().__init__(base, samples, seed)
        self.radius, self.per_distance = radius, per_distance

    def noise(self, index: tf.Tensor, name: str, x: tf.Tensor, kept: tf.Tensor | None) -> tf.Tensor:
        """(k, n, ...) or (k, 1, ...) what is added to an input."""
        if self.given is not None:
            given = self.given.get(name)
            if given is None or not x.shape[1:].is_compatible_with(given.shape[1:]):
                shape = "none" if given is None else given.shape
                raise ValueError(f"Expected perturbations (samples, {tuple(x.shape[1:])}) of {name!r}, got {shape}.")
            return tf.gather(tf.constant(given), index)[:, None]
        low, high = limits(tf.cast(x, tf.float32), kept)
        uniform = self.draw(index, lambda seed: tf.random.stateless_uniform(x.shape[1:], seed, -1, 1))
        return self.radius * (high - low) * uniform[:, None]

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        noised = run.noisy
        phi = self.attribute(run)
        length = tf.sqrt(totals(tf.nest.map_structure(tf.square, phi)))

        def moved(index: tf.Tensor, name: str, x: tf.Tensor) -> tf.Tensor:
            kept = run.kept(x)
            return cast(run.with_padding(tf.cast(x, tf.float32) + self.noise(index, name, x, kept), x), x.dtype)

        def ratios(index: tf.Tensor) -> tf.Tensor:
            times = tf.size(index)
            named = {name: moved(index, name, x) for name, x in by_name(noised).items()}
            copies = named if isinstance(noised, dict) else next(iter(named.values()))
            again = self.rerun(run, run.among(tf.nest.map_structure(merge, copies), times), times)
            change = tf.nest.map_structure(lambda v, w: split(v, run.count) - w, self.attribute(again), phi)
            if not self.per_distance:
                return _norms(change) / tf.where(length > 0, length, 1)
            way = tf.nest.map_structure(_difference, copies, noised)
            return tf.math.divide_no_nan(_norms(change), _norms(way))

        return {"ratios": collect(ratios, self.samples, run.count, run.batch_size)}, {}


def _difference(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return tf.cast(x, tf.float32) - tf.cast(y, tf.float32)


def _norms(values: Tensors) -> tf.Tensor:
    """(k, n) Euclidean length of (k, n, ...) values, over all inputs of the model."""
    squares = [tf.reduce_sum(tf.square(v), list(range(2, v.shape.rank))) for v in tf.nest.flatten(values)]
    return tf.sqrt(tf.add_n(squares))
