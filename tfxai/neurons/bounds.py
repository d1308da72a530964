"""Which bound for the L1 norm of the weights: solutions for several of them, and what their features can tell apart."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfxai.neurons import discriminant, lasso
from tfxai.neurons.gram import Sums

MUS = (1, 2, 3, 5, 10, 20, 50, 100)
NONZERO = 1e-8  # weights above it select a feature


class PathPoint(NamedTuple):
    """What `RelevantFeatures.path` finds for one bound.

    Attributes
    ----------
    mu : float
        The bound.
    weights : ndarray
        (m, C), fitted on all images.
    selected : ndarray
        (C,) how many features have a weight.
    active : ndarray
        (C,) whether the weights touch the bound.
    residual : ndarray
        (C,) share of the sum of l^2 that is left over.
    accuracy : float
        Share of the images held out that are classified correctly by the features of all classes, see
        `discriminant.correct`; features and classifier are those of the other images. NaN if none are held out.
    """

    mu: float
    weights: np.ndarray
    selected: np.ndarray
    active: np.ndarray
    residual: np.ndarray
    accuracy: float


def is_bound(mu: Any) -> bool:
    """Whether it is a positive number."""
    return isinstance(mu, int | float | np.number) and not isinstance(mu, bool) and bool(0 < mu < np.inf)


def selected(weights: np.ndarray) -> list[list[int]]:
    """Numbers of the features of each class, largest weight first, of equals the first; weights are (m, C)."""
    sizes = np.abs(weights)
    orders = np.argsort(-sizes, axis=0, kind="stable")
    return [order[:count].tolist() for order, count in zip(orders.T, (sizes > NONZERO).sum(0), strict=True)]


def path(sums: Sums, mus: Sequence[float], positive: bool) -> list[PathPoint]:
    """Solutions for some bounds, in their order."""
    gram, cross = sums.totals()
    hits = correct(sums, mus, positive)
    accuracies = hits.mean(1) if hits.size else np.full(len(mus), np.nan)
    found = zip(mus, *lasso.solve(gram, cross, mus, positive), accuracies, strict=True)
    return [
        PathPoint(
            float(mu),
            weights.astype(np.float32),
            (np.abs(weights) > NONZERO).sum(0),
            active,
            lasso.residual(gram, cross, sums.squares, weights),
            float(accuracy),
        )
        for mu, weights, active, accuracy in found
    ]


def correct(sums: Sums, mus: Sequence[float], positive: bool) -> np.ndarray:
    """(len(mus), k) which images held out the features of each bound classify correctly, fitted without them."""
    if not len(sums.held):
        return np.zeros((len(mus), 0), bool)
    solutions, _ = lasso.solve(sums.gram, sums.cross, mus, positive)
    return np.stack([discriminant.correct(sums, np.flatnonzero(np.abs(w).max(1) > NONZERO)) for w in solutions])


def choose(sums: Sums, positive: bool) -> float:
    """The smallest bound whose features classify the images held out as well as those of the best.

    As well: what they classify worse is less than twice its standard error, over the same images.
    """
    held = len(sums.held)
    if not held:
        warnings.warn(
            f"Too few images to hold some out, so mu is {MUS[0]}, the smallest bound. Fit more images, or give mu.",
            stacklevel=3,
        )
        return float(MUS[0])
    hits = correct(sums, MUS, positive).astype(np.float64)
    worse = hits[hits.mean(1).argmax()] - hits
    error = worse.std(1) / np.sqrt(held)
    return float(MUS[np.flatnonzero(worse.mean(1) <= 2 * error)[0]])
