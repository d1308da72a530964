"""Pictures and maps as text that lies in a page: WebP for photographs, and grey PNG with their numbers for maps."""

from __future__ import annotations

import base64
import json
from typing import Any

import cv2
import numpy as np

from tfxai.maps import Side

PHOTO = 288  # pixels, the longer side
FINE = 4096  # values: smaller maps have 16 bits, which cost little
SIXTEEN, COARSE = 32767, 40  # codes on either side of zero, of these and of larger maps,
SQUARED = 2  # whose codes are squared: a few pixels far out leave steps for all others


def photo(image: np.ndarray) -> str:
    """A uint8 picture as a data address, no larger than pages show it."""
    factor = PHOTO / max(image.shape[:2])
    if factor < 1:
        size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, 75])
    return "data:image/webp;base64," + base64.b64encode(data.tobytes()).decode()


def grey_map(values: np.ndarray, sides: tuple[Side, Side], size: tuple[int, int], detail: int) -> dict[str, Any]:
    """A map without channels as a page takes it.

    Parameters
    ----------
    values : ndarray
        (h, w), not scaled.
    sides : tuple of Side
        Where they lie along the height and the width of the input.
    size : tuple of int
        Height and width of the input.
    detail : int
        Values along the longer side that are kept: larger maps are averaged.

    Returns
    -------
    dict
        ``png``, whose codes less ``zero``, to the ``power`` but with their sign, times ``scale``, are the values;
        ``sides`` and ``size``.
    """
    values, sides = _averaged(np.asarray(values, np.float32), sides, detail)
    return numbers(values, values.size <= FINE) | _placed(sides, size)


def pairs(values: np.ndarray, sides: tuple[Side, Side], size: tuple[int, int], detail: int) -> dict[str, Any]:
    """What each place of a map gives to each, (h, w, h, w), as `grey_map`: a row of the picture for each place.

    ``grid`` says how many rows and columns of places there are, no more than ``detail`` in all.
    """
    height, width = values.shape[:2]
    longest = max(1, int(np.sqrt(detail * max(height, width) / min(height, width))))  # so that detail places are left
    looking, _ = _averaged(values.reshape(height, width, -1), sides, longest)
    rows, columns = looking.shape[:2]
    seen, kept = _averaged(looking.reshape(rows * columns, height, width).transpose(1, 2, 0), sides, longest)
    return numbers(seen.reshape(rows * columns, -1).T, fine=False) | {"grid": [rows, columns]} | _placed(kept, size)


def film(values: np.ndarray, sides: tuple[Side, Side], size: tuple[int, int]) -> dict[str, Any]:
    """Maps (steps, h, w) of one size, as `grey_map`: a row of the picture for each; ``grid`` is their size."""
    return (
        numbers(values.reshape(len(values), -1), fine=False)
        | {"grid": [int(one) for one in values.shape[1:]]}
        | _placed(sides, size)
    )


def numbers(values: np.ndarray, fine: bool = True) -> dict[str, Any]:
    """Rows of numbers as a grey PNG: its codes less ``zero``, to the ``power``, times ``scale``."""
    signed = bool((values < 0).any())
    half, power = (SIXTEEN, 1) if fine else (COARSE, SQUARED)
    zero, codes = (half, half) if signed else (0, 2 * half)
    top = float(np.abs(values).max()) or 1.0
    steps = np.sign(values) * np.abs(values / top) ** (1 / power) * codes
    grey: Any = np.round(steps + zero).astype(np.uint16 if fine else np.uint8)
    options = [cv2.IMWRITE_PNG_COMPRESSION, 9, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_FILTERED]
    _, data = cv2.imencode(".png", grey, options)
    return {
        "png": base64.b64encode(data.tobytes()).decode(),
        "scale": top / codes**power,
        "zero": zero,
        "power": power,
    }


def _placed(sides: tuple[Side, Side], size: tuple[int, int]) -> dict[str, Any]:
    """Where values lie in an input of a size."""
    told = [[float(side.first), float(side.step), float(side.low), float(side.high)] for side in sides]
    return {"sides": told, "size": [int(one) for one in size]}


def as_json(content: Any) -> str:
    """JSON that cannot end the element of a page in which it stands, whatever users give."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _averaged(values: np.ndarray, sides: tuple[Side, Side], detail: int) -> tuple[np.ndarray, tuple[Side, Side]]:
    """Values (h, w, ...) of larger cells, so that there are no more than ``detail`` along a side."""
    factor = max(values.shape[:2]) / detail
    if factor <= 1:
        return values, sides
    height, width = (max(1, round(count / factor)) for count in values.shape[:2])
    made = [
        side._replace(first=side.first + side.step * (old / new - 1) / 2, step=side.step * old / new)
        for side, old, new in zip(sides, values.shape, (height, width), strict=False)
    ]
    layers = values.reshape(*values.shape[:2], -1).transpose(2, 0, 1)  # OpenCV resizes few channels at once
    resized = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in layers], -1)
    return resized.reshape(height, width, *values.shape[2:]), (made[0], made[1])
