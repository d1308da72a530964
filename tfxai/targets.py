"""What is being explained: a class, a channel or neuron of a layer, or any function of the outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

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
            raise ValueError(f"The layer {self.layer!r} has outputs of shape {tuple(shape)}, no unit {self.index}.")
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
            raise ValueError(f"The layer {self.layer!r} has channels 0 to {count - 1}, no channel {self.channel}.")
        maps = tf.reshape(activation[..., self.channel], [tf.shape(activation)[0], -1])
        if self.reduction == "energy":
            return tf.reduce_sum(tf.square(maps), 1) / 2
        return {"sum": tf.reduce_sum, "mean": tf.reduce_mean, "max": tf.reduce_max}[self.reduction](maps, 1)

    def __str__(self) -> str:
        return f"channel {self.channel} of {self.layer}"


@dataclass(frozen=True)
class Goal:
    """A target inside a graph: class ids, or something that scores the model itself.

    Attributes
    ----------
    ids : tf.Tensor
        (n,) class ids, `PREDICTED` where the model decides; not used if ``what`` is given.
    what : Neuron, Channel, callable or None
        What is explained instead of a class.
    """

    ids: tf.Tensor
    what: Neuron | Channel | Callable | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.what.layer,) if isinstance(self.what, Neuron | Channel) else ()

    def repeat(self, times: tf.Tensor) -> Goal:
        """The same goal for ``times`` copies of the batch, one behind the other."""
        return replace(self, ids=tf.tile(self.ids, [times]))

    def score(self, scores: tf.Tensor, read: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, Goal]:
        """(n,) float32 score of each input, and the goal with its classes decided."""
        if isinstance(self.what, Neuron | Channel):
            return tf.cast(self.what.score(read[self.what.layer]), tf.float32), self
        scores = tf.cast(scores, tf.float32)
        if scores.shape.rank is None:
            scores = tf.ensure_shape(scores, [None, None])
        if self.what is not None:
            score = tf.cast(self.what(scores), tf.float32)
            if score.shape.rank != 1:
                raise ValueError(f"A target function must return one score an input, (n,), got shape {score.shape}.")
            return score, self
        if scores.shape.rank != 2:
            raise ValueError(
                f"Classes need outputs of shape (n, classes), the model's are {scores.shape}. "
                "Give a function of the outputs as target."
            )
        ids = tf.where(self.ids == PREDICTED, tf.argmax(scores, 1, tf.int32), self.ids)
        return tf.gather(scores, ids, axis=1, batch_dims=1), replace(self, ids=ids)


def parse(target: Any, classes: Sequence[str] | None = None) -> tuple[Any, Callable | Neuron | Channel | None]:
    """Split a user's target into class ids (an int, an (n,) or (n, k) array, or `PREDICTED`) and anything else.

    Raises
    ------
    TypeError, ValueError
        If it is none of what `Explainer.explain` accepts.
    """
    if target is None:
        return PREDICTED, None
    if isinstance(target, Neuron | Channel) or callable(target):
        return PREDICTED, target
    if isinstance(target, str):
        return class_id(target, classes), None
    if isinstance(target, list | tuple) and any(isinstance(one, str) for one in target):
        target = [class_id(one, classes) if isinstance(one, str) else one for one in target]
    ids = np.asarray(target)
    if ids.dtype.kind not in "iu":
        raise TypeError(f"Expected target to be None, class ids or a function of the outputs, got {target!r}.")
    several = ids.ndim == 2 and ids.shape[1] > 0 and all(len(set(row)) == len(row) for row in ids.tolist())
    if ids.ndim > 1 and not several:
        raise ValueError(
            f"Expected one class an input, (n,), or several different ones, (n, k), got shape {ids.shape}; "
            "one-hot needs argmax."
        )
    if ids.size and ids.min() < 0:
        raise ValueError(f"Classes count from 0, got target {ids.min()}.")
    return ids, None


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
    raise ValueError(f"{'No class is' if not found else 'Several classes are'} called {name!r}. Similar: {similar}.")
