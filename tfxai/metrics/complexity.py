"""How few positions a map speaks of."""

from __future__ import annotations

import numpy as np

from tfxai.checks import at_least
from tfxai.explanation import Explanation
from tfxai.metrics.given import maps_of


def sparseness(explanation: Explanation | np.ndarray, *, input: str | None = None) -> np.ndarray:
    """The Gini index of the magnitudes of each map: how unequal its positions are.

    Chalasani et al. (2020); Hurley and Rickard (2009). With the magnitudes v_1 <= ... <= v_d,
    ``1 - 2 sum_k (v_k / |v|_1) (d - k + 1/2) / d``.

    Parameters
    ----------
    explanation : Explanation or ndarray
        An explanation, or maps (n, ...).
    input : str, optional
        Which input, if the model has several.

    Returns
    -------
    ndarray
        (n,) from 0, all positions alike, to 1 - 1 / d, one of d positions has everything. A map of zeros: 0.

    Raises
    ------
    TypeError, ValueError
        If it is neither an explanation nor finite numbers.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> tfxai.metrics.sparseness(np.array([[0.0, 0, 0, 4], [1, 1, 1, 1]]))
    array([0.75, 0.  ])
    """
    magnitudes = np.sort(_shares(explanation, input), 1)
    d = magnitudes.shape[1]
    left = d - np.arange(1, d + 1) + 0.5
    return np.where(magnitudes.any(1), 1 - 2 * magnitudes @ left / d, 0)


def entropy(explanation: Explanation | np.ndarray, *, input: str | None = None) -> np.ndarray:
    """The entropy of the shares that the positions of each map have in it.

    The complexity of Bhatt et al. (2020): ``- sum_k p_k log p_k`` in nats, with ``p = |v| / |v|_1``.

    Parameters
    ----------
    explanation : Explanation or ndarray
        An explanation, or maps (n, ...).
    input : str, optional
        Which input, if the model has several.

    Returns
    -------
    ndarray
        (n,) from 0, one position has everything, to log d, all of d positions are alike. A map of zeros: 0.

    Raises
    ------
    TypeError, ValueError
        If it is neither an explanation nor finite numbers.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> tfxai.metrics.entropy(np.array([[0.0, 0, 0, 4], [1, 1, 1, 1]])).round(4)
    array([0.    , 1.3863])
    """
    p = _shares(explanation, input)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(1) + 0.0  # not -0


def effective_complexity(
    explanation: Explanation | np.ndarray, *, threshold: float = 0.01, input: str | None = None
) -> np.ndarray:
    """How many positions of each map are more than a small share of the largest.

    After Nguyen and Martinez (2020), who count the features that are needed; Quantus counts magnitudes above a fixed
    number, of maps divided by their largest, as is done here.

    Parameters
    ----------
    explanation : Explanation or ndarray
        An explanation, or maps (n, ...).
    threshold : float
        Share of the largest magnitude, from 0 to 1. Default 0.01; Quantus takes 1e-5, which nearly every position of a
        gradient exceeds.
    input : str, optional
        Which input, if the model has several.

    Returns
    -------
    ndarray
        (n,) integers. A map of zeros: 0.

    Raises
    ------
    TypeError, ValueError
        If it is neither an explanation nor finite numbers, or the threshold is out of range.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> tfxai.metrics.effective_complexity(np.array([[0.0, 0.001, -2, 4], [1, 1, 1, 1]]))
    array([2, 4])
    """
    at_least(0, threshold=threshold)
    if threshold >= 1:
        raise ValueError(f"Expected threshold to be a share of the largest magnitude, below 1, got {threshold!r}.")
    magnitudes = np.abs(_flat(explanation, input))
    return (magnitudes > threshold * magnitudes.max(1, keepdims=True)).sum(1)


def _flat(explanation: Explanation | np.ndarray, input: str | None) -> np.ndarray:
    maps = maps_of(explanation, input)
    return maps.reshape(len(maps), -1).astype(float)


def _shares(explanation: Explanation | np.ndarray, input: str | None) -> np.ndarray:
    """(n, positions) share of each magnitude in their sum; zeros of a map of zeros."""
    magnitudes = np.abs(_flat(explanation, input))
    total = magnitudes.sum(1, keepdims=True)
    return magnitudes / np.where(total > 0, total, 1)
