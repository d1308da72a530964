"""Where images come from: numbers of their own, kept within bounds, or codes of a generator."""

from __future__ import annotations

import abc
from typing import Literal, TypeAlias

import numpy as np
import tensorflow as tf

from tfxai.models import ModelView, open_model
from tfxai.synthesis.box import Box
from tfxai.synthesis.parameterization import Parameterization
from tfxai.types import Model

GeneratorRange: TypeAlias = tuple[float, float] | Literal["input"] | None


class Canvas(abc.ABC):
    """What is sought, and the images that it makes.

    Attributes
    ----------
    shape : tuple of int
        Of what is sought for one image.
    noise : float
        Standard deviation of the noise from which it starts.
    """

    shape: tuple[int, ...]
    noise: float

    @abc.abstractmethod
    def image(self, numbers: tf.Tensor) -> tf.Tensor:
        """The images, as the model takes them."""

    @abc.abstractmethod
    def begin(self, start: np.ndarray) -> tf.Tensor:
        """What makes the images from which the user wants to start."""

    @abc.abstractmethod
    def project(self, numbers: tf.Tensor) -> tf.Tensor:
        """Numbers brought back to where they are allowed."""


class Drawn(Canvas):
    """Images of numbers for each pixel or frequency, within bounds."""

    def __init__(self, parameterization: Parameterization, box: Box, noise: float):
        self.parameterization, self.box, self.noise = parameterization, box, noise
        self.shape = parameterization.shape

    def image(self, numbers: tf.Tensor) -> tf.Tensor:
        return self.box.image(self.parameterization.image(numbers))

    def begin(self, start: np.ndarray) -> tf.Tensor:
        return self.parameterization.numbers(self.box.free(tf.constant(start, tf.float32)))

    def project(self, numbers: tf.Tensor) -> tf.Tensor:
        if not self.box.bounded or self.box.way == "sigmoid":
            return numbers
        inside = self.box.clip(self.image(numbers))
        return self.parameterization.numbers(self.box.free(inside))


class Generated(Canvas):
    """Images that a generator makes from codes.

    Parameters
    ----------
    generator : keras.Model or anything that `tfxai.layers` takes
        From codes (n, ...) to images.
    generator_range : (low, high) or "input"
        What its outputs mean: the bounds that become those of the model's inputs; or "input": they are such already.
    box : Box
        The bounds of the model's inputs.
    shape : tuple of int
        Of the model's inputs.
    noise : float
        Standard deviation of the codes to start from.

    Raises
    ------
    ValueError
        If the ranges are not known, or the generator's images are not what the model takes.
    """

    def __init__(
        self, generator: Model, generator_range: GeneratorRange, box: Box, shape: tuple[int, ...], noise: float
    ):
        self.view: ModelView = open_model(generator)
        self.noise = noise
        if self.view.opaque or self.view.inputs is None or len(self.view.inputs) != 1:
            raise ValueError("Expected a generator that is built, has one input, and is made of TensorFlow operations.")
        self.shape = tuple(next(iter(self.view.inputs.values())).shape[1:])
        if None in self.shape:
            raise ValueError(f"Expected a generator of codes of one shape, this one takes {self.shape}.")
        self.scale, self.offset = _rescaling(generator_range, box)
        made = tuple(tf.function(self.image, autograph=False).get_concrete_function(self._codes()).outputs[0].shape)
        if made[1:] != shape:
            raise ValueError(f"The model takes images of shape {shape}, the generator makes {made[1:]}.")

    def image(self, numbers: tf.Tensor) -> tf.Tensor:
        return tf.cast(self.view.forward(numbers).outputs, tf.float32) * self.scale + self.offset

    def begin(self, start: np.ndarray) -> tf.Tensor:
        return tf.constant(start, tf.float32)

    def project(self, numbers: tf.Tensor) -> tf.Tensor:
        return numbers

    def _codes(self) -> tf.TensorSpec:
        return tf.TensorSpec([None, *self.shape], tf.float32)


def _rescaling(generator_range: GeneratorRange, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset from a generator's outputs to a model's inputs."""
    if isinstance(generator_range, str) and generator_range == "input":
        return np.ones((), np.float32), np.zeros((), np.float32)
    try:
        low, high = map(float, generator_range or ())
    except (TypeError, ValueError) as error:
        raise ValueError(
            "Expected generator_range, the (low, high) of the generator's outputs, such as (-1, 1) after a tanh; or "
            f'"input" if it makes inputs of the model as they are. Got {generator_range!r}.'
        ) from error
    if not low < high or not box.bounded:
        raise ValueError(
            "Expected low below high in generator_range, and preprocess=, the range of the model's inputs, with it; "
            f"got {generator_range!r}."
        )
    scale = (box.high - box.low) / np.float32(high - low)
    return scale, box.low - np.float32(low) * scale
