"""Taylor decompositions: the score, expanded to first order around a root, input by input or layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Unpack

import tensorflow as tf

from tfxai.baselines import run_references
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.options import InputOptions, ModelOptions
from tfxai.relevance.lrp import LRP
from tfxai.relevance.rules import Rule
from tfxai.run import Run, totals
from tfxai.types import Baseline, Bound, Layer, Model, Tensors

SEARCH = 30  # forward passes: some to go beyond the root, the others to halve the way that holds it
FARTHEST = 1024.0  # times the way on which a linear model would reach its root
INSIDE = 1e-3  # share of the way to the input at which the gradient of a given root is taken


class SimpleTaylor(Explainer):
    """The score expanded around a root: R = dS/dx at the root, times (x - root).

    Bach et al. (2015), eq. 4; Montavon et al. (2017), section 2. A root is an input near x on which the score is zero,
    so that R says what makes the score differ from nothing. What R does not explain, S(x) - sum R, is reported as
    ``extras["remainder"]``, and the score of the root as ``extras["root_score"]``.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    root : "nearest", or number, array, "mean", "blur", function
        "nearest" (default): the first point on the way from x along the gradient where the score is zero, found by
        bisection; where there is none, the root that a linear model would have. Anything else is a baseline as for
        `tfxai.baselines.references`. Its gradient is taken a thousandth of the way to x, because black, for one, is a
        corner of ReLUs without biases: for such networks, root 0 gives gradient times input.
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For several baselines: a root is one.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.SimpleTaylor(tfxai.datasets.flowers.load_model())(images)
    >>> explanation.extras["root_score"].shape
    (2,)
    """

    embeds = True
    facts = Facts.of("simple_taylor")

    def __init__(
        self, model: Model, *, root: Literal["nearest"] | Baseline = "nearest", **options: Unpack[InputOptions]
    ):
        super().__init__(model, **options)
        self.reference = root

    def attribute(self, run: Run) -> Tensors:
        each, x = tf.nest.map_structure, run.floating
        if isinstance(self.reference, str) and self.reference == "nearest":
            root = point = self._nearest(run)
        else:
            root = self._given(run)
            point = each(lambda x, root: root + INSIDE * (x - root), x, root)
        gradients = self.rerun(run, run.among(point)).gradients()
        values = each(lambda g, x, root: g * tf.cast(x - root, tf.float32), gradients, x, root)
        run.extras["root_score"] = self.rerun(run, run.among(root)).score
        run.extras["remainder"] = run.score - totals(values)
        return values

    def _given(self, run: Run) -> Tensors:
        found = run_references(run)
        count = tf.nest.flatten(found)[0].shape[0]
        if count != 1:
            raise ValueError(f"Expected one root, got {count} baselines.")
        return tf.nest.map_structure(lambda x0: x0[0], found)

    def _nearest(self, run: Run) -> Tensors:
        """The point on the line along the gradient, towards score zero, where the score changes its sign."""
        each, x = tf.nest.map_structure, run.floating
        gradients = run.gradients()
        step = tf.math.divide_no_nan(run.score, totals(each(tf.square, gradients)))  # to the root of a linear model

        def at(t: tf.Tensor) -> Tensors:
            def moved(x: tf.Tensor, g: tf.Tensor) -> tf.Tensor:
                return x - tf.cast(tf.reshape(t * step, [-1] + [1] * (g.shape.rank - 1)) * g, x.dtype)

            return each(moved, x, gradients)

        def turn(number: tf.Tensor, low: tf.Tensor, high: tf.Tensor, found: tf.Tensor) -> tuple:
            """Twice as far until the sign has changed, then half of what lies between."""
            t = tf.where(found, (low + high) / 2, high)
            beyond = self.rerun(run, run.among(at(t))).score * tf.sign(run.score) <= 0
            further = tf.where(found | beyond, high, tf.minimum(2 * high, FARTHEST))
            return number + 1, tf.where(beyond, low, t), tf.where(beyond, t, further), found | beyond

        zero = tf.zeros_like(run.score)
        start = (0, zero, zero + 1, tf.zeros_like(zero, tf.bool))
        _, low, _, found = tf.while_loop(lambda number, *_: number < SEARCH, turn, start, parallel_iterations=1)
        return at(tf.where(found, low, 1.0))


class DeepTaylor(LRP):
    """Deep Taylor decomposition: every layer's relevance expanded around a root of its own.

    Montavon et al. (2017). It is LRP with the z+ rule, whose roots have no negative inputs, and at the first layer the
    z-box rule where inputs have bounds, else the w-square rule. In networks of ReLUs without positive biases the
    relevance is nowhere negative and sums to the score, if the score is positive.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    at : str or keras layer, optional
        Layer at whose output relevance is read. Default: at the input.
    low, high : float or tuple of float, optional
        Bounds of what the first layer sees, after all preprocessing: a number or one for each channel.
    bias : bool
        Whether shifts take their part of the relevance, as for `LRP`.
    operations : dict, optional
        Rules for operations that have none here, as for `LRP`.
    **options
        As for `Explainer`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.DeepTaylor(tfxai.datasets.flowers.load_model(), low=-1, high=1)(images).values.shape
    (2, 112, 112, 3)
    """

    facts = Facts.of("deep_taylor")

    def __init__(
        self,
        model: Model,
        *,
        at: Layer | None = None,
        low: Bound | None = None,
        high: Bound | None = None,
        bias: bool = True,
        operations: Mapping[str, Rule | Callable[..., Any]] | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(
            model, composite="deep_taylor", at=at, low=low, high=high, bias=bias, operations=operations, **options
        )
