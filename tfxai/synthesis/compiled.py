"""The optimisation of ActivationMaximization in the graph, and the gradient of an objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tfxai.descent import Evaluated, Schedule, State, begin, descend
from tfxai.loops import where_rows
from tfxai.models import ModelView
from tfxai.run import totals
from tfxai.synthesis.objective import Numbers, Objective, Seen

if TYPE_CHECKING:
    from tfxai.synthesis.maximization import ActivationMaximization

PIECE = 25  # steps between two looks at the progress


class Compiled:
    """The optimisation and what becomes of its end, traced for one kind of objective."""

    def __init__(self, owner: ActivationMaximization, objective: Objective):
        self.owner, self.objective = owner, objective
        self.reads = tuple(dict.fromkeys(owner.view.find(one) for one in objective.layers))
        self.terms = ["objective", *owner.priors]
        self.terms += ["weight_decay"] * bool(owner.weight_decay)
        self.terms += ["expert"] * (owner.expert is not None and hasattr(owner.expert, "log_prob"))
        rows = owner.spec.shape[0]
        specs = [tf.TensorSpec([rows, *value.shape[1:]], value.dtype) for value in objective.values]
        numbers = tf.TensorSpec([rows, *owner.canvas.shape], tf.float32)
        state = tf.nest.map_structure(
            lambda x: tf.TensorSpec([rows, *x.shape[1:]] if x.shape.rank else [], x.dtype),
            begin(tf.zeros([1, *owner.canvas.shape]), len(self.terms)),
        )
        scalar, self.most = tf.TensorSpec([], tf.int32), owner.frames or min(owner.steps, PIECE)

        def compiled(function: Callable, *signature: Any) -> Callable:
            made = tf.function(function, autograph=False, jit_compile=owner.jit_compile or None)
            return made.get_concrete_function(*signature)

        self.ascend = compiled(self._ascend, state, specs, scalar, tf.TensorSpec([], tf.float32))
        self.finish = compiled(self._finish, state, specs)
        self.images = compiled(owner.canvas.image, numbers)

    def _ascend(self, state: State, values: Numbers, until: tf.Tensor, rate: tf.Tensor) -> tuple[State, tf.Tensor]:
        """Go on until a step; the terms of the total at each step."""
        state, costs = descend(
            state,
            lambda numbers, number: self._evaluate(numbers, values, number),
            Schedule(rate),
            self.most,
            until,
            self.owner.canvas.project,
        )
        return state, -costs

    def _finish(self, state: State, values: Numbers) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """What is returned: numbers, images, their terms and their probability, nothing being moved."""
        numbers = state.values
        if self.owner.keep == "best":
            _, terms, _ = self._look(numbers, values)
            better = -tf.add_n(terms) < state.lowest  # the last step has not been evaluated before
            numbers = where_rows(better & ~state.reached, numbers, state.best)
        images, terms, seen = self._look(numbers, values)
        probability = self.objective.probability
        self.has_probability = probability is not None and seen.knows_probabilities
        reached = probability(seen, values) if probability and self.has_probability else terms[0]
        return numbers, images, tf.stack(terms, 1), reached

    def _look(
        self, numbers: tf.Tensor, values: Numbers, number: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, list[tf.Tensor], Seen]:
        """Images, the terms of their total, and the pass in which they were seen: moved, if a step is given."""
        owner = self.owner
        images = given = owner.canvas.image(numbers)
        if owner.transform is not None and number is not None:
            seed = tf.stack([owner._seed.read_value(), tf.cast(number, tf.int64)])
            given = tf.ensure_shape(owner.transform(images, seed), [None, *owner.spec.shape[1:]])
        seen = Seen(owner.view, owner.view.forward(tf.cast(given, owner.spec.dtype), self.reads))
        terms = [self.objective.compute(seen, values), *(-prior(images) for prior in owner.priors.values())]
        if owner.weight_decay:
            terms.append(-owner.weight_decay * totals(tf.square(numbers)))
        if "expert" in self.terms:
            terms.append(owner.expert_weight * owner.expert.log_prob(images))
        return images, terms, seen

    def _evaluate(self, numbers: tf.Tensor, values: Numbers, number: tf.Tensor) -> Evaluated:
        """The total is to rise, so its negative is what descends."""
        owner = self.owner
        images, terms, seen = self._look(numbers, values, number)
        objective, *others = terms
        signal = gradient(objective, images)
        if owner.expert is not None and "expert" not in self.terms:
            signal += owner.expert_weight * owner.expert.score(images)
        (found,) = tf.gradients([images, *others], numbers, [signal, *map(tf.ones_like, others)])
        enough = None
        if owner.threshold is not None:
            assert self.objective.probability is not None
            enough = self.objective.probability(seen, values) >= owner.threshold
        return Evaluated(-tf.stack(terms, 1), -found, enough)


def gradient(objective: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Of the (n,) objective of each image, with respect to the image."""
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


def image_spec(view: ModelView, shape: Sequence[int] | None) -> tf.TensorSpec:
    """What the one input of a model is; ValueError if it has several, or its shape is not known."""
    if view.opaque:
        raise ValueError(
            "A Python function has no gradients, by which images are made. If it is made of TensorFlow operations, "
            "give tf.function(f)."
        )
    if view.inputs is None:
        if shape is None:
            raise ValueError("Expected shape=, that of one image, as the model does not say it.")
        return tf.TensorSpec([None, *shape], tf.float32)
    if len(view.inputs) != 1:
        raise ValueError(f"Expected a model of one input, this one has {list(view.inputs)}.")
    (spec,) = view.inputs.values()
    if not spec.dtype.is_floating:
        raise ValueError("The model takes integers, which have no gradient. Give the part of it after the embedding.")
    own = spec.shape[1:] if shape is None else tuple(shape)
    if spec.shape.rank is None or not spec.shape[1:].is_compatible_with(own):
        raise ValueError(f"The model takes inputs of shape {tuple(spec.shape[1:])}, got shape={shape!r}.")
    if None in tuple(own):
        raise ValueError(f"The model takes inputs of shape {tuple(own)}; expected shape=, that of one image.")
    return tf.TensorSpec([spec.shape[0], *own], spec.dtype)
