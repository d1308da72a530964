"""Along which axis of its outputs an operation has the positions of a sequence, if it is given them along some axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.attention import terms
from tfxai.models.operations import ELEMENTWISE, PRODUCTS, REDUCTIONS, SOFTMAXES
from tfxai.models.reshapes import groups
from tfxai.models.span_rules import slices

MANY = 10_007  # stands for the number of rows, and is a divisor of no other size
SAME = -1  # in place of an axis: nothing has changed but the number of rows, as in sizes and what is made of them
# Nothing but where one of two axes is behind the first change, as of masks of queries and keys; all is there.
CORNER = -2


class Copies(Protocol):
    """What an operation may ask for besides its inputs."""

    def shape(self, x: tf.Tensor, axis: int | None) -> tf.Tensor:
        """The sizes of what a tensor has become if it is cut along an axis."""

    def all_rows(self, x: tf.Tensor) -> tf.Tensor:
        """The shape of a tensor for all copies."""


@dataclass(frozen=True)
class Sizes:
    """The sizes of the tensors of a graph, as a twin of it with a known number of rows has them."""

    twin: tf.Graph
    start: tf.Tensor
    given: list[int]

    def __call__(self, x: tf.Tensor) -> list[int]:
        if x.name == self.start.name:
            return self.given
        shape = x.shape if x.shape.is_fully_defined() else self.twin.get_tensor_by_name(x.name).shape
        return [0 if size is None else size for size in (shape if shape.rank is not None else [])]

    @property
    def tokens(self) -> int:
        return self.given[1]

    def by_row(self, x: tf.Tensor) -> bool:
        """Whether a tensor has something for each row."""
        sizes = self(x)
        return bool(sizes) and sizes[0] > 0 and sizes[0] % MANY == 0


class Followed(NamedTuple):
    """How an operation runs.

    Attributes
    ----------
    axis : int, optional
        Along which axis its outputs are cut; None: they may have changed everywhere; `SAME`: nowhere, `CORNER`:
        see there.
    reads : mapping
        Along which axis it reads an input cut, by number; those that are missing are read whole.
    run : callable, optional
        From its inputs to its outputs. Default: what the operation does.
    """

    axis: int | None
    reads: Mapping[int, int] = {}
    run: Callable[[Sequence[tf.Tensor], Copies], list[tf.Tensor]] | None = None


@dataclass(frozen=True)
class Given:
    """What a rule is given.

    Attributes
    ----------
    cut : dict
        The axis along which an input is cut, by number.
    sizes : Sizes
        Of all tensors.
    attends : bool
        Whether it belongs to attention that does not look ahead, so that only the axis of the queries counts.
    queries : int, optional
        Of the product with the keys, which of its inputs has the queries.
    """

    op: tf.Operation
    cut: dict[int, int]
    sizes: Sizes
    attends: bool = False
    queries: int | None = None

    def size(self, number: int) -> list[int]:
        return self.sizes(self.op.inputs[number])

    @property
    def only(self) -> int:
        """The axis of the first input, if it is cut and no other is; else -1."""
        return self.cut[0] if set(self.cut) == {0} else -1


def followed(
    op: tf.Operation,
    axes: Mapping[int, int | None],
    sizes: Sizes,
    attends: bool = False,
    queries: int | None = None,
) -> Followed:
    """How an operation runs whose inputs are cut along axes, by number, or have changed otherwise, see `Followed`."""
    cut = {number: axis for number, axis in axes.items() if axis is not None and is_cut(axis)}
    if op.type == "Shape":
        return Followed(SAME, cut, lambda _, copies: [tf.cast(copies.all_rows(op.inputs[0]), op.outputs[0].dtype)])
    if set(axes.values()) == {SAME}:
        return Followed(SAME)
    rule, kinds = RULES.get(op.type), {axis for axis in axes.values() if not is_cut(axis)}
    if rule is None or None in kinds:
        return Followed(None)
    if CORNER in kinds and (not attends or not cut):
        return Followed(CORNER if rule in (_pointwise, _with_axis) else None)
    return rule(Given(op, cut, sizes, attends, queries)) or Followed(None)


def is_cut(axis: int | None) -> bool:
    """Whether this is an axis along which something is cut."""
    return axis not in (None, SAME, CORNER)


def _pointwise(given: Given) -> Followed | None:
    """Axes are paired from the last; what is not cut along the axis is cut here, or has no such axis."""
    op, sizes = given.op, [given.size(number) for number in range(len(given.op.inputs))]
    rank = len(given.sizes(op.outputs[0]))
    axes = {axis + rank - len(sizes[number]) for number, axis in given.cut.items()}
    if graph.channels_first(op):
        return None
    if len(axes) > 1 and not given.attends:
        return Followed(CORNER) if 0 not in axes else None
    axis = min(axes)  # keys come last
    reads = {}
    for number, own in enumerate(sizes):
        at = axis - (rank - len(own))
        if at >= 0 and own[at] == given.sizes(op.outputs[0])[axis]:
            reads[number] = at
    return Followed(axis, reads) if axis or set(reads) == set(given.cut) else None


def _along_last(given: Given) -> Followed | None:
    axis = given.only
    return Followed(axis, {0: axis}) if 0 <= axis < len(given.size(0)) - 1 else None


def _reduced(given: Given) -> Followed | None:
    axis, gone = given.only, tf.get_static_value(given.op.inputs[1])
    if axis < 0 or gone is None:
        return None
    gone = {int(one) % len(given.size(0)) for one in np.atleast_1d(gone)}
    if axis in gone:
        return None
    kept = given.op.get_attr("keep_dims")
    return Followed(axis if kept else axis - sum(one < axis for one in gone), {0: axis})


def _product(given: Given) -> Followed | None:
    factors, result = terms(given.op)
    letters = {number: factors[number][axis] for number, axis in given.cut.items()}
    if given.attends:  # keys and values are read whole
        number = given.queries if given.queries is not None else next((n for n in letters if letters[n] in result), -1)
        letters = {n: letter for n, letter in letters.items() if n == number}
    if not letters:
        return None
    letter = next(iter(letters.values()))
    if set(letters.values()) != {letter} or letter not in result:
        return None
    reads = {number: factor.index(letter) for number, factor in enumerate(factors) if letter in factor}
    axis = result.index(letter)
    whole = given.sizes(given.op.outputs[0])[axis]
    if any(given.size(number)[at] != whole for number, at in reads.items()):
        return None
    return Followed(axis, reads)


def _transposed(given: Given) -> Followed | None:
    order, axis = graph.constant_value(given.op.inputs[1]), given.only
    if order is None or axis < 0:
        return None
    to = order.tolist().index(axis)
    return Followed(to, {0: axis}) if to or not axis else None


def _reshaped(given: Given) -> Followed | None:
    """Rows and positions may be merged into one axis, and come apart again."""
    op, axis, tokens = given.op, given.cut.get(0, -1), given.sizes.tokens
    old, new = given.size(0), given.sizes(op.outputs[0])
    if axis < 0 or 0 in old or 0 in new:
        return None
    olds, news = next((pair for pair in groups(old, new) if axis in pair[0]), ([], []))
    wide = [at for at in news if new[at] not in (1, MANY)]
    if len(wide) != 1 or {old[at] for at in olds} - {1, MANY, tokens, MANY * tokens}:
        return None
    to = wide[0]
    merged = new[to] == MANY * tokens
    if (new[to] != tokens and not merged) or (merged and to) or (to == 0 and not merged):
        return None
    return Followed(to, {0: axis}, lambda inputs, copies: [tf.reshape(inputs[0], copies.shape(op.outputs[0], to))])


def _with_axis(given: Given) -> Followed | None:
    place, axis = tf.get_static_value(given.op.inputs[1]), given.only
    if place is None or axis < 1:
        return None
    place = int(place) % (len(given.size(0)) + 1)
    return Followed(axis + (place <= axis), {0: axis}) if place else None


def _without_axis(given: Given) -> Followed | None:
    axis, own = given.only, given.size(0)
    gone = {one % len(own) for one in given.op.get_attr("squeeze_dims")}
    if axis < 1 or not gone or {0, axis} & gone:
        return None
    return Followed(axis - sum(one < axis for one in gone), {0: axis})


def _sliced(given: Given) -> Followed | None:
    """All positions are left, and all rows; others may be taken apart, and axes be added."""
    key, axis = slices(given.op), given.only
    if key is None or axis < 1:
        return None
    rank = len(given.size(0))
    entries = [one for one in key if one is not None]
    if Ellipsis in entries:
        at = key.index(...)
        missing = rank - (len(entries) - 1)
        key = (*key[:at], *[slice(None)] * missing, *key[at + 1 :])
    source, to = 0, 0
    for one in (*key, *[slice(None)] * rank):
        if one is None:
            if source == 0:
                return None
            to += 1
            continue
        all_of_it = isinstance(one, slice) and (one.start, one.stop, one.step) in ((None, None, 1), (None, None, None))
        if source in (0, axis) and not all_of_it:
            return None
        if source == axis:
            return Followed(to, {0: axis})
        source, to = source + 1, to + isinstance(one, slice)
    return None


def _concatenated(given: Given) -> Followed | None:
    place, rank = tf.get_static_value(given.op.inputs[-1]), len(given.sizes(given.op.outputs[0]))
    axes = set(given.cut.values())
    if place is None or len(axes) != 1 or int(place) % rank in (0, *axes) or 0 in axes:
        return None
    (axis,) = axes
    return Followed(axis, dict.fromkeys(range(len(given.op.inputs) - 1), axis))


def _packed(given: Given) -> Followed | None:
    axes, place = set(given.cut.values()), given.op.get_attr("axis") % len(given.sizes(given.op.outputs[0]))
    if len(axes) != 1 or 0 in axes or place == 0:
        return None
    (axis,) = axes
    return Followed(axis + (place <= axis), dict.fromkeys(range(len(given.op.inputs)), axis))


def _split(given: Given) -> Followed | None:
    number, at = (1, 0) if given.op.type == "Split" else (0, 2)
    place, axis = tf.get_static_value(given.op.inputs[at]), given.cut.get(number, -1)
    if place is None or axis < 1 or int(place) % len(given.size(number)) in (0, axis):
        return None
    return Followed(axis, {number: axis})


def _unpacked(given: Given) -> Followed | None:
    axis, place = given.only, given.op.get_attr("axis") % len(given.size(0))
    return Followed(axis - (place < axis), {0: axis}) if axis > 0 and place not in (0, axis) else None


def _looked_up(given: Given) -> Followed | None:
    """Rows of a table, one for each number of a word."""
    if set(given.cut) != {1} or given.op.get_attr("batch_dims"):
        return None
    if given.op.type == "GatherV2" and tf.get_static_value(given.op.inputs[2]) != 0:
        return None
    return Followed(given.cut[1], {1: given.cut[1]})


def _tiled(given: Given) -> Followed | None:
    axis, times = given.only, graph.constant_value(given.op.inputs[1])
    return Followed(axis, {0: axis}) if axis > 0 and times is not None and times[[0, axis]].tolist() == [1, 1] else None


def _broadcast(given: Given) -> Followed | None:
    op, own, new = given.op, given.size(0), given.sizes(given.op.outputs[0])
    axis = given.only + len(new) - len(own)
    if given.only < 1 or 0 in new or new[axis] != given.sizes.tokens:
        return None
    return Followed(axis, {0: given.only}, lambda inputs, copies: [_filled(inputs[0], op, axis, copies)])


def _filled(x: tf.Tensor, op: tf.Operation, axis: int, copies: Copies) -> tf.Tensor:
    rows = tf.shape(x)[:1] if x.shape.rank == op.outputs[0].shape.rank else copies.all_rows(op.outputs[0])[:1]
    return tf.broadcast_to(x, tf.concat([rows, copies.shape(op.outputs[0], axis)[1:]], 0))


def _one_hot(given: Given) -> Followed | None:
    return Followed(given.only, {0: given.only}) if given.only > 0 and given.op.get_attr("axis") == -1 else None


RULES: dict[str, Callable[[Given], Followed | None]] = {
    **dict.fromkeys(ELEMENTWISE | {"OnesLike", "ZerosLike"}, _pointwise),
    **dict.fromkeys(SOFTMAXES, _along_last),
    **dict.fromkeys(REDUCTIONS, _reduced),
    **dict.fromkeys(PRODUCTS, _product),
    "Transpose": _transposed,
    "Reshape": _reshaped,
    "ExpandDims": _with_axis,
    "Squeeze": _without_axis,
    "StridedSlice": _sliced,
    "ConcatV2": _concatenated,
    "Pack": _packed,
    **dict.fromkeys(("Split", "SplitV"), _split),
    "Unpack": _unpacked,
    **dict.fromkeys(("GatherV2", "ResourceGather"), _looked_up),
    "OneHot": _one_hot,
    "Tile": _tiled,
    "BroadcastTo": _broadcast,
}
