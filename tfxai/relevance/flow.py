"""Which tensors carry values from the inputs to the output, and where values get lost.

Floating-point numbers carry values, and so do integers that are rounded numbers. Truth values, positions and classes
choose: what they choose among keeps its value, and so does what they scale; gates, masks and the choice of an expert
are no loss. But a number that is made of a choice alone, such as a one-hot vector or a row of a table, cannot hand its
share on to what decided, and to go on without it would give that share to others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import tensorflow as tf

from tfxai.models.operations import (
    ADDITIONS,
    CLIPS,
    LOOPS,
    PASSING,
    PRODUCTS,
    REDUCTIONS,
    ROUNDINGS,
    SCALES,
    SIZES,
    SOFTMAXES,
)

# Rounding is straight-through: what is rounded gets what the rounded number gets.
ROUNDS = ROUNDINGS | {"Cast", "FloorDiv", "Sign"}
# What becomes of scores before the softmax: scales, shifts, masks, soft caps.
TO_SOFTMAX = PASSING | ADDITIONS | SCALES | {"SelectV2", "Sub", "Tanh"}
_SCALING = PRODUCTS | SCALES | {"DivNoNan", "MulNoNan"}

Ruled = Callable[[tf.Operation], bool]  # whether the user gives a rule for an operation


class Flow:
    """The flow of values between inputs and an output.

    Parameters
    ----------
    inputs, output : tensors
        Where it begins and ends.
    between : collection of str
        Names of all operations that depend on the inputs and on which the output depends.
    ruled : callable
        Whether the user gives a rule for an operation, which then carries whatever it takes.

    Attributes
    ----------
    path : list of tf.Operation
        Operations through which values flow, in an order in which they can run.

    Raises
    ------
    ValueError
        If values get lost on the way.
    """

    def __init__(
        self, inputs: Sequence[tf.Tensor], output: tf.Tensor, between: Collection[str], ruled: Ruled = lambda op: False
    ):
        candidates = [op for op in output.graph.get_operations() if op.name in between]
        scales = {scale.name for op in candidates for scale in _scales_of_rounding(op, between)}
        positions = any((x.shape.rank or 0) > 2 for x in inputs)
        self._instead = (
            "or use a method that tries other inputs, such as Occlusion"
            if positions
            else "or use IntegratedGradients, which leaves their part out too, but reports it as completeness gap"
        )
        self._carrying = {x.name for x in inputs if is_number(x)}
        self._depending = set(self._carrying)
        for op in candidates:
            if op.type not in SIZES and any(x.name in self._depending for x in op.inputs):
                self._depending |= {y.name for y in op.outputs}
                self._carrying |= {y.name for y in self._carried(op, ruled(op))} - scales
        needed, self.path = {output.name}, []
        for op in reversed(candidates):
            if any(y.name in needed & self._carrying for y in op.outputs):
                needed |= {x.name for x in (op.inputs if ruled(op) else _values(op))}
                self.path.append(op)
        self.path.reverse()
        for op in self.path:
            for x in () if ruled(op) else _values(op):
                if self._is_choice(x) and not self._is_gate(op):
                    raise self._lost(x)
        if self._is_choice(output):
            raise self._lost(output)

    def _carried(self, op: tf.Operation, ruled: bool) -> list[tf.Tensor]:
        """Those outputs of an operation that carry values."""
        if op.type == "IdentityN":
            return [y for x, y in zip(op.inputs, op.outputs, strict=True) if x.name in self._carrying]
        if not any(x.name in self._carrying for x in (op.inputs if ruled else _values(op))):
            return []
        return [y for y in op.outputs if ruled or carries(y)]

    def _is_choice(self, tensor: tf.Tensor) -> bool:
        return tensor.name in self._depending and tensor.name not in self._carrying

    def _is_gate(self, op: tf.Operation) -> bool:
        """Whether a choice that an operation takes only decides how much of what else it takes comes through."""
        if op.type in LOOPS or op.type == "IdentityN":
            return True  # the first have no rule at all, the second keeps its tensors apart
        return op.type in _SCALING or (op.type in ADDITIONS | {"Sub"} and leads_to_softmax(op))

    def _lost(self, tensor: tf.Tensor) -> ValueError:
        op = tensor.op
        while not any(x.name in self._carrying for x in op.inputs):
            op = next(x.op for x in op.inputs if x.name in self._depending)
        return ValueError(
            f"Relevance would be lost in the operation {op.name!r} ({op.type}). It makes a choice, such as a class, a "
            "position or a truth value, and only that choice reaches the output; so the inputs that decide it "
            f"cannot be given a share. Give LRP a rule by operations={{{op.type!r}: function}}, {self._instead}."
        )


def carries(tensor: tf.Tensor) -> bool:
    """Whether values can flow through a tensor: numbers, or lists of them, and integers of the type of an argument."""
    if is_number(tensor) or not tensor.dtype.is_integer or tensor.op.type in ("Cast", "BatchMatMulV3"):
        return is_number(tensor) or tensor.dtype.is_integer
    op = tensor.op
    return _types(op, op.op_def.output_arg)[tensor.value_index] in _types(op, op.op_def.input_arg)


def is_number(tensor: tf.Tensor) -> bool:
    return tensor.dtype.is_floating or tensor.dtype in (tf.variant, tf.complex64, tf.complex128)


def in_floats(op: tf.Operation) -> tf.Operation:
    """The same operation on floating-point numbers, if it takes integers as values."""
    integers = [x.dtype.is_integer for x in _values(op)]
    if not any(integers) or op.type == "Cast":
        return op
    kinds = {"Ta", "Tb", "Tout"} if op.type == "BatchMatMulV3" else set(_types(op, op.op_def.output_arg))
    pairs = zip(op.inputs, _types(op, op.op_def.input_arg), strict=True)
    inputs = [tf.cast(x, tf.float32) if kind in kinds and x.dtype.is_integer else x for x, kind in pairs]
    attributes = dict(op.node_def.attr)
    for key in kinds & attributes.keys():
        attributes[key] = tf.compat.v1.AttrValue(type=tf.float32.as_datatype_enum)
    current = tf.compat.v1.get_default_graph()
    return current.create_op(op.type, inputs, [tf.float32] * len(op.outputs), attrs=attributes, op_def=op.op_def)


def data_of(op: tf.Operation, on_path: Collection[str]) -> list[tf.Tensor]:
    """What an operation takes that depends on the model's inputs, but for choices."""
    return [x for x in _values(op) if x.op.name in on_path and carries(x)]


