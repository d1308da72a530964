"""What the parts that matter most are worth alone, and what the rest is worth without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from tfxai.explanation import Explanation, normalize
from tfxai.imputation import Fill
from tfxai.metrics.curves import Ordered
from tfxai.metrics.given import maps_of
from tfxai.metrics.hiding import Hide, Hiding
from tfxai.options import ModelOptions
from tfxai.players import Parts, Players
from tfxai.run import Run
from tfxai.types import Inputs, Model, Target, Verbose

SHARES = (0.01, 0.05, 0.1, 0.2, 0.5)  # ERASER


def sufficiency(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    shares: Sequence[float] = SHARES,
    fill: Fill = 0.0,
    groups: Parts = None,
    input: str | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> np.ndarray:
    """What the score loses if nothing but the most relevant parts is left.

    DeYoung et al. (2020, ERASER), mean over several shares of the parts. Smaller is better.

    Parameters
    ----------
    model, explanation, inputs, target, fill, groups, input, batch_size, verbose, **options
        As for `deletion`.
    shares : sequence of float
        Which shares of the parts are left. Default 0.01, 0.05, 0.1, 0.2, 0.5 (paper).

    Returns
    -------
    ndarray
        (n,) the score of the input minus that of its parts.

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> tfxai.metrics.sufficiency(model, tfxai.GradCAM(model)(images), shares=[0.2]).shape
    (2,)
    """
    own: Any = {"score": "auto"} | options
    runner = Ordered(model, shares, insert=True, fill=fill, groups=groups, input=input, **own)
    return runner.judged(explanation, inputs, target, batch_size, verbose)["drops"].mean(1)


def comprehensiveness(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    shares: Sequence[float] = SHARES,
    fill: Fill = 0.0,
    groups: Parts = None,
    input: str | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> np.ndarray:
    """What the score loses without the most relevant parts.

    DeYoung et al. (2020, ERASER), mean over several shares of the parts. Larger is better.

    Parameters
    ----------
    model, explanation, inputs, target, fill, groups, input, batch_size, verbose, **options
        As for `deletion`.
    shares : sequence of float
        Which shares of the parts are hidden. Default 0.01, 0.05, 0.1, 0.2, 0.5 (paper).

    Returns
    -------
    ndarray
        (n,) the score of the input minus that of what is left.

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> tfxai.metrics.comprehensiveness(model, tfxai.GradCAM(model)(images), shares=[0.2]).shape
    (2,)
    """
    own: Any = {"score": "auto"} | options
    runner = Ordered(model, shares, fill=fill, groups=groups, input=input, **own)
    return runner.judged(explanation, inputs, target, batch_size, verbose)["drops"].mean(1)


def average_drop(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    fill: Fill = 0.0,
    input: str | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> np.ndarray:
    """Which share of the probability is lost if the input is multiplied by its heat-map.

    Chattopadhay et al. (2018, Grad-CAM++). The smaller the better; it does not see a map that hides nothing, so look at
    `increase` and at `complexity` too.

    Parameters
    ----------
    model, explanation, inputs, target, input, batch_size, verbose
        As for `deletion`. Values are scaled to [0, 1], those against the target to 0.
    fill : number, array, function, "mean", "blur", "noise", "interpolate" or "inpaint"
        What shows in the place of what the heat-map hides. Default 0 (paper), in the model's own scale.
    **options
        As for `Explainer`; ``score`` is "probability" by default, since only a share of that makes sense.

    Returns
    -------
    ndarray
        (n,) from 0 to 1.

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit, or a score is not positive.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> tfxai.metrics.average_drop(model, tfxai.GradCAM(model)(images)).shape
    (2,)
    """
    before, after = _veiled(model, explanation, inputs, target, fill, input, batch_size, verbose, options)
    return np.maximum(before - after, 0) / before


def increase(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    fill: Fill = 0.0,
    input: str | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> np.ndarray:
    """Whether the probability is larger if the input is multiplied by its heat-map.

    Chattopadhay et al. (2018, Grad-CAM++); the mean is their "increase in confidence". Larger is better.

    Parameters
    ----------
    model, explanation, inputs, target, fill, input, batch_size, verbose, **options
        As for `average_drop`.

    Returns
    -------
    ndarray
        (n,) bool.

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit, or a score is not positive.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> tfxai.metrics.increase(model, tfxai.GradCAM(model)(images)).shape
    (2,)
    """
    before, after = _veiled(model, explanation, inputs, target, fill, input, batch_size, verbose, options)
    return after > before


class Veiled(Hiding):
    """One copy of each input, hidden as far as its values in [0, 1] say."""

    def plan(self, run: Run, parts: Players, values: tf.Tensor) -> tuple[int, Hide, dict[str, tf.Tensor]]:
        hidden = run.over(1 - values, run.image)[None]
        return 1, lambda index: tf.tile(hidden, [tf.size(index), *[1] * (hidden.shape.rank - 1)]), {}


def _veiled(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None,
    target: Target,
    fill: Fill,
    input: str | None,
    batch_size: int,
    verbose: Verbose,
    options: Any,
) -> tuple[np.ndarray, np.ndarray]:
    """The scores of inputs, and those of what their heat-maps show."""
    runner = Veiled(model, fill=fill, input=input, **({"score": "probability"} | options))
    shown = normalize(np.maximum(maps_of(explanation, input), 0))
    found = runner.judged(explanation, inputs, target, batch_size, verbose, shown)
    if found["score"].min() <= 0:
        raise ValueError(
            f"Expected positive scores, of which a share can be lost, got {found['score'].min():.3g}. Leave out score= "
            "for probabilities, or use tfxai.metrics.sufficiency."
        )
    return found["score"].astype(np.float64), found["scores"][:, 0].astype(np.float64)
