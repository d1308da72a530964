"""Goal: a target inside a graph, and what can go wrong with it there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.models.head import one_each
from tfxai.output_target import Kind, OutputTarget, advice
from tfxai.targets import PREDICTED, Channel, Neuron, Rows

SCOPE = "target_function"  # where its operations are, so that errors can be told from those of the model


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
        """The same goal for ``times`` copies of the batch, one after the other."""
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
                f"Classes need outputs of shape (n, classes), the model's are {scores.shape}. Say by target= what is "
                f"explained. {advice(scores.shape)} Or a function of the outputs."
            )
        predicted = tf.argmax(scores, 1, tf.int32)
        if doubled and not self.of_classes:
            predicted = tf.ones_like(predicted)
        ids = tf.where(self.ids == PREDICTED, predicted, self.ids)
        return one_each(scores, ids), replace(self, ids=ids)

    def _of_function(self, outputs: tf.Tensor) -> tf.Tensor:
        if isinstance(self.what, Kind):
            return self.what(outputs, *self.rows)
        try:
            with tf.name_scope(SCOPE):
                score = tf.cast(self.what(outputs, *self.rows), tf.float32)  # type: ignore[misc, operator]
        except (ValueError, TypeError, IndexError, tf.errors.OpError) as error:
            raise _failed(self.what, error) from error
        if score.shape.rank != 1:
            raise ValueError(f"A target function must return one score per input, (n,), got shape {score.shape}.")
        return score


@contextlib.contextmanager
def errors_explained(what: Any) -> Iterator[None]:
    """Where a graph runs that holds a target function: an error of TensorFlow in it is put in a sentence."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if callable(what) and SCOPE in str(error):
            raise _failed(what, error) from None
        raise


def reason(error: Exception) -> str:
    """What an error says, without where in a graph or a file it was raised."""
    places = ("[[", "File ", "Arguments received", "Graph exec", "Detected at", "0 successful", "0 derived")
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith(places)] or [type(error).__name__]
    said = lines[-1 if isinstance(error, tf.errors.OpError) else 0].partition(" [Op:")[0]
    return said.rpartition("}} ")[2].rstrip(".")


def _failed(what: Any, error: Exception) -> ValueError:
    return ValueError(
        f"The target function {name(what)!r} failed: {reason(error)}. It must treat every row alike, however many "
        "there are: inputs come in batches, and in perturbed copies. Give data of each row by "
        "tfxai.targets.Rows(function, data)."
    )


def name(what: Any) -> str:
    """What an explanation calls its target, if that is no class."""
    if isinstance(what, Rows):
        return name(what.function)
    if isinstance(what, OutputTarget) or not callable(what):
        return str(what)
    return getattr(what, "__name__", type(what).__name__)


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
    if isinstance(what, OutputTarget):
        return "outputs"
    if what is not None:
        return "activation" if isinstance(what, Neuron | Channel) else "function"
    if not doubled or of_classes:
        return "class" if known else "output"
    if not ids.any():
        raise ValueError(
            "The model has one output unit, so target=0 may mean class 0 of two, whose score is the negative of the "
            "output, or the output itself. For two classes, give the explainer their names, such as "
            'classes=("no", "yes"); for the output itself, give target=1, or no target.'
        )
    return "class" if (ids == 0).any() else "only output"


def check_rows(what: Any, returned: int | None, rows: int) -> None:
    """ValueError if a target function always returns so many scores, and there are more rows."""
    if callable(what) and returned is not None and rows > returned:
        raise ValueError(
            f"The target function {name(what)!r} returns {returned} scores, however many rows it is given, and there "
            "are more. It must treat every row alike. Give data of each row by tfxai.targets.Rows(function, data)."
        )
