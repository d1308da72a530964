"""What is being explained: a class, a channel or neuron of a layer, or any function of the outputs."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.output_target import Kind, OutputTarget
from tfxai.output_targets import Box, Class, Continuation, Output, Pixel, Region, Token

__all__ = [
    "PREDICTED",
    "Box",
    "Channel",
    "Class",
    "Continuation",
    "Neuron",
    "Output",
    "Pixel",
    "Region",
    "Request",
    "Rows",
    "Token",
    "check_one_hot",
    "class_id",
    "parse",
]
PREDICTED = -1  # class id that stands for "the predicted one" inside graphs


@dataclass(frozen=True)
class Neuron:
    """One unit of a layer, given as a target.

    Parameters
    ----------
    layer : str
        Name of the layer.
    index : tuple of int
        Position in the layer's output without the batch axis: ``(row, column, channel)`` or ``(unit,)``.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.targets.Neuron("block4_relu", (7, 7, 3))
    Neuron(layer='block4_relu', index=(7, 7, 3))
    """

    layer: str
    index: tuple[int, ...]

    def score(self, activation: tf.Tensor) -> tf.Tensor:
        shape = activation.shape[1:]
        inside = len(self.index) == len(shape) and all(
            size is None or 0 <= i < size for i, size in zip(self.index, shape, strict=False)
        )
        if not inside:
            raise ValueError(f"The layer {self.layer!r} has outputs of shape {tuple(shape)}, so no unit {self.index}.")
        return activation[(slice(None), *self.index)]

    def __str__(self) -> str:
        return f"neuron {self.index} of {self.layer}"


@dataclass(frozen=True)
class Channel:
    """One channel of a layer, given as a target.

    Parameters
    ----------
    layer : str
        Name of the layer.
    channel : int
        Which channel.
    reduction : {"energy", "sum", "mean", "max"}
        How the map becomes one number. ``"energy"`` is half the sum of its squares, whose gradient is the map itself:
        the whole map is sent back, as Zeiler and Fergus (2013) do. ``"max"`` sends back its strongest position only.

    Examples
    --------
    >>> import tfxai
    >>> print(tfxai.targets.Channel("block4_relu", 3))
    channel 3 of block4_relu
    """

    layer: str
    channel: int
    reduction: str = "energy"

    def __post_init__(self) -> None:
        if self.reduction not in ("energy", "sum", "mean", "max"):
            raise ValueError(f"Expected reduction to be energy, sum, mean or max, got {self.reduction!r}.")

    def score(self, activation: tf.Tensor) -> tf.Tensor:
        count = activation.shape[-1]
        if not 0 <= self.channel < count:
            raise ValueError(f"The layer {self.layer!r} has channels 0 to {count - 1}, so no channel {self.channel}.")
        maps = tf.reshape(activation[..., self.channel], [tf.shape(activation)[0], -1])
        if self.reduction == "energy":
            return tf.reduce_sum(tf.square(maps), 1) / 2
        return {"sum": tf.reduce_sum, "mean": tf.reduce_mean, "max": tf.reduce_max}[self.reduction](maps, 1)

    def __str__(self) -> str:
        return f"channel {self.channel} of {self.layer}"


class Rows:
    """A function of the outputs that needs data of its own for each input, given as a target.

    Parameters
    ----------
    function : callable
        From the model's outputs, and for each array its rows that belong to these inputs, to (n,) scores. It must
        treat every row alike, since the inputs come in batches, and methods perturb each of them many times.
    *arrays : array
        (inputs, ...), with a row for each input: labels, what an output should have been, weights.

    Examples
    --------
    >>> import numpy as np, tensorflow as tf, tfxai
    >>> def cross_entropy(p, labels):
    ...     return -tf.math.log(tf.gather(p, labels, batch_dims=1))
    >>> len(tfxai.targets.Rows(cross_entropy, np.array([2, 0, 1])))
    3
    """

    def __init__(self, function: Callable, *arrays: Any):
        if not callable(function):
            raise TypeError(f"Expected a function of the outputs and of rows of the arrays, got {function!r}.")
        self.function = function
        self.arrays = tuple(np.asarray(array) for array in arrays)
        if not arrays or any(array.ndim == 0 or len(array) != len(self.arrays[0]) for array in self.arrays):
            shapes = [array.shape for array in self.arrays]
            raise ValueError(f"Expected one or more arrays with a row for each input, got shapes {shapes}.")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, rows: slice) -> Rows:
        return Rows(self.function, *(array[rows] for array in self.arrays))


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked of inputs, before it is known how many there are.

    Attributes
    ----------
    ids : ndarray
        Class ids, (), (n,) or (n, k); `PREDICTED` if ``what`` is asked or the model decides.
    what : Neuron, Channel, callable, Rows or None
        What is explained instead of a class.
    """

    ids: np.ndarray
    what: Neuron | Channel | Callable | Rows | OutputTarget | None = None

    @property
    def repeats(self) -> int:
        """How many classes are asked of each input."""
        return self.ids.shape[1] if self.ids.ndim == 2 else 1

    @property
    def count(self) -> int | None:
        """For how many inputs it has data; None if it is the same for any."""
        if isinstance(self.what, OutputTarget):
            return self.what.count
        return len(self.what) if isinstance(self.what, Rows) else len(self.ids) if self.ids.ndim else None

    @property
    def kind(self) -> Neuron | Channel | Kind | Callable | None:
        """What is explained instead of a class, without data of single rows: what a graph depends on."""
        if isinstance(self.what, OutputTarget):
            return self.what.kind
        return self.what.function if isinstance(self.what, Rows) else self.what

    def rows(self, start: int, end: int) -> list[np.ndarray]:
        """Of the inputs from ``start`` to ``end``: int32 ids, one after the other, and data of a target function."""
        ids = self.ids[start:end].reshape(-1) if self.ids.ndim else np.full(end - start, self.ids)
        if isinstance(self.what, OutputTarget):
            return [ids.astype(np.int32), *self.what.rows(start, end)]
        return [ids.astype(np.int32), *(self.what[start:end].arrays if isinstance(self.what, Rows) else ())]


