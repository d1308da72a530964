"""Heat-maps of one class in groups: spectral relevance analysis (Lapuschkin et al. 2019)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.cluster import SpectralClustering
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS = 10  # of each map, in the graph of maps
FEWEST = 4 * NEIGHBOURS  # maps below which there is nothing to divide
MOST = 8  # clusters
APART = 0.1  # mean silhouette from which groups are told apart; see benchmarks/README.md


class Clusters(NamedTuple):
    """Groups of maps.

    Attributes
    ----------
    of : ndarray
        (n,) the number of each map's group; 0 is the largest.
    silhouettes : ndarray
        (8,) how well 1, 2, ... groups are separated, from -1 to 1: the mean of (b - a) / max(a, b) over all maps, where
        a is the mean distance to those of its own group and b that to the nearest other one (Rousseeuw 1987). Of one
        group it is 0.1, which several must exceed; NaN where there are too few maps.
    typical : list of ndarray
        Of each group its maps, the most typical first: that with the smallest distances to the others of the group.
    distance : ndarray
        (n,) mean distance of each map to its nearest neighbours, over the median of all; large for what stands out.
    """

    of: np.ndarray
    silhouettes: np.ndarray
    typical: list[np.ndarray]
    distance: np.ndarray


def clusters(maps: np.ndarray, seed: int = 0) -> Clusters:
    """Divide maps into as many groups as are best separated.

    Maps are compared by their shapes, whatever their heights: each is divided by its length. Each is joined to its
    nearest neighbours with a weight that falls with the distance, on the scale of the distances around both, and the
    graph is cut into 2 to 8 groups. The number is that with the largest mean silhouette. The gap between eigenvalues of
    the graph, which the paper looks at, cuts a cloud of maps without groups into pieces.

    Parameters
    ----------
    maps : ndarray
        (n, ...) of one class, small: a few hundred numbers each.
    seed : int
        Seed of the clustering.

    Returns
    -------
    Clusters
    """
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    apart = _distances(flat)
    near = np.sort(apart, 1)[:, 1 : NEIGHBOURS + 1].mean(1) if len(flat) > 1 else np.zeros(1)
    distance = near / max(np.median(near), 1e-12)
    of, silhouettes = np.zeros(len(flat), int), np.full(MOST, np.nan)
    if len(flat) >= FEWEST:
        weights = _weights(flat)
        found = [of, *(_cut(weights, count, seed) for count in range(2, MOST + 1))]
        silhouettes = np.array([APART, *(_silhouette(apart, one) for one in found[1:])])
        of = found[int(np.argmax(silhouettes))]
    groups = [np.flatnonzero(of == group) for group in range(of.max() + 1)]
    typical = [group[np.argsort(apart[np.ix_(group, group)].mean(1), kind="stable")] for group in groups if len(group)]
    return Clusters(of, silhouettes, typical, distance)


def _distances(flat: np.ndarray) -> np.ndarray:
    """Of unit vectors, all pairs."""
    found = np.sqrt(np.maximum(2 - 2 * flat @ flat.T, 0))
    np.fill_diagonal(found, 0)
    return found


def _weights(flat: np.ndarray) -> np.ndarray:
    """How alike neighbours are: symmetric, (n, n), 0 for all others."""
    lengths, places = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(flat).kneighbors(flat)
    scale = np.maximum(lengths[:, -1], 1e-12)
    found = np.zeros((len(flat), len(flat)))
    rows = np.arange(len(flat))[:, None]
    found[rows, places] = np.exp(-np.square(lengths) / (scale[rows] * scale[places]))
    np.fill_diagonal(found, 0)
    return np.maximum(found, found.T) + 1e-6 * (1 - np.eye(len(flat)))  # all are joined, however weakly


def _cut(weights: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(n,) the group of each map, if there are so many; 0 is the largest."""
    method = SpectralClustering(count, affinity="precomputed", assign_labels="cluster_qr", random_state=seed)
    of = method.fit_predict(weights)
    order = np.argsort(-np.bincount(of, minlength=count), kind="stable")
    return np.argsort(order)[of]


def _silhouette(apart: np.ndarray, of: np.ndarray) -> float:
    return silhouette_score(apart, of, metric="precomputed") if of.any() else -1.0
