"""What an image is to excite: a class, a neuron, a channel, a layer, a direction, or any function of these."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import tensorflow as tf

from tfxai.choices import Scale
from tfxai.models.head import one_each, scores
from tfxai.synthesis.objective import Numbers, Objective, Seen, Shapes, unchecked
from tfxai.types import Array, Layer

Reduction: TypeAlias = Literal["mean", "sum", "max", "energy"]
# An objective, classes by their numbers, or a function of the outputs.
Sought: TypeAlias = Objective | int | Sequence[int] | Array | Callable[[tf.Tensor], tf.Tensor]

SCALES = get_args(Scale)
LEAST_COSINE = 0.1  # of a direction, so that what points elsewhere is still turned (lucid)

REDUCTIONS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    "mean": lambda rows: tf.reduce_mean(rows, 1),
    "sum": lambda rows: tf.reduce_sum(rows, 1),
    "max": lambda rows: tf.reduce_max(rows, 1),
    "energy": lambda rows: tf.reduce_sum(tf.square(rows), 1) / 2,
}


def class_score(target: int | Sequence[int] | Array, *, on: Scale = "logit") -> Objective:
    """The score of a class.

    Parameters
    ----------
    target : int or sequence of int
        The class; or one for each image.
    on : {"logit", "log_probability", "probability"}
        Which score. Default: the logit, as in Simonyan et al. (2014): a probability also rises where other classes
        fall. A final softmax or sigmoid is stepped over for it; a model that ends in logits is taken to mean a softmax.
        One sigmoid unit is two classes, of which 0 is the opposite of the unit.

    Returns
    -------
    Objective

    Raises
    ------
    ValueError
        For an unknown score, or a class below 0.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.objectives.class_score(3) - 0.5 * tfxai.objectives.class_score(5)
    class 3 - 0.5 * class 5
    """
    if on not in SCALES:
        raise ValueError(f"Expected on to be one of {SCALES}, got {on!r}.")
    ids = _whole(target, "class")

    def check(shapes: Shapes, name: Callable[[Any], str]) -> None:
        if None not in shapes:
            raise ValueError("The model has no outputs of shape (n, classes), so there are no classes to score.")
        _within("class", ids, shapes[None][-1], "the model")

    return Objective(
        ("class", on),
        (ids,),
        (),
        lambda seen, numbers: one_each(seen.classes(on), numbers[0]),
        check,
        lambda row: f"class {ids[row % len(ids)]}",
        lambda seen, numbers: one_each(seen.classes("probability"), numbers[0]),
    )


def channel(layer: Layer, channel: int | Sequence[int] | Array, *, reduction: Reduction = "mean") -> Objective:
    """One channel of a layer.

    Parameters
    ----------
    layer : str or keras layer
        Which layer.
    channel : int or sequence of int
        Which channel; or one for each image.
    reduction : {"mean", "sum", "max", "energy"}
        How its map becomes one number; "energy" is half the sum of squares.

    Returns
    -------
    Objective

    Raises
    ------
    ValueError
        For an unknown reduction, or a channel below 0.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.objectives.channel("block4_relu", [3, 8])
    channel 3 of block4_relu, channel 8 of block4_relu
    """
    reduced, ids = _reduction(reduction), _whole(channel, "channel")

    def compute(seen: Seen, numbers: Numbers) -> tf.Tensor:
        maps = _positions(seen.activation(layer))
        return reduced(tf.gather(maps, numbers[0], axis=2, batch_dims=1))

    return Objective(
        ("channel", _key(layer), reduction),
        (ids,),
        (layer,),
        compute,
        lambda shapes, name: _within("channel", ids, shapes[name(layer)][-1], f"the layer {name(layer)!r}"),
        lambda row: f"channel {ids[row % len(ids)]} of {_called(layer)}",
    )


def neuron(layer: Layer, index: int | Sequence[int]) -> Objective:
    """One unit of a layer.

    Parameters
    ----------
    layer : str or keras layer
        Which layer.
    index : int or tuple of int
        Place in the layer's output without the batch axis, such as (row, column, channel); with one number, the
        channel, in the middle of the map.

    Returns
    -------
    Objective

    Raises
    ------
    ValueError
        If an index is not a whole number from 0 on.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.objectives.neuron("block4_relu", (3, 3, 8))
    neuron (3, 3, 8) of block4_relu
    """
    place = _whole(index, "index")[None]
    central = place.size == 1
    shown = int(place[0, 0]) if central else tuple(place[0].tolist())

    def check(shapes: Shapes, name: Callable[[Any], str]) -> None:
        shape = shapes[name(layer)][1:]
        sizes = shape[-1:] if central else shape
        if len(sizes) != place.size or any(
            size is not None and at >= size for at, size in zip(place[0], sizes, strict=True)
        ):
            raise ValueError(f"The layer {name(layer)!r} has outputs of shape {shape}, so no unit {shown}.")

    def compute(seen: Seen, numbers: Numbers) -> tf.Tensor:
        found, places = seen.activation(layer), numbers[0]
        if central:
            middle = tf.shape(found)[1:-1] // 2
            spread = tf.broadcast_to(middle, [tf.shape(found)[0], found.shape.rank - 2])
            places = tf.concat([spread, places], 1)
        return tf.gather_nd(found, places, batch_dims=1)

    return Objective(
        ("neuron", _key(layer), place.size),
        (place,),
        (layer,),
        compute,
        check,
        lambda row: f"neuron {shown} of {_called(layer)}",
    )


def layer(layer: Layer, *, reduction: Reduction = "energy") -> Objective:
    """All of a layer at once: what DeepDream amplifies.

    Parameters
    ----------
    layer : str or keras layer
        Which layer.
    reduction : {"energy", "mean", "sum", "max"}
        How its values become one number. Default: half the sum of squares, as in the first DeepDream (Mordvintsev et
        al. 2015).

    Returns
    -------
    Objective

    Raises
    ------
    ValueError
        For an unknown reduction.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.objectives.layer("block4_relu")
    layer block4_relu
    """
    reduced = _reduction(reduction)

    def compute(seen: Seen, numbers: Numbers) -> tf.Tensor:
        found = seen.activation(layer)
        return reduced(tf.reshape(found, [tf.shape(found)[0], -1]))

    kind = "layer", _key(layer), reduction
    return Objective(kind, (), (layer,), compute, unchecked, lambda row: f"layer {_called(layer)}")


def direction(layer: Layer, vector: Array | Sequence[float], *, cosine: float = 0.0) -> Objective:
    """A direction in the space of a layer's channels, as the mean over positions of a . v.

    Parameters
    ----------
    layer : str or keras layer
        Which layer.
    vector : array
        (channels,) v; or (n, channels), one for each image.
    cosine : float
        With cos the cosine of a and v, the product is multiplied by max(cos, 0.1) to this power: the larger it is, the
        more the direction counts and the less the length. Default 0.

    Returns
    -------
    Objective

    Raises
    ------
    ValueError
        If there is no finite vector of one or two axes.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> tfxai.objectives.direction("block4_relu", np.ones(48))
    direction in block4_relu
    """
    vectors = np.atleast_2d(np.asarray(vector, np.float32))
    if vectors.ndim != 2 or not vectors.size or not np.isfinite(vectors).all():
        raise ValueError(f"Expected a finite vector (channels,) or (n, channels), got shape {np.shape(vector)}.")

    def check(shapes: Shapes, name: Callable[[Any], str]) -> None:
        channels = shapes[name(layer)][-1]
        if channels != vectors.shape[1]:
            raise ValueError(f"The layer {name(layer)!r} has {channels} channels, the vector {vectors.shape[1]}.")

    def compute(seen: Seen, numbers: Numbers) -> tf.Tensor:
        maps, v = _positions(seen.activation(layer)), numbers[0][:, None]
        product = tf.reduce_sum(maps * v, 2)
        if cosine:
            between = tf.reduce_sum(_of_length_1(maps) * _of_length_1(v), 2)
            product *= tf.maximum(between, LEAST_COSINE) ** cosine
        return tf.reduce_mean(product, 1)

    return Objective(
        ("direction", _key(layer), cosine),
        (vectors,),
        (layer,),
        compute,
        check,
        lambda row: f"direction in {_called(layer)}",
    )


def diversity(layer: Layer) -> Objective:
    """How little an image has in common with the others of the batch.

    Olah et al. (2017): minus the mean cosine of its Gram matrix, the products of channels summed over positions, with
    those of the other images. Alone, an image has 0.

    Parameters
    ----------
    layer : str or keras layer
        Which layer.

    Returns
    -------
    Objective

    Examples
    --------
    >>> import tfxai
    >>> tfxai.objectives.channel("block4_relu", 3) + 2 * tfxai.objectives.diversity("block3_relu")
    channel 3 of block4_relu + 2 * diversity in block3_relu
    """

    def compute(seen: Seen, numbers: Numbers) -> tf.Tensor:
        maps = _positions(seen.activation(layer))
        grams = tf.reshape(tf.matmul(maps, maps, transpose_a=True), [tf.shape(maps)[0], -1])
        units = _of_length_1(grams)
        cosines = tf.matmul(units, units, transpose_b=True)
        others = tf.cast(tf.shape(maps)[0] - 1, tf.float32)
        cosines = tf.linalg.set_diag(cosines, tf.zeros_like(cosines[0]))
        return -tf.math.divide_no_nan(tf.reduce_sum(cosines, 1), others)

    return Objective(
        ("diversity", _key(layer)), (), (layer,), compute, unchecked, lambda row: f"diversity in {_called(layer)}"
    )


def function(call: Callable[..., tf.Tensor], *layers: Layer) -> Objective:
    """Any function in TensorFlow operations.

    Parameters
    ----------
    call : callable
        From the activations of the layers, or if there are none from the model's outputs (logits where a softmax or
        sigmoid can be stepped over), to (n,) scores.
    *layers : str or keras layer
        What it is given.

    Returns
    -------
    Objective

    Raises
    ------
    TypeError
        If it cannot be called.

    Examples
    --------
    >>> import tfxai
    >>> margin = tfxai.objectives.function(lambda logits: logits[:, 3] - logits[:, 5])
    """
    if not callable(call):
        raise TypeError(f"Expected a function, got {type(call).__name__}.")

    def compute(seen: Seen, numbers: Numbers) -> tf.Tensor:
        given = [seen.activation(one) for one in layers] or [scores(seen.forward.outputs, names=1).values]
        found = tf.cast(call(*given), tf.float32)
        if found.shape.rank != 1:
            raise ValueError(f"An objective must return one score per image, (n,), got shape {found.shape}.")
        return found

    kind = "function", call, tuple(map(_key, layers))
    name = getattr(call, "__name__", type(call).__name__)
    return Objective(kind, (), layers, compute, unchecked, lambda row: name)


def as_objective(given: Sought) -> Objective:
    """An objective itself, classes by their numbers, or a function of the outputs."""
    if isinstance(given, Objective):
        return given
    if callable(given):
        return function(given)
    if np.asarray(given).dtype.kind not in "iu":
        raise TypeError(f"Expected an objective, classes or a function of the outputs, got {given!r}.")
    return class_score(given)


def _whole(given: Any, what: str) -> np.ndarray:
    ids = np.atleast_1d(np.asarray(given))
    if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu" or ids.min() < 0:
        raise ValueError(f"Expected {what} to be a whole number from 0 on, or several of them, got {given!r}.")
    return ids.astype(np.int32)


def _within(what: str, ids: np.ndarray, count: int | None, where: str) -> None:
    if count is not None and ids.max() >= count:
        raise ValueError(f"The {what} {ids.max()} is out of range: {where} has 0 to {count - 1}.")


def _reduction(name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    if name not in REDUCTIONS:
        raise ValueError(f"Expected reduction to be one of {list(REDUCTIONS)}, got {name!r}.")
    return REDUCTIONS[name]


def _positions(maps: tf.Tensor) -> tf.Tensor:
    """(n, positions, channels); a dense layer has one position."""
    return tf.reshape(maps, [tf.shape(maps)[0], -1, maps.shape[-1]])


def _of_length_1(v: tf.Tensor) -> tf.Tensor:
    """Vectors along the last axis, however short; those of length 0 stay."""
    scale = tf.stop_gradient(tf.reduce_max(tf.abs(v), -1, keepdims=True))  # so that no square is lost
    return tf.math.l2_normalize(tf.math.divide_no_nan(v, scale), -1)


def _key(layer: Any) -> Hashable:
    return layer if isinstance(layer, str) else id(layer)


def _called(layer: Any) -> str:
    return layer if isinstance(layer, str) else getattr(layer, "name", str(layer))
