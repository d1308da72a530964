"""Receptive fields: which pixels of the input the units of a layer see."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.models import graph, open_model
from tfxai.models.operations import SIZES
from tfxai.models.span_rules import passed
from tfxai.models.spans import Span, along_axis, joined, places
from tfxai.models.token_places import Grid
from tfxai.models.view import ModelView


@dataclass(frozen=True)
class ReceptiveField:
    """What the units of one layer see of an image, along its axes: (height, width).

    The boxes of neighbours lie ``stride`` pixels apart, and may reach beyond the image, into the padding. Where all
    units of a layer see the same, as those of a dense layer, there is one unit along that axis, and its box ends with
    the image.

    Attributes
    ----------
    size : tuple of int
        Size of the box that one unit sees.
    stride : tuple of float
        Pixels between neighbours; less than 1 where a layer is larger than the image.
    offset : tuple of float
        First pixel that the first unit sees.
    units : tuple of int
        Number of units.
    image : tuple of int
        Size of the image.
    """

    size: tuple[int, ...]
    stride: tuple[float, ...]
    offset: tuple[float, ...]
    units: tuple[int, ...]
    image: tuple[int, ...]

    @property
    def centre(self) -> tuple[float, ...]:
        """Centre of the first unit's box, where the first pixel reaches from 0 to 1."""
        return tuple(offset + size / 2 for offset, size in zip(self.offset, self.size, strict=True))

    @property
    def whole(self) -> bool:
        """Whether a box is as large as the image."""
        return all(size >= pixels for size, pixels in zip(self.size, self.image, strict=True))

    def box(self, *unit: int) -> tuple[int, ...]:
        """The pixels that one unit sees.

        Parameters
        ----------
        *unit : int
            Row and column of the unit; any, where all units see the same. None given: the first unit.

        Returns
        -------
        tuple of int
            xmin, ymin, xmax, ymax, half open, as all boxes here are; it may reach beyond the image.

        Raises
        ------
        IndexError
            If there is no such unit.
        """
        unit = unit or (0,) * len(self.size)
        if len(unit) != len(self.size) or any(not 0 <= u < n for u, n in zip(unit, self.units, strict=False) if n > 1):
            raise IndexError(f"Expected a unit of a layer with {self.units} units, got {unit}.")
        starts = [math.ceil(o + u * s - 1e-6) for u, o, s in zip(unit, self.offset, self.stride, strict=True)]
        stops = [start + size for start, size in zip(starts, self.size, strict=True)]
        return (*starts[::-1], *stops[::-1])


@dataclass(frozen=True)
class TokenField(ReceptiveField):
    """The parts of an image that tokens stand for; units are numbers of tokens.

    Attributes
    ----------
    tokens : tuple of tuple of int
        Which token stands at each place, row by row.
    """

    tokens: tuple[tuple[int, ...], ...] = ()

    @classmethod
    def of_grid(cls, grid: Grid, image: Sequence[int]) -> TokenField:
        """That of tokens which lie so in an image."""
        step = [pixels if size == np.inf else size for size, pixels in zip(grid.step, image, strict=True)]
        offset = tuple(first - (size - 1) / 2 for first, size in zip(grid.first, step, strict=True))
        size = tuple(max(1, round(one)) for one in step)
        return cls(size, tuple(step), offset, grid.tokens.shape, tuple(image), tuple(map(tuple, grid.tokens.tolist())))

    def box(self, *unit: int) -> tuple[int, ...]:
        """The pixels that one token stands for; all, if it stands for none, as a class token."""
        places = [
            (row, row_of.index(unit[0])) for row, row_of in enumerate(self.tokens) if unit[:1] and unit[0] in row_of
        ]
        if not unit or places:
            return super().box(*(places[0] if places else ()))
        return (0, 0, *self.image[::-1])


def receptive_field(model: Any, layer: Any = None, size: Sequence[int] | None = None) -> ReceptiveField:
    """Which pixels the units of a layer see.

    The operations of the model are followed from the image to the layer: convolutions of all kinds, pooling, padding,
    enlarging, moving, sums and concatenations of branches, however they are written. A box holds at least what a unit
    sees, and no more than that in networks of convolutions, pooling and branches, but for units near the border, where
    padding comes in. What weighs or mixes all positions, such as a dense layer, attention, a gate that averages the
    image, or an operation that is not known, sees the whole image. Mirrored padding counts as padding.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function or path
        A model with one input that has positions: images with channels last, series or volumes.
    layer : str or layer, optional
        Which layer; default: the last with maps.
    size : (int, int), optional
        Height and width of the image, for models that take any: "same" padding of strided layers depends on it.

    Returns
    -------
    ReceptiveField

    Raises
    ------
    ValueError
        If the layer does not exist or does not depend on the image; if the model has no image or several, cannot be
        looked into, or takes any size and none is given, or not the size that is given.

    Examples
    --------
    >>> import tfxai
    >>> model = tfxai.datasets.flowers.load_model()
    >>> field = tfxai.receptive_field(model, "block2_relu", size=(112, 112))
    >>> field.size, field.stride, field.box(0, 10)
    ((8, 8), (2.0, 2.0), (17, -3, 25, 5))
    """
    view = open_model(model)
    specs = _sized(view, size)
    name = view.last_spatial(specs) if layer is None else view.find(layer)
    return receptive_fields(view, [name], specs)[name]


