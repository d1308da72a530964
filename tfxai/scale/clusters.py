"""Heat-maps of one class in groups: spectral relevance analysis (Lapuschkin et al. 2019)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.cluster import SpectralClustering
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS = 10  # of each map, in the graph of maps
FEWEST = 4 * NEIGHBOURS  # maps below which there is nothing to divide
MOST = 8  # clusters


class Clusters(NamedTuple):
    """Groups of maps.

    Attributes
    ----------
    of : ndarray
        (n,) the number of each map's group; 0 is the largest.
    eigenvalues : ndarray
        The smallest of the graph's Laplacian, in rising order. The gap behind the k-th is what speaks for k groups.
    typical : list of ndarray
        Of each group its maps, the most typical first: that with the smallest distances to the others of the group.
    distance : ndarray
        (n,) mean distance of each map to its nearest neighbours, over the median of all; large for what stands out.
    """

    of: np.ndarray
    eigenvalues: np.ndarray
    typical: list[np.ndarray]
    distance: np.ndarray


def clusters(maps: np.ndarray, seed: int = 0) -> Clusters:
    """Divide maps into groups, as many as the eigengap says.

    Maps are compared by their shapes, whatever their heights: each is divided by its length. Each is joined to its
    nearest neighbours with a weight that falls with the distance, on the scale of the distances around both.

    Parameters
    ----------
    maps : ndarray
        (n, ...) of one class, small: a few hundred numbers each.
    seed : int
        Of the clustering.

    Returns
    -------
    Clusters
    """
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    apart = _distances(flat)
    near = np.sort(apart, 1)[:, 1 : NEIGHBOURS + 1].mean(1) if len(flat) > 1 else np.zeros(1)
    distance = near / max(np.median(near), 1e-12)
    if len(flat) < FEWEST:
        of, eigenvalues = np.zeros(len(flat), int), np.zeros(1)
    else:
        weights = _weights(flat)
        eigenvalues = _eigenvalues(weights)
        count = int(np.argmax(np.diff(eigenvalues))) + 1
        of = np.zeros(len(flat), int)
        if count > 1:
            method = SpectralClustering(count, affinity="precomputed", assign_labels="cluster_qr", random_state=seed)
            of = method.fit_predict(weights)
            order = np.argsort(-np.bincount(of, minlength=count), kind="stable")
            of = np.argsort(order)[of]
    groups = [np.flatnonzero(of == group) for group in range(of.max() + 1)]
    typical = [group[np.argsort(apart[np.ix_(group, group)].mean(1), kind="stable")] for group in groups if len(group)]
    return Clusters(of, eigenvalues, typical, distance)


def _distances(flat: np.ndarray) -> np.ndarray:
    """Of unit vectors, all pairs."""
    return np.sqrt(np.maximum(2 - 2 * flat @ flat.T, 0))


def _weights(flat: np.ndarray) -> np.ndarray:
    """How alike neighbours are: symmetric, (n, n), 0 for all others."""
    lengths, places = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(flat).kneighbors(flat)
    scale = np.maximum(lengths[:, -1], 1e-12)
    found = np.zeros((len(flat), len(flat)))
    rows = np.arange(len(flat))[:, None]
    found[rows, places] = np.exp(-np.square(lengths) / (scale[rows] * scale[places]))
    np.fill_diagonal(found, 0)
    return np.maximum(found, found.T) + 1e-6 * (1 - np.eye(len(flat)))  # all are joined, however weakly


def _eigenvalues(weights: np.ndarray) -> np.ndarray:
    """The smallest of the normalised Laplacian, one more than there may be groups."""
    root = 1 / np.sqrt(np.maximum(weights.sum(1), 1e-12))
    laplacian = np.eye(len(weights)) - root[:, None] * weights * root
    return np.linalg.eigvalsh(laplacian)[: MOST + 1]
