"""Run: one pass of the model in the graph, with what is explained about it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import tensorflow as tf

from tfxai.goal import Goal, reason
from tfxai.models import graph, masks
from tfxai.models.embedded import EmbeddedModel
from tfxai.models.embeddings import of_tokens
from tfxai.models.placement import position_axes
from tfxai.models.token_places import Grid
from tfxai.models.view import by_name


@dataclass
class Run:
    """One pass of the model in the graph, and what an explanation needs of it.

    Attributes
    ----------
    inputs : tf.Tensor or dict
        What the model was given.
    score : tf.Tensor
        (n,) float32, what is explained.
    goal : Goal
        The target, with classes decided.
    outputs : tf.Tensor
        Logits or probabilities, as asked; of one unit that is two classes, of both.
    read : dict
        Layer name to output.
    batch_size : int
        How many inputs may pass through the model at once.
    scale : {"logit", "probability", "output", "activation"}
        What the score is made of: outputs, as far as is known what they are, or the activation of a layer.
    head : {"softmax", "sigmoid"}, optional
        What makes probabilities of the logits that the model ends in.
    doubled : bool
        Whether one output unit was made two classes.
    modified_relus : int
        How many ReLUs have a modified gradient.
    repeats : int
        How many rows in succession hold the same input, one for each of its classes.
    masks : list of tf.Tensor
        Masks that layers of the model gave to their outputs.
    baselines : dict
        What each input is compared with, by name; tensors have a row for each input.
    beside : dict
        What else has a row for each input, see `Runner.beside`.
    extras : dict
        Further results for each input; an explainer adds to them.
    facts : dict
        What an explainer has found out about the model, for `Explanation.facts`; it adds to them.
    integers : dict
        What the model was given, by name, of inputs in whose place ``inputs`` holds their embeddings.
    embedding : EmbeddedModel, optional
        The model as a function of these embeddings.
    view : ModelView
        The model.
    chosen : str, optional
        Which of several inputs is masked or drawn on; default: the only one with positions.
    """

    inputs: Any
    score: tf.Tensor
    goal: Goal
    outputs: tf.Tensor
    read: dict[str, tf.Tensor]
    batch_size: int
    scale: str = "logit"
    head: str | None = None
    doubled: bool = False
    modified_relus: int = 0
    repeats: int = 1
    masks: list[tf.Tensor] = field(default_factory=list)
    baselines: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, tf.Tensor] = field(default_factory=dict)
    extras: dict[str, tf.Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    integers: dict[str, tf.Tensor] = field(default_factory=dict)
    embedding: EmbeddedModel | None = None
    view: Any = None
    chosen: str | None = None
    _positions: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _grids: dict[Any, dict[str, Grid]] = field(default_factory=dict)  # of layers of tokens, see `tfxai.token_maps`

    def probability(self, names: int | None = None) -> tf.Tensor | None:
        """(n,) of the class whose logit is explained; None if it is not known to be one.

        ``names``: how many classes have names, by which outputs that look like those of a regression are logits.
        """
        if self.scale != "logit" or self.goal.what is not None:
            return None
        if self.head == "sigmoid":
            return tf.sigmoid(self.score)
        if self.head is None and not names == self.outputs.shape[-1] > 1:
            return None
        score, logits = self.score, tf.cast(self.outputs, tf.float32)
        if self.doubled:  # -l and l, of a unit with the probability sigmoid(l)
            score, logits = score / 2, logits / 2
        return tf.exp(score - tf.reduce_logsumexp(logits, -1))

    @property
    def count(self) -> tf.Tensor:
        return tf.shape(self.score)[0]

    @property
    def floating(self) -> Any:
        """The inputs that have gradients, in their structure: all but integers, which stay as they are."""
        check_floating(self.inputs)
        if not isinstance(self.inputs, dict):
            return self.inputs
        return {name: x for name, x in self.inputs.items() if x.dtype.is_floating}

    @property
    def noisy(self) -> Any:
        """The inputs that noise may be added to: those with gradients, or else images of integers."""
        if any(x.dtype.is_floating for x in tf.nest.flatten(self.inputs)):
            return self.floating
        return self.image if not isinstance(self.inputs, dict) else {self.name(self.image): self.image}

    def name(self, x: tf.Tensor) -> str:
        """Which of the inputs this is; a single one is called "input"."""
        if not isinstance(self.inputs, dict):
            return "input"
        return next(name for name, own in self.inputs.items() if own is x)

    @property
    def taken(self) -> Any:
        """The inputs as the model takes them."""
        if not self.integers:
            return self.inputs
        if not isinstance(self.inputs, dict):
            return self.integers["input"]
        return self.inputs | self.integers

    def kept(self, x: tf.Tensor) -> tf.Tensor | None:
        """(n, steps, 1, ...) False where a step of one of the inputs is padding; None if the model has no padding."""
        if x.dtype == tf.bool:
            return None
        own = self.integers.get(self.name(x), x) if self.integers else x
        found = masks.kept(own, self.masks)
        if found is None:  # a mask beside a sequence is an input of its own
            found = masks.beside(x, tf.nest.flatten(self.inputs), own is not x)
        return None if found is None else tf.reshape(found, [-1, tf.shape(x)[1], *[1] * (x.shape.rank - 2)])

    def with_padding(self, changed: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """(..., n, steps, ...) changed copies of an input, whose padding stays what it is."""
        kept = self.kept(x)
        return changed if kept is None else tf.where(kept, changed, tf.cast(x, changed.dtype))

    def unpadded(self, x: tf.Tensor) -> tf.Tensor:
        """(n, steps, ...) values of the input or of a layer of sequences, zero where the input has padding."""
        found = [kept for kept in map(self.kept, tf.nest.flatten(self.inputs)) if kept is not None]
        if len(found) != 1 or x.shape[1] is None:
            return x
        kept = tf.reshape(found[0], [-1, tf.shape(found[0])[1]])
        nearest = (2 * tf.range(x.shape[1]) + 1) * tf.shape(kept)[1] // (2 * x.shape[1])  # the middle of each position
        kept = tf.gather(kept, nearest, axis=1)
        return tf.where(tf.reshape(kept, [-1, x.shape[1], *[1] * (x.shape.rank - 2)]), x, 0)

    def among(self, changed: Any, repeats: tf.Tensor | int = 1) -> Any:
        """All inputs, some of them changed: (repeats * n, ...); every other is repeated alike."""
        if not isinstance(self.inputs, dict):
            return changed
        return {name: changed[name] if name in changed else tiled(x, repeats) for name, x in self.inputs.items()}

    @property
    def image(self) -> tf.Tensor:
        """The input that has positions, such as an image, to be masked or drawn on."""
        inputs = by_name(self.inputs)
        if self.chosen is not None:
            if self.chosen not in inputs:
                raise ValueError(f"Expected input= to be one of {list(inputs)}, got {self.chosen!r}.")
            return inputs[self.chosen]
        images = [name for name, x in inputs.items() if x.shape.rank >= 3]
        if not images and self.view is not None and not self.view.opaque:
            images = [name for name, one in of_tokens(inputs).items() if one.looked_up]
        if len(images) != 1:
            shapes = {name: tuple(x.shape[1:]) for name, x in inputs.items()}
            closed = self.view is not None and self.view.opaque
            numbers = not closed and any(x.dtype.is_floating for x in inputs.values())
            choice = "" if len(inputs) == 1 else f', with input="{(images or list(inputs))[0]}"'
            raise ValueError(
                f"Expected a model with one input that has positions, such as an image; this one takes {shapes}. "
                f"Use {'a gradient method, such as IntegratedGradients, or ' if numbers else ''}Occlusion{choice}."
            )
        return inputs[images[0]]

    def chosen_or_only(self) -> Run:
        """The run with its only input chosen, if it has but one: also one without channels, a table or words."""
        single = self.chosen is None and not isinstance(self.inputs, dict)
        return replace(self, chosen="input") if single else self

    def given(self, name: str) -> tf.Tensor:
        """An input by its name."""
        return self.inputs[name] if isinstance(self.inputs, dict) else self.inputs

    def positions(self, x: tf.Tensor) -> tuple[int, ...]:
        """Axes of an input that are positions, (1, 2) for images with channels last; the others are channels."""
        name = self.name(x)
        if name not in self._positions:
            known = self.view is not None and not self.view.opaque
            usual = tuple(range(1, max(2, x.shape.rank - 1)))
            self._positions[name] = position_axes(x, self.outputs) if known else usual
        return self._positions[name]

    def size(self, x: tf.Tensor) -> list[int]:
        """How many positions an input has along each of its axes that are such: [h, w] for images."""
        return [x.shape[axis] for axis in self.positions(x)]

    def over(self, maps: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """(..., positions) as (..., one input), the same for all channels.

        Written out, for broadcasting along the last axis is several times slower.
        """
        positions, before = self.positions(x), maps.shape.rank - len(self.positions(x)) - 1
        for axis in range(1, x.shape.rank):
            if axis not in positions:
                copies = [x.shape[axis] if number == before + axis else 1 for number in range(maps.shape.rank + 1)]
                maps = tf.tile(tf.expand_dims(maps, before + axis), copies)
        return maps

    @property
    def pixels(self) -> tf.Tensor:
        """The image in float32, to be perturbed."""
        return tf.cast(self.image, tf.float32)

    def once(self) -> Run:
        """The first row of each input."""
        if self.repeats == 1:
            return self

        def first(x: tf.Tensor) -> tf.Tensor:
            return x[:: self.repeats]

        for x in tf.nest.flatten(self.inputs):
            self.positions(x)  # seen in the graph from the input to the score, of which the first rows are no part
        inputs, score, outputs, read = tf.nest.map_structure(first, (self.inputs, self.score, self.outputs, self.read))
        rows = {name: first(x) if tf.is_tensor(x) else x for name, x in self.baselines.items()}
        goal = self.goal.once(self.repeats)
        integers = {name: first(x) for name, x in self.integers.items()}
        once = replace(self, inputs=inputs, score=score, goal=goal, outputs=outputs, read=read, repeats=1, extras={})
        once = replace(once, integers=integers)
        return replace(once, baselines=rows)

    def with_image(self, images: tf.Tensor, repeats: tf.Tensor | int) -> Any:
        """The inputs with other images: (repeats * n, ...), every other input repeated alike."""
        own = self.image

        def swap(x: tf.Tensor) -> tf.Tensor:
            return cast(images, own.dtype) if x is own else tiled(x, repeats)

        return tf.nest.map_structure(swap, self.inputs)

    def edited(self, tensor: tf.Tensor, edit: graph.Edit, custom: bool = True) -> tf.Tensor:
        """(n,) what the score would be, of the same classes, if a tensor of the pass were what an edit makes of it.

        ``custom``: see `tfxai.models.graph.edited`.
        """
        return self.score_of(graph.edited([(tensor, edit)], self.scored, custom))

    @property
    def scored(self) -> tf.Tensor:
        """What the score is a number of: the outputs, or what was read of a layer."""
        return self.read[self.goal.reads[0]] if self.goal.reads else self.outputs

    def score_of(self, scored: tf.Tensor, repeats: tf.Tensor | int = 1) -> tf.Tensor:
        """(repeats * n,) the score, of the same classes, if `scored` were this, for so many copies of the batch."""
        return self.goal.repeat(repeats).score(scored, dict.fromkeys(self.goal.reads, scored))[0]

    def gradients(self, wrt: Any = None) -> Any:
        """Gradient of the score of each input with respect to ``wrt`` (default: `floating`), see `gradients`."""
        return gradients(self.score, self.floating if wrt is None else wrt, "input" if wrt is None else "layer")


def gradients(of: tf.Tensor, wrt: Any, end: str = "layer") -> Any:
    """Gradient of the sum of ``of`` with respect to ``wrt``, float32, in its structure; zeros where none arrives.

    Samples are independent, so the gradient of the sum of their scores holds the gradient of each. Of tensors without a
    gradient, or if none is reached, there is a ValueError that names them as the ``end`` of the path.
    """
    check_floating(wrt)
    flat = tf.nest.flatten(wrt)
    try:
        found = tf.gradients(of, flat)
    except LookupError as error:
        reason = str(error).partition(". ")[0]
        raise ValueError(
            f"The model cannot be differentiated: {reason}. Use a method without gradients, such as Occlusion."
        ) from error
    if all(g is None for g in found):
        raise ValueError(
            f"There is no gradient path from the score to the {end}. The model may round, take an argmax, stop "
            "gradients or leave TensorFlow; use a method without gradients, such as Occlusion."
        )
    found = [tf.zeros_like(x) if g is None else g for g, x in zip(found, flat, strict=True)]
    return tf.nest.pack_sequence_as(wrt, [tf.cast(g, tf.float32) for g in found])


def totals(values: Any) -> tf.Tensor:
    """(n,) sum of all values of each input, over all inputs of the model."""
    return tf.add_n([tf.reduce_sum(v, list(range(1, v.shape.rank))) for v in tf.nest.flatten(values)])


def tiled(x: tf.Tensor, repeats: tf.Tensor | int) -> tf.Tensor:
    """(n, ...) to (repeats * n, ...), copies of the batch one after the other."""
    return tf.tile(x, [repeats] + [1] * (x.shape.rank - 1))


def check_floating(inputs: Any) -> None:
    """ValueError if none of the inputs has a gradient."""
    if not any(x.dtype.is_floating for x in tf.nest.flatten(inputs)):
        choice = f', with input="{next(iter(inputs))}"' if isinstance(inputs, dict) else ""
        raise ValueError(
            "The model takes integers, which have no gradient. Use a method without gradients, such as "
            f"Occlusion{choice}, or explain the part of the model after the embedding."
        )


def check_images(image: tf.Tensor, method: str) -> None:
    """ValueError unless the method, which is named, is given images that have gradients."""
    check_floating(image)
    if image.shape.rank != 4:
        raise ValueError(f"{method} needs images, (n, h, w, c), got shape {image.shape}. Use IntegratedGradients.")


def check_places(run: Run, method: str) -> None:
    """ValueError unless the method, which is named, is given what has places and then channels, and has gradients."""
    image = run.image
    check_floating(image)
    if image.shape.rank < 3 or run.positions(image) != tuple(range(1, image.shape.rank - 1)):
        raise ValueError(
            f"{method} needs images, series or volumes with channels last, got shape {image.shape}. Use "
            "IntegratedGradients."
        )


def cast(images: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    """Perturbed images in the model's type: rounded, if that is integer."""
    if images.dtype == dtype or dtype.is_floating:
        return tf.cast(images, dtype)
    return tf.saturate_cast(tf.round(images), dtype)


@contextlib.contextmanager
def on_this_device() -> Iterator[None]:
    """ValueError in place of TensorFlow's own, if an operation of the model cannot run here, or not on such inputs."""
    try:
        yield
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
        if isinstance(error, tf.errors.UnimplementedError) or "only supports" in str(error):
            raise ValueError(
                f"The model, or its gradient, cannot run here as it is: {reason(error)}. Give the explainer "
                "jit_compile=True, for XLA has kernels of its own; or run it on a GPU."
            ) from error
        unknown = re.search(r"indices\[.*\] = (-?\d+) is not in \[0, (\d+)\)", str(error))
        if unknown is None:
            raise
        raise ValueError(
            f"The model looks up {unknown[1]} in a table that knows 0 to {int(unknown[2]) - 1}. Expected integers as "
            "the model's own preprocessing makes them, such as its tokenizer."
        ) from error
