"""Targets that are numbers of a model's outputs, by where they stand: classes, tokens, pixels, regions, boxes.

They can be added and subtracted, and multiplied by numbers: ``Class(3) - Class(5)`` is what speaks for 3 rather than 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.output_target import OutputTarget


@dataclass(frozen=True, eq=False)
class Class(OutputTarget):
    """The score of a class; as a target by itself the same as its number, but it can be added and subtracted.

    Parameters
    ----------
    id : int or sequence of int
        The class, or one for each input.

    Examples
    --------
    >>> import tfxai
    >>> print(tfxai.targets.Class(3) - tfxai.targets.Class(5))
    class 3 - class 5
    """

    rank = 2
    needs = "(n, classes)"
    axes = {"id": 1}  # noqa: RUF012

    id: int | Sequence[int]

    @staticmethod
    def score(outputs: tf.Tensor, *data: tf.Tensor) -> tf.Tensor:
        return _at(outputs, *data)

    def __str__(self) -> str:
        return f"class {_told(self.id)}"


@dataclass(frozen=True, eq=False)
class Output(OutputTarget):
    """One of several quantities that a model gives, such as of a regression.

    Parameters
    ----------
    column : int or sequence of int
        Which, or one for each input.

    Examples
    --------
    >>> import tfxai
    >>> print(tfxai.targets.Output(0))
    output 0
    """

    rank = 2
    needs = "(n, outputs)"
    axes = {"column": 1}  # noqa: RUF012

    column: int | Sequence[int]

    @staticmethod
    def score(outputs: tf.Tensor, *data: tf.Tensor) -> tf.Tensor:
        return _at(outputs, *data)

    def __str__(self) -> str:
        return f"output {_told(self.column)}"


@dataclass(frozen=True, eq=False)
class Token(OutputTarget):
    """The score of a token as the next one, of a language model with outputs (n, positions, tokens).

    Parameters
    ----------
    id : int or sequence of int
        The token, or one for each input.
    position : int or sequence of int
        Where in the outputs; from the end if negative. Default: at the last position.

    Examples
    --------
    >>> import tfxai
    >>> print(tfxai.targets.Token(7) - tfxai.targets.Token(9))
    token 7 at position -1 - token 9 at position -1
    """

    rank = 3
    needs = "(n, positions, tokens)"
    axes = {"id": 2, "position": 1}  # noqa: RUF012

    id: int | Sequence[int]
    position: int | Sequence[int] = -1

    @staticmethod
    def score(outputs: tf.Tensor, *data: tf.Tensor) -> tf.Tensor:
        id, position = data
        return _at(outputs, position, id)

    def __str__(self) -> str:
        return f"token {_told(self.id)} at position {_told(self.position)}"


@dataclass(frozen=True, eq=False)
class Continuation(OutputTarget):
    """The log-probability of the last tokens of the inputs, each given those before it, of a language model.

    The inputs hold the tokens; the outputs (n, positions, tokens) one position before each of them say how likely it
    was.

    Parameters
    ----------
    ids : sequence of int, or of such sequences
        The tokens with which every input ends, or for each input its own.

    Examples
    --------
    >>> import tfxai
    >>> print(tfxai.targets.Continuation([7, 9]))
    log-probability of the last 2 tokens
    """

    rank = 3
    needs = "(n, positions, tokens)"
    axes = {"ids": 2}  # noqa: RUF012
    dims = {"ids": 1}  # noqa: RUF012

    ids: Sequence[int] | Sequence[Sequence[int]]

    @staticmethod
    def score(outputs: tf.Tensor, *data: tf.Tensor) -> tf.Tensor:
        (ids,) = data
        count, positions = ids.shape[1], outputs.shape[1]
        if positions is not None and count >= positions:
            raise ValueError(f"Expected fewer tokens than the {positions} positions, got {count}.")
        before = tf.nn.log_softmax(outputs[:, -count - 1 : -1])
        return tf.reduce_sum(before * tf.one_hot(ids, tf.shape(outputs)[2], dtype=before.dtype), [1, 2])

    def __str__(self) -> str:
        return f"log-probability of the last {np.shape(self.ids)[-1]} tokens"


@dataclass(frozen=True, eq=False)
class Pixel(OutputTarget):
    """The score of a class at one pixel, of a segmentation with outputs (n, h, w, classes).

    Parameters
    ----------
    row, column, id : int or sequence of int
        The pixel of the outputs, and the class; or for each input its own.

    Examples
    --------
    >>> import tfxai
    >>> print(tfxai.targets.Pixel(4, 7, 2))
    class 2 at pixel (4, 7)
    """

    rank = 4
    needs = "(n, h, w, classes)"
    axes = {"row": 1, "column": 2, "id": 3}  # noqa: RUF012

    row: int | Sequence[int]
    column: int | Sequence[int]
    id: int | Sequence[int]

    @staticmethod
    def score(outputs: tf.Tensor, *data: tf.Tensor) -> tf.Tensor:
        return _at(outputs, *data)

    def __str__(self) -> str:
        return f"class {_told(self.id)} at pixel ({_told(self.row)}, {_told(self.column)})"


@dataclass(frozen=True, eq=False)
class Region(OutputTarget):
    """The sum of the scores of a class over a region, of a segmentation with outputs (n, h, w, classes).

    Vinogradova et al. (2020). The region may be where the class is predicted, or any other.

    Parameters
    ----------
    mask : array
        (h, w) of the outputs' size, True in the region; or (n, h, w), one for each input.
    id : int or sequence of int
        The class, or one for each input.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> print(tfxai.targets.Region(np.ones((8, 8), bool), 2))
    class 2 in a region
    """

    rank = 4
    needs = "(n, h, w, classes)"
    axes = {"id": 3}  # noqa: RUF012
    dims = {"mask": 2}  # noqa: RUF012

    mask: np.ndarray
    id: int | Sequence[int]

    @staticmethod
    def score(outputs: tf.Tensor, *data: tf.Tensor) -> tf.Tensor:
        mask, id = data
        if not outputs.shape[1:3].is_compatible_with(mask.shape[1:]):
            raise ValueError(
                f"Expected a region of the outputs' size, {tuple(outputs.shape[1:3])}, got {tuple(mask.shape[1:])}. "
                "Resize the mask, to the nearest, or let the model end in an upsampling."
            )
        scores = tf.gather(outputs, id, axis=3, batch_dims=1)
        return tf.reduce_sum(scores * tf.cast(mask, scores.dtype), [1, 2])

    def __post_init__(self) -> None:
        super().__post_init__()
        if not np.any(self.mask):
            raise ValueError("The region is empty: expected a mask that is True somewhere.")

    def __str__(self) -> str:
        return f"class {_told(self.id)} in a region"


@dataclass(frozen=True, eq=False)
class Box(OutputTarget):
    """The score of a class for one box, of a detector's raw outputs (n, boxes, classes).

    What comes after them, such as the suppression of boxes that overlap, has no gradient.

    Parameters
    ----------
    index, id : int or sequence of int
        The box, and the class; or for each input its own.

    Examples
    --------
    >>> import tfxai
    >>> print(tfxai.targets.Box(12, 1))
    class 1 of box 12
    """

    rank = 3
    needs = "(n, boxes, classes)"
    axes = {"index": 1, "id": 2}  # noqa: RUF012

    index: int | Sequence[int]
    id: int | Sequence[int]

    @staticmethod
    def score(outputs: tf.Tensor, *data: tf.Tensor) -> tf.Tensor:
        return _at(outputs, *data)

    def __str__(self) -> str:
        return f"class {_told(self.id)} of box {_told(self.index)}"


def _at(outputs: tf.Tensor, *indices: tf.Tensor) -> tf.Tensor:
    """(n,) of each row one number."""
    row = tf.range(tf.shape(outputs)[0])
    sizes = tf.shape(outputs)
    counted = [tf.where(index < 0, index + sizes[axis], index) for axis, index in enumerate(indices, 1)]
    return tf.gather_nd(outputs, tf.stack([row, *counted], 1))


def _told(value: Any) -> str:
    return str(value) if np.ndim(value) == 0 else "of each input"
