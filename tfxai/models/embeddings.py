"""Where whole numbers, such as those of words, become numbers that have gradients: the outputs of embeddings.

They are found in the graph, however it was written: from an input along integers, up to the operations that look a
row up in a table, make a one-hot vector, or only change the type.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import tensorflow as tf
from tensorflow.python.ops.resource_variable_ops import get_eager_safe_handle_data  # has no public name

from tfxai.models.operations import CALLS, COMPARISONS, CONSTANTS, HANDING_ON, SIZES

KINDS = 8  # a table of so few rows tells kinds apart, such as segments, and not words


class Embedding(NamedTuple):
    """The numbers that stand for the integers of one input.

    Attributes
    ----------
    tensors : tuple of tf.Tensor
        (n, ...) with the axes of the input first; several where it is looked up several times.
    rows : int or None
        How many integers the smallest of the tables knows; None if that is not known, or there is no table.
    looked_up : bool
        Whether there is a table, or a one-hot vector, so that integers are names and not quantities.
    table : str, optional
        Which table it is: the same for inputs that share one.
    """

    tensors: tuple[tf.Tensor, ...]
    rows: int | None
    looked_up: bool
    table: str | None = None


def embedding(x: tf.Tensor) -> Embedding | None:
    """The embedding of an input of integers; None if it has none, or is an input of numbers."""
    seen: set[str] = set()
    waiting, found = [x], []
    if x.dtype.is_floating:
        waiting = _rounded(x)
    while waiting:
        for op in waiting.pop().consumers():
            if op.name in seen or op.type in SIZES:
                continue
            seen.add(op.name)
            for y in op.outputs:
                if y.dtype.is_integer:
                    waiting.append(y)
                elif y.dtype.is_floating:  # Keras may make floats of integers, and integers of these again
                    again = _rounded(y)
                    waiting += again
                    found += [y] if _aligned(y, x) and not again else []
    vectors = [y for y in found if y.shape.rank == x.shape.rank + 1 and y.op.type != "Cast"]
    if not vectors and not found:
        return None
    known = [rows for rows in map(_rows, vectors) if rows is not None]
    return Embedding(tuple(vectors or found), min(known, default=None), bool(vectors), _table((vectors or found)[0]))


def of_tokens(inputs: Mapping[str, tf.Tensor]) -> dict[str, Embedding]:
    """The embeddings that an explanation is about, if nobody says which, by the names of inputs.

    Where anything is looked up, inputs that are quantities or masks stay as they are, and beside a table of words so
    do those with a table of few rows, such as segments.
    """
    found = {name: one for name, x in inputs.items() if (one := embedding(x)) is not None}
    if any(one.looked_up for one in found.values()):
        found = {name: one for name, one in found.items() if one.looked_up}
    large = {name: one for name, one in found.items() if one.rows is None or one.rows > KINDS}
    return large or found


def joined(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    """Side by side along their last axis, float32."""
    numbers = [tf.cast(x, tf.float32) for x in tensors]
    return numbers[0] if len(numbers) == 1 else tf.concat(numbers, -1)


def apart(numbers: tf.Tensor, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """What was `joined`, with other numbers: each in its type."""
    parts = [numbers] if len(tensors) == 1 else tf.split(numbers, [x.shape[-1] for x in tensors], -1)
    return [tf.cast(part, x.dtype) for part, x in zip(parts, tensors, strict=True)]


def may_be_words(x: tf.Tensor, others: Collection[str] = ()) -> bool:
    """Whether an input may stand for words, as a graph tells in which functions are not looked into.

    ``others`` are names of operations that are not part of the model.
    """
    return x.dtype.is_integer or (x.dtype.is_floating and x.shape.rank == 2 and bool(_rounded(x, CALLS, others)))


def _rounded(x: tf.Tensor, unknown: Collection[str] = (), others: Collection[str] = ()) -> list[tf.Tensor]:
    """The integers that are made of an input of numbers, if nothing else is made of it but truth values.

    Outputs of ``unknown`` types of operations may be such; ``others`` are operations that do not count.
    """
    waiting, found = [x], []
    while waiting:
        for op in waiting.pop().consumers():
            if op.name in others:
                continue
            if op.type in HANDING_ON:
                waiting += op.outputs
            elif op.type in unknown or (op.type == "Cast" and op.outputs[0].dtype.is_integer):
                found += op.outputs
            elif op.type not in SIZES | COMPARISONS:
                return []
    return found


def _aligned(y: tf.Tensor, x: tf.Tensor) -> bool:
    """Whether each integer of an input has its own number, or vector of numbers."""
    rank = x.shape.rank
    return y.shape.rank in (rank, rank + 1) and y.shape[1:rank].is_compatible_with(x.shape[1:])


def _table(y: tf.Tensor) -> str | None:
    """Name of what is looked up: of the tensor that holds it, or its variable."""
    if "Gather" not in y.op.type:
        return None
    table = y.op.inputs[0]
    while table.op.type in CONSTANTS | HANDING_ON | {"Cast"} and table.op.inputs:
        table = table.op.inputs[0]
    return table.name


def _rows(y: tf.Tensor) -> int | None:
    """How many rows the table has of which an operation gives one for each integer."""
    if y.op.type == "OneHot":
        depth = tf.get_static_value(y.op.inputs[1])
        return None if depth is None else int(depth)
    if y.op.type == "ResourceGather":
        held = get_eager_safe_handle_data(y.op.inputs[0])
        shape = tf.TensorShape(held.shape_and_type[0].shape if held.is_set else None)
    elif y.op.type in ("Gather", "GatherV2"):
        shape = y.op.inputs[0].shape
    else:
        return None
    return shape[0] if shape.rank else None
