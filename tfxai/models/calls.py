"""Calls of functions in a graph, replaced by what they do."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import CALLS


def inlined_call(op: tf.Operation) -> list[tf.Tensor] | None:
    """The outputs of a call, computed by the function's operations in the current graph; None where this cannot be."""
    body = getattr(op.graph._get_function(op.get_attr("f").name), "graph", None)  # has no public name
    return None if body is None else _run(body, op.inputs)


def _run(body: tf.Graph, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor] | None:
    copies = dict(zip((tensor.name for tensor in body.inputs), inputs, strict=True))
    needed = graph.ancestors(body.outputs)
    for op in body.get_operations():  # creation order is a topological order
        if op.name not in needed or all(tensor.name in copies for tensor in op.outputs):
            continue
        if any(tensor.name not in copies for tensor in op.inputs):
            return None  # a loop of TensorFlow 1, which goes back
        given = [copies[tensor.name] for tensor in op.inputs]
        if op.type in CALLS:
            inner = body._get_function(op.get_attr("f").name)
            outputs = _run(inner.graph, given) if hasattr(inner, "graph") else None
        else:
            holds_functions = any(attr.HasField("func") for attr in op.node_def.attr.values())
            outputs = None if holds_functions else graph.again(op, given)
        if outputs is None:
            return None
        copies.update(zip((tensor.name for tensor in op.outputs), outputs, strict=True))
    return [copies[tensor.name] for tensor in body.outputs]
