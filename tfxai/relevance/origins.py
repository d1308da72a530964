"""What a tensor was made of: the way back through operations that take one tensor of data."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import tensorflow as tf

from tfxai.models.operations import ACTIVATIONS, CLIPS, EXPONENTIALS, HANDING_ON, RESHAPES, SCALES, SHIFTS
from tfxai.relevance.flow import ROUNDS, data_of

_FUNCTIONS = ACTIVATIONS | EXPONENTIALS | ROUNDS | {"Abs", "Erf", "Erfc", "Neg", "Pow", "Sqrt", "Square"}
ELEMENTWISE = _FUNCTIONS | SHIFTS | SCALES | CLIPS | {"SelectV2"}
ARRANGED = RESHAPES | {"BroadcastTo", "Cast", "Identity", "StopGradient"}
_SCALED = ARRANGED | SHIFTS | CLIPS | SCALES | {"Reciprocal"}
_SOFTMAX = ARRANGED | SHIFTS | SCALES | {"SelectV2", "Slice", "StridedSlice", "Transpose"}
_SPREADS = {"Rsqrt", "Sqrt"}


def way_back(tensor: tf.Tensor, kinds: frozenset[str], on_path: Collection[str]) -> Iterator[tf.Tensor]:
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


def function_of(a: tf.Tensor, b: tf.Tensor, on_path: Collection[str]) -> tf.Tensor | None:
    """The last tensor of which both are elementwise functions."""
    behind = {t.name for t in made_of_one(b, on_path)}
    return next((t for t in made_of_one(a, on_path) if t.name in behind), None)


def made_of_one(tensor: tf.Tensor, on_path: Collection[str]) -> Iterator[tf.Tensor]:
    """A tensor, and what it is an elementwise function of, from the last to the first."""
    return way_back(tensor, ELEMENTWISE | HANDING_ON, on_path)


def arranged(tensor: tf.Tensor, on_path: Collection[str]) -> list[tf.Tensor]:
    """A tensor, and those that hold the same values in another shape or type, from the last to the first."""
    return list(way_back(tensor, ARRANGED, on_path))


def made_by(tensor: tf.Tensor, on_path: Collection[str]) -> set[str]:
    """Types of the operations that a factor comes from, but for what only scales, shifts and reshapes it."""
    return {t.op.type for t in way_back(tensor, _SCALED, on_path)}


def is_spread(tensor: tf.Tensor, on_path: Collection[str]) -> bool:
    """Whether a factor is a square root or one over it, as the spread of a normalisation is."""
    return any(t.op.type in _SPREADS or _is_root(t.op) for t in way_back(tensor, _SCALED, on_path))


def is_attention(tensor: tf.Tensor, on_path: Collection[str]) -> bool:
    """Whether a tensor is a softmax, but for what arranges and scales it."""
    return any(t.op.type == "Softmax" for t in way_back(tensor, _SOFTMAX, on_path))


def _is_root(op: tf.Operation) -> bool:
    exponent = tf.get_static_value(op.inputs[1]) if op.type == "Pow" else None
    return exponent is not None and exponent.size == 1 and abs(exponent.item()) == 0.5
