"""What a page is told of attention between all tokens of an input, so that a click shows what one of them looks at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tfxai.explanation import Explanation
from tfxai.pages import encoded

PAIRS = "between"  # where `AttentionGradient` keeps them


def to_patches(one: Explanation, input: str | None, detail: int) -> dict[str, Any]:
    """Attention of the patches of one image, "between" of its entry; nothing where the method tells none."""
    found = one.extras.get(PAIRS)
    if not isinstance(found, np.ndarray) or found.ndim != 5:
        return {}
    place, size = one.place(input), one.laid("signed", input=input).shape[1:]
    height, width = place.sides
    if len(size) != 2 or (height.along, width.along) != (1, 2):
        return {}  # places that are laid out otherwise than the picture
    # 16 x 16 places where maps keep their pixels, and 7 x 7 where there are many: pairs are the square of these
    return {PAIRS: encoded.pairs(found[0], (height, width), (size[0], size[1]), max(1, detail * 4 // 7))}


def to_words(one: Explanation, input: str | None, count: int) -> dict[str, Any]:
    """The same of the words of one text: what the pieces of a word give on the average, and its pieces get in all."""
    found = one.extras.get(PAIRS)
    if not isinstance(found, np.ndarray) or found.ndim != 3:
        return {}
    matrix = found[0]
    if one.pieces is None:
        words = np.eye(len(matrix), dtype=np.float32)[:, :count]
    else:
        words = np.array([_words_of(one, piece, input) for piece in np.eye(len(matrix), dtype=np.float32)])
    summed = words.T @ matrix @ words / words.sum(0)[:, None]
    return {PAIRS: encoded.numbers(summed.astype(np.float32))}


def _words_of(one: Explanation, values: np.ndarray, input: str | None) -> list[float]:
    """For values of one piece, those of the words, of which one has it."""
    given = dict.fromkeys(one.values, values[None]) if isinstance(one.values, dict) else values[None]
    return [value for _, value in replace(one, values=given).words(0, input=input)]
