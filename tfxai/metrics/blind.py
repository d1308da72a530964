"""Maps that know nothing of the model: what they score is to be beaten."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

CELLS = 7  # along each axis, as in the masks of RISE: blobs of the size of an object's parts


def random_maps(n: int, size: Sequence[int], seed: int = 0) -> np.ndarray:
    """Random maps that are as smooth as heat-maps are, different for each input.

    Maps of single random pixels would be beaten by any that are smooth: models respond to holes and to speckle
    differently.

    Parameters
    ----------
    n : int
        How many.
    size : sequence of int
        Their size: (h, w), or for tables and words (features,), where each position has a number of its own.
    seed : int
        Seed of the random numbers.

    Returns
    -------
    ndarray
        ``(n, *size)`` float32.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.metrics.random_maps(3, (32, 48)).shape
    (3, 32, 48)
    """
    random = np.random.default_rng(seed)
    if len(size) != 2:
        return random.normal(size=(n, *size)).astype(np.float32)
    cells = random.normal(size=(n, *(min(CELLS, side) for side in size))).astype(np.float32)
    return np.stack([cv2.resize(one, (size[1], size[0]), interpolation=cv2.INTER_CUBIC) for one in cells])


def centre_maps(n: int, size: Sequence[int]) -> np.ndarray:
    """Maps that fall from the centre to the border, whatever the input: photographs are centred.

    Parameters
    ----------
    n : int
        How many.
    size : sequence of int
        Their size, such as (h, w).

    Returns
    -------
    ndarray
        ``(n, *size)`` float32, 1 at the centre and 0 in the corners.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.metrics.centre_maps(1, (3, 3))[0, 1]
    array([0.29289323, 1.        , 0.29289323], dtype=float32)
    """
    places = np.indices(size) - (np.reshape(size, [-1] + [1] * len(size)) - 1) / 2
    distance = np.sqrt(np.square(places / np.maximum(np.abs(places).max()[None], 1e-6)).sum(0))
    one = 1 - distance / max(distance.max(), 1e-6)
    return np.repeat(one[None].astype(np.float32), n, 0)
