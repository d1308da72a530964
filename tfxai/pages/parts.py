"""What pages are made of: files beside this module, and pictures that lie in the page itself, in rows."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from importlib import resources

import cv2
import numpy as np

TILE = 224  # pixels, the longer side


def file(name: str) -> str:
    """A file that lies beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def tiles(images: Sequence[np.ndarray], captions: Sequence[str], what: str) -> str:
    """Pictures in rows, with texts beneath them; ``what`` is said to those who do not see them."""
    figures = []
    for number, (image, caption) in enumerate(zip(images, captions, strict=True), 1):
        alt = f"{what}, image {number}"
        below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        figures.append(f'<figure><img src="{_embedded(image)}" alt="{escape(alt)}">{below}</figure>')
    return '<div class="tiles">' + "\n".join(figures) + "</div>"


def wide(png: bytes, what: str) -> str:
    """A picture as wide as the page, from its file; ``what`` is said to those who do not see it."""
    return f'<img class="wide" src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{what}">'


def sized(image: np.ndarray) -> np.ndarray:
    """A picture of the size in which pages show it."""
    height, width = (max(1, round(TILE * side / max(image.shape[:2]))) for side in image.shape[:2])
    how = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(image, (width, height), interpolation=how)


def _embedded(image: np.ndarray) -> str:
    bgr = cv2.cvtColor(sized(image.astype(np.uint8)), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
