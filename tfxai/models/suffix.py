"""Passes of sequences that differ from those of a first pass from some position on, where nothing looks ahead.

In a causal model a position is computed from itself and those before it. So what lies before the first change is what
it was in the first pass: keys and values of attention are taken from there, and all else runs for later positions only.
Which axis of a tensor holds the positions is followed from operation to operation. Where one mixes them in any other
way, whole tensors are put together, and what follows runs on these: what comes out equals a full pass, up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.attention import Attention
from tfxai.models.operations import COPIES, HANDING_ON, PRODUCTS, RESHAPES
from tfxai.models.plan import MOVED, PUT_TOGETHER
from tfxai.models.suffix_rules import MANY, SAME, Followed, Sizes, followed, is_cut

BEYOND = 1e-6  # what is a share of attention in no more than rounding


@dataclass(frozen=True)
class Cut:
    """A tensor of copies of a first pass: from the first position that changed along an axis, or all of it.

    Attributes
    ----------
    values : tf.Tensor
        What is known.
    axis : int, optional
        Which axis has been cut; 0: rows and positions are merged into it. None, `SAME` or `CORNER`: all is
        there.
    """

    values: tf.Tensor
    axis: int | None


class Suffix:
    """The end of a graph, for starts that differ from the first from some position on.

    Parameters
    ----------
    start : tf.Tensor
        (n, positions, ...), numbers of words or vectors.
    end : tf.Tensor
        What is to be computed, from ``start`` and constants.
    causal : sequence of Attention
        Those between the two in which no token looks at one after it. Should it do so in a first pass nevertheless,
        such as where a row is nothing but padding, all positions run again.
    kept : float
        Which share of the positions changes, on average.

    Attributes
    ----------
    share : float
        What a pass is estimated to cost, as a share of a full one.
    room : int
        As for `tfxai.models.incremental.Incremental`: one, for what comes out is put together whole.
    """

    room = 1

    def __init__(self, start: tf.Tensor, end: tf.Tensor, causal: Sequence[Attention], kept: float):
        self.start, self.end, self._sizes = start, end, _sizes(start, end)
        self._ahead = tf.reduce_max([tf.zeros([tf.shape(start)[0], self._sizes.tokens]), *map(_ahead, causal)], 0)
        self._steps: list[tuple[tf.Operation, Followed]] = []
        attending = {name: queries for one in causal for name, queries in _attending(one).items()}
        axes: dict[str, int | None] = {start.name: 1}
        cost = full = 0.0
        for op in graph.between(start, end):
            inputs = {number: axes[x.name] for number, x in enumerate(op.inputs) if x.name in axes}
            if op.type in COPIES:
                handed = {y.name: axes.get(x.name, SAME) for x, y in zip(op.inputs, op.outputs, strict=True)}
                axes, how = axes | handed, Followed(None)
            else:
                how = followed(op, inputs, self._sizes, op.name in attending, attending.get(op.name))
                axes |= dict.fromkeys((y.name for y in op.outputs), how.axis)
            self._steps.append((op, how))
            if how.axis != SAME and op.type not in RESHAPES | HANDING_ON:
                products = self._sizes(op.inputs[0])[-1] if op.type in PRODUCTS else 0
                own = self._numbers(op.outputs[0]) * (products + MOVED)
                full += own
                cost += own if how.axis is None else own * kept
            joined = [op.inputs[n] for n, axis in inputs.items() if is_cut(axis) and how.reads.get(n) != axis]
            cost += PUT_TOGETHER * MOVED * sum(map(self._numbers, joined))
        self.share = cost / max(full, 1.0)

    def __call__(self, values: tf.Tensor, times: tf.Tensor | int) -> tf.Tensor:
        """The end for ``values``, (times * n, positions, ...): copies of the batch, one after the other."""
        copies = _Copies(self._first(values, times), times, self._sizes)
        known = {self.start.name: Cut(copies.behind(values, 1), 1)}
        for op, how in self._steps:
            if op.type in COPIES:
                known |= {y.name: known[x.name] for x, y in zip(op.inputs, op.outputs, strict=True) if x.name in known}
                continue
            inputs = [copies.read(x, known.get(x.name), how.reads.get(number)) for number, x in enumerate(op.inputs)]
            outputs = how.run(inputs, copies) if how.run else graph.again(op, inputs, custom=False)
            known |= {y.name: Cut(value, how.axis) for y, value in zip(op.outputs, outputs, strict=True)}
        return copies.read(self.end, known[self.end.name], None)

    def _first(self, values: tf.Tensor, times: tf.Tensor | int) -> tf.Tensor:
        """The first position at which any copy differs; 0 if one before it looks at what has changed."""
        tokens = self._sizes.tokens
        other = tf.reshape(values != _repeated(self.start, times), [times, -1, tokens, math.prod(self.start.shape[2:])])
        other = tf.reduce_any(other, [0, 3])
        first = tf.reduce_min(tf.where(tf.reduce_any(other, 0), tf.range(tokens), tokens - 1))
        ahead = tf.where(tf.reduce_any(other, 1), self._ahead[:, first], 0)
        return tf.where(tf.reduce_max(ahead) < BEYOND, first, 0)

    def _numbers(self, x: tf.Tensor) -> float:
        """How many numbers a tensor holds for each row."""
        total = 1.0
        for size in self._sizes(x):
            total *= size
        return total / MANY if self._sizes.by_row(x) else total


@dataclass(frozen=True)
class _Copies:
    """Copies of the rows of a first pass that differ from them from position ``first`` on."""

    first: tf.Tensor
    times: tf.Tensor | int
    sizes: Sizes

    def read(self, x: tf.Tensor, known: Cut | None, axis: int | None) -> tf.Tensor:
        """What a tensor of the first pass has become: from the first position on along an axis, or all of it."""
        if known is None:
            return graph.here(x) if axis is None else self.behind(graph.here(x), axis)
        if known.axis == axis:
            return known.values
        whole = known.values if not is_cut(known.axis) else self._put_together(x, known)
        return whole if axis is None else self.behind(whole, axis)

    def behind(self, x: tf.Tensor, axis: int) -> tf.Tensor:
        return x[(slice(None),) * axis + (slice(self.first, None),)]

    def shape(self, x: tf.Tensor, axis: int | None) -> tf.Tensor:
        """The sizes of what a tensor has become, those of all copies together first."""
        behind = tf.unstack(tf.shape(x))[1:]
        if axis:
            behind[axis - 1] -= self.first
        return tf.stack([-1, *behind])

    def all_rows(self, x: tf.Tensor) -> tf.Tensor:
        """The shape of a tensor for all copies."""
        sizes = tf.shape(x)
        return tf.concat([sizes[:1] * self.times, sizes[1:]], 0) if self.sizes.by_row(x) else sizes

    def _put_together(self, x: tf.Tensor, cut: Cut) -> tf.Tensor:
        axis, before, after = cut.axis, x, cut.values
        if axis == 0:  # rows and positions apart
            behind, tokens = tf.shape(x)[1:], self.sizes.tokens
            before = tf.reshape(x, tf.concat([[-1, tokens], behind], 0))
            after = tf.reshape(after, tf.concat([[-1, tokens - self.first], behind], 0))
        head = before[(slice(None),) * (axis or 1) + (slice(None, self.first),)]
        whole = tf.concat([_repeated(head, self.times), after], axis or 1)
        return tf.reshape(whole, tf.concat([[-1], tf.shape(x)[1:]], 0)) if axis == 0 else whole


def _repeated(x: tf.Tensor, times: tf.Tensor | int) -> tf.Tensor:
    return tf.tile(x, [times, *[1] * (x.shape.rank - 1)])


def _ahead(one: Attention) -> tf.Tensor:
    """(n, positions) the most that any token before a position looks at it and what is behind it."""
    shares = tf.reduce_max(one.by_head(one.weights), 1)
    behind = tf.cumsum(shares, -1, reverse=True)
    return tf.reduce_max(behind - tf.linalg.band_part(behind, -1, 0), 1)


def _attending(one: Attention) -> dict[str, int | None]:
    """Names of the operations from the product of queries and keys on; of that, which input has the queries."""
    last = one.path[0] if one.path else one.weights.op
    before = graph.ancestors(list(last.inputs))
    product = next(op for op in one.keys.consumers() if op.type in PRODUCTS and op.name in before)
    queries = next(number for number, x in enumerate(product.inputs) if x.name != one.keys.name)
    return {product.name: queries, **dict.fromkeys([one.mixed.name, *(op.name for op in one.path)])}


def _sizes(start: tf.Tensor, end: tf.Tensor) -> Sizes:
    """The sizes of all tensors, for `MANY` rows: TensorFlow infers more of them where that number is known."""
    names, graph_def = graph.ancestors([end]), end.graph.as_graph_def()
    for number in reversed(range(len(graph_def.node))):
        if graph_def.node[number].name not in names:
            del graph_def.node[number]
    weights = [op.outputs[0] for op in end.graph.get_operations() if op.name in names and op.type == "ReadVariableOp"]
    with tf.Graph().as_default() as twin:
        rows = tf.compat.v1.placeholder(start.dtype, [MANY, *start.shape[1:]])
        known = {x.name: tf.compat.v1.placeholder(x.dtype, x.shape) for x in weights}  # handles do not tell shapes
        tf.graph_util.import_graph_def(graph_def, {start.name: rows, **known}, name="")
    return Sizes(twin, start, rows.shape.as_list())
