"""Targets that are numbers of a model's outputs, by where they stand: classes, tokens, pixels, regions, boxes.

They can be added and subtracted, and multiplied by numbers: ``Class(3) - Class(5)`` is what speaks for 3 rather than 5.
What they are given (ids, positions, masks) enters the graph as data, so another token traces nothing, and each input
may have its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf


class OutputTarget:
    """Base of targets that are numbers of the outputs. A subclass is a dataclass of what it is given.

    Attributes
    ----------
    rank : int
        How many axes the outputs have.
    needs : str
        What these are, for errors.
    axes : dict
        Of its fields that are integers along an axis of the outputs: which axis.
    dims : dict
        How many axes a field has for one input, where that is not 0; one more gives each input its own.
    """

    rank: ClassVar[int]
    needs: ClassVar[str]
    axes: ClassVar[dict[str, int]] = {}
    dims: ClassVar[dict[str, int]] = {}

    def __post_init__(self) -> None:
        for field, value in self._fields().items():
            array, wanted = np.asarray(value), self.dims.get(field, 0)
            kinds = "iu" if field in self.axes else "iub"
            if array.dtype.kind not in kinds or array.ndim not in (wanted, wanted + 1) or not array.size:
                shape = ["an integer", "an array with one axis", "an array with two axes"][wanted]
                raise ValueError(
                    f"Expected {field} of {type(self).__name__} to be {shape}, or an array of integers with one more "
                    f"axis that has one for each input; got an array of {array.dtype} of shape {array.shape}."
                )

    @property
    def terms(self) -> tuple[tuple[float, OutputTarget], ...]:
        """Of what sum it is: factors and targets."""
        return ((1.0, self),)

    @property
    def kind(self) -> Kind:
        """What a graph depends on: all but the data."""
        return Kind(tuple((factor, type(one), len(one._fields())) for factor, one in self.terms))

    @property
    def count(self) -> int | None:
        """Of how many inputs it tells; None if of any."""
        counts = {
            len(value)
            for _, one in self.terms
            for field, value in one._fields().items()
            if np.ndim(value) > one.dims.get(field, 0)
        }
        if len(counts) > 1:
            raise ValueError(f"Expected a target with one value for each input, got {sorted(counts)} values.")
        return next(iter(counts), None)

    def rows(self, start: int, end: int) -> list[np.ndarray]:
        """The data of the inputs from ``start`` to ``end``, for each field of each term."""
        return [
            _rows(value, one.dims.get(field, 0), start, end)
            for _, one in self.terms
            for field, value in one._fields().items()
        ]

    def check(self, shape: tf.TensorShape) -> None:
        """ValueError if outputs of this shape have no such numbers."""
        for _, one in self.terms:
            for field, axis in one.axes.items():
                value, size = np.asarray(getattr(one, field)), shape[axis]
                low = -size if size is not None and field == "position" else 0
                if size is not None and (value.min() < low or value.max() >= size):
                    raise ValueError(
                        f"Expected {field} of {one} to lie from {low} to {size - 1}, since the model's outputs have "
                        f"the shape {shape}."
                    )

    @staticmethod
    def score(outputs: tf.Tensor, *data: tf.Tensor) -> tf.Tensor:
        """(n,) scores, given the data of the same rows."""
        raise NotImplementedError

    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def __add__(self, other: OutputTarget) -> Sum:
        return Sum((*self.terms, *other.terms)) if isinstance(other, OutputTarget) else NotImplemented

    def __sub__(self, other: OutputTarget) -> Sum:
        return self + -1 * other if isinstance(other, OutputTarget) else NotImplemented

    def __rmul__(self, factor: float) -> Sum:
        return Sum(tuple((factor * own, one) for own, one in self.terms))

    __mul__ = __rmul__

    def __neg__(self) -> Sum:
        return -1 * self


@dataclass(frozen=True)
class Kind:
    """What a target computes, without its data: a function of the outputs and of these."""

    what: tuple[tuple[float, type[OutputTarget], int], ...]

    def __call__(self, outputs: tf.Tensor, *data: tf.Tensor) -> tf.Tensor:
        total = tf.zeros([tf.shape(outputs)[0]])
        for factor, cls, count in self.what:
            if outputs.shape.rank != cls.rank:
                raise ValueError(
                    f"The target {cls.__name__} needs outputs of shape {cls.needs}, the model's are {outputs.shape}. "
                    f"{advice(outputs.shape)}"
                )
            own, data = data[:count], data[count:]
            total += factor * cls.score(outputs, *own)
        return total


@dataclass(frozen=True, eq=False)
class Sum(OutputTarget):
    """Targets times numbers, added up."""

    parts: tuple[tuple[float, OutputTarget], ...]

    def __post_init__(self) -> None:
        pass

    @property
    def terms(self) -> tuple[tuple[float, OutputTarget], ...]:
        return self.parts

    def __str__(self) -> str:
        text = ""
        for factor, one in self.parts:
            sign = " - " if factor < 0 else " + "
            text += f"{sign}{one}" if abs(factor) == 1 else f"{sign}{abs(factor):g} * {one}"
        return text.removeprefix(" + ").strip() if text.startswith(" + ") else f"-{text.removeprefix(' - ')}"


def _at(outputs: tf.Tensor, *indices: tf.Tensor) -> tf.Tensor:
    """(n,) of each row one number."""
    row = tf.range(tf.shape(outputs)[0])
    sizes = tf.shape(outputs)
    counted = [tf.where(index < 0, index + sizes[axis], index) for axis, index in enumerate(indices, 1)]
    return tf.gather_nd(outputs, tf.stack([row, *counted], 1))


def _rows(value: Any, dims: int, start: int, end: int) -> np.ndarray:
    """The data of some inputs, int32 or bool; what serves all is repeated."""
    array = np.asarray(value)
    array = array if array.dtype.kind == "b" else array.astype(np.int32)
    return array[start:end] if array.ndim > dims else np.repeat(array[None], end - start, 0)


def _told(value: Any) -> str:
    return str(value) if np.ndim(value) == 0 else "of each input"


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


def advice(shape: tf.TensorShape) -> str:
    """Which targets suit outputs of this shape."""
    known = {
        2: "Class(id) and Output(column)",
        3: "Token(id, position=-1) and Continuation(ids) for language models, and Box(index, id) for detectors",
        4: "Region(mask, id) and Pixel(row, column, id) for segmentation",
    }
    found = known.get(shape.rank)
    return f"Of tfxai.targets, use {found}." if found else "Use a function of the outputs as target."
