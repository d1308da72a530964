"""How much maps have moved: Spearman's rank correlation of the positions."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata


def ranks(maps: np.ndarray) -> np.ndarray:
    """(n, positions) ranks, centred and of length 1, so that products are Spearman's correlations; NaN if constant."""
    found = rankdata(maps.reshape(len(maps), -1), axis=1).astype(np.float64)  # from SciPy 1.18 on in the type of maps
    found -= found.mean(1, keepdims=True)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, length, out=np.full_like(found, np.nan), where=length > 0)


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(n,) Spearman's correlation of two maps of each input; 0 where one of them is constant."""
    return np.nan_to_num((ranks(first) * ranks(second)).sum(1))


def mean_correlation(before: np.ndarray, now: np.ndarray) -> float:
    """Mean of the correlations of `ranks` where they are defined, NaN if nowhere."""
    each = (before * now).sum(1)
    known = each[np.isfinite(each)]
    return float(known.mean()) if known.size else float("nan")
