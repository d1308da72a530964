"""Maps: where in an input values lie, and how they are brought to its size.

Enlarging along one axis is a matrix, so the same few lines serve series, images and volumes, NumPy and TensorFlow.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias, get_args
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from tfxai.models.graph import channel_axis
from tfxai.models.placement import Placement, layers_in_inputs
from tfxai.models.token_layers import grids_of
from tfxai.models.token_places import Grid
from tfxai.models.view import ModelView, by_name
from tfxai.run import Run

Interpolation: TypeAlias = Literal["linear", "nearest", "cubic"]
INTERPOLATIONS = get_args(Interpolation)


class Side(NamedTuple):
    """Where values lie along one axis of an input.

    Attributes
    ----------
    axis : int
        Of the input; 1 follows the batch.
    along : int or None
        Axis of the values that runs along it; None where all values lie in the same stretch, as the frame of a clip.
    first : float
        Pixel at which the first value has its centre.
    step : float
        Pixels from one value to the next.
    low, high : float
        First and last pixel that the values tell of.
    """

    axis: int
    along: int | None
    first: float
    step: float
    low: float
    high: float

    def matrix(self, values: int, pixels: int, interpolation: str = "linear") -> np.ndarray:
        """(pixels, values): from values to pixels; edges repeated up to the end of the region, zeros outside of it."""
        if self.along is None:
            weights = np.ones((pixels, 1))
        else:
            weights = _between((np.arange(pixels) - self.first) / self.step, values, interpolation)
        return weights * self.inside(pixels)[:, None]

    def inside(self, pixels: int) -> np.ndarray:
        """(pixels,) 1 in the region that the values tell of, 0 outside."""
        places = np.arange(pixels)
        return ((places >= self.low - 1e-6) & (places <= self.high + 1e-6)).astype(float)

    def to_corners(self, values: int) -> Side:
        """The outer values that lie in the region, moved to its ends, and the others between them."""
        if self.along is None:
            return self
        centres = self.first + self.step * np.arange(values)
        inner = np.flatnonzero((centres >= self.low - 0.5) & (centres <= self.high + 0.5))
        if len(inner) < 2:
            return self
        start, stop = (self.low, self.high) if self.step > 0 else (self.high, self.low)
        step = (stop - start) / (inner[-1] - inner[0])
        return self._replace(first=start - inner[0] * step, step=step)


@dataclass(frozen=True)
class Place:
    """Where values lie in an input.

    Values run along the axes of the input that are positions, at their own pace; what they hold along other axes is
    added up.

    Attributes
    ----------
    sides : tuple of Side
        One for each axis of the input that is a position.
    channels : tuple of int
        Axes of the values that hold channels.
    """

    sides: tuple[Side, ...]
    channels: tuple[int, ...] = ()

    def channels_last(self, values: np.ndarray) -> np.ndarray:
        """(n, ..., channels), all axes of channels in one."""
        kept = [axis for axis in range(values.ndim) if axis not in self.channels]
        shape = [values.shape[axis] for axis in kept]
        return np.transpose(values, [*kept, *self.channels]).reshape(*shape, -1)

    def laid(self, maps: Any, size: Sequence[int], interpolation: str = "linear", bounded: bool = True) -> Any:
        """Maps without channels, (n, ...), over the positions of the input: (n, h, w) for an image.

        Parameters
        ----------
        maps : ndarray or tf.Tensor
            The values, without the axes that hold channels.
        size : sequence of int
            Shape of the input without the batch.
        interpolation : {"linear", "nearest", "cubic"}
            Between the centres of the values.
        bounded : bool
            Whether there are zeros outside of the region that the values tell of; else edges are repeated.
        """
        axes = [axis for axis in range(1, len(self.channels) + len(maps.shape)) if axis not in self.channels]
        letter = dict(zip(axes, string.ascii_lowercase, strict=False))
        terms, operands, ends = [], [], []
        for side, large in zip(self.sides, string.ascii_uppercase, strict=False):
            pixels = size[side.axis - 1]
            side = side if bounded else side._replace(low=-np.inf, high=np.inf)
            count = 1 if side.along is None else maps.shape[1 + axes.index(side.along)]
            matrix = side.matrix(count, pixels, interpolation)
            if side.along is not None and count == pixels and (matrix == np.eye(pixels)).all():
                ends.append(letter[side.along])
                continue
            terms.append(large + letter[side.along] if side.along is not None else large)
            operands.append(matrix if side.along is not None else matrix[:, 0])
            ends.append(large)
        equation = ",".join(["Z" + "".join(letter.values()), *terms]) + "->Z" + "".join(ends)
        if tf.is_tensor(maps):
            return tf.einsum(equation, maps, *(tf.constant(one, maps.dtype) for one in operands))
        return np.einsum(equation, maps, *(one.astype(maps.dtype) for one in operands), optimize=True)

    def with_channels(self, axis: int) -> Place:
        """Of values that hold channels too, along an axis."""
        moved = [side._replace(along=side.along + (side.along >= axis)) if side.along else side for side in self.sides]
        return Place(tuple(moved), (axis,))

    def inside(self, size: Sequence[int]) -> np.ndarray:
        """1 in the region that the values tell of, 0 outside: (h, w) for an image."""
        found = np.ones(())
        for side in self.sides:
            found = found[..., None] * side.inside(size[side.axis - 1])
        return found.astype(np.float32)

    def to_corners(self, maps: tf.Tensor) -> Place:
        """With the outer values at the ends of the region."""
        sides = [side if side.along is None else side.to_corners(maps.shape[side.along]) for side in self.sides]
        return replace(self, sides=tuple(sides))


def stretched(values: Sequence[int], size: Sequence[int]) -> Place:
    """A map of some shape over all of the positions of an input, which are the first axes of its shape."""
    pairs = enumerate(zip(values, size, strict=True), 1)
    return Place(tuple(Side(n, n, (new / old - 1) / 2, new / old, 0, new - 1) for n, (old, new) in pairs))


def of_grid(grid: Grid, shape: Sequence[int], axes: Sequence[int]) -> Place:
    """Where values of tokens lie, laid out as a grid, in an input of that shape, of which these axes are positions."""
    sides = []
    for along, (axis, first, step) in enumerate(zip(axes, grid.first, grid.step, strict=True), 1):
        last = shape[axis] - 1
        if grid.tokens.shape[along - 1] == 1:
            sides.append(Side(axis, None, first, 1, 0, last))
            continue
        end = first + step * (grid.tokens.shape[along - 1] - 1)
        half = (step - 1) / 2
        sides.append(Side(axis, along, first, step, max(0, first - half), min(last, end + half)))
    return Place(tuple(sides))


def of_layers(view: ModelView, layers: Sequence[str], inputs: Any) -> dict[str, dict[str, Place]]:
    """Where the maps of layers lie, without channels: for each layer, by the names of inputs.

    Parameters
    ----------
    view : ModelView
        The model.
    layers : sequence of str
        Names of layers, as the view's `find` gives them.
    inputs : tf.Tensor or dict
        A batch, or tensors of its shape.
    """
    specs = view.one_row(inputs)
    key = (tuple(layers), tuple(tf.nest.flatten(specs)))
    known = _KNOWN.setdefault(view, {})
    if key not in known:
        with tf.init_scope():
            found = layers_in_inputs(view, layers, specs)
        shapes = {name: x.shape for name, x in by_name(specs).items()}
        known[key] = {
            layer: {name: _place(laid, shapes[name]) for name, laid in by.items()} for layer, by in found.items()
        }
    return known[key]


def token_grids(view: ModelView, layers: Sequence[str], inputs: Any) -> dict[str, dict[str, Grid]]:
    """Where the tokens of layers lie in images like these: for each layer, by the names of inputs, if that is known."""
    specs = view.one_row(inputs)
    key = ("tokens", *layers, *tf.nest.flatten(specs))
    known = _KNOWN.setdefault(view, {})
    if key not in known:
        with tf.init_scope():
            known[key] = grids_of(view, layers, specs)
    return known[key]


_KNOWN: WeakKeyDictionary[ModelView, dict] = WeakKeyDictionary()


def of_values(run: Run, layer: str | None, values: Any) -> dict[str, Place] | None:
    """Where values lie, by the names of inputs; none if it is known that they have no places, None if nothing is known.

    Parameters
    ----------
    run : Run
        What they are the values of.
    layer : str or None
        The layer whose output has them; None: inputs.
    values : tf.Tensor or dict
        Values, or for several inputs a dict of them.
    """
    if layer is not None:
        places = of_layers(run.view, [layer], run.taken)[layer]
        if values.shape.rank < run.read[layer].shape.rank:
            return places
        channel = channel_axis(run.read[layer])
        return {name: place.with_channels(channel) for name, place in places.items()}
    inputs = by_name(run.inputs)
    if not isinstance(values, dict):
        values = dict.fromkeys([run.chosen] if run.chosen else inputs, values)
    found = {name: _own(inputs[name], run.positions(inputs[name]), one) for name, one in values.items()}
    return {name: place for name, place in found.items() if place} or None


def _own(x: tf.Tensor, positions: Sequence[int], values: tf.Tensor) -> Place | None:
    """Values for each value, or for each position, of an input."""
    if values.shape.rank == x.shape.rank and values.shape[1:] == x.shape[1:]:
        along, channels = positions, tuple(axis for axis in range(1, x.shape.rank) if axis not in positions)
    elif list(values.shape[1:]) == [x.shape[axis] for axis in positions]:
        along, channels = range(1, values.shape.rank), ()
    else:
        return None
    sides = [Side(axis, n, 0, 1, 0, x.shape[axis] - 1) for axis, n in zip(positions, along, strict=True)]
    return Place(tuple(sides), channels)


def _place(laid: Placement, shape: Sequence[int]) -> Place:
    """A unit lies where the middle of what it sees is; units that divide the input, but for half a step, divide it.

    "same" padding adds more behind than before wherever an even size is halved, so that after five halvings the middle
    of what a unit sees has moved by half a unit. Networks that are trained on mirrored pictures too do not move with
    it: what the middle unit of MobileNetV2 responds to lies around pixel 115 of 224, not at 127.
    """
    sides = []
    for axis, one in zip(laid.positions, laid.stretches, strict=True):
        along = None if one.span.fixed else one.span.axis
        centre, step = float(one.span.low + one.span.high) / 2, float(one.span.step)
        even = (step - 1) / 2
        if abs(step * one.span.units - shape[axis]) < 1e-6 and abs(centre - even) <= step / 2:
            centre = even
        sides.append(Side(axis, along, centre, step, float(one.low), float(one.high)))
    return Place(tuple(sides))


def unit(maps: tf.Tensor) -> tf.Tensor:
    """Each map scaled to [0, 1]; constant maps give zeros."""
    axes = list(range(1, maps.shape.rank))
    low, high = tf.reduce_min(maps, axes, keepdims=True), tf.reduce_max(maps, axes, keepdims=True)
    return tf.math.divide_no_nan(maps - low, high - low)


def outer(sides: Sequence[tf.Tensor]) -> tf.Tensor:
    """(k, h), (k, w) to (k, h, w), and likewise for any number of axes."""
    product = sides[0]
    for side in sides[1:]:
        product = product[..., None] * tf.reshape(
            side, [tf.shape(side)[0], *[1] * (product.shape.rank - 1), side.shape[1]]
        )
    return product


def enlarge(maps: Any, size: Sequence[int], interpolation: str = "linear") -> Any:
    """(n, h, w) maps, or with more or fewer axes, stretched to another size."""
    return stretched(maps.shape[1:], size).laid(maps, size, interpolation)


def _between(places: np.ndarray, values: int, interpolation: str) -> np.ndarray:
    """(places, values) weights of values at 0, 1, 2, ... for what lies between them; edges repeated."""
    weights = np.zeros((len(places), values))
    if interpolation == "nearest":
        places = np.floor(places + 0.5)
    kernel, reach = (_cubic, 2) if interpolation == "cubic" else (_linear, 1)
    for tap in range(1 - reach, 1 + reach):
        at = np.floor(places) + tap
        weights[np.arange(len(places)), np.clip(at, 0, values - 1).astype(int)] += kernel(np.abs(places - at))
    return weights


def _linear(t: np.ndarray) -> np.ndarray:
    return np.maximum(1 - t, 0)


def _cubic(t: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Keys's kernel, for distances below 2, with the slope that OpenCV takes."""
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    return np.where(t < 1, near, a * (((t - 5) * t + 8) * t - 4))
