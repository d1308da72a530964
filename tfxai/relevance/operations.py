"""What operations without weights do with relevance.

What only moves values, or chooses among them, moves their relevance. An activation keeps it where it is, and so does
rounding. A sum or mean
shares it by contribution, as the epsilon rule does. Gates (Arras et al. 2017) and the statistics of a normalisation get
none, and what they scale gets all. Products and softmax in attention follow Achtibat et al. (2024). For anything else
there is no sound rule, and none is made up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import (
    ACTIVATIONS,
    ADDITIONS,
    AVERAGE_POOLINGS,
    BLOCKS,
    CLIPS,
    EXPONENTIALS,
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
from tfxai.relevance.flow import ROUNDS, data_of, in_floats, is_number
from tfxai.relevance.rules import stabilized

Share = tuple[tf.Tensor, tf.Tensor]  # a tensor that the operation takes, and its relevance

_ELSEWHERE = {"BroadcastTo", "GatherNd", "ResizeNearestNeighbor", "ReverseV2", "Roll", "Tile", "Transpose"}
MOVES = RESHAPES | PARTS | PADDINGS | BLOCKS | _ELSEWHERE
CHOICES = MAX_POOLINGS - {"MaxPoolWithArgmax"} | {"Max", "Min"}  # those with one output
_FUNCTIONS = ACTIVATIONS | EXPONENTIALS | ROUNDS | {"Abs", "Erf", "Erfc", "Neg", "Pow", "Sqrt", "Square"}
ELEMENTWISE = _FUNCTIONS | SHIFTS | SCALES | CLIPS | {"SelectV2"}
MEANS = AVERAGE_POOLINGS | RESIZES - {"ResizeNearestNeighbor"} | {"Mean", "Sum"}
_SUMS = MEANS | ADDITIONS | {"AddN", "Sub"}
_STATISTICS = {"Rsqrt", "Sqrt"}  # one over a spread
_GATES = ({"Relu6", "Sigmoid", "Softmax"}, {"Tanh"})  # the first counts: sigmoid(i) * tanh(g) belongs to g
_RESHAPES = RESHAPES | {"BroadcastTo", "Cast", "Identity", "StopGradient"}


def shares(
    op: tf.Operation, R: Sequence[tf.Tensor | None], on_path: Collection[str], bias: bool = True
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
    bias : bool
        Whether a constant that is added takes its part.
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
    if len(data) == 1 and op.type in (*SHIFTS, *NORMS) and bias:
        return _by_part(op, r, data)
    if len(data) == 1 and op.type in (*ELEMENTWISE, *NORMS):
        return [(data[0], summed_to(data[0], r))]
    common = function_of(data[0], data[1], on_path) if len(data) == 2 and op.type in ELEMENTWISE else None
    if common is not None:  # x * sigmoid(x), relu(x) - a relu(-x): activations that are written with several operations
        return [(common, summed_to(common, r))]
    scaled = _normalized(op, data, on_path)
    if scaled is not None:
        return [(scaled, r)]
    if op.type in _SUMS:
        return _by_part(op, r, data)
    if op.type == "Real":
        return _by_frequency(op, r, on_path)
    if op.type in SCALES:
        return _product(op, r, data, on_path)
    if op.type in PRODUCTS:
        return [(x, share / len(data)) for x, share in _by_part(op, r, data)]
    if op.type == "Softmax":
        x, s = tf.cast(data[0], tf.float32), tf.cast(op.outputs[0], tf.float32)
        x = tf.where(x > -1e8, x, 0.0)  # what a mask has taken out
        return [(data[0], x * (r - s * tf.reduce_sum(r, -1, keepdims=True)))]
    return None


def hands_on(op: tf.Operation) -> bool:
    """Whether an operation only hands on what it takes; a cast does, but for one that rounds."""
    return op.type in HANDING_ON or (
        op.type == "Cast" and not (is_number(op.inputs[0]) and op.outputs[0].dtype.is_integer)
    )


def _by_part(op: tf.Operation, r: tf.Tensor, data: list[tf.Tensor]) -> list[Share]:
    """Each value by what it adds to the output."""
    s = [r / stabilized(tf.cast(op.outputs[0], tf.float32)), *[None] * (len(op.outputs) - 1)]
    return [(x, tf.cast(x, tf.float32) * g) for x, g in pulled_back(op, s, data)]


def _by_frequency(op: tf.Operation, r: tf.Tensor, on_path: Collection[str]) -> list[Share] | None:
    """The real part of a Fourier transform of real numbers is a sum of these; what lies between is complex."""
    x = op.inputs[0]
    while x.dtype.is_complex:
        data = data_of(x.op, on_path)
        if len(data) != 1 or x.op.type not in FOURIER:
            return None
        x = data[0]
    y = op.outputs[0]
    (g,) = tf.gradients(y, x, r / stabilized(y), stop_gradients=[x])
    return [(x, tf.cast(x, tf.float32) * tf.cast(g, tf.float32))]


def _product(op: tf.Operation, r: tf.Tensor, data: list[tf.Tensor], on_path: Collection[str]) -> list[Share] | None:
    """All to what is scaled, if there is such a thing; half to each factor else."""
    a, b = data
    if op.type == "RealDiv":
        return [(a, summed_to(a, r))] if _STATISTICS & _made_of(b, on_path) else None
    for kinds in (_STATISTICS, *_GATES):
        left, right = (bool(kinds & _made_of(x, on_path)) for x in data)
        if left != right:
            return [(b, summed_to(b, r))] if left else [(a, summed_to(a, r))]
    return [(x, summed_to(x, r) / 2) for x in data]


def _normalized(op: tf.Operation, data: list[tf.Tensor], on_path: Collection[str]) -> tf.Tensor | None:
    """What gets all relevance where a mean is taken away: x in x - mean(x), x k in x k + (b - mean(x) k)."""
    if op.type == "Sub":
        x, mean = data
        *_, origin = _back(mean, _RESHAPES, on_path)
        return x if origin.op.type == "Mean" and origin.op.inputs[0].name in _names(x, on_path) else None
    if op.type == "AddV2":
        for scaled, shift in (data, reversed(data)):
            factors = [t for t in scaled.op.inputs if scaled.op.type == "Mul" and _STATISTICS & _made_of(t, on_path)]
            inside = [shift, *shift.op.inputs]
            if any(t.op.type == "Mul" and k.name in (u.name for u in t.op.inputs) for k in factors for t in inside):
                return scaled
    return None


def function_of(a: tf.Tensor, b: tf.Tensor, on_path: Collection[str]) -> tf.Tensor | None:
    """The last tensor of which both are elementwise functions."""
    behind = {t.name for t in made_of_one(b, on_path)}
    return next((t for t in made_of_one(a, on_path) if t.name in behind), None)


def made_of_one(tensor: tf.Tensor, on_path: Collection[str]) -> Iterator[tf.Tensor]:
    """A tensor, and what it is an elementwise function of, from the last to the first."""
    return _back(tensor, ELEMENTWISE | HANDING_ON, on_path)


def _back(tensor: tf.Tensor, kinds: frozenset[str], on_path: Collection[str]) -> Iterator[tf.Tensor]:
    """A tensor, and what it was made of by operations of one argument, from the last to the first."""
    while True:
        yield tensor
        data = data_of(tensor.op, on_path)
        if len(data) == 2 and tensor.op.type in kinds & ELEMENTWISE:
            common = function_of(data[0], data[1], on_path)
            data = [] if common is None else [common]
        if tensor.op.type not in kinds or len(data) != 1:
            return
        tensor = data[0]


def _names(tensor: tf.Tensor, on_path: Collection[str]) -> set[str]:
    return {t.name for t in _back(tensor, _RESHAPES, on_path)}


def _made_of(tensor: tf.Tensor, on_path: Collection[str]) -> set[str]:
    """Types of the operations that a factor comes from, but for what only scales, shifts and reshapes it."""
    kinds = _RESHAPES | SHIFTS | CLIPS | SCALES | {"Reciprocal"}
    return {t.op.type for t in _back(tensor, kinds, on_path)}


def way_out(op: tf.Operation) -> str:
    """What to tell about an operation without a rule, if it is a loop."""
    loops = op.type.startswith("TensorList") or op.type in LOOPS
    if not loops:
        return ""
    return (
        "Loops are not followed: recurrent layers need unroll=True. Set layer.unroll = True, of a Bidirectional that "
        "of its forward_layer and its backward_layer; it may be trained. "
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
