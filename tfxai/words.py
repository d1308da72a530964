"""Words: what an explanation of a text, or of the integers that stand for one, has to say of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Pieces = tuple[tuple[str | None, ...], ...]  # of each text; None where there is padding


def numbers(pieces: Pieces) -> np.ndarray:
    """(n, steps) to which word of its text each piece belongs, from 0; padding is the last step's."""
    found = np.full((len(pieces), len(pieces[0])), len(pieces[0]) - 1, np.int32)
    for row, text in zip(found, pieces, strict=True):
        word = -1
        for step, piece in enumerate(text):
            if piece is not None:
                word += word < 0 or piece.startswith(" ")
                row[step] = word
    return found


class OfWords:
    """The part of an `tfxai.Explanation` that is about words.

    A piece is what one integer stands for, as text in which a word begins with a space; so pieces give the text again
    when they are put together, however a tokenizer marks words.
    """

    def tokens(self: Any, input: str | None = None) -> np.ndarray:
        """One signed number for each token, or each step of a sequence: its values added up.

        Parameters
        ----------
        input : str, optional
            Which input, if the model has several.

        Returns
        -------
        ndarray
            (n, steps) float32; zero where the input has padding.

        Raises
        ------
        ValueError
            If the values are not those of a sequence.

        Examples
        --------
        >>> import keras, numpy as np, tfxai
        >>> words = keras.Sequential([keras.layers.Embedding(9, 3), keras.layers.GRU(4), keras.layers.Dense(2)])
        >>> tfxai.Saliency(words)(np.array([[5, 1, 8, 2]]), target=0).tokens().shape
        (1, 4)
        """
        values = self.of(input)[0]
        if values.ndim not in (2, 3):
            raise ValueError(f"Expected values of a sequence, (n, steps) or (n, steps, width), got {values.shape}.")
        return values if values.ndim == 2 else values.sum(-1)

    def words(self: Any, number: int, whole: bool = True, input: str | None = None) -> list[tuple[str, float]]:
        """The words of one text, each with what it speaks for (above 0) or against.

        Parameters
        ----------
        number : int
            Which text.
        whole : bool
            Put words together from their pieces, and add up the values; False: the pieces as they are.
        input : str, optional
            Which input, if the model has several.

        Returns
        -------
        list of (str, float)
            In their order, without padding. Where it is not known what integers stand for, the integers.

        Raises
        ------
        ValueError
            If the input is not a sequence of integers, or the values are not those of its steps.
        """
        one = self[number]
        ids, values = one.of(input)[1][0], one.tokens(input)[0]
        pieces = _numbered(ids, values) if one.pieces is None else one.pieces[0]
        if len(values) != len(pieces):
            raise ValueError(f"Expected a value for each of {len(pieces)} tokens, got {len(values)}, as of a layer.")
        told = [(piece, float(value)) for piece, value in zip(pieces, values, strict=True) if piece is not None]
        return [(text.strip() or text, value) for text, value in (_joined(told) if whole else told)]


def is_read(explanation: Any, input: str | None = None) -> bool:
    """Whether an explanation has a value for each of the words, or of the integers that stand for them."""
    part = explanation.parts[0]
    try:
        values, ids = part.of(input)
    except ValueError:  # several inputs
        return False
    aligned = ids.ndim == 2 and values.ndim in (2, 3) and values.shape[:2] == ids.shape
    return aligned and (part.pieces is not None or values.ndim == 3)


def _joined(told: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Words, with the sums of the values of their pieces."""
    found: list[tuple[str, float]] = []
    for piece, value in told:
        text, total = found[-1] if found else ("", 0.0)
        if not found or (text.strip() and (piece[:1].isspace() or text[-1:].isspace())):
            found.append((piece, value))
        else:
            found[-1] = text + piece, total + value
    return found


def _numbered(ids: np.ndarray, values: np.ndarray) -> list[str | None]:
    """Integers as words, where nobody tells what they mean; zeros at the end that have no value are padding."""
    if ids.ndim != 1 or (ids != np.round(ids)).any():
        raise ValueError(f"Expected words: strings, or integers of shape (n, steps), got rows of shape {ids.shape}.")
    told = np.flatnonzero((ids != 0) | (values != 0) if ids.shape == values.shape else np.ones_like(ids))
    return [f" {int(one)}" if k <= told.max(initial=-1) else None for k, one in enumerate(ids)]