def _values(op: tf.Operation) -> list[tf.Tensor]:
    """What an operation takes as values, not as positions, sizes and choices."""
    if op.type in ("Cast", "BatchMatMulV3"):
        return list(op.inputs)
    made = _types(op, op.op_def.output_arg)
    pairs = zip(op.inputs, _types(op, op.op_def.input_arg), strict=True)
    return [x for x, kind in pairs if is_number(x) or (x.dtype.is_integer and kind in made)]


def _types(op: tf.Operation, args: Sequence[Any]) -> list[str]:
    """The attribute that holds the type of each argument or result; "" where it is fixed."""
    found = []
    for arg in args:
        many = len(op.get_attr(arg.type_list_attr)) if arg.type_list_attr else 1
        many = op.get_attr(arg.number_attr) if arg.number_attr else many
        found += [arg.type_attr or arg.type_list_attr or f"always {arg.type}"] * many
    return found


def leads_to_softmax(op: tf.Operation) -> bool:
    """Whether what an operation makes are scores: only scaled, shifted and masked before a softmax takes them."""
    waiting, seen = [op], {op.name}
    while waiting:
        for user in (user for y in waiting.pop().outputs for user in y.consumers()):
            if user.type in SOFTMAXES | {"Exp"}:
                return True
            if user.type in TO_SOFTMAX and user.name not in seen:
                seen.add(user.name)
                waiting.append(user)
    return False


def _scales_of_rounding(op: tf.Operation, between: Collection[str]) -> Iterator[tf.Tensor]:
    """Largest magnitudes and the like, by which numbers are scaled before they are rounded."""
    if op.type not in ROUNDS or (op.type == "Cast" and is_number(op.outputs[0])):
        return
    tensor = op.inputs[0]
    while tensor.op.type in PASSING | ROUNDS | CLIPS and tensor.op.name in between:
        tensor = next((x for x in tensor.op.inputs if x.op.name in between), tensor.op.inputs[0])
    if tensor.op.type in SCALES:
        for factor in tensor.op.inputs[1 if tensor.op.type == "RealDiv" else 0 :]:
            if _is_statistic(factor, between):
                yield factor


def _is_statistic(tensor: tf.Tensor, between: Collection[str]) -> bool:
    """Whether a tensor is made of the inputs by way of reductions alone."""
    op = tensor.op
    if op.name not in between:
        return False
    if op.type in REDUCTIONS - {"Prod"}:  # no scale is a product
        return True
    kinds = PASSING | ROUNDS | CLIPS | ADDITIONS | SCALES | {"Reciprocal", "Sub"}
    depending = [x for x in op.inputs if x.op.name in between]
    return op.type in kinds and bool(depending) and all(_is_statistic(x, between) for x in depending)
