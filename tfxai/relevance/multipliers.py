"""Multipliers: what DeepLIFT sends back through an operation, compared between two passes.

One pass has x and y, the other x0 and y0. A multiplier m of y becomes multipliers of what y is made of, such that
the products with the changes keep their sum: m_x (x - x0) + ... = m (y - y0). Linear operations do so by their
derivative, elementwise functions by the slope (y - y0) / (x - x0) (the Rescale rule, Shrikumar et al. 2017, eq. 12),
products by the mean of their derivatives at both ends, which gives each factor its Shapley value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfxai.models.operations import CLIPS, NORMS, SCALES, SHIFTS, SOFTMAXES
from tfxai.relevance.affine import LINEAR
from tfxai.relevance.flow import data_of
from tfxai.relevance.network import Network
from tfxai.relevance.operations import CHOICES, MEANS, MOVES, Share, hands_on, pulled_back, summed_to, way_out
from tfxai.relevance.origins import ELEMENTWISE, function_of, made_of_one

TINY = 1e-30  # a smaller change counts as none, and the slope is the derivative: its quotients would overflow
_LINEAR = MOVES | MEANS | SHIFTS | NORMS | {"AddN", "Cumsum", "Neg"}
_PRODUCTS = {"Mul", *LINEAR}
_SINGULAR = {"Reciprocal", "Rsqrt"}  # infinite at zero, until what comes behind cuts it off
_FUNCTIONS = ELEMENTWISE | _SINGULAR


class Passes:
    """Two passes through the same operations, that of the inputs and that of the baselines.

    Parameters
    ----------
    inputs, output : tensors
        Where the first begins and ends.
    inputs0, output0 : tensors
        Where the second does.

    Attributes
    ----------
    network : Network
        The first.
    """

    def __init__(
        self, inputs: Sequence[tf.Tensor], output: tf.Tensor, inputs0: Sequence[tf.Tensor], output0: tf.Tensor
    ):
        self.network = Network(inputs, output)
        path, path0 = self.network.path, Network(inputs0, output0).path
        if [op.type for op in path] != [op.type for op in path0]:
            raise ValueError("The model runs other operations on the baseline than on the input.")
        self._twins = dict(zip((op.name for op in path), path0, strict=True))
        self._starts = dict(zip((x.name for x in inputs), inputs0, strict=True))

    def twin(self, op: tf.Operation) -> tf.Operation:
        """The same operation of the second pass."""
        return self._twins[op.name]

    def other(self, tensor: tf.Tensor) -> tf.Tensor:
        """The same tensor of the second pass."""
        start = self._starts.get(tensor.name)
        return self.twin(tensor.op).outputs[tensor.value_index] if start is None else start

    def both(self, tensor: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A tensor in both passes, float32."""
        return tf.cast(tensor, tf.float32), tf.cast(self.other(tensor), tf.float32)

    def change(self, tensor: tf.Tensor) -> tf.Tensor:
        """How far a tensor of the first pass is from that of the second."""
        return tf.subtract(*self.both(tensor))

    def direct(self, x: tf.Tensor, y: tf.Tensor) -> bool:
        """Whether one operation makes y of x, and of nothing else that depends on the inputs."""
        changing = {t.name for t in y.op.inputs if t.op.name in self.network.between | self.network.on_path}
        return changing == {x.name}

    def slope(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        """(y - y0) / (x - x0), for an elementwise function y of x."""
        if self.direct(x, y):
            ((_, derivative),) = pulled_back(y.op, [tf.ones_like(y)], [x]) or [(x, tf.zeros([]))]
        else:  # written with several operations
            (derivative,) = tf.gradients(y, x, stop_gradients=x, unconnected_gradients="zero")
        return _slope(*self.both(y), self.change(x), tf.cast(derivative, tf.float32))


def rescale(op: tf.Operation, m: Sequence[Any], passes: Passes) -> list[Share]:
    """Multipliers of what an operation takes, given those of its outputs.

    Parameters
    ----------
    op : tf.Operation
        An operation of the first pass.
    m : sequence of tensors or None
        Multipliers of its outputs.
    passes : Passes
        Both passes.

    Raises
    ------
    ValueError
        For an operation for which no multipliers are known.
    """
    on_path = passes.network.on_path
    data = data_of(op, on_path)
    if hands_on(op):
        return [(x, one) for x, one in zip(op.inputs, m, strict=True) if one is not None and x.op.name in on_path]
    if is_linear(op, passes.network):
        return pulled_back(op, m, data)
    if op.type in CHOICES or (op.type in CLIPS and len(data) == 2):
        return _chosen(op, m, data, passes)
    if (x := argument(op, passes.network)) is not None:
        return [(x, summed_to(x, m[0] * passes.slope(x, op.outputs[0])))]
    if op.type in _PRODUCTS | {"SquaredDifference"} and len(data) <= 2:
        return _product(op, m, data, passes)
    if op.type == "RealDiv":
        (a, a0), (b, b0) = map(passes.both, data)  # a times 1 / b
        return [
            (data[0], summed_to(data[0], m[0] * (1 / b + 1 / b0) / 2)),
            (data[1], summed_to(data[1], -m[0] * (a + a0) / (2 * b * b0))),
        ]
    if op.type in SOFTMAXES:
        return [(data[0], _softmax(op, m[0], *passes.both(data[0])))]
    raise ValueError(
        f"DeepLIFT has no multipliers for the operation {op.name!r} ({op.type}). {way_out(op)}"
        "Use IntegratedGradients, whose values sum to the same difference, or LRP with operations={...}."
    )


def argument(op: tf.Operation, network: Network) -> tf.Tensor | None:
    """The tensor of which the output of an operation is an elementwise function, if there is one."""
    on_path = network.on_path
    data = data_of(op, on_path)
    if op.type not in _FUNCTIONS or len(data) > 2:
        return None
    x = data[0] if len(data) == 1 else function_of(data[0], data[1], on_path)
    while x is not None and x.op.type in _SINGULAR:
        (x,) = data_of(x.op, on_path)
    return x if x is None else _unscaled(op, x, network)


def _unscaled(op: tf.Operation, x: tf.Tensor, network: Network) -> tf.Tensor:
    """In round(s a) / s with a scale s that depends on the inputs: a, for s cancels. Else x."""
    scales = {t.name for t in op.inputs if t.op.name in network.between - network.on_path}
    for tensor in made_of_one(x, network.on_path) if scales else ():
        if tensor.op.type in SCALES and scales & {t.name for t in tensor.op.inputs}:
            (x,) = data_of(tensor.op, network.on_path)
    return x


def is_linear(op: tf.Operation, network: Network) -> bool:
    """Whether an operation is linear in what it takes of the data, but for a constant."""
    if op.type in ELEMENTWISE and any(x.op.name in network.between - network.on_path for x in op.inputs):
        return False  # x * (x > 0)
    return op.type in _LINEAR or (op.type in _PRODUCTS and len(data_of(op, network.on_path)) == 1)


def divided(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """a / b where b is not tiny, and any finite number elsewhere."""
    return a / tf.where(tf.abs(b) < TINY, 1.0, b)


def _chosen(op: tf.Operation, m: Sequence[Any], data: list[tf.Tensor], passes: Passes) -> list[Share]:
    """Each winner gets what its coming in, or its going out, has changed."""
    y, y0 = passes.both(op.outputs[0])
    between = tf.minimum(y, y0) if op.type.startswith("Min") else tf.maximum(y, y0)
    came = pulled_back(op, [m[0] * (between - y0)], data)
    went = pulled_back(passes.twin(op), [m[0] * (y - between)], [passes.other(x) for x in data])
    plain = pulled_back(op, m, data)
    found = []
    for (x, gain), (_, loss), (_, same) in zip(came, went, plain, strict=True):
        change = passes.change(x)
        found.append((x, tf.where(tf.abs(change) < TINY, same, divided(gain + loss, change))))
    return found


def _product(op: tf.Operation, m: Sequence[Any], data: list[tf.Tensor], passes: Passes) -> list[Share]:
    """The mean of the derivatives at both ends; exact, because these are linear."""
    here = pulled_back(op, m, data)
    there = pulled_back(passes.twin(op), m, [passes.other(x) for x in data])
    return [(x, (g + g0) / 2) for (x, g), (_, g0) in zip(here, there, strict=True)]


def _softmax(op: tf.Operation, m: tf.Tensor, x: tf.Tensor, x0: tf.Tensor) -> tf.Tensor:
    """Of y = exp(x - L), L = log sum exp x: through exp, the difference, and the three steps of L."""
    top = tf.reduce_max(tf.maximum(x, x0), -1, keepdims=True)  # one for both, so that it cancels
    u, u0 = tf.exp(x - top), tf.exp(x0 - top)
    v, v0 = (tf.reduce_sum(one, -1, keepdims=True) for one in (u, u0))
    change, change_of_L = x - x0, tf.math.log(v) - tf.math.log(v0)
    if op.type == "Softmax":
        m *= _slope(u / v, u0 / v0, change - change_of_L, u / v)
    return m - _slope(u, u0, change, u) / _slope(v, v0, change_of_L, v) * tf.reduce_sum(m, -1, keepdims=True)


def _slope(y: tf.Tensor, y0: tf.Tensor, change: tf.Tensor, derivative: tf.Tensor) -> tf.Tensor:
    """(y - y0) / change, and where nothing changes, the derivative."""
    return tf.where(tf.abs(change) < TINY, derivative, divided(y - y0, change))
