"""Normalisations that take a mean away: z = k (x - mean(x)) + b, whose spread k is a constant to every rule."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfxai.models.operations import ADDITIONS, SCALES
from tfxai.relevance.origins import ARRANGED, arranged, is_spread, way_back
from tfxai.relevance.rules import stabilized


@dataclass(frozen=True)
class Centred:
    """z = k x - k mean(x) + b.

    Attributes
    ----------
    z, x : tf.Tensor
        What is made, and of what.
    scaled : tf.Tensor
        k x, or x where k is 1.
    k : tf.Tensor or None
        What scales x: one over the spread, also times weights; None for 1.
    axes : tf.Tensor
        Along which the mean is taken.
    """

    z: tf.Tensor
    x: tf.Tensor
    scaled: tf.Tensor
    k: tf.Tensor | None
    axes: tf.Tensor

    def share(self, R: tf.Tensor, bias: bool, epsilon: float) -> tf.Tensor:
        """x (k s - mean(k s)) with s = R / z, by contribution; without the bias, z is k (x - mean(x))."""
        x = tf.cast(self.x, tf.float32)
        k = tf.ones([]) if self.k is None else tf.cast(self.k, tf.float32)
        z = tf.cast(self.z, tf.float32) if bias else k * self._centre(x)
        return x * self._centre(k * R / stabilized(z, epsilon))

    def _centre(self, x: tf.Tensor) -> tf.Tensor:
        return x - tf.reduce_mean(x, self.axes, keepdims=True)


def find_centred(op: tf.Operation, data: Sequence[tf.Tensor], on_path: Collection[str]) -> Centred | None:
    """What is normalised, if a sum or difference takes the mean away: x - mean(x), or x k + (b - mean(x) k)."""
    z = op.outputs[0]
    if op.type == "Sub" and (mean := _mean_of(data[0], data[1], on_path)) is not None:
        return Centred(z, data[0], data[0], None, mean.inputs[1])
    for scaled, shift in (data, data[::-1]) if op.type in ADDITIONS | {"Sub"} else ():
        factors = [pair for product in (shift, *shift.op.inputs) for pair in _factors(product)]
        for x, k in _factors(scaled):
            means = [_mean_of(x, other, on_path) for other, same in factors if same.name == k.name]
            if is_spread(k, on_path) and (mean := next(filter(None, means), None)) is not None:
                return Centred(z, x, scaled, k, mean.inputs[1])
    return None


def _factors(tensor: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    a, b = tensor.op.inputs if tensor.op.type == "Mul" else (None, None)
    return [] if a is None else [(a, b), (b, a)]


def _mean_of(x: tf.Tensor, tensor: tf.Tensor, on_path: Collection[str]) -> tf.Operation | None:
    """The operation that takes the mean of x, if a tensor holds this or its negative."""
    *_, origin = way_back(tensor, ARRANGED | SCALES | {"Neg"}, on_path)
    if origin.op.type not in ("Mean", "Sum"):
        return None
    source = origin.op.inputs[0]
    known = source.name in {t.name for t in arranged(x, on_path)}
    return origin.op if known and source.shape.rank == x.shape.rank else None
