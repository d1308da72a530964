"""ROAD: pixels are removed without showing where they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from tfxai.baselines import limits
from tfxai.checks import at_least
from tfxai.explanation import Explanation
from tfxai.loops import Seeded
from tfxai.metrics.curves import Curve, Order, Ordered
from tfxai.options import ModelOptions
from tfxai.types import Inputs, Model, Target, Verbose


def road(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    order: Order = "most",
    shares: Sequence[float] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    noise: float = 0.01,
    input: str | None = None,
    seed: int = 0,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> Curve:
    """The score without the most relevant pixels, in whose place is what their surroundings say.

    Remove and debias, Rong et al. (2022). Holes of one colour tell a model by their outline what was there; here a
    hidden pixel is a weighted mean of its neighbours, hidden ones included (a linear system), and a little noise.

    Parameters
    ----------
    model, explanation, inputs, target, input, batch_size, verbose
        As for `deletion`; images only.
    order : {"most", "least"}
        Which pixels go first: from "most" scores are to fall (MoRF), from "least" to stay (LeRF).
    shares : sequence of float
        Which shares of the pixels are removed. Default 0.1 to 0.9 (paper).
    noise : float
        Standard deviation of the noise as a share of each image's range. Default 0.01 (paper).
    seed : int
        Seed of the noise, which is the same for all images.
    **options
        As for `Explainer`; ``score`` is "auto" by default: the probability, if the model gives one, else the logit.

    Returns
    -------
    Curve
        Its ``area`` is the measure. ``scores.mean(1)`` of "least" minus that of "most", halved, is what others call
        ROAD combined.

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit, or inputs are not images.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> curve = tfxai.metrics.road(model, tfxai.GradCAM(model)(images), shares=(0.1, 0.3))
    >>> curve.scores.shape
    (2, 2)
    """
    at_least(0, noise=noise)
    own: Any = {"score": "auto"} | options
    runner = Removed(model, shares, noise=noise, seed=seed, order=order, input=input, **own)
    return runner.curve(explanation, inputs, target, batch_size, verbose)


class Removed(Ordered, Seeded):
    """`Ordered`, with noise upon what surroundings say."""

    def __init__(self, model: Model, shares: Sequence[float], *, noise: float, seed: int, **options: Any):
        Ordered.__init__(self, model, shares, fill="interpolate", **options)
        Seeded.__init__(self, seed)
        self.noise = noise

    def finished(self, fill: tf.Tensor, x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        low, high = limits(x)
        noise = self.draw(index, lambda seed: tf.random.stateless_normal(x.shape[1:], seed))[:, None]
        return fill + self.noise * (high - low) * noise
