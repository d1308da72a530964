"""Whether a graph passes each row of a batch by itself, and never at random, as far as its operations tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import (
    CALLS,
    CONDITIONS,
    CONVOLUTIONS,
    COPIES,
    DECISIONS,
    ELEMENTWISE,
    LOOPS,
    MATRIX_PRODUCTS,
    NORMS,
    PADDINGS,
    POOLINGS,
    REDUCTIONS,
    RESIZES,
    SIZES,
    SOFTMAXES,
    TRANSPOSED_CONVOLUTIONS,
)

Rule = Callable[[tf.Operation, Sequence[bool]], bool]
"""From an operation, and which of its inputs have rows, to whether row i of its outputs is made of rows i alone."""

# They have a state, but change nothing.
_READING = frozenset({"ReadVariableOp", "ResourceGather", "VarHandleOp"})
# They are told how many rows to make, but make as many as they take.
_TOLD = TRANSPOSED_CONVOLUTIONS | {"Reshape"}
# Quantization has one scale for the whole batch, and the old selection one truth value for each row.
_TOGETHER = frozenset(name for name in ELEMENTWISE if name.startswith("QuantizeAndDequantize")) | {"Select"}


def independent_rows(inputs: Sequence[tf.Tensor], output: tf.Tensor) -> bool:
    """Whether each row of the output depends on the same row of the inputs and on nothing else that may change.

    False says no more than that it is not known.

    Parameters
    ----------
    inputs : sequence of tf.Tensor
        What the model was given; the first axis has the rows.
    output : tf.Tensor
        What it gave, in the same graph.
    """
    needed = graph.ancestors([output])
    rows = {x.name for x in inputs}
    counted: set[str] = set()  # what knows how many rows there are
    for op in output.graph.get_operations():
        if op.type.startswith("Assign"):
            return False  # what is read may change from pass to pass
        if op.name not in needed or any(y.name in rows for y in op.outputs):
            continue
        if not _steady(op):
            return False
        holding = [x.name in rows for x in op.inputs]
        knowing = [x.name in counted for x in op.inputs]
        if op.type in SIZES or not any(holding):
            if any(holding) or any(knowing):
                counted.update(y.name for y in op.outputs if tf.get_static_value(y) is None)
            continue
        rule = RULES.get(op.type)
        if rule is None or not rule(op, holding) or (any(knowing) and op.type not in _TOLD):
            return False
        if op.type == "IdentityN":
            rows.update(y.name for x, y in zip(op.inputs, op.outputs, strict=True) if x.name in rows)
        else:
            rows.update(y.name for y in (op.outputs[:1] if op.type in NORMS else op.outputs))
    return output.name in rows


def _steady(op: tf.Operation) -> bool:
    """Whether an operation makes the same of the same inputs each time."""
    if op.type in CALLS | CONDITIONS | LOOPS or "Random" in op.type:  # random numbers may have a seed that moves
        return False
    return op.type in _READING or not op.op_def.is_stateful


def _side_by_side(op: tf.Operation, holding: Sequence[bool]) -> bool:
    """Axes are paired from the last: rows are paired with rows, and with what all of them share."""
    if op.type in COPIES:
        return True
    rank = op.outputs[0].shape.rank
    return rank is not None and all(_shares_axis(x, rank, has) for x, has in zip(op.inputs, holding, strict=True))


def _shares_axis(x: tf.Tensor, rank: int, has_rows: bool) -> bool:
    if has_rows or x.shape.rank is None:
        return x.shape.rank == rank
    return x.shape.rank < rank or (x.shape.rank == rank and x.shape[0] == 1)


def _first_alone(op: tf.Operation, holding: Sequence[bool]) -> bool:
    return holding[0] and not any(holding[1:])


def _last_alone(op: tf.Operation, holding: Sequence[bool]) -> bool:
    return holding[-1] and not any(holding[:-1])


def _normalized(op: tf.Operation, holding: Sequence[bool]) -> bool:
    return not op.get_attr("is_training") and _first_alone(op, holding)


def _pooled(op: tf.Operation, holding: Sequence[bool]) -> bool:
    alone = len(op.inputs) == len(op.outputs) == 1
    return alone and op.get_attr("ksize")[0] == op.get_attr("strides")[0] == 1


def _padded(op: tf.Operation, holding: Sequence[bool]) -> bool:
    paddings = graph.constant_value(op.inputs[1])
    return _first_alone(op, holding) and paddings is not None and not paddings[0].any()


def _reduced(op: tf.Operation, holding: Sequence[bool]) -> bool:
    axes, rank = graph.constant_value(op.inputs[1]), op.inputs[0].shape.rank
    return _first_alone(op, holding) and axes is not None and bool(rank) and (axes % rank).all()


def _of_last_axis(op: tf.Operation, holding: Sequence[bool]) -> bool:
    return (op.inputs[0].shape.rank or 0) > 1


def _reshaped(op: tf.Operation, holding: Sequence[bool]) -> bool:
    """As many values in each row as before."""
    before, after = (x.shape[1:].num_elements() if x.shape.rank else None for x in (op.inputs[0], op.outputs[0]))
    return _first_alone(op, holding) and before is not None and before == after


def _expanded(op: tf.Operation, holding: Sequence[bool]) -> bool:
    axis, rank = graph.constant_value(op.inputs[1]), op.outputs[0].shape.rank
    return _first_alone(op, holding) and axis is not None and bool(rank) and (axis % rank != 0).all()


def _squeezed(op: tf.Operation, holding: Sequence[bool]) -> bool:
    axes, rank = op.get_attr("squeeze_dims"), op.inputs[0].shape.rank
    return bool(axes) and bool(rank) and all(axis % rank for axis in axes)


def _transposed(op: tf.Operation, holding: Sequence[bool]) -> bool:
    order = graph.constant_value(op.inputs[1])
    return _first_alone(op, holding) and order is not None and order[0] == 0


def _multiplied(op: tf.Operation, holding: Sequence[bool]) -> bool:
    """Rows times a matrix, or matrices of each row."""
    if op.type == "MatMul":
        return _first_alone(op, holding) and not op.get_attr("transpose_a")
    rank = op.outputs[0].shape.rank
    return (rank or 0) > 2 and _side_by_side(op, holding)


def _summed(op: tf.Operation, holding: Sequence[bool]) -> bool:
    """All that have rows, and the result, begin with a letter that stands nowhere else."""
    terms, result = op.get_attr("equation").decode().replace(" ", "").split("->")
    letters = terms.split(",")
    if "." in terms + result or not result:
        return False
    row = result[0]
    first = (
        term.find(row) == term.rfind(row) == (0 if has else -1) for term, has in zip(letters, holding, strict=True)
    )
    return all(first)


def _joined(op: tf.Operation, holding: Sequence[bool]) -> bool:
    """What is put beside the rows would have to have as many; a constant has not."""
    axis, rank = graph.constant_value(op.inputs[-1]), op.outputs[0].shape.rank
    return all(holding[:-1]) and axis is not None and bool(rank) and axis % rank != 0


def _cut(op: tf.Operation, holding: Sequence[bool]) -> bool:
    """All rows, and of each a part."""
    steps, rank = graph.constant_value(op.inputs[3]), op.inputs[0].shape.rank
    if not _first_alone(op, holding) or steps is None or rank is None:
        return False
    if op.get_attr("ellipsis_mask") & 1:
        return len(steps) <= rank  # else nothing is left for the ellipsis
    whole = op.get_attr("begin_mask") & op.get_attr("end_mask") & 1
    moved = (op.get_attr("new_axis_mask") | op.get_attr("shrink_axis_mask")) & 1
    return bool(whole) and not moved and steps[0] == 1


def _gathered(op: tf.Operation, holding: Sequence[bool]) -> bool:
    """Rows of a table by the numbers in each row of the batch."""
    axis = 0 if op.type == "ResourceGather" else graph.constant_value(op.inputs[2])
    return not holding[0] and axis == 0 and not op.get_attr("batch_dims")


RULES: dict[str, Rule] = {
    **dict.fromkeys(ELEMENTWISE - _TOGETHER, _side_by_side),
    **dict.fromkeys(CONVOLUTIONS | RESIZES, _first_alone),
    **dict.fromkeys(TRANSPOSED_CONVOLUTIONS, _last_alone),
    **dict.fromkeys(NORMS, _normalized),
    **dict.fromkeys(POOLINGS, _pooled),
    **dict.fromkeys(PADDINGS, _padded),
    **dict.fromkeys(REDUCTIONS | DECISIONS, _reduced),
    **dict.fromkeys(SOFTMAXES, _of_last_axis),
    "Reshape": _reshaped,
    "ExpandDims": _expanded,
    "Squeeze": _squeezed,
    "Transpose": _transposed,
    **dict.fromkeys(MATRIX_PRODUCTS, _multiplied),
    "Einsum": _summed,
    "ConcatV2": _joined,
    "StridedSlice": _cut,
    **dict.fromkeys({"GatherV2", "ResourceGather"}, _gathered),
}