def receptive_fields(view: ModelView, layers: Sequence[str], specs: Any) -> dict[str, ReceptiveField]:
    """Receptive fields of several layers, for inputs of given shapes, by the layers' names.

    Parameters
    ----------
    view : ModelView
        The model.
    layers : sequence of str
        Names of layers, as the view's `find` gives them.
    specs : tf.TensorSpec or dict of them
        Shapes of the inputs, all known.
    """
    found: dict[str, ReceptiveField] = {}

    def look(inputs: dict[str, tf.Tensor], ends: dict[str, tf.Tensor], _: tf.Tensor) -> None:
        image = next(x for x in inputs.values() if x.shape.rank >= 3)
        axes = range(1, image.shape.rank - 1)
        spans = follow(image, [entire(image, axis) for axis in axes], ends.values(), passed, _seen)
        for name, end in ends.items():
            if end.name not in spans:
                raise ValueError(f"The layer {name!r} does not depend on the image.")
            found[name] = _field(spans[end.name], end, tuple(image.shape[1:-1]))

    in_flat_graph(view, layers, specs, look)
    return found


def in_flat_graph(view: ModelView, layers: Sequence[str], specs: Any, look: Callable[..., None]) -> None:
    """Call ``look`` in a flat graph, with the inputs and the outputs of layers by name, and the model's output."""
    recording, forward = view.recorded(specs, layers)
    fetches = [recording.flat_name(tensor) for tensor in (forward.outputs, *(forward.read[name] for name in layers))]
    names = sorted(specs) if isinstance(specs, dict) else ["input"]  # the order in which TensorFlow flattens them

    @tf.function(autograph=False)
    def trace(*inputs: tf.Tensor) -> None:
        output, *ends = recording.flat.paste(inputs, fetches)
        look(dict(zip(names, inputs, strict=True)), dict(zip(layers, ends, strict=True)), output)

    trace.get_concrete_function(*tf.nest.flatten(specs))


def follow(
    x: tf.Tensor,
    start: list,
    ends: Iterable[tf.Tensor],
    passed: Callable[..., Any],
    joined: Callable[..., Any],
    enough: Callable[..., bool] = lambda op, sources: False,
    side_by_side: Callable[[list], list] = lambda known: known,
) -> dict[str, list]:
    """What is known of each tensor between an input and some ends, for each axis of the input, by the tensor's name.

    Parameters
    ----------
    x : tf.Tensor
        The input.
    start : list
        What is known of it, such as a `Span` for each of its axes.
    ends : iterable of tf.Tensor
        What is looked for.
    passed : callable
        From an operation, the number of one of its inputs, an output, and what is known of that input along an axis,
        to what is known of the output.
    joined : callable
        From an operation, an output, and what it has from each of the inputs, to one.
    enough : callable
        Whether to stop at an operation, of whose inputs these are known: pairs of a number and what is known.
    side_by_side : callable
        From what is known along each axis to what is then known.
    """
    found, needed = {x.name: start}, graph.ancestors(list(ends))
    for op in x.graph.get_operations():
        sources = [(number, found[x.name]) for number, x in enumerate(op.inputs) if x.name in found]
        if op.name not in needed or op.type in SIZES or not sources:
            continue
        if enough(op, sources):
            break
        for place, output in enumerate(op.outputs):
            seen = [pair for pair in sources if op.type != "IdentityN" or pair[0] == place]
            if seen:
                by_axis = [[passed(op, number, output, known[n]) for number, known in seen] for n in range(len(start))]
                found[output.name] = side_by_side([joined(op, output, pieces) for pieces in by_axis])
    return found


def entire(x: tf.Tensor, axis: int) -> Span:
    """The span of an input along one of its axes."""
    return Span(Fraction(0), Fraction(0), Fraction(1), axis, places(x, axis))


def _seen(op: tf.Operation, output: tf.Tensor, spans: Sequence[Span]) -> Span:
    return joined(spans)


def _field(spans: Sequence[Span], layer: tf.Tensor, image: tuple[int, ...]) -> ReceptiveField:
    ends = []
    for span, pixels in zip((along_axis(span, layer) for span in spans), image, strict=True):
        if span.fixed:
            span = span._replace(low=max(span.low, 0), high=min(span.high, pixels - 1))
        ends.append(span)
    return ReceptiveField(
        tuple(math.floor(span.high - span.low) + 1 for span in ends),
        tuple(float(span.step) for span in ends),
        tuple(float(span.low) for span in ends),
        tuple(int(span.units) for span in ends),
        image,
    )


def _sized(view: ModelView, size: Sequence[int] | None) -> Any:
    """Shapes of the inputs of a model, with one row and an image of that size."""
    if view.inputs is None:
        view.layers()  # tells why they are not known
    known = view.inputs or {}
    specs = {name: tf.TensorSpec([spec.shape[0] or 1, *spec.shape[1:]], spec.dtype) for name, spec in known.items()}
    images = [name for name, spec in specs.items() if spec.shape.rank >= 3]
    if len(images) != 1:
        shapes = [tuple(spec.shape) for spec in known.values()]
        raise ValueError(f"Expected a model with one input that has positions, such as an image, got inputs {shapes}.")
    (name,) = images
    own = tuple(specs[name].shape[1:-1])
    wanted = own if size is None else tuple(size)
    if None in wanted:
        raise ValueError(f"The model takes images of any size, {own}; give the size=.")
    if len(wanted) != len(own) or any(n not in (None, m) for n, m in zip(own, wanted, strict=True)):
        raise ValueError(f"The model takes images of size {own}, got size={wanted}.")
    specs[name] = tf.TensorSpec([specs[name].shape[0], *wanted, specs[name].shape[-1]], specs[name].dtype)
    return specs if len(specs) > 1 else specs[name]
