"""What is being explained: a class, a channel or neuron of a layer, or any function of the outputs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

PREDICTED = -1  # class id that stands for "the predicted one" inside graphs
SCOPE = "target_function"  # where its operations are, so that errors can be told from those of the model


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


class Rows:
    """A function of the outputs that needs data of its own for each input, given as a target.

    Parameters
    ----------
    function : callable
        From the model's outputs, and for each array its rows that belong to these inputs, to (n,) scores. It must
        treat every row alike, for the inputs come in batches, and methods perturb each of them many times.
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


@dataclass(frozen=True)
class Goal:
    """A target inside a graph: class ids, or something that scores the model itself.

    Attributes
    ----------
    ids : tf.Tensor
        (n,) class ids, `PREDICTED` where the model decides; not used if ``what`` is given.
    what : Neuron, Channel, callable or None
        What is explained instead of a class.
    rows : tuple of tf.Tensor
        What a function is given besides the outputs.
    of_classes : bool
        Whether numbers are known to mean classes, also where one output unit may be a class or a quantity.
    """

    ids: tf.Tensor
    what: Neuron | Channel | Callable | None = None
    rows: tuple[tf.Tensor, ...] = ()
    of_classes: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.what.layer,) if isinstance(self.what, Neuron | Channel) else ()

    def repeat(self, times: tf.Tensor) -> Goal:
        """The same goal for ``times`` copies of the batch, one behind the other."""
        ids, *rows = (tf.tile(x, [times] + [1] * (x.shape.rank - 1)) for x in (self.ids, *self.rows))
        return replace(self, ids=ids, rows=tuple(rows))

    def once(self, repeats: int) -> Goal:
        """The same goal for every ``repeats``-th row."""
        return replace(self, ids=self.ids[::repeats], rows=tuple(x[::repeats] for x in self.rows))

    def score(self, scores: tf.Tensor, read: Mapping[str, tf.Tensor], doubled: bool = False) -> tuple[tf.Tensor, Goal]:
        """(n,) float32 score of each input, and the goal with its classes decided.

        ``doubled``: one output unit was made two classes, of which 1 is the unit itself.
        """
        if isinstance(self.what, Neuron | Channel):
            return tf.cast(self.what.score(read[self.what.layer]), tf.float32), self
        scores = tf.cast(scores, tf.float32)
        if scores.shape.rank is None:
            scores = tf.ensure_shape(scores, [None, None])
        if self.what is not None:
            return self._of_function(scores), self
        if scores.shape.rank != 2:
            raise ValueError(
                f"Classes need outputs of shape (n, classes), the model's are {scores.shape}. "
                "Give a function of the outputs as target."
            )
        predicted = tf.argmax(scores, 1, tf.int32)
        if doubled and not self.of_classes:
            predicted = tf.ones_like(predicted)
        ids = tf.where(self.ids == PREDICTED, predicted, self.ids)
        return tf.gather(scores, ids, axis=1, batch_dims=1), replace(self, ids=ids)

    def _of_function(self, outputs: tf.Tensor) -> tf.Tensor:
        try:
            with tf.name_scope(SCOPE):
                score = tf.cast(self.what(outputs, *self.rows), tf.float32)  # type: ignore[misc, operator]
        except (ValueError, TypeError, IndexError, tf.errors.OpError) as error:
            raise _failed(self.what, error) from error
        if score.shape.rank != 1:
            raise ValueError(f"A target function must return one score an input, (n,), got shape {score.shape}.")
        return score


@contextlib.contextmanager
def errors_explained(what: Any) -> Iterator[None]:
    """Where a graph runs that holds a target function: an error of TensorFlow in it is told in a sentence."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if callable(what) and SCOPE in str(error):
            raise _failed(what, error) from None
        raise


def _failed(what: Any, error: Exception) -> ValueError:
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [
        line for line in lines if line and not line.startswith(("[[", "File ", "Arguments received", "Graph exec"))
    ]
    reason = (lines or [type(error).__name__])[-1 if isinstance(error, tf.errors.OpError) else 0].partition(" [Op:")[0]
    return ValueError(
        f"The target function {name(what)!r} failed: {reason.rstrip('.')}. It must treat every row alike, however many "
        "there are: inputs come in batches, and in perturbed copies. Give data of each row by "
        "tfxai.targets.Rows(function, data)."
    )


def name(what: Any) -> str:
    """What an explanation calls its target, if that is no class."""
    if isinstance(what, Rows):
        return name(what.function)
    return str(what) if not callable(what) else getattr(what, "__name__", type(what).__name__)


def meaning(what: Any, known: bool, doubled: bool, of_classes: bool, ids: np.ndarray) -> str:
    """What the target of an explanation is: said in its facts.

    Parameters
    ----------
    what : Any
        As for `Goal`.
    known : bool
        Whether outputs are known to be classes, by a softmax or by their names.
    doubled, of_classes : bool
        As for `Goal`.
    ids : ndarray
        All that are asked for.

    Raises
    ------
    ValueError
        If it cannot be told whether 0 is a class or an output.
    """
    if what is not None:
        return "activation" if isinstance(what, Neuron | Channel) else "function"
    if not doubled or of_classes:
        return "class" if known else "output"
    if not ids.any():
        raise ValueError(
            "The model has one output unit, so target=0 may mean class 0 of two, for which the opposite of the output "
            "speaks, or the output itself. For two classes, give the explainer their names, such as "
            'classes=("no", "yes"); for the output itself, give target=1, or no target.'
        )
    return "class" if (ids == 0).any() else "only output"


def parse(target: Any, classes: Sequence[str] | None = None) -> tuple[Any, Callable | Neuron | Channel | Rows | None]:
    """Split a user's target into class ids (an int, an (n,) or (n, k) array, or `PREDICTED`) and anything else.

    Raises
    ------
    TypeError, ValueError
        If it is none of what `Explainer.explain` accepts.
    """
    if target is None:
        return PREDICTED, None
    if isinstance(target, Neuron | Channel | Rows) or callable(target):
        return PREDICTED, target
    if isinstance(target, str):
        return class_id(target, classes), None
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
            "Expected one class an input, (n,), or several different ones, (n, k), got shape "
            f"{ids.shape}.{_advice(ids)}"
        )
    if ids.size and ids.min() < 0:
        raise ValueError(f"Classes count from 0, got target {ids.min()}.")
    return ids, None


def check_one_hot(ids: Any, classes: int | None) -> None:
    """ValueError for rows of two numbers, if there are two classes: they are as well one-hot labels."""
    if np.ndim(ids) == 2 and ids.shape[1] == classes == 2:
        raise ValueError(
            "Expected one class an input, (n,), got rows of two numbers for a model of two classes, which may be "
            "one-hot labels. Give labels.argmax(axis=1); for an explanation of both classes, ask for one after the "
            "other: target=0 and target=1."
        )


def check_rows(what: Any, returned: int | None, rows: int) -> None:
    """ValueError if a target function returns always as many scores, and there are more rows."""
    if callable(what) and returned is not None and rows > returned:
        raise ValueError(
            f"The target function {name(what)!r} returns {returned} scores, however many rows it is given, and there "
            "are more. It must treat every row alike. Give data of each row by tfxai.targets.Rows(function, data)."
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
    raise ValueError(f"{'No class is' if not found else 'Several classes are'} called {name!r}. Similar: {similar}.")
