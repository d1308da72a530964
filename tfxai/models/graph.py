"""Questions to a TensorFlow graph while it is being traced.

Nothing here knows Keras: these functions work on any tensors of the current graph, so they serve every kind of model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.ops import get_gradient_function  # has no public name
from tensorflow.python.ops.cond_v2 import get_func_graphs  # nor has this

from tfxai.models.operations import COPIES, ELEMENTWISE, PADDINGS, SIZES

Edit = Callable[[tf.Tensor], tf.Tensor]


def within(outer: tf.Graph) -> bool:
    """Whether operations are made in this graph now, or in that of a function, loop or condition inside it."""
    here = tf.compat.v1.get_default_graph()
    while here is not None and here is not outer:
        here = getattr(here, "outer_graph", None)
    return here is outer


def channels_first(op: tf.Operation) -> bool:
    """Whether an operation takes channels before positions."""
    return op.node_def.attr["data_format"].s.startswith(b"NC")


def channel_axis(x: tf.Tensor) -> int:
    """The axis that holds channels: as the operation has them that made the tensor; the last, if none of them says."""
    rank, seen = x.shape.rank or 1, {x.op.name}
    waiting = [x]
    while waiting:
        op = waiting.pop().op
        if "data_format" in op.node_def.attr and op.type != "BiasAdd":  # which Keras guesses from the sizes
            return 1 if channels_first(op) else rank - 1
        if op.type == "Transpose":
            order = tf.get_static_value(op.inputs[1])
            return rank - 1 if order is None else order.tolist().index(channel_axis(op.inputs[0]))
        if op.type in ELEMENTWISE | PADDINGS | {"ConcatV2"}:
            before = [y for y in op.inputs if y.shape.rank == rank and y.op.name not in seen]
            seen.update(y.op.name for y in before)
            waiting += before
    return rank - 1


class Step(NamedTuple):
    """An operation through which values flow: its inputs that hold some, by number and name, and such outputs."""

    op: tf.Operation
    sources: list[tuple[int, str]]
    outputs: list[tf.Tensor]


def between(start: tf.Tensor, end: tf.Tensor) -> list[tf.Operation]:
    """Operations that depend on ``start`` and on which ``end`` depends, in an order in which they can run."""
    needed = ancestors([end], stop=start)
    reached = {start.name}
    path = []
    for op in end.graph.get_operations():  # creation order is a topological order
        if op.name in needed and any(tensor.name in reached for tensor in op.inputs):
            reached.update(tensor.name for tensor in op.outputs)
            path.append(op)
    return path


def ancestors(tensors: Sequence[tf.Tensor], stop: tf.Tensor | None = None) -> set[str]:
    """Names of the operations that compute ``tensors``, looking no further back than ``stop``."""
    found: set[str] = set()
    waiting = list(tensors)
    while waiting:
        tensor = waiting.pop()
        if tensor.op.name in found or (stop is not None and tensor.name == stop.name):
            continue
        found.add(tensor.op.name)
        waiting.extend(tensor.op.inputs)
    return found


def flow(starts: Sequence[tf.Tensor], end: tf.Tensor) -> list[Step]:
    """The operations through which values of ``starts`` reach ``end``, in an order in which they can run.

    Followed are numbers that have a gradient, and integers until they become such numbers. Sizes, masks and choices are
    not: they say where values go. Identities are left out, and tensors are called by their `origin`.
    """
    begin = {tensor.name for tensor in starts}
    needed, reached, path = ancestors([end]), set(begin), []
    for op in end.graph.get_operations():  # creation order is a topological order
        if op.name not in needed or op.type in SIZES or op.type in COPIES:
            continue
        named = [(number, origin(tensor, begin).name) for number, tensor in enumerate(op.inputs)]
        sources = [(number, name) for number, name in named if name in reached]
        whole = all(op.inputs[number].dtype.is_integer for number, _ in sources)
        outputs = [y for y in op.outputs if _has_gradient(y) or (whole and y.dtype.is_integer)] if sources else []
        reached.update(y.name for y in outputs)
        path.append(Step(op, sources, outputs))
    wanted, kept = {origin(end, begin).name}, []
    for step in reversed(path):
        outputs = [y for y in step.outputs if y.name in wanted]
        if outputs:
            wanted.update(name for _, name in step.sources)
            kept.append(step._replace(outputs=outputs))
    return kept[::-1]


def origin(tensor: tf.Tensor, stop: Collection[str] = ()) -> tf.Tensor:
    """The tensor of which this is the same under other names."""
    while tensor.op.type in COPIES and tensor.name not in stop:
        tensor = tensor.op.inputs[tensor.value_index]
    return tensor


def cuts(steps: Sequence[Step], end: str) -> list[str]:
    """Names of the tensors that all paths of a flow to its end pass, in the order in which they run."""
    last = {name: number for number, step in enumerate(steps) for _, name in step.sources}
    last[end] = len(steps)
    waiting: set[str] = {name for name in last if name not in {y.name for step in steps for y in step.outputs}}
    found: list[str] = []
    for number, step in enumerate(steps):
        waiting -= {name for _, name in step.sources if last[name] == number}
        waiting |= {y.name for y in step.outputs}
        if len(waiting) == 1:
            found += waiting
    return list(dict.fromkeys(found))


def rerun(start: tf.Tensor, value: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """What ``end`` would be if ``start`` had this ``value``.

    This makes an edit of a late layer cost the part of the model above it and no more.
    """
    return edited([(start, lambda _: value)], end)


def edited(edits: Sequence[tuple[tf.Tensor, Edit]], end: tf.Tensor, custom: bool = True) -> tf.Tensor:
    """What ``end`` would be if each of some tensors were what its edit makes of it.

    An edit is given what its tensor has become by the edits before it. Only what depends on an edited tensor runs
    again, also inside the body of a loop, and whatever else it needs is taken from the first run; so branches and sums
    that join them see the edits that lie on their way, and no others.

    Parameters
    ----------
    edits : sequence of (tf.Tensor, callable)
        Tensors, in any order, and functions from a tensor to one of the same shape and type.
    end : tf.Tensor
        What is to be computed.
    custom : bool
        Whether copies keep custom gradients. These may refer to tensors of the first run; without them, copies have the
        gradients of what they compute.
    """
    functions: dict[str, list[Edit]] = defaultdict(list)
    needed = ancestors([end])
    for start, edit in edits:
        if start.op.name not in needed:
            raise ValueError(f"{end.name!r} does not depend on {start.name!r}, so an edit has no effect on it.")
        functions[start.name].append(edit)
    copies: dict[str, tf.Tensor] = {}
    for op in end.graph.get_operations():  # creation order is a topological order
        if op.name not in needed:
            continue
        outputs = op.outputs
        if any(tensor.name in copies for tensor in op.inputs):
            inputs = [copies.get(tensor.name, tensor) for tensor in op.inputs]
            outputs = again(op, [here(tensor) for tensor in inputs], custom)
            copies.update(zip((tensor.name for tensor in op.outputs), outputs, strict=True))
        for tensor, output in zip(op.outputs, outputs, strict=True):
            for edit in functions.get(tensor.name, ()):
                output = copies[tensor.name] = edit(output)
    return copies[end.name]


def here(tensor: tf.Tensor) -> tf.Tensor:
    """A tensor, or a copy of it: whole numbers that a loop captures have no static value, and shapes would be lost."""
    if tensor.op.type != "Const" or not tensor.dtype.is_integer or tensor.graph is tf.compat.v1.get_default_graph():
        return tensor
    return tf.constant(tf.get_static_value(tensor))


def constant_value(tensor: tf.Tensor) -> np.ndarray | None:
    """The value of a tensor that is computed from constants and known shapes; None for any other."""
    static = tf.get_static_value(tensor)
    if static is not None:
        return static
    known: dict[str, np.ndarray] = {}
    needed: set[str] = set()
    waiting = [tensor]
    while waiting:
        x = waiting.pop()
        static = tf.get_static_value(x)
        if static is not None:
            known[x.name] = static
        elif not x.op.inputs:
            return None
        elif x.op.name not in needed:
            needed.add(x.op.name)
            waiting.extend(x.op.inputs)

    def computed() -> tf.Tensor:
        copies = {name: tf.constant(value) for name, value in known.items()}
        for op in tensor.graph.get_operations():
            if op.name in needed:
                outputs = again(op, [copies[x.name] for x in op.inputs])
                copies.update(zip((x.name for x in op.outputs), outputs, strict=True))
        return copies[tensor.name]

    with tf.init_scope():  # each is called once; TensorFlow would warn of functions that are traced again and again
        return tf.function(computed, autograph=False).get_concrete_function()().numpy()


def chosen_branch(op: tf.Operation) -> list[tf.Tensor] | None:
    """The outputs of a condition, where its branch is known: that branch is copied into the graph. Else None."""
    chosen = constant_value(op.inputs[0])
    if chosen is None:
        return None
    body = get_func_graphs(op)[0 if chosen else 1]
    copies = dict(zip((x.name for x in body.inputs), op.inputs[1:], strict=True))
    for inner in body.get_operations():
        if inner.type != "Placeholder":
            outputs = again(inner, [copies[x.name] for x in inner.inputs])
            copies.update(zip((x.name for x in inner.outputs), outputs, strict=True))
    return [copies[x.name] for x in body.outputs]


def again(
    op: tf.Operation, inputs: Sequence[tf.Tensor], custom: bool = True, attributes: Mapping[str, Any] | None = None
) -> list[tf.Tensor]:
    """The outputs of an operation on other inputs of the same types, with or without its custom gradient.

    ``attributes`` are those that are to be others.
    """
    left_out = {"_class", "_output_shapes"} | (set() if custom else {"_gradient_op_type"})
    attributes = {key: attr for key, attr in op.node_def.attr.items() if key not in left_out} | dict(attributes or {})
    types = [tensor.dtype for tensor in op.outputs]
    current = tf.compat.v1.get_default_graph()
    return current.create_op(op.type, list(inputs), types, attrs=attributes, op_def=op.op_def).outputs


def pulled_back(op: tf.Operation, signals: Sequence[tf.Tensor | None]) -> list[tf.Tensor | None]:
    """Signals at the outputs of one operation, times its derivatives: a signal for each of its inputs.

    `tf.gradients` does the same, but looks through all of the graph for it, each time.
    """
    gradient = get_gradient_function(op)
    if gradient is None:
        return [None] * len(op.inputs)
    pairs = zip(op.outputs, signals, strict=True)
    found = gradient(op, *(tf.zeros_like(y) if s is None and y.dtype.is_floating else s for y, s in pairs))
    found = found if isinstance(found, list | tuple) else [found]
    return [None if g is None else tf.convert_to_tensor(g) for g in found]


def bypassed(start: tf.Tensor, end: tf.Tensor, inputs: Sequence[tf.Tensor]) -> bool:
    """Whether anything computed from ``inputs`` reaches ``end`` without passing through ``start``."""
    path = {op.name for op in between(start, end)}
    side = [
        tensor
        for op in end.graph.get_operations()
        if op.name in path
        for tensor in op.inputs
        if tensor.op.name not in path and tensor.name != start.name
    ]
    return bool(ancestors(side) & {tensor.op.name for tensor in inputs})


def _has_gradient(tensor: tf.Tensor) -> bool:
    return tensor.dtype.is_floating or tensor.dtype.is_complex or tensor.dtype == tf.variant
