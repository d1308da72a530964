"""The mu-LASSO: few weights that turn features into labels, from the Gram matrix of the features alone.

For each class: minimise ||X'w - l||^2 with ||w||_1 <= mu. As mu grows from zero, the solution moves along straight
lines from knot to knot, where a feature comes in or goes out (Osborne et al. 2000; Efron et al. 2004). To follow them
gives exact solutions for all mu at once, and is cheap as long as few features have come in. Written out, because
scikit-learn's `lars_path_gram` copies and reorders G for each class, which takes ten times as long.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy import linalg
from threadpoolctl import threadpool_limits

DEPENDENT = 1e-9  # a feature is a combination of others if they leave less than this share of its square
TIES = 1e-10  # relative change of the products with the labels, so that no two features come in at once
ZERO = 1e-10  # share of its first value below which a multiplier counts as zero


class Knot(NamedTuple):
    """A corner of the path: the features that are in, and their weights."""

    features: list[int]
    weights: np.ndarray

    @property
    def norm(self) -> float:
        return float(np.abs(self.weights).sum())


@threadpool_limits.wrap(limits=1, user_api="blas")  # the matrices are small: threads would wait for each other
def solve(gram: np.ndarray, cross: np.ndarray, mus: Sequence[float], positive: bool) -> tuple[np.ndarray, np.ndarray]:
    """Solutions for all classes and bounds.

    Parameters
    ----------
    gram : ndarray
        (m, m), G = XX', in double precision.
    cross : ndarray
        (m, C), B = XL'.
    mus : sequence of float
        Bounds of the L1 norms.
    positive : bool
        Whether weights must not be negative.

    Returns
    -------
    tuple of ndarray
        Weights, (len(mus), m, C), and whether they touch the bound, (len(mus), C). Where they do not, they are those of
        least squares.
    """
    weights = np.zeros((len(mus), *cross.shape))
    active = np.zeros((len(mus), cross.shape[1]), bool)
    rising = sorted(range(len(mus)), key=lambda number: mus[number])
    for j, b in enumerate(cross.T):
        waiting = list(rising)
        last = Knot([], np.zeros(0))
        for knot in path(gram, b, max(mus), positive):
            while waiting and mus[waiting[0]] <= knot.norm:
                number = waiting.pop(0)
                share = (mus[number] - last.norm) / (knot.norm - last.norm)
                weights[number, last.features, j] = (1 - share) * last.weights
                weights[number, knot.features, j] += share * knot.weights
                active[number, j] = True
            last = knot
        for number in waiting:
            weights[number, last.features, j] = last.weights
    return weights, active


def residual(gram: np.ndarray, cross: np.ndarray, squares: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(C,) of ||X'w - l||^2 over ||l||^2, where ||l||^2 is given as squares; 0 where that is 0."""
    left = np.zeros(len(squares))
    for j in np.flatnonzero(squares):
        support = np.flatnonzero(weights[:, j])
        w = weights[support, j]
        left[j] = 1 + (w @ gram[np.ix_(support, support)] @ w - 2 * w @ cross[support, j]) / squares[j]
    return left


def path(gram: np.ndarray, b: np.ndarray, mu: float, positive: bool) -> Iterator[Knot]:
    """The knots of one class, up to the first whose L1 norm is not below mu, or to least squares.

    All features that are in have the same product with what is left of the label, but for the sign: the multiplier of
    the bound. It falls along the path, and the next feature comes in when its own product meets it.
    """
    features: list[int] = []
    signs = weights = np.zeros(0)
    rows = np.empty((32, len(b)))  # of G, those of the features that are in
    factor = np.zeros((0, 0))  # of Cholesky, of these features
    closed = np.zeros(len(b), bool)  # features that are in, or cannot come in
    b = b * (1 + TIES * np.random.default_rng(0).uniform(-1, 1, len(b)))
    products = b
    first = multiplier = float((products if positive else np.abs(products)).max())
    entering = int((products if positive else np.abs(products)).argmax()) if first > 0 else None
    for _ in range(20 * len(b) + 100):
        if multiplier <= ZERO * first:
            return
        if entering is not None:
            closed[entering] = True
            larger = _bordered(factor, gram[entering, features], gram[entering, entering])
            if larger is None:  # it adds nothing to those that are in
                entering = None
                continue
            factor = larger
            if len(features) == len(rows):
                rows = np.concatenate([rows, np.empty_like(rows)])
            rows[len(features)] = gram[entering]
            features.append(entering)
            signs, weights = np.append(signs, np.sign(products[entering])), np.append(weights, 0.0)

        direction = linalg.cho_solve((factor, True), signs, check_finite=False)
        fall = direction @ rows[: len(features)]
        enters = _times(multiplier - products, 1 - fall)
        if not positive:
            enters = np.minimum(enters, _times(multiplier + products, 1 + fall))
        enters[closed] = np.inf
        leaves = _times(weights * signs, -direction * signs)
        step = min(multiplier, enters.min(), leaves.min())
        leaving = int(leaves.argmin()) if leaves.min() <= step else None
        weights = weights + step * direction
        if leaving is not None:
            weights[leaving] = 0
        products = products - step * fall
        multiplier -= step
        yield Knot(list(features), weights)
        if np.abs(weights).sum() >= mu:
            return

        if leaving is None:
            entering = int(enters.argmin())
            continue
        entering = None
        closed[:] = False  # what was a combination with this feature may be none without it
        closed[features] = True
        closed[features.pop(leaving)] = False
        rows[leaving : len(features)] = rows[leaving + 1 : len(features) + 1]
        signs, weights = np.delete(signs, leaving), np.delete(weights, leaving)
        factor = linalg.cholesky(rows[: len(features), features], lower=True, check_finite=False)
    warnings.warn(
        "The path of a class was not followed to its end, because too many of its features are combinations of others; "
        "its weights are feasible, not optimal.",
        RuntimeWarning,
        stacklevel=3,
    )


def _bordered(factor: np.ndarray, products: np.ndarray, square: float) -> np.ndarray | None:
    """Cholesky factor with one feature more, given its products; None if it is a combination of the others."""
    border = linalg.solve_triangular(factor, products, lower=True, check_finite=False)
    left = square - border @ border
    if left <= DEPENDENT * square:
        return None
    larger = np.pad(factor, ((0, 1), (0, 1)))
    larger[-1, :-1], larger[-1, -1] = border, np.sqrt(left)
    return larger


def _times(distances: np.ndarray, speeds: np.ndarray) -> np.ndarray:
    """When distances have shrunk to zero; infinity where they do not shrink."""
    moving = speeds > 1e-12
    return np.where(moving, np.maximum(distances, 0) / np.where(moving, speeds, 1), np.inf)
