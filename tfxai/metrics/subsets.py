"""Whether what is hidden of an input correlates with what the score loses by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from tfxai.checks import positive
from tfxai.explanation import Explanation
from tfxai.imputation import Fill
from tfxai.metrics.hiding import Hide, Hiding
from tfxai.options import ModelOptions
from tfxai.players import Parts, Players
from tfxai.run import Run
from tfxai.similarity import rank_correlation
from tfxai.types import Inputs, Model, Target, Verbose


class Subsets(Hiding):
    """``mass`` (n, subsets): of the values in each random subset of parts; ``drops``: what the score loses without it.

    ``sizes`` are shares of the parts, each of so many subsets.
    """

    def __init__(
        self,
        model: Model,
        sizes: Sequence[float],
        subsets: int | np.ndarray,
        *,
        seed: int = 0,
        fill: Fill = 0.0,
        groups: Parts = None,
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, fill=fill, groups=groups, input=input, **options)
        if not all(0 < size < 1 for size in sizes):
            raise ValueError(f"Expected shares of the parts between 0 and 1, got {sizes!r}.")
        given = hasattr(subsets, "__array__") and np.ndim(subsets) > 0
        self.sizes, self.random = tuple(sizes), np.random.default_rng(seed)
        self.subsets: Any = np.asarray(subsets, bool) if given else positive("subsets", subsets)

    def plan(self, run: Run, parts: Players, values: tf.Tensor) -> tuple[int, Hide, dict[str, tf.Tensor]]:
        chosen = tf.constant(self._chosen(parts.count), tf.float32)
        mass = tf.matmul(parts.totals(values), chosen, transpose_b=True)
        found = {"mass": mass}

        def hide(index: tf.Tensor) -> tf.Tensor:
            return run.over(parts.over(tf.gather(chosen, index)[:, None]), run.image)

        return chosen.shape[0], hide, found

    def _chosen(self, count: int) -> np.ndarray:
        """(subsets, count) true where a part is hidden."""
        if isinstance(self.subsets, np.ndarray):
            rows = self.subsets.reshape(len(self.subsets), -1)
            if rows.shape[1] != count:
                raise ValueError(f"Expected subsets of {count} parts, got an array of shape {self.subsets.shape}.")
            return rows
        numbers = np.clip(np.rint(np.multiply(self.sizes, count)), 1, max(1, count - 1))
        rows = np.arange(count) < np.repeat(numbers, self.subsets)[:, None]
        return self.random.permuted(rows, axis=1)


def mu_fidelity(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    share: float = 0.2,
    subsets: int | np.ndarray = 200,
    fill: Fill = 0.0,
    groups: Parts = "patches",
    input: str | None = None,
    seed: int = 0,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> np.ndarray:
    """Whether random parts that hold more of the explanation cost more of the score.

    Bhatt et al. (2020): the rank correlation, over random subsets of parts, of the sum of values in a subset with what
    the score loses when it is hidden. 1 is best; a map that knows nothing has 0.

    Parameters
    ----------
    model, explanation, inputs, target, fill, input, batch_size, verbose
        As for `deletion`.
    share : float
        Which share of the parts is hidden each time. Default 0.2 (Xplique).
    subsets : int or ndarray
        How many subsets, the same for all inputs; or (subsets, parts), 1 where a part is hidden. Default 200 (Xplique).
    groups : int, "patches", str, Segments, array, mapping or sequence
        As for `deletion`. Default "patches": of images and volumes, 9 patches along the longest axis (Xplique), else
        each position.
    seed : int
        Seed of the subsets.
    **options
        As for `Explainer`; the score is the logit by default, where there is one.

    Returns
    -------
    ndarray
        (n,) correlations; 0 for a map or a score that does not vary.

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> tfxai.metrics.mu_fidelity(model, tfxai.GradCAM(model)(images), subsets=50).shape
    (2,)
    """
    runner = Subsets(model, [share], subsets, seed=seed, fill=fill, groups=groups, input=input, **options)
    found = runner.judged(explanation, inputs, target, batch_size, verbose)
    return rank_correlation(found["mass"], found["drops"])


def sensitivity_n(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    shares: Sequence[float] = (0.01, 0.03, 0.1, 0.3, 0.6, 0.8),
    subsets: int | np.ndarray = 100,
    fill: Fill = 0.0,
    groups: Parts = "patches",
    input: str | None = None,
    seed: int = 0,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> np.ndarray:
    """Whether the values of random parts add up to what the score loses without them, for subsets of each size.

    Ancona et al. (2018): for each size, the correlation of the sum of values in a subset with the drop of the score.
    Values that sum to the change of the score have 1 at every size where the model is linear.

    Parameters
    ----------
    model, explanation, inputs, target, fill, groups, input, seed, batch_size, verbose, **options
        As for `mu_fidelity`.
    shares : sequence of float
        Sizes of subsets, as shares of the parts. Default from a hundredth to 0.8 (the paper's range).
    subsets : int or ndarray
        How many of each size; or (sizes * subsets, parts), 1 where a part is hidden. Default 100 (paper).

    Returns
    -------
    ndarray
        (n, sizes) correlations; 0 where a map or a score does not vary.

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> explanation = tfxai.Occlusion(model, window=28)(images)
    >>> tfxai.metrics.sensitivity_n(model, explanation, shares=(0.1, 0.5), subsets=20).shape
    (2, 2)
    """
    runner = Subsets(model, shares, subsets, seed=seed, fill=fill, groups=groups, input=input, **options)
    found = runner.judged(explanation, inputs, target, batch_size, verbose)
    mass, drops = (found[key].reshape(len(found[key]), len(shares), -1) for key in ("mass", "drops"))
    return correlation(mass, drops)


def correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(...,) of Pearson, along the last axis; 0 where one of the two is constant."""
    x, y = (_standardised(np.asarray(one, np.float64)) for one in (x, y))
    return (x * y).sum(-1)


def _standardised(x: np.ndarray) -> np.ndarray:
    """Less its mean, of length 1; zeros where nothing varies but rounding."""
    centred = x - x.mean(-1, keepdims=True)
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    varies = length > 1e-6 * np.linalg.norm(x, axis=-1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(x), where=varies)
