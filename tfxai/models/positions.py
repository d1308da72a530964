"""Which axes of a tensor are positions of the input: those of an image, a series or a volume; not channels, not heads.

Each axis of each tensor holds some dimensions, in order, mostly one or none: 0 are the rows of a batch, and from 1 on
come those of positions. A stack of maps (n, h, w, c) has (0,), (1,), (2,), (); the tokens (n, h * w, c) of an image
(0,), (1, 2), (); what these attend to, (n, heads, h * w, h * w), has (0,), (), (1, 2), (1, 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import (
    CALLS,
    CONDITIONS,
    CONSTANTS,
    CONVOLUTIONS,
    DECISIONS,
    LOOPS,
    MATRIX_PRODUCTS,
    PADDINGS,
    POOLINGS,
    PRODUCTS,
    REDUCTIONS,
    SOFTMAXES,
    TRANSPOSED_CONVOLUTIONS,
)
from tfxai.models.reshapes import groups, known

Axes = tuple[tuple[int, ...], ...]

_CONVOLVING = CONVOLUTIONS | TRANSPOSED_CONVOLUTIONS | {"Dilation2D"}
_RECURRENT = LOOPS | {"CudnnRNN", "CudnnRNNV2", "CudnnRNNV3"}
WEIGHING = _CONVOLVING | PRODUCTS | _RECURRENT | CALLS  # calls may hold anything, as Keras's grouped convolutions
"""Operations that make features out of values; pooling does so too, but has no weights."""

_WINDOWED = POOLINGS | _CONVOLVING | {"ExtractImagePatches", "ExtractVolumePatches"}
_MANY = 1_000_003  # stands for an unknown number of rows


class Positions(NamedTuple):
    """What is known of one tensor.

    Attributes
    ----------
    axes : tuple of tuple of int
        Which dimensions lie in each axis; of a list of tensors, in those of all of it.
    raw : bool
        Whether it holds values of an input that met no weights or windows yet, such as pixels that were scaled.
    ring : bool
        Whether some of its positions are nothing but padding, and have no place in the input.
    share : bool
        Whether it says how much of something is where, as a softmax does, and not what is there.
    step : tuple of int
        The dimension of which it is one step, if it was cut out of a series.
    """

    axes: Axes
    raw: bool = False
    ring: bool = False
    share: bool = False
    step: tuple[int, ...] = ()

    @property
    def dimensions(self) -> tuple[int, ...]:
        """The dimensions of positions in all axes, one after the other."""
        return dimensions(self.axes)

    def is_map(self, tensor: tf.Tensor) -> bool:
        """Whether the tensor is a stack of maps, with channels last or first, and more than one position."""
        if len(self.axes) < 3 or self.axes[0] != (0,):
            return False
        channel = graph.channel_axis(tensor)
        places = list(zip(self.axes, tensor.shape, strict=True))[1:]
        channels, _ = places.pop(channel - 1)
        alone = all(len(held) == 1 or (not held and size == 1) for held, size in places)
        return not channels and alone and any(size != 1 for _, size in places)

    @property
    def upright(self) -> bool:
        """Whether dimensions come in the order in which the input has them."""
        return list(self.dimensions) == sorted(self.dimensions)

    def holds_features(self, tensor: tf.Tensor) -> bool:
        """Whether it is a stack of maps that says what is where, at places of the input."""
        return self.is_map(tensor) and not (self.raw or self.ring or self.share)

    def holds_tokens(self) -> bool:
        """Whether one axis of the tensor, not the channels, has a grid's positions one after the other."""
        return len(self.axes) >= 3 and any(len(held) > 1 for held in self.axes[1:-1])


def dimensions(axes: Axes) -> tuple[int, ...]:
    """The dimensions of positions in some axes, one after the other."""
    return tuple(one for held in axes for one in held if one)


