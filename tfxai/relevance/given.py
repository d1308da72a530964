"""Rules that a user gives to operations which have none."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, cast

import tensorflow as tf

from tfxai.relevance.affine import Affine
from tfxai.relevance.flow import data_of
from tfxai.relevance.operations import Share, pulled_back
from tfxai.relevance.rules import Epsilon, Pass, Rule, Zero


class Weightless:
    """An operation, one of the tensors that it takes and one that it makes, as a layer for rules without weights.

    Attributes
    ----------
    op : tf.Operation
        The operation.
    a, z : tf.Tensor
        What it takes and what it makes, float32.
    """

    W = b = None

    def __init__(self, source: tf.Tensor, made: tf.Tensor):
        self.op, self.source, self._made = made.op, source, made
        self.a, self.z = tf.cast(source, tf.float32), tf.cast(made, tf.float32)

    def back(self, s: tf.Tensor, W: None) -> tf.Tensor:
        found = pulled_back(self.op, [s if y is self._made else None for y in self.op.outputs], [self.source])
        if not found:
            raise ValueError(f"The operation {self.op.name!r} cannot be differentiated: give it the rule Pass.")
        return found[0][1]

    def without_bias(self) -> Weightless:
        return self


def shares_by(rule: Any, op: tf.Operation, R: Sequence[tf.Tensor | None], on_path: Collection[str]) -> list[Share]:
    """Relevance of what an operation takes by a rule that the user has given for it."""
    if isinstance(rule, Epsilon | Pass | Zero):
        given = [(y, r) for y, r in zip(op.outputs, R, strict=True) if r is not None]
        if len(given) > 1:
            raise ValueError(f"Relevance comes from {len(given)} outputs of {op.name!r}: give it a function.")
        ((y, r),) = given
        return [(x, rule(cast(Affine, Weightless(x, y)), r)) for x in data_of(op, on_path)]
    if isinstance(rule, Rule) or not callable(rule):
        raise TypeError(f"Expected Epsilon, Zero, Pass or a function as rule of {op.name!r}, got {rule!r}.")
    found = list(rule(op, R))
    if len(found) != len(op.inputs):
        raise ValueError(
            f"Expected the rule of {op.name!r} to return the relevance of each of its {len(op.inputs)} inputs, None "
            f"where there is none; got {len(found)}."
        )
    return [(x, tf.cast(share, tf.float32)) for x, share in zip(op.inputs, found, strict=True) if share is not None]
