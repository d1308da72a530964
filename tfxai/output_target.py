"""What all targets have in common that are numbers of a model's outputs: their data, their sums, one function of both.

What they are given (ids, positions, masks) enters the graph as data, so another token traces nothing, and each input
may have its own.
"""

from __future__ import annotations

import dataclasses
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
        For its fields that are integers along an axis of the outputs: which axis.
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
        """The sum that it is: factors and targets."""
        return ((1.0, self),)

    @property
    def kind(self) -> Kind:
        """What a graph depends on: all but the data."""
        return Kind(tuple((factor, type(one), len(one._fields())) for factor, one in self.terms))

    @property
    def count(self) -> int | None:
        """For how many inputs it has data; None if for any."""
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


def _rows(value: Any, dims: int, start: int, end: int) -> np.ndarray:
    """The data of some inputs, int32 or bool; what serves all is repeated."""
    array = np.asarray(value)
    array = array if array.dtype.kind == "b" else array.astype(np.int32)
    return array[start:end] if array.ndim > dims else np.repeat(array[None], end - start, 0)


def advice(shape: tf.TensorShape) -> str:
    """Which targets suit outputs of this shape."""
    known = {
        2: "Class(id) and Output(column)",
        3: "Token(id, position=-1) and Continuation(ids) for language models, and Box(index, id) for detectors",
        4: "Region(mask, id) and Pixel(row, column, id) for segmentation",
    }
    found = known.get(shape.rank)
    return f"Of tfxai.targets, use {found}." if found else "Use a function of the outputs as target."
