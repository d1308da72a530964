"""Gradients of the score with respect to the input, plain and averaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, Unpack, get_args

import numpy as np
import tensorflow as tf

from tfxai.attribution.paths import POINTS, integral, integral_until, mean_score
from tfxai.baselines import compared, run_references
from tfxai.checks import above, one_of, positive
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.options import InputOptions
from tfxai.run import Run, totals
from tfxai.types import Background, Baseline, Model, Tensors

Reduction: TypeAlias = Literal["none", "max_abs", "l2", "sum"]
REDUCTIONS: dict[Reduction, Callable[[tf.Tensor], tf.Tensor]] = {
    "none": lambda g: g,
    "max_abs": lambda g: tf.reduce_max(tf.abs(g), -1),
    "l2": lambda g: tf.sqrt(tf.reduce_sum(tf.square(g), -1)),
    "sum": lambda g: tf.reduce_sum(g, -1),
}


class Saliency(Explainer):
    """The gradient of the score: what to change in the input for the score to change most.

    Simonyan et al. (2013). With w = dS/dx at the input, S is locally w.x + b.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    reduction : {"none", "max_abs", "l2", "sum"}
        Over channels: signed gradient of the input's shape (default), or a map by the largest magnitude (the paper's),
        the L2 norm, or the sum.
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For an unknown reduction, or a model without gradient path to the input.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.Saliency(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 112, 112, 3)
    """

    embeds = True
    facts = Facts.of("saliency")
    polarity = "absolute"

    def __init__(self, model: Model, *, reduction: Reduction = "none", **options: Unpack[InputOptions]):
        super().__init__(model, **options)
        one_of("reduction", reduction, REDUCTIONS)
        self.reduction: Reduction = reduction

    def attribute(self, run: Run) -> Tensors:
        return tf.nest.map_structure(REDUCTIONS[self.reduction], run.gradients())


class GradientXInput(Explainer):
    """Gradient times input: the first-order share of each input value in the score.

    Shrikumar et al. (2016): x * dS/dx. In networks of ReLUs without biases the values sum to the score.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.GradientXInput(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 112, 112, 3)
    """

    embeds = True
    facts = Facts.of("gradient_x_input")

    def attribute(self, run: Run) -> Tensors:
        return tf.nest.map_structure(tf.multiply, run.floating, run.gradients())


Quadrature: TypeAlias = Literal["gauss_legendre", "trapezoid", "left", "middle", "right"]


def nodes_and_weights(quadrature: Quadrature, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Where on [0, 1] to take the gradient, and what each of these points counts."""
    one_of("quadrature", quadrature, get_args(Quadrature))
    k = np.arange(steps)
    if quadrature == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return (nodes + 1) / 2, weights / 2
    if quadrature == "trapezoid":
        if steps < 2:
            raise ValueError("The trapezoid rule needs at least 2 steps.")
        ends = np.where((k == 0) | (k == steps - 1), 0.5, 1.0)
        return k / (steps - 1), ends / (steps - 1)
    return (k + {"left": 0, "middle": 0.5, "right": 1}[quadrature]) / steps, np.full(steps, 1 / steps)


class IntegratedGradients(Explainer):
    """The gradient averaged along the path from a baseline to the input, times their difference.

    Sundararajan et al. (2017), eq. 1: (x - x0) * integral over t in [0, 1] of dS(x0 + t (x - x0))/dx. The values sum
    to S(x) - S(x0); what is missing is reported as ``extras["completeness_gap"]``.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    baseline : number, array, "mean", "blur", "noise", function, or dict of these by input
        What the input is compared with; an array of the batch's shape gives one for each input. Default 0, in the
        model's own scale; black is whatever the preprocessing maps 0 to. See `tfxai.baselines.references`.
    background : array or list of baselines, or dict of these by input, optional
        Several baselines for every input, (b, ...), instead of one: the values are averaged over them.
    steps : int
        Points on the path. Default 50 (the paper: 20 to 300).
    quadrature : {"gauss_legendre", "trapezoid", "middle", "left", "right"}
        Where these points lie and how they are weighted; Gauss-Legendre needs the fewest.
    until : float, optional
        Double the points, from 5 on, only until the completeness gap is at most this share of S(x) - S(x0), such as
        0.01, for each input on its own; ``steps`` is the most, ``extras["steps"]`` has how many it took. An input that
        needs 40 costs 75 gradient passes, one that needs 10 costs 15. Takes ``quadrature="gauss_legendre"``.
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explainer = tfxai.IntegratedGradients(tfxai.datasets.flowers.load_model(), steps=20)
    >>> explainer(images).values.shape
    (2, 112, 112, 3)
    """

    embeds = True
    facts = Facts.of("integrated_gradients")

    def __init__(
        self,
        model: Model,
        *,
        baseline: Baseline = 0.0,
        background: Background | None = None,
        steps: int = 50,
        quadrature: Quadrature = "gauss_legendre",
        until: float | None = None,
        **options: Unpack[InputOptions],
    ):
        super().__init__(model, **options)
        self.reference = compared(baseline, background)
        self.steps, self.until = positive("steps", steps), until
        if until is not None:
            above(0, until=until)
            if quadrature != "gauss_legendre" or steps < POINTS:
                raise ValueError(
                    f'until= doubles the points of quadrature="gauss_legendre", from {POINTS} on; got {quadrature!r} '
                    f"and steps={steps}."
                )
        self.nodes, self.weights = nodes_and_weights(quadrature, self.steps)

    def attribute(self, run: Run) -> Tensors:
        starts = run_references(run)
        change = run.score - mean_score(self, run, starts)
        if self.until is None:
            values = integral(self, run, run.floating, starts, self.nodes, self.weights)
        else:
            given = self, run, run.floating, starts, self.steps, change, self.until
            values, run.extras["steps"] = integral_until(*given)
        run.extras["completeness_gap"] = totals(values) - change
        return values
