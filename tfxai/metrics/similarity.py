"""How similar two maps are: in the order of their positions, with and without signs, and as pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import uniform_filter

from tfxai.explanation import Explanation
from tfxai.metrics.given import maps_of
from tfxai.metrics.statistics import bootstrap_interval
from tfxai.similarity import rank_correlation

WINDOW = 7  # positions along each axis, of which the structural similarity is a statistic (scikit-image)


class MapSimilarity(NamedTuple):
    """How similar the maps of each input are.

    Attributes
    ----------
    spearman : ndarray
        (n,) rank correlation of the positions.
    spearman_absolute : ndarray
        (n,) the same of the magnitudes.
    ssim : ndarray or None
        (n,) structural similarity of the magnitudes, each map divided by its largest; None unless maps have two axes or
        more of 7 positions or more.
    """

    spearman: np.ndarray
    spearman_absolute: np.ndarray
    ssim: np.ndarray | None

    def __str__(self) -> str:
        return "\n".join(f"{name:17}  {said(x)}" for name, x in self._asdict().items() if x is not None)


def map_similarity(
    first: Explanation | np.ndarray, second: Explanation | np.ndarray, *, input: str | None = None
) -> MapSimilarity:
    """How similar two explanations of the same inputs are.

    The three measures of Adebayo et al. (2018). Rank correlations are Spearman's; the structural similarity is that of
    Wang et al. (2004) in a uniform window of 7 positions, as scikit-image computes it for the range 1. Sparse maps are
    alike as pictures wherever both are dark: look at the rank correlations beside it.

    Parameters
    ----------
    first, second : Explanation or ndarray
        Explanations, or maps (n, ...) of one shape.
    input : str, optional
        Which input, if the model has several.

    Returns
    -------
    MapSimilarity
        1 for maps that are equal. Where a map is constant it has no order, and the rank correlation is 0.

    Raises
    ------
    TypeError, ValueError
        If the maps are not numbers, not finite, or differ in shape.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> maps = np.random.default_rng(0).normal(size=(1, 8, 8))
    >>> found = tfxai.metrics.map_similarity(maps, -maps)
    >>> found.spearman.round(3), found.spearman_absolute.round(3), found.ssim.round(3)
    (array([-1.]), array([1.]), array([1.]))
    """
    pairs = list(zip(_parts(first), _parts(second), strict=True))
    found = [_of_maps(maps_of(one, input), maps_of(other, input)) for one, other in pairs]
    if len(found) == 1:
        return found[0]
    ssims = [one.ssim for one in found if one.ssim is not None]
    return MapSimilarity(
        np.concatenate([one.spearman for one in found]),
        np.concatenate([one.spearman_absolute for one in found]),
        np.concatenate(ssims) if len(ssims) == len(found) else None,
    )


def said(scores: np.ndarray) -> str:
    """The mean of (n,) scores, and its 95 % interval, if there are several."""
    if len(scores) < 2:
        return f"{scores.mean():+.3f}"
    low, high = bootstrap_interval(scores)
    return f"{scores.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n,) mean structural similarity of pictures (n, h, w) in [0, 1], over the windows that lie inside.

    (2 m m' + C1) (2 cov + C2) / ((m^2 + m'^2 + C1) (var + var' + C2)), with C1 = 0.01^2 and C2 = 0.03^2.
    """
    x, y = (np.asarray(maps, float) for maps in (first, second))
    size = (1, *[WINDOW] * (x.ndim - 1))
    inner = (slice(None), *[slice(WINDOW // 2, -(WINDOW // 2))] * (x.ndim - 1))
    number = WINDOW ** (x.ndim - 1)
    sample = number / (number - 1)

    def mean(values: np.ndarray) -> np.ndarray:
        return uniform_filter(values, size)[inner]

    mx, my = mean(x), mean(y)
    vx, vy, cov = (sample * (mean(a * b) - m) for a, b, m in ((x, x, mx**2), (y, y, my**2), (x, y, mx * my)))
    c1, c2 = 0.01**2, 0.03**2
    local = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return local.reshape(len(x), -1).mean(1)


def _of_maps(first: np.ndarray, second: np.ndarray) -> MapSimilarity:
    if first.shape != second.shape:
        raise ValueError(f"Expected maps of one shape, got {first.shape} and {second.shape}.")
    a, b = np.abs(first), np.abs(second)
    drawn = first.ndim >= 3 and min(first.shape[1:]) >= WINDOW
    structure = ssim(_of_one(a), _of_one(b)) if drawn else None
    return MapSimilarity(rank_correlation(first, second), rank_correlation(a, b), structure)


def _of_one(maps: np.ndarray) -> np.ndarray:
    """Each map divided by its largest value, if that is not 0."""
    top = maps.max(tuple(range(1, maps.ndim)), keepdims=True)
    return maps / np.where(top > 0, top, 1)


def _parts(explanation: Explanation | np.ndarray) -> tuple:
    return explanation.parts if isinstance(explanation, Explanation) else (explanation,)
