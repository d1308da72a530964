"""A pass in fewer bits: products of weights and data in bfloat16 or float16, and what is sensitive to that in float32.

Convolutions and products of matrices run in the lower type, and so does what only hands their results on or bends them
number by number. Sums over many numbers, norms, shares and exponentials stay in float32, as in mixed precision, and so
does whatever has no kernel for the lower type on the device. What comes out is float32 again.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import kernels  # has no public name

from tfxai.models import graph
from tfxai.models.operations import (
    ADDITIONS,
    CLIPS,
    CONVOLUTIONS,
    MAX_POOLINGS,
    PADDINGS,
    PARTS,
    PRODUCTS,
    RELUS,
    RESHAPES,
    TRANSPOSED_CONVOLUTIONS,
)

_LOWERED = CONVOLUTIONS | TRANSPOSED_CONVOLUTIONS | PRODUCTS
_FOLLOWING = (
    ADDITIONS | CLIPS | MAX_POOLINGS | PADDINGS | PARTS | RELUS | RESHAPES | {"BiasAdd", "Identity", "Transpose"}
)


def lowered(starts: Sequence[tf.Tensor], ends: Sequence[tf.Tensor], dtype: tf.DType, compiled: bool) -> list[tf.Tensor]:
    """What tensors of the current graph, computed from ``starts``, are in fewer bits, as float32.

    Parameters
    ----------
    starts, ends : sequence of tf.Tensor
        From where to where; ends may lie on the way to others.
    dtype : tf.DType
        The type of products.
    compiled : bool
        Whether XLA compiles them, which has kernels of its own.
    """
    path = {op.name for start in starts for end in ends for op in graph.between(start, end)}
    names = {end.name for end in ends}
    copies: dict[str, tf.Tensor] = {}
    for op in ends[0].graph.get_operations():  # creation order is a topological order
        if op.name in path:
            for x, copy in zip(op.outputs, _again(op, copies, dtype, compiled), strict=True):
                copies[x.name] = _cast(copy, x.dtype) if x.name in names else copy
    return [copies.get(end.name, end) for end in ends]


def _again(op: tf.Operation, copies: Mapping[str, tf.Tensor], dtype: tf.DType, compiled: bool) -> list[tf.Tensor]:
    inputs = [copies.get(x.name, x) for x in op.inputs]
    given = [copy for copy, x in zip(inputs, op.inputs, strict=True) if x.name in copies and x.dtype == tf.float32]
    follows = op.type in _FOLLOWING and given and all(x.dtype == dtype for x in given)
    attributes = {}
    if (op.type in _LOWERED or follows) and _known(op, dtype, compiled):
        inputs = [_cast(x, dtype if x.dtype == tf.float32 else x.dtype) for x in inputs]
        attributes = {name: tf.compat.v1.AttrValue(type=dtype.as_datatype_enum) for name in _types(op)}
    else:
        inputs = [_cast(copy, x.dtype) for copy, x in zip(inputs, op.inputs, strict=True)]
    return graph.again(op, inputs, attributes=attributes)


def _types(op: tf.Operation) -> list[str]:
    """Attributes that say that an operation is one of float32."""
    return [name for name, value in op.node_def.attr.items() if value.type == types_pb2.DT_FLOAT]


def _known(op: tf.Operation, dtype: tf.DType, compiled: bool) -> bool:
    names = _types(op)
    allowed = {attr.name: attr.allowed_values.list.type for attr in op.op_def.attr}
    if not names or any(allowed[name] and dtype.as_datatype_enum not in allowed[name] for name in names):
        return False
    return compiled or any(
        dtype.as_datatype_enum in _kernels(op.type, _device()).get(name, [dtype.as_datatype_enum]) for name in names
    )


def _device() -> str:
    return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"


@functools.cache
def _kernels(kind: str, device: str) -> dict[str, set[int]]:
    """For each attribute, the types that there are kernels for."""
    found: dict[str, set[int]] = {}
    for kernel in kernels.get_registered_kernels_for_op(kind).kernel:
        if kernel.device_type == device:
            for constraint in kernel.constraint:
                found.setdefault(constraint.name, set()).update(constraint.allowed_values.list.type)
    return found


def _cast(x: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return x if x.dtype == dtype else tf.cast(x, dtype)