def axes_of_input(tensor: tf.Tensor) -> Axes:
    """The axes of an input: an image, a series or a volume, channels last; rows of numbers have no positions."""
    rank = tensor.shape.rank or 0
    return tuple((axis,) if axis < max(rank - 1, 1) else () for axis in range(rank))


def has_positions(tensor: tf.Tensor) -> bool:
    """Whether there is more than one position between the rows and the channels."""
    return (tensor.shape.rank or 0) >= 3 and any(size != 1 for size in tensor.shape[1:-1])


def positions(flow: Sequence[graph.Step], inputs: Sequence[tf.Tensor]) -> dict[str, Positions]:
    """What is known of each tensor of a flow that begins with these inputs, by its name."""
    found = _followed(flow, {tensor.name: axes_of_input(tensor) for tensor in inputs})
    for op, sources, _ in flow:
        first = found[sources[0][1]]
        if op.type in _WINDOWED and graph.channels_first(op) and first.raw and dimensions(first.axes[1:2]):
            turned = ((0,), (), *((axis,) for axis in range(1, len(first.axes) - 1)))  # channels come before positions
            axes = {x.name: turned if x.shape.rank == len(turned) else axes_of_input(x) for x in inputs}
            return _followed(flow, axes)
    return found


def _followed(flow: Sequence[graph.Step], begin: dict[str, Axes]) -> dict[str, Positions]:
    found = {name: Positions(axes, raw=True) for name, axes in begin.items()}
    for op, sources, outputs in flow:
        given = [(number, found[name]) for number, name in sources]
        for output in outputs:
            found[output.name] = _passed(op, given, output)
    return found


def _passed(op: tf.Operation, given: Sequence[tuple[int, Positions]], output: tf.Tensor) -> Positions:
    weighed = op.type in WEIGHING
    axes = _axes(op, given, output)
    placed = [one for _, one in given if one.dimensions]
    step = max((one.step for _, one in given), key=len)
    if op.type in ("Unpack", "StridedSlice") and not step:
        step = tuple(sorted({*given[0][1].dimensions} - {*dimensions(axes)}))
    return Positions(
        axes,
        raw=not weighed and op.type not in POOLINGS and any(one.raw for _, one in given),
        ring=_goes_on(placed, "ring", weighed) or (op.type in PADDINGS and _pads(op, axes)),
        share=_goes_on(placed, "share", weighed) or _shares(op, given),
        step=() if op.type == "Pack" else step,
    )


def _axes(op: tf.Operation, given: Sequence[tuple[int, Positions]], output: tf.Tensor) -> Axes:
    known = all(op.inputs[n].shape.rank == len(one.axes) or op.inputs[n].dtype == tf.variant for n, one in given)
    axes: Axes = ()
    if known and (output.shape.rank is not None or output.dtype == tf.variant):
        axes = _RULES.get(op.type, _same)(op, [(number, one.axes) for number, one in given], output)
    if op.type == "Pack":  # steps become a series again
        step = max((one.step for _, one in given), key=len)
        axes = _inserted(axes, op.get_attr("axis") % (len(axes) + 1), step)
    if len(axes) == output.shape.rank or output.dtype == tf.variant:
        return axes
    return tuple(() if axis else (0,) for axis in range(output.shape.rank or 0))


def _goes_on(placed: Sequence[Positions], what: str, weighed: bool) -> bool:
    """Whether it holds of all that has positions, and no weights make something else of it."""
    return not weighed and bool(placed) and all(getattr(one, what) for one in placed)


def _pads(op: tf.Operation, axes: Axes) -> bool:
    amounts = tf.get_static_value(op.inputs[1])
    return amounts is None or any(held and sum(pair) for held, pair in zip(axes, amounts, strict=False))


def _shares(op: tf.Operation, given: Sequence[tuple[int, Positions]]) -> bool:
    if op.type != "Exp" or op.inputs[0].op.type != "Sub":
        return op.type in SOFTMAXES
    total = op.inputs[0].op.inputs[1]  # of several axes: exp(x - log(sum(exp(x))))
    return total.op.type not in CONSTANTS and any(size == 1 for size in (total.shape or [])[1:])


