"""Maps in few bytes: as float16, or as 8 bits, each on a scale of its own. Or as they are."""

from __future__ import annotations

from typing import NamedTuple, get_args

import numpy as np

from tfxai.choices import Store

STORES = get_args(Store)
MIDDLE = 128  # the code of zero where there are negative values


class Packed(NamedTuple):
    """Maps as they are stored: values are ``codes * scale + offset``.

    Attributes
    ----------
    codes : ndarray
        float16, uint8 or float32, (n, ...).
    scale, offset : ndarray
        float64, (n,).
    """

    codes: np.ndarray
    scale: np.ndarray
    offset: np.ndarray


def pack(maps: np.ndarray, store: Store) -> Packed:
    """Scale each map by itself, so that neither tiny gradients nor large ones leave the range; zeros stay zeros.

    Parameters
    ----------
    maps : ndarray
        float32, (n, ...).
    store : {"float16", "uint8", "float32"}
        With float16 the scale is a power of two, so a value loses nothing but its last 13 bits: at most 2^-11 of
        itself, or 2^-25 of the largest. With uint8 there are 255 steps from zero to the largest value, or 127 to either
        side where there are negative ones. With float32 values stay as they are.

    Returns
    -------
    Packed

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.scale.packing import pack, unpack
    >>> unpack(*pack(np.array([[0, 3e-9, -6e-9]], "float32"), "float16"))
    array([[ 0.0000000e+00,  2.9995135e-09, -5.9990271e-09]], dtype=float32)
    """
    if store == "float32":
        return Packed(maps.astype(np.float32), np.ones(len(maps)), np.zeros(len(maps)))
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    low, high = flat.min(1, initial=0), flat.max(1, initial=0)
    top = np.maximum(-low, high)
    if store == "float16":
        scale, offset = np.ldexp(1.0, np.frexp(top)[1]), np.zeros(len(maps))
        codes = (flat / scale[:, None]).astype(np.float16)
    else:
        signed = low < 0
        scale = np.where(top > 0, top / np.where(signed, MIDDLE - 1, 255), 1)
        middle = np.where(signed, MIDDLE, 0)
        codes, offset = np.rint(flat / scale[:, None] + middle[:, None]).astype(np.uint8), -middle * scale
    return Packed(codes.reshape(maps.shape), scale, offset)


def unpack(codes: np.ndarray, scale: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The maps, float32, (n, ...), of what `pack` made of them."""
    rows = (len(codes), *[1] * (codes.ndim - 1))
    return (codes * np.reshape(scale, rows) + np.reshape(offset, rows)).astype(np.float32)