def parse(target: Any, classes: Sequence[str] | None = None) -> Request:
    """Split a user's target into class ids and anything else.

    Raises
    ------
    TypeError, ValueError
        If it is none of what `Explainer.explain` accepts.
    """
    if target is None:
        return Request(np.array(PREDICTED))
    if isinstance(target, Neuron | Channel | Rows | OutputTarget) or callable(target):
        return Request(np.array(PREDICTED), target)
    if isinstance(target, str):
        return Request(np.array(class_id(target, classes)))
    if isinstance(target, list | tuple) and any(isinstance(one, str) for one in target):
        target = [class_id(one, classes) if isinstance(one, str) else one for one in target]
    ids = np.asarray(target)
    if ids.dtype.kind not in "iu":
        raise TypeError(
            "Expected target to be None, class ids or a function of the outputs, got "
            f"{_summary(target, ids)}.{_advice(ids)}"
        )
    several = ids.ndim == 2 and ids.shape[1] > 0 and all(len(set(row)) == len(row) for row in ids.tolist())
    if ids.ndim > 1 and not several:
        raise ValueError(
            "Expected one class per input, (n,), or several different ones, (n, k), got shape "
            f"{ids.shape}.{_advice(ids)}"
        )
    if ids.size and ids.min() < 0:
        raise ValueError(f"Classes count from 0, got target {ids.min()}.")
    return Request(ids)


def check_one_hot(ids: np.ndarray, classes: int | None) -> None:
    """ValueError for rows of two numbers, if there are two classes: they may just as well be one-hot labels."""
    if ids.ndim == 2 and ids.shape[1] == classes == 2:
        raise ValueError(
            "Expected one class per input, (n,), got rows of two numbers for a model of two classes, which may be "
            "one-hot labels. Give labels.argmax(axis=1); for an explanation of both classes, ask for one after the "
            "other: target=0 and target=1."
        )


def _summary(target: Any, array: np.ndarray) -> str:
    return f"an array of {array.dtype} of shape {array.shape}" if array.ndim else f"{target!r}"


def _advice(array: np.ndarray) -> str:
    """What to do with labels that are no class ids; nothing, unless they look like some."""
    if array.dtype.kind not in "biuf" or not array.size:
        return ""
    if array.ndim == 2 and array.shape[1] > 1 and np.isin(array, (0, 1)).all():
        return " For one-hot labels give labels.argmax(axis=1)."
    whole = array.dtype.kind == "b" or (np.isfinite(array).all() and (array == np.round(array)).all())
    return " For class ids of another type give labels.astype(int)." if whole and 0 < array.ndim < 3 else ""


def class_id(name: str, classes: Sequence[str] | None) -> int:
    """Number of a class given by name: exactly, or as one of the comma-separated synonyms of a class."""
    if classes is None:
        raise ValueError(
            f"The target {name!r} is a name; give the explainer the names of all classes as classes=[...]."
        )
    wanted = name.strip().lower()
    exact = [number for number, full in enumerate(classes) if full.lower() == wanted]
    synonyms = [
        number for number, full in enumerate(classes) if wanted in (part.strip() for part in full.lower().split(","))
    ]
    found = exact or synonyms
    if len(found) == 1:
        return found[0]
    similar = [full for full in classes if wanted in full.lower()][:5]
    names = {part.strip(): full for full in classes for part in full.lower().split(",")}
    close = similar or [names[one] for one in difflib.get_close_matches(wanted, names, n=5)]
    some = f"Similar: {close}" if close else f"The first of {len(classes)} are {list(classes[:5])}"
    raise ValueError(f"{'No class is' if not found else 'Several classes are'} called {name!r}. {some}.")
