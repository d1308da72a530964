"""What operations without weights do with relevance.

What only moves values, or chooses among them, moves their relevance. An activation keeps it where it is, and so does
rounding. A sum or mean shares it by contribution, as the epsilon rule does. Gates (Arras et al. 2017) and the spread of
a normalisation get none, and what they scale gets all. Products and softmax in attention follow Achtibat et al. (2024).
For anything else there is no sound rule, and none is made up. Where the literature has two, `Conventions` say which.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import (
    ADDITIONS,
    AVERAGE_POOLINGS,
    BLOCKS,
    CLIPS,
    FOURIER,
    HANDING_ON,
    LOOPS,
    MAX_POOLINGS,
    NORMS,
    PADDINGS,
    PARTS,
    PRODUCTS,
    RESHAPES,
    RESIZES,
    SCALES,
    SHIFTS,
)
from tfxai.relevance.centring import find_centred
from tfxai.relevance.flow import TO_SOFTMAX, data_of, in_floats, is_number, leads_to_softmax
from tfxai.relevance.origins import ELEMENTWISE, function_of, is_attention, is_spread, made_by
from tfxai.relevance.rules import EPSILON, stabilized

Share = tuple[tf.Tensor, tf.Tensor]  # a tensor that the operation takes, and its relevance
Attention: TypeAlias = Literal["half", "constant"]
Norms: TypeAlias = Literal["pass", "share"]


@dataclass(frozen=True)
class Conventions:
    """What is a matter of choice where operations have no weights.

    Attributes
    ----------
    bias : bool
        Whether a constant that is added takes its part.
    attention : {"half", "constant"}
        What the weights of attention get of a product with values: half, or nothing, as constants.
    norms : {"pass", "share"}
        What a normalisation that takes a mean away hands to its input: all, or shares by contribution, where the mean
        and the shift take part.
    epsilon : float
        Keeps shares of sums finite.
    """

    bias: bool = True
    attention: Attention = "half"
    norms: Norms = "pass"
    epsilon: float = EPSILON


_ELSEWHERE = {"BroadcastTo", "GatherNd", "ResizeNearestNeighbor", "ReverseV2", "Roll", "Tile", "Transpose"}
MOVES = RESHAPES | PARTS | PADDINGS | BLOCKS | _ELSEWHERE
CHOICES = MAX_POOLINGS - {"MaxPoolWithArgmax"} | {"Max", "Min"}  # those with one output
MEANS = AVERAGE_POOLINGS | RESIZES - {"ResizeNearestNeighbor"} | {"Mean", "Sum"}
_SUMS = MEANS | ADDITIONS | {"AddN", "Sub"}
_GATES = ({"Relu6", "Sigmoid", "Softmax"}, {"Tanh"})  # the first counts: sigmoid(i) * tanh(g) belongs to g


def shares(
    op: tf.Operation, R: Sequence[tf.Tensor | None], on_path: Collection[str], conventions: Conventions
) -> list[Share] | None:
    """Relevance of what an operation takes, given that of its outputs; None if there is no sound rule.

    Parameters
    ----------
    op : tf.Operation
        An operation between the inputs and the output.
    R : sequence of tf.Tensor or None
        Relevance of its outputs.
    on_path : collection of str
        Names of all operations between inputs and output, these included.
    conventions : Conventions
        What is a matter of choice.
    """
    data = data_of(op, on_path)
    if hands_on(op):
        return [(x, r) for x, r in zip(op.inputs, R, strict=True) if r is not None and x.op.name in on_path]
    if op.type in MOVES | CHOICES or (op.type in CLIPS and len(data) == 2):
        return pulled_back(op, R, data)  # each value gets what became of it
    r = R[0]
    if r is None or not data:
        return []
    if op.type in NORMS and op.get_attr("is_training"):
        return None
    if len(data) == 1 and op.type in (*SHIFTS, *NORMS) and conventions.bias:
        return _by_part(op, r, data, conventions.epsilon)
    if len(data) == 1 and op.type in (*ELEMENTWISE, *NORMS):
        return [(data[0], summed_to(data[0], r))]
    common = function_of(data[0], data[1], on_path) if len(data) == 2 and op.type in ELEMENTWISE else None
    if common is not None:  # x * sigmoid(x), relu(x) - a relu(-x): activations that are written with several operations
        return [(common, summed_to(common, r))]
    if len(data) == 2 and (centred := find_centred(op, data, on_path)) is not None:
        if conventions.norms == "pass":
            return [(centred.scaled, r)]
        return [(centred.x, centred.share(r, conventions.bias, conventions.epsilon))]
    if op.type in _SUMS:
        return _by_part(op, r, data, conventions.epsilon)
    if op.type == "Real":
        return _by_frequency(op, r, on_path, conventions.epsilon)
    if op.type in SCALES:
        return _product(op, r, data, on_path)
    if op.type in PRODUCTS:
        return _of_factors(op, r, data, on_path, conventions)
    if op.type == "Softmax":
        x, s = tf.cast(made_again(data[0], on_path), tf.float32), tf.cast(op.outputs[0], tf.float32)
        x = tf.where(x > -1e8, x, 0.0)  # what a mask has taken out
        return [(data[0], x * (r - s * tf.reduce_sum(r, -1, keepdims=True)))]
    return None


def hands_on(op: tf.Operation) -> bool:
    """Whether an operation only hands on what it takes; a cast does, but for one that rounds."""
    return op.type in HANDING_ON or (
        op.type == "Cast" and not (is_number(op.inputs[0]) and op.outputs[0].dtype.is_integer)
    )


def _by_part(
    op: tf.Operation, r: tf.Tensor, data: list[tf.Tensor], epsilon: float, y: tf.Tensor | None = None
) -> list[Share]:
    """Each value by what it adds to the output, which is ``y`` if that has been made again."""
    y = op.outputs[0] if y is None else y
    s = [r / stabilized(tf.cast(y, tf.float32), epsilon), *[None] * (len(op.outputs) - 1)]
    return [(x, tf.cast(x, tf.float32) * g) for x, g in pulled_back(op, s, data)]


def _by_frequency(op: tf.Operation, r: tf.Tensor, on_path: Collection[str], epsilon: float) -> list[Share] | None:
    """The real part of a Fourier transform of real numbers is a sum of these; what lies between is complex."""
    x = op.inputs[0]
    while x.dtype.is_complex:
        data = data_of(x.op, on_path)
        if len(data) != 1 or x.op.type not in FOURIER:
            return None
        x = data[0]
    y = op.outputs[0]
    (g,) = tf.gradients(y, x, r / stabilized(y, epsilon), stop_gradients=[x])
    return [(x, tf.cast(x, tf.float32) * tf.cast(g, tf.float32))]


def _product(op: tf.Operation, r: tf.Tensor, data: list[tf.Tensor], on_path: Collection[str]) -> list[Share] | None:
    """All to what is scaled, if there is such a thing; half to each factor else."""
    a, b = data
    if op.type == "RealDiv":
        return [(a, summed_to(a, r))] if is_spread(b, on_path) else None
    spreads = [is_spread(x, on_path) for x in data]
    gates = [[bool(kinds & made_by(x, on_path)) for x in data] for kinds in _GATES]
    for left, right in (spreads, *gates):
        if left != right:
            return [(b, summed_to(b, r))] if left else [(a, summed_to(a, r))]
    return [(x, summed_to(x, r) / 2) for x in data]


def _of_factors(
    op: tf.Operation, r: tf.Tensor, data: list[tf.Tensor], on_path: Collection[str], conventions: Conventions
) -> list[Share]:
    """Of a matrix product of data: half to each factor, or all to the values that constant weights mix."""
    scores = made_again(op.outputs[0], on_path) if leads_to_softmax(op) else None
    found = _by_part(op, r, data, conventions.epsilon, scores)
    values = [(x, share) for x, share in found if not is_attention(x, on_path)]
    if conventions.attention == "constant" and len(values) == 1 < len(found):
        return values
    return [(x, share / len(data)) for x, share in found]


def made_again(tensor: tf.Tensor, on_path: Collection[str]) -> tf.Tensor:
    """Scores of attention, once more made of queries and keys; any other tensor as it is.

    Scores of all layers, before and after their scale, are most of what a pass would have to keep for the way back.
    """
    op, data = tensor.op, data_of(tensor.op, on_path)
    if op.type in PRODUCTS and len(data) == 2:
        return graph.again(op, op.inputs)[0]
    if op.type in TO_SOFTMAX:
        wanted = {x.name for x in data}
        inputs = [made_again(x, on_path) if x.name in wanted else x for x in op.inputs]
        if any(new is not x for new, x in zip(inputs, op.inputs, strict=True)):
            return graph.again(op, inputs)[tensor.value_index]
    return tensor


def way_out(op: tf.Operation) -> str:
    """What to tell about an operation without a rule, if it is a loop."""
    loops = op.type.startswith("TensorList") or op.type in LOOPS
    if not loops:
        return ""
    return (
        "Loops are not followed: recurrent layers need unroll=True. Set layer.unroll = True, for a Bidirectional on "
        "its forward_layer and its backward_layer; the model may be trained already. "
    )


def pulled_back(op: tf.Operation, signals: Sequence[tf.Tensor | None], data: Sequence[tf.Tensor]) -> list[Share]:
    """Signals at the outputs of an operation, sent back to what it takes by its partial derivatives."""
    given, op = op, in_floats(op)
    pairs = zip(op.outputs, signals, strict=True)
    found = graph.pulled_back(op, [None if s is None else tf.cast(s, y.dtype) for y, s in pairs])
    wanted = {x.name for x in data}
    sums: dict[str, Share] = {}
    for x, g in zip(given.inputs, found, strict=True):
        if g is not None and x.name in wanted:  # x + x takes one tensor twice
            g = tf.cast(g, tf.float32)
            sums[x.name] = (x, sums[x.name][1] + g if x.name in sums else g)
    return list(sums.values())


def summed_to(x: tf.Tensor, r: tf.Tensor) -> tf.Tensor:
    """Relevance in the shape of x, which was broadcast."""
    if x.shape.rank == r.shape.rank and x.shape[1:].is_fully_defined() and x.shape[1:] == r.shape[1:]:
        return r
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(x), s1=tf.shape(r))
    return tf.reshape(tf.reduce_sum(r, axes), tf.shape(x))
