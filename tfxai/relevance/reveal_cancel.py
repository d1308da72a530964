"""The RevealCancel rule of DeepLIFT: what raises a value and what lowers it are followed apart.

Every change d of a tensor is d+ + d-, and its multipliers are a pair (m+, m-). A layer sorts the contributions of its
inputs by sign; an activation responds to each part by the mean of what it does alone and after the other, which is the
Shapley value of both. Shrikumar et al. (2017), section 3.5.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfxai.models import graph
from tfxai.relevance.affine import Affine, parts
from tfxai.relevance.flow import ROUNDS, carries, in_floats
from tfxai.relevance.multipliers import TINY, Passes, argument, divided, is_linear, rescale
from tfxai.relevance.operations import summed_to

# Functions of a change as a whole: one part alone may leave where they are defined, or be no whole number.
_WHOLE = {"Log", "Pow", "RealDiv", "Reciprocal", "Rsqrt", "Sqrt", *ROUNDS}
Pair = tuple[tf.Tensor, tf.Tensor]  # of d+ and d-


class RevealCancel:
    """The rule, for two passes.

    Parameters
    ----------
    passes : Passes
        Both passes.
    dense_only : bool
        Whether activations with positions follow the Rescale rule.
    """

    def __init__(self, passes: Passes, dense_only: bool = False):
        self.passes, self.dense_only = passes, dense_only
        self.network = passes.network
        self._parts = self.network.parts()
        self._changes: dict[str, Pair] = {}

    def contributions(self, inputs: list[tf.Tensor]) -> list[tf.Tensor]:
        """What each value of the inputs contributes to the difference of the outputs."""
        self._changes = {x.name: parts(self.passes.change(x)) for x in inputs}
        for op in self.network.path:
            self._advance(op)
        ones = tf.ones_like(self.network.output)
        m = self.network.walk_back((ones, ones), self._back)
        zero = tf.zeros([])
        return [_sum(m.get(x.name, (zero, zero)), self._changes[x.name]) for x in inputs]

    def _advance(self, op: tf.Operation) -> None:
        """The changes of what an operation makes, from those of what it takes."""
        if op.name in self._parts:
            layer, _ = self._parts[op.name]
            if op.name == layer.through[-1].op.name:
                self._changes[op.outputs[0].name] = self._sorted(layer)
            return
        x = argument(op, self.network)
        if x is not None:
            (up, down), (rise, fall) = self._changes[x.name], self._slopes(x, op.outputs[0])
            gains, losses = zip(parts(rise * up), parts(fall * down), strict=True)
            self._changes[op.outputs[0].name] = sum(gains), sum(losses)
            return
        if not any(x.name in self._changes for x in op.inputs):  # inside of a dilated layer
            return
        for sign in (0, 1):
            for y, change in self._along(op, sign):
                self._changes[y.name] = (*self._changes.get(y.name, ()), change)  # type: ignore[assignment]

    def _along(self, op: tf.Operation, sign: int) -> list[tuple[tf.Tensor, tf.Tensor]]:
        """How the outputs of an operation change with one part of the changes of what it takes."""
        change = {
            x.name: self._changes[x.name][1 - sign if _lowers(op, x) else sign]
            for x in op.inputs
            if x.name in self._changes
        }
        if is_linear(op, self.network):
            moved = [
                tf.cast(self.passes.both(x)[1] + change[x.name], now.dtype) if x.name in change else now
                for x, now in zip(op.inputs, in_floats(op).inputs, strict=True)
            ]
            ends = zip(op.outputs, graph.again(in_floats(op), moved), strict=True)
            return [(y, tf.cast(end, tf.float32) - self.passes.both(y)[1]) for y, end in ends if carries(y)]
        probes = [tf.zeros_like(y, tf.float32) for y in op.outputs]  # the derivative of the linear map back
        shares = rescale(op, probes, self.passes)
        found = tf.gradients([m for _, m in shares], probes, grad_ys=[change[x.name] for x, _ in shares])
        return list(zip(op.outputs, found, strict=True))

    def _back(self, op: tf.Operation, m: list[Any]) -> list[tuple[tf.Tensor, Pair]]:
        """The multipliers of what an operation takes."""
        if op.name in self._parts:
            layer, earlier = self._parts[op.name]
            if earlier is not None:
                return [(earlier, tuple(tf.reshape(one, tf.shape(earlier)) for one in m[0]))]
            return [(layer.source, (self._through(layer, m[0]),) * 2)]
        x = argument(op, self.network)
        if x is not None:
            (of_gain, of_loss), (rise, fall) = m[0], self._slopes(x, op.outputs[0])
            raising = rise * tf.where(rise >= 0, of_gain, of_loss)
            lowering = fall * tf.where(fall >= 0, of_loss, of_gain)
            return [(x, (summed_to(x, raising), summed_to(x, lowering)))]
        gains, losses = (
            rescale(op, [None if pair is None else pair[sign] for pair in m], self.passes) for sign in (0, 1)
        )
        return [
            (x, (loss, gain) if _lowers(op, x) else (gain, loss))
            for (x, gain), (_, loss) in zip(gains, losses, strict=True)
        ]

    def _sorted(self, layer: Affine) -> Pair:
        """What raises and what lowers each output of a layer."""
        (up, down), (positive, negative) = parts(self.passes.change(layer.source)), parts(layer.W)
        shape = tf.shape(layer.through[-1])
        return (
            tf.reshape(layer.forward(up, positive) + layer.forward(down, negative), shape),
            tf.reshape(layer.forward(up, negative) + layer.forward(down, positive), shape),
        )

    def _through(self, layer: Affine, m: Pair) -> tf.Tensor:
        """One multiplier for both parts of a layer's input: by the sign of what each adds to the output."""
        gain, loss = m
        positive, negative = parts(layer.W)
        raised = layer.back(gain, positive) + layer.back(loss, negative)
        lowered = layer.back(loss, positive) + layer.back(gain, negative)
        change = self.passes.change(layer.source)
        return tf.where(change > 0, raised, tf.where(change < 0, lowered, (raised + lowered) / 2))

    def _slopes(self, x: tf.Tensor, y: tf.Tensor) -> Pair:
        """How an elementwise function y of x responds to a unit of what raises x, and of what lowers it."""
        slope = self.passes.slope(x, y)
        if (self.dense_only and y.shape.rank > 2) or _WHOLE & {y.op.type, *(one.op.type for one in y.op.inputs)}:
            return slope, slope
        (_, x0), (up, down) = self.passes.both(x), self._changes[x.name]

        def f(value: tf.Tensor) -> tf.Tensor:
            value = tf.cast(value, x.dtype)
            if not self.passes.direct(x, y):
                return tf.cast(graph.rerun(x, value, y), tf.float32)
            inputs = [value if tensor.name == x.name else tensor for tensor in y.op.inputs]
            return tf.cast(graph.again(y.op, inputs)[y.value_index], tf.float32)

        after, before = self.passes.both(y)
        raised, lowered = f(x0 + up), f(x0 + down)
        rise = ((raised - before) + (after - lowered)) / 2
        fall = ((lowered - before) + (after - raised)) / 2
        return (
            tf.where(tf.abs(up) < TINY, slope, divided(rise, up)),
            tf.where(tf.abs(down) < TINY, slope, divided(fall, down)),
        )


def _sum(m: Pair, change: Pair) -> tf.Tensor:
    return m[0] * change[0] + m[1] * change[1]


def _lowers(op: tf.Operation, x: tf.Tensor) -> bool:
    """Whether what raises x lowers what the operation makes of it."""
    return op.type == "Sub" and x.name == op.inputs[1].name
