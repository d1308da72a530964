"""What a model predicts, as classes where it gives some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfxai.checks import positive
from tfxai.models.head import scores
from tfxai.models.view import ModelView, cut, padded


def input_shape(view: ModelView) -> tuple[tuple[int | None, int | None], int]:
    """Size and channels of the images that a model takes; any size, in colour, if it does not say."""
    if view.inputs is None:
        return (None, None), 3
    shapes = [tuple(spec.shape[1:]) for spec in view.inputs.values()]
    if len(shapes) != 1 or len(shapes[0]) != 3 or shapes[0][2] not in (1, 3, None):
        raise ValueError(
            f"Expected a model that takes one image (height, width, 1 or 3), this one takes {shapes}. In Python it "
            "can be explained: tfxai.explain(model, inputs).plot(), where images= takes pictures to show instead."
        )
    height, width, channels = shapes[0]
    return (height, width), channels or 3


class Predicted(NamedTuple):
    """What a model says.

    Attributes
    ----------
    values : ndarray
        (n, outputs).
    probable : bool
        Whether they are probabilities of classes.
    """

    values: np.ndarray
    probable: bool

    def probabilities(self, row: int) -> np.ndarray | None:
        """(classes,) those of one input, if the values are probabilities."""
        return self.values[row] if self.probable else None


def predict(view: ModelView, inputs: Any, batch_size: int, names: int | None = None) -> Predicted:
    """What `predictor` says of inputs that come once."""
    return predictor(view, batch_size, names)(inputs)


def predictor(view: ModelView, batch_size: int, names: int | None = None) -> Callable[[Any], Predicted]:
    """From inputs to the probabilities of classes where the model gives some, else to its outputs.

    Traced once for inputs of one shape, however many there are.

    Logits and the outputs of a regression look alike. Where there are as many names of classes as outputs, these are
    taken for logits, and their softmax is given.
    """
    batch_size = positive("batch_size", batch_size)
    probable: list[bool] = []

    @tf.function(autograph=False)
    def predicted(x: Any) -> tf.Tensor:
        outputs = view.forward(x).outputs
        if outputs.shape.rank != 2:
            raise ValueError(f"Expected a model with outputs (n, outputs), got {tuple(outputs.shape)}.")
        values, scale, _, doubled = scores(tf.cast(outputs, tf.float32), "auto", names)
        softmax = scale == "logit" and names == values.shape[-1] > 1
        probable.append(softmax or (scale == "probability" and names != 1))
        return tf.nn.softmax(values / 2 if doubled else values) if softmax else values

    size = view.batch_size or batch_size

    def of_batch(batch: Any) -> tf.Tensor:
        x = padded(batch, view.batch_size) if view.batch_size else batch
        view.prepare(x)
        step = predicted.get_concrete_function(view.specs_like(x))
        return step(tf.nest.map_structure(tf.constant, x))

    def predict_all(inputs: Any) -> Predicted:
        rows = len(tf.nest.flatten(inputs)[0])
        found = [of_batch(batch) for batch in cut(inputs, size)]
        return Predicted(np.concatenate(found)[:rows], probable[0])

    return predict_all
