"""How far two sets of channels agree, and how far they would by chance."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np
from scipy.stats import hypergeom


class Overlap(NamedTuple):
    """How far two selections agree; NaN where both are empty.

    Attributes
    ----------
    jaccard : float
        Channels in both over channels in either.
    dice : float
        Channels in both over the mean size.
    legacy : float
        Half of Dice, so 0.5 for equal selections: what the code of Lengerich et al. (2017) computes as Jaccard.
    chance_jaccard, chance_dice, chance_legacy : float
        What is expected of random selections of these sizes in each layer.
    """

    jaccard: float
    dice: float
    legacy: float
    chance_jaccard: float
    chance_dice: float
    chance_legacy: float


def overlap(
    first: Mapping[str, Collection[int]], second: Mapping[str, Collection[int]], channels: Mapping[str, int]
) -> Overlap:
    """Compare two selections of channels, over all layers together.

    Parameters
    ----------
    first, second : mapping
        Layer to its selected channels.
    channels : mapping
        Layer to how many channels it has.

    Returns
    -------
    Overlap

    Examples
    --------
    >>> from tfxai.resampling.overlap import overlap
    >>> overlap({"conv": [0, 1]}, {"conv": [1, 2]}, {"conv": 8}).jaccard
    0.3333333333333333
    """
    shared = sum(len(set(first[layer]) & set(second[layer])) for layer in channels)
    sizes = sum(len(first[layer]) + len(second[layer]) for layer in channels)
    if not sizes:
        return Overlap(*[math.nan] * 6)
    chances = np.ones(1)  # of each number of shared channels, over the layers so far
    for layer, count in channels.items():
        a, b = len(first[layer]), len(second[layer])
        chances = np.convolve(chances, hypergeom.pmf(np.arange(b + 1), count, a, b))
    numbers = np.arange(len(chances))
    by_chance = float(chances @ (numbers / (sizes - numbers))), float(chances @ numbers) / sizes
    return Overlap(
        shared / (sizes - shared), 2 * shared / sizes, shared / sizes, by_chance[0], 2 * by_chance[1], by_chance[1]
    )