# Rules: from an operation, the number and the axes of each of its inputs that has any, and an output, to its axes.

_Sources = Sequence[tuple[int, Axes]]


def _same(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    """Elementwise, also of unknown kind: axes are paired from the last, and positions are where any input has some."""
    rank = output.shape.rank
    if rank is None:
        return sources[0][1]
    fitting = [axes for _, axes in sources if len(axes) <= rank]
    wide = [((),) * (rank - len(axes)) + axes for axes in fitting]
    return tuple(max(held, key=len) for held in zip(*wide, strict=True)) if wide else ((),) * rank


def _windows(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    """Between rows and channels are positions: those that came, or else new ones, in what was lifted to an image."""
    first = "data_format" in op.node_def.attr and op.get_attr("data_format").startswith(b"NC")
    fresh = axes_of_input(output) if not first else ((), (), *[(axis,) for axis in range(1, output.shape.rank - 1)])
    rows, *given = zip(fresh, sources[0][1], output.shape, strict=True)
    return (rows[1], *(old or (() if size == 1 else new) if new else () for new, old, size in given))


def _products(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    rank = output.shape.rank
    found: list[tuple[int, ...]] = [()] * rank
    for number, axes in sources:
        names = (("transpose_a", "adj_x"), ("transpose_b", "adj_y"))[number]
        turned = any(op.get_attr(name) for name in names if name in op.node_def.attr)
        kept = -2 if (number == 0) != turned else -1
        found[rank - 2 + number] = axes[kept]
        for place, held in enumerate(axes[-3::-1]):
            found[rank - 3 - place] = max(found[rank - 3 - place], held, key=len)
    return tuple(found)


def _einsum(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    left, _, right = op.get_attr("equation").decode().replace(" ", "").partition("->")
    labels = left.split(",")
    if "." in right:  # the axes in the ellipsis come first on both sides
        return _same(op, sources, output)
    held = [dict(zip(labels[number], axes, strict=True)) for number, axes in sources if "." not in labels[number]]
    return tuple(max((one.get(label, ()) for one in held), key=len, default=()) for label in right)


def _transposed(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    order = tf.get_static_value(op.inputs[1])
    return () if order is None else tuple(sources[0][1][axis] for axis in order)


def _reduced(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    axes, gone = sources[0][1], tf.get_static_value(op.inputs[1])
    if gone is None:
        return ()
    gone = {int(axis) % len(axes) for axis in np.atleast_1d(gone)}
    if "keep_dims" in op.node_def.attr and op.get_attr("keep_dims"):
        return tuple(() if axis in gone else held for axis, held in enumerate(axes))
    return tuple(held for axis, held in enumerate(axes) if axis not in gone)


def _expanded(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    axes, place = sources[0][1], tf.get_static_value(op.inputs[1])
    return () if place is None else _inserted(axes, int(place) % (len(axes) + 1), ())


def _inserted(axes: Axes, place: int, held: tuple[int, ...]) -> Axes:
    return (*axes[:place], held, *axes[place:])


def _squeezed(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    axes = sources[0][1]
    gone = {axis % len(axes) for axis in op.get_attr("squeeze_dims")}
    gone = gone or {axis for axis, size in enumerate(op.inputs[0].shape) if size == 1}
    return tuple(held for axis, held in enumerate(axes) if axis not in gone)


def _packed(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    """The axes of each part; `_axes` adds the new one."""
    return tuple(max(held, key=len) for held in zip(*(axes for _, axes in sources), strict=True))


def _unpacked(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    axes = sources[0][1]
    gone = op.get_attr("axis") % len(axes)
    return axes[:gone] + axes[gone + 1 :]


def _gathered(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    number, axes = sources[0]
    if number == 1:  # rows of a table, one for each index
        return axes + ((),) * (output.shape.rank - len(axes))
    place, chosen = tf.get_static_value(op.inputs[2]), op.inputs[1].shape.rank
    if place is None or chosen is None or op.get_attr("batch_dims"):
        return ()
    between = axes[place : place + 1] if chosen == 1 else ((),) * chosen
    return axes[:place] + between + axes[place + 1 :]


def _cut(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    axes = sources[0][1]
    ellipsis, new, shrink = (op.get_attr(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis"))
    entries = op.inputs[1].shape[0] or 0
    behind = sum(not new >> entry & 1 for entry in range(entries)) - bool(ellipsis)  # axes that have an entry
    found: list[tuple[int, ...]] = []
    axis = 0
    for entry in range(entries):
        if ellipsis >> entry & 1:
            found += axes[axis : axis + len(axes) - behind]
            axis += len(axes) - behind
        elif new >> entry & 1:
            found.append(())
        else:
            found += [] if shrink >> entry & 1 else [axes[axis]]
            axis += 1
    return (*found, *axes[axis:])


def _loop(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    """What a loop hands on keeps its axes; a step of a list of steps has all but the first."""
    rank = output.shape.rank
    widest = max((axes for _, axes in sources), key=len)
    if output.dtype == tf.variant:
        return widest
    same = [axes for _, axes in sources if len(axes) == rank]
    return same[0] if same else widest[1:]


def _list(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    return max((axes for _, axes in sources), key=len)


def _reshaped(op: tf.Operation, sources: _Sources, output: tf.Tensor) -> Axes:
    """An axis that others are merged into holds the dimensions of all; axes that one is split into have one each."""
    axes, before, after = sources[0][1], op.inputs[0].shape.as_list(), output.shape.as_list()
    if not before or not after:
        return ()
    after[-1] = after[-1] or _width(output)
    old, new = [_rows(before, after), *before[1:]], [_rows(after, before), *after[1:]]
    found: list[tuple[int, ...]] = [()] * len(new)
    for olds, news in groups(old, new):
        if [old[axis] for axis in olds] == [new[axis] for axis in news]:
            for axis, source in zip(news, olds, strict=True):
                found[axis] = axes[source]
            continue
        held = tuple(one for axis in olds if old[axis] != 1 for one in axes[axis])
        wide = [axis for axis in news if new[axis] != 1]
        if len(wide) == 1:
            found[wide[0]] = held
        elif len(wide) == len(held):
            for axis, one in zip(wide, held, strict=True):
                found[axis] = (one,)
    return tuple(found)


def _width(tensor: tf.Tensor) -> int | None:
    """How many values a row of a matrix has, by what it is multiplied with."""
    products = [op for op in tensor.consumers() if op.type == "MatMul" and op.inputs[0] is tensor]
    return next((op.inputs[1].shape[1 if op.get_attr("transpose_b") else 0] for op in products), None)


def _rows(shape: Sequence[int | None], other: Sequence[int | None]) -> int | None:
    """Number of rows; if it is unknown, some number, times how many there are for each of the other shape's."""
    own, others = known(shape[1:]), known(other[1:])
    if shape[0] is not None or own is None or others is None:
        return shape[0]
    return _MANY * max(1, math.prod(others) // max(1, math.prod(own)))


_RULES: dict[str, Callable[[tf.Operation, _Sources, tf.Tensor], Axes]] = {
    **dict.fromkeys(_WINDOWED, _windows),
    **dict.fromkeys(MATRIX_PRODUCTS, _products),
    "Einsum": _einsum,
    "Transpose": _transposed,
    **dict.fromkeys(REDUCTIONS | DECISIONS, _reduced),
    "ExpandDims": _expanded,
    "Squeeze": _squeezed,
    "Reshape": _reshaped,
    "Pack": _packed,
    "Unpack": _unpacked,
    **dict.fromkeys(("GatherV2", "ResourceGather"), _gathered),
    "StridedSlice": _cut,
    **dict.fromkeys(LOOPS | CONDITIONS, _loop),
    **dict.fromkeys(("TensorListFromTensor", "TensorListStack"), _list),
}
