"""An objective: a number for each image that is to rise, and what makes one of several.

An objective keeps its numbers (classes, channels, factors) apart from what is computed of them. In the graph they are
tensors, so another class or another factor is the same graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.models import ModelView
from tfxai.models.head import Scores, scores
from tfxai.models.view import Forward

Shapes = Mapping[Any, tuple[int | None, ...]]  # of layers, by name; of the outputs, by None
Numbers = Sequence[tf.Tensor]


@dataclass(frozen=True)
class Seen:
    """A pass of the model, as objectives look at it."""

    view: ModelView
    forward: Forward

    def activation(self, layer: Any) -> tf.Tensor:
        return tf.cast(self.forward.read[self.view.find(layer)], tf.float32)

    @functools.cached_property
    def _scores(self) -> Scores:
        if self.forward.outputs.shape.rank != 2:
            raise ValueError(
                f"Classes need outputs of shape (n, classes), the model's are {self.forward.outputs.shape}. "
                "Give a function of the outputs as objective."
            )
        return scores(tf.cast(self.forward.outputs, tf.float32))

    @property
    def knows_probabilities(self) -> bool:
        """Whether the scores of classes have any: a single logit has none, nor has what is no logit."""
        values, scale, head, _ = self._scores
        return scale == "probability" or head is not None or (scale == "logit" and values.shape[-1] != 1)

    def classes(self, on: str) -> tf.Tensor:
        """(n, classes) logits, log-probabilities or probabilities."""
        values, scale, head, _ = self._scores
        if on == "logit":
            return values
        if not self.knows_probabilities:
            ends = "one logit" if scale == "logit" else "an output"
            raise ValueError(f'The model ends in {ends}, whose probabilities are unknown. Give on="logit".')
        if scale == "probability":
            known = tf.math.log(tf.maximum(values, 1e-30))
        else:
            known = tf.math.log_sigmoid(values) if head == "sigmoid" else tf.nn.log_softmax(values)
        return known if on == "log_probability" else tf.exp(known)

    @property
    def shapes(self) -> Shapes:
        """What objectives are checked against."""
        outputs = {None: tuple(self._scores.values.shape)} if self.forward.outputs.shape.rank == 2 else {}
        return outputs | {name: tuple(tensor.shape) for name, tensor in self.forward.read.items()}


@dataclass(frozen=True, eq=False)
class Objective:
    """A number for each image that is to rise. Made by the functions of this module, and by ``+``, ``-`` and ``*``.

    Attributes
    ----------
    kind : hashable
        What is computed, without the numbers.
    values : tuple of ndarray
        The numbers, each with a row for each image, or one row for all.
    layers : tuple
        Layers that it reads, as they were given.
    compute : callable
        From a pass of the model and tensors in place of ``values`` to (n,) scores.
    check : callable
        Raises a ValueError unless the numbers fit the shapes of the layers; also told how layers are called.
    text : callable
        From the number of an image to what is sought there, in words.
    probability : callable, optional
        As ``compute``: (n,) probabilities of the class that is sought, the first of several.
    """

    kind: Hashable
    values: tuple[np.ndarray, ...]
    layers: tuple[Any, ...]
    compute: Callable[[Seen, Numbers], tf.Tensor]
    check: Callable[[Shapes, Callable[[Any], str]], None]
    text: Callable[[int], str]
    probability: Callable[[Seen, Numbers], tf.Tensor] | None = None

    __array_ufunc__ = None  # arrays on the left leave the product to us

    @property
    def rows(self) -> int:
        """For how many images it says something of its own; 1 if the same for all."""
        return max((len(value) for value in self.values), default=1)

    def reads(self, view: ModelView) -> tuple[str, ...]:
        """The names of its layers in a model."""
        return tuple(dict.fromkeys(view.find(one) for one in self.layers))

    def spread(self, n: int) -> list[np.ndarray]:
        """The numbers, a row for each of n images."""
        if self.rows not in (1, n):
            raise ValueError(f"The objective is made for {self.rows} images, got {n}.")
        return [np.broadcast_to(value, (n, *value.shape[1:])) for value in self.values]

    def __add__(self, other: Any) -> Objective:
        return _joined("+", self, other)

    def __radd__(self, other: Any) -> Objective:
        return _joined("+", other, self)

    def __sub__(self, other: Any) -> Objective:
        return _joined("-", self, other)

    def __rsub__(self, other: Any) -> Objective:
        return _joined("-", other, self)

    def __mul__(self, other: Any) -> Objective:
        return _joined("*", self, other)

    def __rmul__(self, other: Any) -> Objective:
        return _joined("*", other, self)

    def __truediv__(self, number: Any) -> Objective:
        return _joined("*", self, 1 / np.asarray(number, float))

    def __neg__(self) -> Objective:
        return _joined("*", -1, self)

    def __str__(self) -> str:
        texts = list(dict.fromkeys(self.text(row) for row in range(self.rows)))
        return ", ".join(texts[:3] + ["..."] * (len(texts) > 3))

    __repr__ = __str__


def _joined(sign: str, a: Any, b: Any) -> Objective:
    first, second = (one if isinstance(one, Objective) else _number(one) for one in (a, b))
    if first.rows != second.rows and 1 not in (first.rows, second.rows):
        raise ValueError(f"The objectives are made for {first.rows} and for {second.rows} images.")
    split, operation = len(first.values), {"+": tf.add, "-": tf.subtract, "*": tf.multiply}[sign]

    def compute(seen: Seen, numbers: Numbers) -> tf.Tensor:
        return operation(first.compute(seen, numbers[:split]), second.compute(seen, numbers[split:]))

    def check(shapes: Shapes, name: Callable[[Any], str]) -> None:
        first.check(shapes, name)
        second.check(shapes, name)

    def probability(seen: Seen, numbers: Numbers) -> tf.Tensor:
        if first.probability:
            return first.probability(seen, numbers[:split])
        return second.probability(seen, numbers[split:])  # type: ignore[misc]

    return Objective(
        (sign, first.kind, second.kind),
        first.values + second.values,
        first.layers + second.layers,
        compute,
        check,
        lambda row: f"{_bracketed(first, sign, row, '*')} {sign} {_bracketed(second, sign, row, '*-')}",
        probability if first.probability or second.probability else None,
    )


def _number(given: Any) -> Objective:
    values = np.atleast_1d(np.asarray(given))
    if values.dtype.kind not in "fiu" or values.ndim > 1 or not np.isfinite(values).all():
        raise TypeError(f"Expected an objective, a number or one for each image, got {given!r}.")
    values = values.astype(np.float32)
    return Objective(
        ("number",),
        (values,),
        (),
        lambda seen, numbers: numbers[0],
        unchecked,
        lambda row: f"{values[row % len(values)]:g}",
    )


def _bracketed(one: Objective, sign: str, row: int, where: str) -> str:
    is_sum = isinstance(one.kind, tuple) and one.kind[0] in ("+", "-")
    return f"({one.text(row)})" if is_sum and sign in where else one.text(row)


def unchecked(shapes: Shapes, name: Callable[[Any], str]) -> None:
    """Nothing to check."""
