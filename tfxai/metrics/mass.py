"""How much of a map lies where the evidence is known to be, without a threshold to tune."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from scipy.stats import rankdata

from tfxai.checks import one_of, positive
from tfxai.explanation import Explanation
from tfxai.metrics.given import maps_of

Part = Literal["positive", "absolute"]


def mass_accuracy(
    explanation: Explanation | np.ndarray, masks: np.ndarray, *, part: Part = "positive", input: str | None = None
) -> np.ndarray:
    """The share of a map's relevance that lies inside the mask.

    The relevance mass accuracy of Arras et al. (2022). By chance it is the mask's share of the area: report that too.

    Parameters
    ----------
    explanation : Explanation or ndarray
        An explanation, or maps (n, h, w).
    masks : ndarray
        (n, h, w) bool, True where the evidence is.
    part : {"positive", "absolute"}
        Relevance is the positive part of the map (default), or its magnitude.
    input : str, optional
        Which input, if the model has several.

    Returns
    -------
    ndarray
        (n,) from 0 to 1. A map without relevance: 0.

    Raises
    ------
    TypeError, ValueError
        If maps or masks are not finite numbers, differ in shape, or a mask is empty.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> maps, masks = np.array([[[3.0, 1], [-2, 0]]]), np.array([[[True, False], [True, False]]])
    >>> tfxai.metrics.mass_accuracy(maps, masks)
    array([0.75])
    """
    one_of("part", part, get_args(Part))
    maps, inside = _pairs(explanation, masks, input)
    relevance = np.maximum(maps, 0) if part == "positive" else np.abs(maps)
    total = relevance.sum(1)
    return (relevance * inside).sum(1) / np.where(total > 0, total, 1)


def rank_accuracy(explanation: Explanation | np.ndarray, masks: np.ndarray, *, input: str | None = None) -> np.ndarray:
    """The share of the most relevant positions, as many as the mask has, that lies inside the mask.

    The relevance rank accuracy of Arras et al. (2022). By chance it is the mask's share of the area.

    Parameters
    ----------
    explanation, masks, input
        As for `mass_accuracy`.

    Returns
    -------
    ndarray
        (n,) from 0 to 1. Of positions that are equal the first counts, row by row; a constant map: 0.

    Raises
    ------
    TypeError, ValueError
        As `mass_accuracy`.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> maps, masks = np.array([[[3.0, 1], [-2, 0]]]), np.array([[[True, False], [True, False]]])
    >>> tfxai.metrics.rank_accuracy(maps, masks)
    array([0.5])
    """
    maps, inside = _pairs(explanation, masks, input)
    found = np.take_along_axis(inside, _order(maps), 1)
    size = inside.sum(1)
    among = np.arange(maps.shape[1]) < size[:, None]
    return np.where(_constant(maps), 0, (found & among).sum(1) / size)


def top_k_intersection(
    explanation: Explanation | np.ndarray, masks: np.ndarray, *, k: int = 1000, input: str | None = None
) -> np.ndarray:
    """Of the most relevant positions, the share that lies inside the mask.

    Theiner et al. (2022).

    Parameters
    ----------
    explanation, masks, input
        As for `mass_accuracy`.
    k : int
        How many positions. Default 1000 (Quantus); all, where a map has fewer.

    Returns
    -------
    ndarray
        (n,) from 0 to 1. Of positions that are equal the first counts, row by row; a constant map: 0.

    Raises
    ------
    TypeError, ValueError
        As `mass_accuracy`, or if ``k`` is not positive.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> maps, masks = np.array([[[3.0, 1], [-2, 0]]]), np.array([[[True, False], [True, False]]])
    >>> tfxai.metrics.top_k_intersection(maps, masks, k=1)
    array([1.])
    """
    maps, inside = _pairs(explanation, masks, input)
    top = _order(maps)[:, : positive("k", k)]
    return np.where(_constant(maps), 0, np.take_along_axis(inside, top, 1).mean(1))


def roc_auc(explanation: Explanation | np.ndarray, masks: np.ndarray, *, input: str | None = None) -> np.ndarray:
    """How likely a position inside the mask is more relevant than one outside.

    The area under the curve of hits over false alarms, which is the statistic of Mann and Whitney: equal positions
    count half.

    Parameters
    ----------
    explanation, masks, input
        As for `mass_accuracy`.

    Returns
    -------
    ndarray
        (n,) from 0 to 1; chance, and a constant map, have 0.5. A mask of the whole image leaves nothing to compare
        with: 0.5.

    Raises
    ------
    TypeError, ValueError
        As `mass_accuracy`.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> maps, masks = np.array([[[3.0, 1], [-2, 0]]]), np.array([[[True, False], [True, False]]])
    >>> tfxai.metrics.roc_auc(maps, masks)
    array([0.5])
    """
    maps, inside = _pairs(explanation, masks, input)
    hits = inside.sum(1)
    others = maps.shape[1] - hits
    above = (rankdata(maps, axis=1) * inside).sum(1) - hits * (hits + 1) / 2
    return np.where(others > 0, above / np.maximum(hits * others, 1), 0.5)


def _pairs(
    explanation: Explanation | np.ndarray, masks: np.ndarray, input: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """(n, positions) maps and masks."""
    maps, masks = maps_of(explanation, input), np.asarray(masks)
    if masks.dtype != bool and not np.isin(masks, (0, 1)).all():
        raise ValueError("Expected masks of True and False: for numbers, say which belong to it, such as masks > 0.5.")
    if maps.shape != masks.shape:
        raise ValueError(f"Expected maps and masks of one shape (n, h, w), got {maps.shape} and {masks.shape}.")
    inside = masks.reshape(len(masks), -1).astype(bool)
    empty = np.flatnonzero(~inside.any(1))
    if empty.size:
        raise ValueError(
            f"Expected a mask with evidence for each input, there is none in the rows {empty[:5].tolist()}."
        )
    return maps.reshape(len(maps), -1).astype(float), inside


def _order(maps: np.ndarray) -> np.ndarray:
    """(n, positions) numbers of the positions, the most relevant first; of equal ones the first in reading order."""
    return np.argsort(-maps, 1, kind="stable")


def _constant(maps: np.ndarray) -> np.ndarray:
    return maps.min(1) == maps.max(1)
