"""How well features tell classes apart, whatever weights they have."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from tfxai.neurons.gram import Sums

RIDGE = 1e-3  # share of the mean variance that is added to each, so that features may depend on each other


def correct(sums: Sums, features: np.ndarray) -> np.ndarray:
    """(k,) bool, which rows held out a linear discriminant of these features alone puts into one of their classes.

    Fisher (1936): with the means m_c, the shares p_c and the common covariance S of the classes among all other rows, a
    row x goes to the class with the largest ``m_c' S^-1 x - m_c' S^-1 m_c / 2 + log p_c``.

    Parameters
    ----------
    sums : Sums
        With one or more rows held out.
    features : ndarray
        Their numbers.
    """
    counts = sums.squares - np.square(sums.held_labels, dtype=np.float64).sum(0)
    means = sums.cross[features] / np.where(counts > 0, counts, 1)
    # A row with several labels lies about several means, and counts for each.
    labels = (sums.held_labels > 0).sum(1).mean()
    within = (labels * sums.gram[np.ix_(features, features)] - (means * counts) @ means.T) / counts.sum()
    with np.errstate(divide="ignore"):
        offsets = np.log(counts / counts.sum())  # a class without rows is never chosen
    scores = np.broadcast_to(offsets, sums.held_labels.shape)
    if len(features):
        within[np.diag_indices_from(within)] += RIDGE * np.trace(within) / len(features)
        directions = linalg.solve(within, means, assume_a="sym", check_finite=False)
        scores = scores + sums.held[:, features] @ directions - (means * directions).sum(0) / 2
    found = scores.argmax(1)
    return sums.held_labels[np.arange(len(found)), found] > 0
