"""Hierarchies of players: which of them are taken apart last."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import linkage

Pairs = list[tuple[int, int]]


def halved(sizes: Sequence[int]) -> np.ndarray:
    """The tree of a grid that is halved along its longest axis, again and again.

    Parameters
    ----------
    sizes : sequence of int
        Cells along each axis.

    Returns
    -------
    ndarray
        (cells - 1, 2) which two nodes each inner node joins, as SciPy has it: cells are the first nodes, in reading
        order, and then comes what each row makes.
    """
    pairs: Pairs = []

    def node(cells: np.ndarray) -> int:
        if cells.size == 1:
            return int(cells.item())
        halves = np.array_split(cells, 2, int(np.argmax(cells.shape)))
        pairs.append((node(halves[0]), node(halves[1])))
        return count + len(pairs) - 1

    count = int(np.prod(sizes))
    node(np.arange(count).reshape(sizes))
    return np.array(pairs, int).reshape(-1, 2)


def clustered(rows: np.ndarray) -> np.ndarray:
    """The tree of columns that joins first what correlates: by 1 - |correlation|, averaged over pairs.

    Parameters
    ----------
    rows : ndarray
        (b, columns) of a table.

    Returns
    -------
    ndarray
        (columns - 1, 2), as of `halved`.
    """
    centred = rows - rows.mean(0)
    lengths = np.linalg.norm(centred, axis=0)
    unit = np.divide(centred, lengths, out=np.zeros_like(centred, float), where=lengths > 0)
    apart = 1 - np.abs(unit.T @ unit)
    return linkage(np.clip(apart, 0, 1)[np.triu_indices(len(apart), 1)], "average")[:, :2].astype(int)


def checked(tree: np.ndarray, players: int) -> np.ndarray:
    """A tree that a user gives, as `scipy.cluster.hierarchy.linkage` makes them or only its two first columns."""
    tree = np.asarray(tree)
    if tree.shape != (players - 1, tree.shape[-1]) or tree.shape[-1] not in (2, 4):
        raise ValueError(
            f"Expected tree= to join {players} players, as scipy.cluster.hierarchy.linkage does, of shape "
            f"({players - 1}, 4) or ({players - 1}, 2); got {tree.shape}."
        )
    own = tree[:, :2].astype(int)
    known = np.arange(players - 1) + players
    if (own < 0).any() or (own >= known[:, None]).any() or len(np.unique(own)) != own.size:
        raise ValueError("Expected each node of tree= to be joined once, after it is made.")
    return own


def spans(tree: np.ndarray, players: int) -> tuple[np.ndarray, np.ndarray]:
    """An order of the players in which those below each node are neighbours, and where these begin and end.

    Returns
    -------
    tuple of ndarray
        (players,) the place of each player, and (nodes, 2) the first place of each node and the one after its last.
    """
    sizes = np.ones(players + len(tree), int)
    for number, (left, right) in enumerate(tree):
        sizes[players + number] = sizes[left] + sizes[right]
    starts = np.zeros(len(sizes), int)
    for number, (left, right) in reversed(list(enumerate(tree))):
        starts[left] = starts[players + number]
        starts[right] = starts[left] + sizes[left]
    return starts[:players], np.stack([starts, starts + sizes], 1)
