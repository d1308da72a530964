"""Attention, found by the pattern of a graph, however it was written.

It is a softmax over the last axis of a product, of which that axis comes from data, the keys; and its shares weigh
other data, the values. What gates, mixes experts or ends a classifier has that axis from weights, or weighs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import ELEMENTWISE, HANDING_ON, PRODUCTS, RESHAPES

_BETWEEN = ELEMENTWISE | HANDING_ON | RESHAPES | {"BroadcastTo", "Transpose"}
_GUARDS = {"Add", "AddV2", "ExpandDims", "Maximum", "Reshape"}  # what keeps a sum from 0, or brings it into shape
_BOTH = -1  # an axis that both factors of a product have


@dataclass(frozen=True)
class Attention:
    """One of the maps of a graph that say which tokens look at which.

    Attributes
    ----------
    weights : tf.Tensor
        Shares as the graph has them; the last axis are the keys.
    rows : int or None
        Axis of the queries; None if there is one query without an axis.
    keys : tf.Tensor
        The factor of the product that has the keys, and ``key_axis``: which of its axes they are.
    stream, source : int
        Which sequence the queries belong to, and which the keys: the same in self-attention.
    mixed : tf.Operation
        The product that weighs the values.
    path : tuple of tf.Operation
        What lies between the product of queries and keys, and the softmax.
    """

    weights: tf.Tensor
    rows: int | None
    keys: tf.Tensor
    key_axis: int
    stream: int
    source: int
    mixed: tf.Operation
    path: tuple[tf.Operation, ...]

    @property
    def heads(self) -> list[int]:
        """The axes of the weights along which heads lie, none if there is one."""
        return [axis for axis in range(1, self.weights.shape.rank - 1) if axis != self.rows]

    def over_heads(self, x: tf.Tensor) -> tf.Tensor:
        """A number for each head, in a shape that multiplies the weights."""
        shape = [size if axis in self.heads else 1 for axis, size in enumerate(self.weights.shape)]
        return tf.cast(tf.reshape(x, shape), self.weights.dtype)

    def by_head(self, x: tf.Tensor) -> tf.Tensor:
        """(n, heads, queries, keys) of the weights, or of what has their shape."""
        x = tf.cast(x, tf.float32)
        rank, heads = x.shape.rank, self.heads
        rows = [] if self.rows is None else [self.rows]
        order = [0, *heads, *rows, rank - 1]
        if order != list(range(rank)):
            x = tf.transpose(x, order)
        if len(heads) == 1 and rows:
            return x
        sizes = tf.shape(x)
        known = x.shape[1 : 1 + len(heads)].num_elements()
        queries = sizes[-2] if rows else 1
        shaped = tf.reshape(x, [sizes[0], -1 if known is None else known, queries, sizes[-1]])
        return tf.ensure_shape(shaped, [x.shape[0], known, x.shape[-2] if rows else 1, x.shape[-1]])


def find(inputs: Sequence[tf.Tensor], output: tf.Tensor) -> list[Attention]:
    """The maps of attention between inputs and an output, in the order in which they run."""
    steps = graph.flow(inputs, output)
    begin = {x.name for x in inputs}
    data = begin | {y.name for step in steps for y in step.outputs}

    def is_data(x: tf.Tensor) -> bool:
        return graph.origin(x, begin).name in data

    def needed_for(x: tf.Tensor) -> set[str]:
        """Names of the operations whose values, and not only shapes, a tensor is made of."""
        names: set[str] = set()
        waiting = [graph.origin(x, begin)]
        while waiting:
            op = waiting.pop().op
            if op.name not in names:
                names.add(op.name)
                waiting += [graph.origin(y, begin) for y in op.inputs if is_data(y)]
        return names

    found: list[Attention] = []
    before: list[set[int]] = []  # the maps that each map depends on
    starts: dict[frozenset, int] = {}

    def stream(x: tf.Tensor) -> tuple[int, set[int]]:
        """Which sequence a tensor belongs to: that of the last map before it, or one that begins with some inputs."""
        needed = needed_for(x)
        earlier = {n for n, one in enumerate(found) if one.mixed.name in needed}
        last = earlier - set().union(*(before[n] for n in earlier))
        if len(last) == 1:
            return found[last.pop()].stream, earlier
        key = frozenset(last) if last else frozenset(x.name for x in inputs if x.op.name in needed)
        return starts.setdefault(key, len(starts)), earlier

    for step in steps:
        logits = _logits(step.op, begin)
        if logits is not None and (known := _pattern(step.op.outputs[0], logits, is_data)) is not None:
            queries, keys, key_axis, rows, mixed, path = known
            (own, q), (other, k) = stream(queries), stream(keys)
            found.append(Attention(step.op.outputs[0], rows, keys, key_axis, own, other, mixed, path))
            before.append(q | k)
    return found


def _logits(op: tf.Operation, begin: Collection[str]) -> tf.Tensor | None:
    """What an operation is the softmax of, over the last axis: one that is called so, or exp(x) / sum(exp(x))."""
    if op.type == "Softmax":
        return op.inputs[0]
    if op.type not in ("RealDiv", "Div", "DivNoNan"):
        return None
    above, below = (graph.origin(x, begin) for x in op.inputs)
    while below.op.type in _GUARDS and below.name not in begin:
        below = graph.origin(below.op.inputs[0], begin)
    if above.op.type != "Exp" or below.op.type != "Sum" or graph.origin(below.op.inputs[0], begin).name != above.name:
        return None
    axes = np.atleast_1d(tf.get_static_value(below.op.inputs[1]))
    return above.op.inputs[0] if axes.tolist() in ([-1], [above.shape.rank - 1]) else None


def _pattern(shares: tf.Tensor, logits: tf.Tensor, is_data: Callable[[tf.Tensor], bool]) -> tuple | None:
    """Queries, keys and their axis, the axis of the queries in the weights, what weighs the values, and the way."""
    mixed = next(_weighing(shares, is_data), None)
    if mixed is None:
        return None
    for product, path in _products(logits, is_data):
        factors = list(product.inputs[:2])
        labels = _followed(_labels(product), path)
        if labels is None:  # it was brought into another shape; rows and columns are usual then
            if not all(map(is_data, factors)):
                continue
            labels = [*[_BOTH] * (logits.shape.rank - 2), 0, 1]
        key = labels[-1]
        if key == _BOTH or not is_data(factors[key]):
            continue
        rows = [axis for axis, label in enumerate(labels) if axis and label == 1 - key]
        return factors[1 - key], factors[key], _own_axis(product, key), rows[-1] if rows else None, mixed, path
    return None


def _products(
    tensor: tf.Tensor, is_data: Callable[[tf.Tensor], bool]
) -> Iterator[tuple[tf.Operation, tuple[tf.Operation, ...]]]:
    """Products that a tensor is an elementwise function of, the nearest first, with what lies between."""
    waiting: list[tuple[tf.Tensor, tuple[tf.Operation, ...]]] = [(tensor, ())]
    seen: set[str] = set()
    while waiting:
        x, path = waiting.pop(0)
        if x.op.name in seen:
            continue
        seen.add(x.op.name)
        if x.op.type in PRODUCTS:
            yield x.op, path
        elif x.op.type in _BETWEEN:
            waiting += [(y, (x.op, *path)) for y in x.op.inputs if y.dtype.is_floating and is_data(y)]


def _weighing(shares: tf.Tensor, is_data: Callable[[tf.Tensor], bool]) -> Iterator[tf.Operation]:
    """Products of shares with other data."""
    waiting, seen = [shares], {shares.name}
    while waiting:
        x = waiting.pop(0)
        for op in x.consumers():
            if op.type in PRODUCTS:
                others = [y for y in op.inputs if y.name != x.name]
                if others and all(map(is_data, others)):
                    yield op
            elif op.type in _BETWEEN:
                fresh = [y for y in op.outputs if y.name not in seen and y.dtype.is_floating]
                seen.update(y.name for y in fresh)
                waiting += fresh


def terms(product: tf.Operation) -> tuple[list[str], str]:
    """A letter for each axis of both factors, and of the result, as in `tf.einsum`."""
    if product.type == "Einsum":
        left, _, right = product.get_attr("equation").decode().replace(" ", "").partition("->")
        first, second = left.split(",")
        ranks = [x.shape.rank for x in product.inputs]
        terms = [_spelled(term, rank) for term, rank in zip((first, second), ranks, strict=True)]
        return terms, _spelled(right, product.outputs[0].shape.rank)
    turned = [
        any(product.get_attr(name) for name in names if name in product.node_def.attr)
        for names in (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))
    ]
    batch = "ABCDEFGH"[: product.outputs[0].shape.rank - 2]
    own = [batch[len(batch) - (x.shape.rank - 2) :] for x in product.inputs[:2]]
    return [own[0] + ("cq" if turned[0] else "qc"), own[1] + ("kc" if turned[1] else "ck")], batch + "qk"


def _spelled(term: str, rank: int) -> str:
    """With letters for the axes of an ellipsis."""
    return term.replace("...", "ABCDEFGH"[: rank - (len(term) - 3)]) if "." in term else term


def _labels(product: tf.Operation) -> list[int]:
    """For each axis of a product, which of the factors it comes from."""
    (first, second), result = terms(product)
    return [_BOTH if one in first and one in second else 0 if one in first else 1 for one in result]


def _own_axis(product: tf.Operation, factor: int) -> int:
    """The axis of a factor that is its own, and the last of these in the result."""
    factors, result = terms(product)
    own, other = factors[factor], factors[1 - factor]
    return own.index(next(one for one in reversed(result) if one in own and one not in other))


def _followed(labels: list[int], path: Collection[tf.Operation]) -> list[int] | None:
    """Labels of the axes behind some operations; None where these are no longer told apart."""
    for op in path:
        rank = op.outputs[0].shape.rank
        if op.type == "Transpose":
            order = graph.constant_value(op.inputs[1])
            if order is None:
                return None
            labels = [labels[axis] for axis in order]
        elif op.type == "ExpandDims":
            axis = int(tf.get_static_value(op.inputs[1]))
            place = axis % rank
            labels = [*labels[:place], _BOTH, *labels[place:]]
        elif op.type == "Squeeze":
            gone = [axis % len(labels) for axis in op.get_attr("squeeze_dims")]
            gone = gone or [axis for axis, size in enumerate(op.inputs[0].shape) if size == 1]
            labels = [label for axis, label in enumerate(labels) if axis not in gone]
        elif op.type == "Reshape":
            before, after = op.inputs[0].shape, op.outputs[0].shape
            if before[-2:].as_list() != after[-2:].as_list() or not after[-2:].is_fully_defined():
                return None
            labels = [*[_BOTH] * (rank - 2), *labels[-2:]]
        else:
            labels = [*[_BOTH] * (rank - len(labels)), *labels]
    return labels


def last_tokens(inputs: Sequence[tf.Tensor], end: tf.Tensor, one: Attention) -> tf.Tensor:
    """What its queries have become where all paths to the end pass them last; if there is no such place, the map."""
    queries = one.by_head(one.weights).shape[2]
    cuts = _cuts(graph.flow(inputs, end), end, inputs)
    behind = [y for y in cuts if one.mixed.name in graph.ancestors([y]) and y.shape[1] == queries]
    return behind[-1] if behind else one.weights


def block_ends(x: tf.Tensor, end: tf.Tensor, maps: Sequence[Attention]) -> list[tf.Tensor]:
    """The tokens after the block of each map: the last that all paths from an input to the end pass before the next.

    What follows the last block, such as a norm, is no part of it: it ends where the one before it does.
    """
    steps = graph.flow([x], end)
    order = {step.op.name: number for number, step in enumerate(steps)}
    passed = [(order[y.op.name], y) for y in _cuts(steps, end, [x])]
    bounds = [*(order[one.weights.op.name] for one in maps[1:]), len(steps)]
    blocks = [
        [y for number, y in passed if order[one.mixed.name] < number < bound]
        for one, bound in zip(maps, bounds, strict=True)
    ]
    if len(blocks) > 1 and all(blocks):
        blocks[-1] = blocks[-1][: len(blocks[-2])]
    ends = [block[-1] for block in blocks if block]
    alike = all(y.shape[1:].is_compatible_with(ends[-1].shape[1:]) for y in ends)
    if len(ends) < len(maps) or not alike:
        raise ValueError("The model's blocks do not follow each other, each with all paths through its tokens.")
    return ends


def _cuts(steps: Sequence[graph.Step], end: tf.Tensor, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """The tokens, (n, tokens, features), that all paths of a flow to its end pass."""
    made = {y.name: y for step in steps for y in step.outputs if y.shape.rank == 3}
    names = graph.cuts(steps, graph.origin(end, {x.name for x in inputs}).name)
    return [made[name] for name in names if name in made]
