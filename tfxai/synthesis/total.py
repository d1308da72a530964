"""What is to rise while images are made: the objective, less what images cost, and how likely they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, cast

import tensorflow as tf

from tfxai.models import ModelView
from tfxai.run import totals
from tfxai.synthesis.canvas import Canvas
from tfxai.synthesis.objective import Numbers, Objective, Seen
from tfxai.synthesis.transforms import Transform

Prior: TypeAlias = Callable[[tf.Tensor], tf.Tensor]  # from images to (n,) costs


class Density(Protocol):
    """An expert that knows how likely images are."""

    def log_prob(self, images: tf.Tensor) -> tf.Tensor:
        """(n,) log-densities."""


class Score(Protocol):
    """An expert that knows only which way images become more likely."""

    def score(self, images: tf.Tensor) -> tf.Tensor:
        """Gradient of the log-density, in the shape of the images."""


Expert: TypeAlias = Density | Score


class Look(NamedTuple):
    """Images, the (n,) terms of their total, and the pass of the model in which they were seen."""

    images: tf.Tensor
    terms: list[tf.Tensor]
    seen: Seen


@dataclass(frozen=True, eq=False)
class Total:
    """``objective(x) - priors(x) - weight_decay * |z|^2 + expert_weight * log p(x)``, of images x made of numbers z.

    Attributes
    ----------
    view : ModelView
        The model.
    spec : tf.TensorSpec
        What it takes.
    objective : Objective
        What it is to be excited by.
    canvas : Canvas
        What makes x of z.
    priors : mapping
        Costs of x by name.
    weight_decay : float
        Cost of z.
    expert : Expert or None
        p; of one with a score only, nothing is known but the gradient.
    expert_weight : float
        What it counts.
    transform : callable or None
        How x is moved before the model sees it.
    seed : tf.Variable
        Of the transform.
    """

    view: ModelView
    spec: tf.TensorSpec
    objective: Objective
    canvas: Canvas
    priors: Mapping[str, Prior]
    weight_decay: float
    expert: Expert | None
    expert_weight: float
    transform: Transform | None
    seed: tf.Variable

    @property
    def names(self) -> list[str]:
        """Of the terms that are known."""
        return [
            "objective",
            *self.priors,
            *["weight_decay"] * bool(self.weight_decay),
            *["expert"] * (self.log_prob is not None),
        ]

    @property
    def log_prob(self) -> Callable[[tf.Tensor], tf.Tensor] | None:
        """The log-density of the expert, if it has one."""
        return getattr(self.expert, "log_prob", None)

    def look(self, numbers: tf.Tensor, values: Numbers, step: tf.Tensor | None = None) -> Look:
        """Images of numbers, and what they are worth; moved as in a step, if one is given."""
        images = given = self.canvas.image(numbers)
        if self.transform is not None and step is not None:
            seed = tf.stack([self.seed.read_value(), tf.cast(step, tf.int64)])
            given = tf.ensure_shape(self.transform(images, seed), [None, *self.spec.shape[1:]])
        seen = Seen(self.view, self.view.forward(tf.cast(given, self.spec.dtype), self.objective.reads(self.view)))
        terms = [self.objective.compute(seen, values), *(-prior(images) for prior in self.priors.values())]
        if self.weight_decay:
            terms.append(-self.weight_decay * totals(tf.square(numbers)))
        if self.log_prob is not None:
            terms.append(self.expert_weight * self.log_prob(images))
        return Look(images, terms, seen)

    def gradient(self, numbers: tf.Tensor, look: Look) -> tf.Tensor:
        """Of the total, with respect to the numbers at which one has looked."""
        objective, *others = look.terms
        slope = gradient(objective, look.images)
        if self.log_prob is None and self.expert is not None:
            slope += self.expert_weight * cast(Score, self.expert).score(look.images)
        (found,) = tf.gradients([look.images, *others], numbers, [slope, *map(tf.ones_like, others)])
        return found


def gradient(objective: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Of the (n,) objective of each image, with respect to the image; ValueError where there is none."""
    try:
        (found,) = tf.gradients(objective, images)
    except LookupError as error:
        raise ValueError(f"The model cannot be differentiated: {str(error).partition('. ')[0]}.") from error
    if found is None:
        raise ValueError(
            "There is no gradient path from the objective to the image. The model may round, take an argmax, stop "
            "gradients or leave TensorFlow."
        )
    return found
