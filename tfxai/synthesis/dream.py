"""DeepDream: a photograph in which a layer sees more of what it saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfxai.brief import made
from tfxai.checks import positive
from tfxai.choices import DreamPreset as Preset
from tfxai.facts import Facts
from tfxai.inputs import with_progress
from tfxai.loops import Seeded, not_inlined
from tfxai.models import open_model
from tfxai.models.view import traced
from tfxai.options import by_xla
from tfxai.synthesis import objectives
from tfxai.synthesis.box import Preprocess, box
from tfxai.synthesis.objective import Numbers, Objective, Seen
from tfxai.synthesis.objectives import Reduction
from tfxai.synthesis.result import Synthesis
from tfxai.synthesis.tiles import from_tiles, to_tiles
from tfxai.synthesis.total import gradient
from tfxai.types import Array, JitCompile, Layer, Model, Verbose

Norm: TypeAlias = Literal["mean", "std"]
# A layer, several, several with weights; or any objective.
Amplified: TypeAlias = Layer | Sequence[Layer] | Mapping[Layer, float] | Objective

NORMS: dict[Norm, Callable[[tf.Tensor], tf.Tensor]] = {
    "mean": lambda g: tf.reduce_mean(tf.abs(g), [1, 2, 3], keepdims=True),
    "std": lambda g: tf.math.reduce_std(g, [1, 2, 3], keepdims=True),
}
SMALL = 1e-8  # gradients below have no direction
TRACED = 64  # side of the image by which a model of any size is looked into


@dataclass(frozen=True)
class Recipe:
    """How to dream.

    Attributes
    ----------
    octaves : sequence of int
        Sizes at which the image is changed, one after the other: ``octave_scale`` to these powers, of its own size.
    octave_scale : float
        From one octave to the next.
    steps : int
        At each octave.
    rate : float
        Length of a step, as a share of the range of pixels.
    norm : {"mean", "std"}
        What the gradient is divided by: the mean of its absolute values, or its standard deviation.
    jitter : int
        The image is rolled over its edges by up to this many pixels in each step.
    reduction : {"energy", "mean", "sum", "max"}
        What is to rise in a layer, see `tfxai.objectives.layer`.
    """

    octaves: Sequence[int]
    octave_scale: float
    steps: int
    rate: float
    norm: Norm
    jitter: int
    reduction: Reduction

    def __post_init__(self) -> None:
        positive("steps", self.steps)
        if not len(self.octaves) or list(self.octaves) != sorted(set(map(int, self.octaves))):
            raise ValueError(f"Expected octaves to be rising whole numbers, got {self.octaves!r}.")
        if not self.octave_scale > 1:
            raise ValueError(f"Expected octave_scale to be above 1, got {self.octave_scale!r}.")
        if self.norm not in NORMS:
            raise ValueError(f"Expected norm to be one of {list(NORMS)}, got {self.norm!r}.")
        for name in ("rate", "jitter"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"Expected {name} to be 0 or more, got {getattr(self, name)!r}.")


PRESETS: dict[Preset, Recipe] = {
    # Mordvintsev et al. 2015; a step of 1.5 pixels of 255.
    "inceptionism": Recipe(range(-3, 1), 1.4, 10, 1.5 / 255, "mean", 32, "energy"),
    # Aleksandrov and Hsu; a step of 0.05 behind a division by the deviations of ImageNet's colours, about 0.226.
    "nn_interpretability": Recipe(range(-5, 3), 1.5, 40, 0.05 * 0.226, "std", 512, "mean"),
}


class DeepDream(Seeded):
    """Gradient ascent on photographs, which amplifies what a layer sees in them.

    Mordvintsev et al. (2015). The image is changed at several sizes, the octaves, the smallest first; what has changed
    is enlarged and laid over the image of the next. Each step goes along the gradient of the objective, divided by its
    mean or deviation, and is clipped to the bounds of pixels. Images larger than the model takes, or than ``tile``, are
    cut into tiles, and before each step rolled over their edges so that no seams are left.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function or path
        A model of images that can be differentiated; it is never changed.
    layers : str, sequence of str, dict or Objective
        Whose activations rise: a layer, several, several with weights; or any objective.
    preprocess : str or (low, high), optional
        As for `ActivationMaximization`: bounds of the pixels, and their range, by which steps are measured. None: no
        bounds, and a range of 1.
    preset : {"inceptionism", "nn_interpretability"}
        The recipe of Mordvintsev et al., or that of Aleksandrov and Hsu.
    channel : int, optional
        One channel of each layer; None: all.
    tile : int, optional
        Side of tiles. Default: the size that the model takes; for a model of any size, the whole image.
    octaves, octave_scale, steps, rate, norm, jitter, reduction
        Attributes of `tfxai.synthesis.Recipe`, each in place of the preset's.
    seed : int
        Seed of the jitter.
    output, signature, jit_compile
        As for `Explainer`.

    Raises
    ------
    ValueError, TypeError
        For layers, channels or presets that do not exist, options out of range, and models that do not take images.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=1)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> dream = tfxai.DeepDream(model, {"block3_relu": 1.0}, preprocess="none", octaves=(-1, 0), steps=2)
    >>> dream(images, verbose=0).images.shape
    (1, 112, 112, 3)
    """

    facts = Facts.of("deep_dream")

    def __init__(
        self,
        model: Model,
        layers: Amplified,
        *,
        preprocess: Preprocess = None,
        preset: Preset = "inceptionism",
        channel: int | None = None,
        tile: int | None = None,
        octaves: Sequence[int] | None = None,
        octave_scale: float | None = None,
        steps: int | None = None,
        rate: float | None = None,
        norm: Norm | None = None,
        jitter: int | None = None,
        reduction: Reduction | None = None,
        seed: int = 0,
        output: str | int | None = None,
        signature: str | None = None,
        jit_compile: JitCompile = "auto",
    ):
        super().__init__(seed)
        if preset not in PRESETS:
            raise ValueError(f"Expected preset to be one of {list(PRESETS)}, got {preset!r}.")
        given: dict[str, Any] = {
            "octaves": octaves,
            "octave_scale": octave_scale,
            "steps": steps,
            "rate": rate,
            "norm": norm,
            "jitter": jitter,
            "reduction": reduction,
        }
        self.recipe = replace(PRESETS[preset], **{name: one for name, one in given.items() if one is not None})
        self.view = open_model(model, output, signature)
        specs = list((self.view.inputs or {}).values())
        if self.view.opaque or len(specs) != 1 or specs[0].shape.rank != 4 or not specs[0].dtype.is_floating:
            raise ValueError("Expected a differentiable model that takes one image (h, w, c).")
        (self.spec,) = specs
        self.tile = None if tile is None else (positive("tile", tile),) * 2
        own = tuple(self.spec.shape[1:3])
        if None not in own:
            if self.tile not in (None, own):
                raise ValueError(f"The model takes images of {own}; expected no other tile, got {tile}.")
            self.tile = own
        self.box = box(preprocess, self.spec.shape[-1])
        self.objective = _objective(layers, channel, self.recipe.reduction)
        self.reads = self.objective.reads(self.view)
        seen = tf.TensorSpec(
            [self.spec.shape[0], *(self.tile or (TRACED, TRACED)), self.spec.shape[-1]], self.spec.dtype
        )
        shapes = traced(self.view, self.reads, seen, lambda _, forward: Seen(self.view, forward).shapes)
        self.objective.check(shapes, self.view.find)
        options = {"autograph": False, "jit_compile": by_xla(jit_compile) or None}
        images, scalar = tf.TensorSpec([None, None, None, self.spec.shape[-1]]), tf.TensorSpec([], tf.int32)
        numbers = [tf.TensorSpec([None, *value.shape[1:]], value.dtype) for value in self.objective.values]
        self._ascend = tf.function(self._octave, input_signature=[images, numbers, scalar], **options)
        self._score = tf.function(self._evaluate, input_signature=[images, numbers], **options)

    def __repr__(self) -> str:
        return made(self, {"reads": list(self.reads), "seed": self.seed})

    def __call__(self, images: Array, *, verbose: Verbose = "auto") -> Synthesis:
        """Dream on images.

        Parameters
        ----------
        images : ndarray
            (n, h, w, c), or one image (h, w, c), of any size, with pixels as the model takes them.
        verbose : {"auto", 0, 1}
            Progress bar over the octaves; "auto": for more than one.

        Returns
        -------
        Synthesis
            Its ``frames`` are the images after each octave, in the size of the images.

        Raises
        ------
        ValueError
            For arrays that are not images, not finite, or out of the bounds of pixels.
        """
        start = np.asarray(images, np.float32)
        start = start[None] if start.ndim == 3 else start
        if start.ndim != 4 or not start.size or start.shape[-1] != self.spec.shape[-1] or not np.isfinite(start).all():
            raise ValueError(f"Expected finite images (n, h, w, {self.spec.shape[-1]}), got shape {np.shape(images)}.")
        slack = 1e-3 * (self.box.high - self.box.low) if self.box.bounded else 0
        if (start < self.box.low - slack).any() or (start > self.box.high + slack).any():
            raise ValueError(
                f"Expected pixels between {self.box.low} and {self.box.high}, as preprocess= says, got {start.min()} "
                f"to {start.max()}. Prepare the images by tfxai.images.prepare."
            )
        size, values = start.shape[1:3], [tf.constant(value) for value in self.objective.spread(len(start))]
        detail, history, frames = tf.zeros_like(start), [], [start]
        octaves = list(enumerate(self.recipe.octaves))
        for number, octave in with_progress(iter(octaves), len(octaves), verbose, "octave"):
            smaller = [max(1, round(side * self.recipe.octave_scale**octave)) for side in size]
            base = _resized(start, smaller)
            dream, objective = self._ascend(base + _resized(detail, smaller), values, tf.constant(number))
            detail = dream - base
            history.append(objective.numpy().T)
            frames.append(self.box.clip(start + _resized(detail, size)).numpy())
        return Synthesis(
            images=frames[-1],
            score=self._score(tf.constant(frames[-1]), values).numpy(),
            labels=[self.objective.text(row) for row in range(len(start))],
            steps=np.full(len(start), self.recipe.steps * len(octaves), np.int32),
            history={"objective": np.concatenate(history, 1)},
            box=self.box,
            frames=np.stack(frames),
            frame_steps=[self.recipe.steps * number for number in range(len(frames))],
        )

    def _octave(self, images: tf.Tensor, values: Numbers, octave: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Images after all steps at one size, and (steps, n) objectives on the way."""
        recipe, jitter = self.recipe, self.recipe.jitter
        history = tf.TensorArray(tf.float32, recipe.steps, element_shape=[None])
        slopes = not_inlined(lambda images: self._slope(images, values))
        rate = tf.constant(recipe.rate * 2 * self.box.half if self.box.bounded else recipe.rate, tf.float32)

        def step(number: tf.Tensor, now: tf.Tensor, history: tf.TensorArray) -> tuple:
            seed = tf.stack([self._seed.read_value(), tf.cast(octave * recipe.steps + number, tf.int64)])
            by = tf.random.stateless_uniform([2], seed, -jitter, jitter + 1, tf.int32)
            score, slope = slopes(tf.roll(now, by, [1, 2]))
            slope = tf.roll(slope, -by, [1, 2])
            moved = now + rate * slope / (NORMS[recipe.norm](slope) + SMALL)
            return number + 1, self.box.clip(tf.ensure_shape(moved, now.shape)), history.write(number, score)

        _, images, history = tf.while_loop(
            lambda number, *_: number < recipe.steps, step, (0, images, history), parallel_iterations=1
        )
        return images, history.stack()

    def _slope(self, images: tf.Tensor, values: Numbers) -> tuple[tf.Tensor, tf.Tensor]:
        """(n,) objectives, summed over tiles, and their gradient."""

        def one(tile: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            score = self._look(tile, values)
            return score, tf.ensure_shape(gradient(score, tile), tile.shape)

        tiles, grid = to_tiles(images, self.tile)
        kinds = tf.TensorSpec([None]), tf.TensorSpec(tiles.shape[1:])
        scores, slopes = tf.map_fn(one, tiles, fn_output_signature=kinds, parallel_iterations=1)
        return tf.reduce_sum(scores, 0), from_tiles(slopes, grid, images)

    def _evaluate(self, images: tf.Tensor, values: Numbers) -> tf.Tensor:
        tiles, _ = to_tiles(images, self.tile)
        kind = tf.TensorSpec([None])
        found = tf.map_fn(lambda tile: self._look(tile, values), tiles, fn_output_signature=kind, parallel_iterations=1)
        return tf.reduce_sum(found, 0)

    def _look(self, images: tf.Tensor, values: Numbers) -> tf.Tensor:
        seen = Seen(self.view, self.view.forward(tf.cast(images, self.spec.dtype), self.reads))
        return self.objective.compute(seen, values)


def _objective(layers: Amplified, channel: int | None, reduction: Reduction) -> Objective:
    """The sum over layers of what is to rise there, by their weights."""
    if isinstance(layers, Objective):
        if channel is not None:
            raise ValueError("Expected no channel= together with an objective, which says what to increase.")
        return layers
    if isinstance(layers, str | keras.Layer):
        layers = [layers]
    weights = layers if isinstance(layers, Mapping) else dict.fromkeys(layers, 1)
    if not weights:
        raise ValueError("Expected at least one layer, got none.")

    def part(layer: Layer) -> Objective:
        if channel is None:
            return objectives.layer(layer, reduction=reduction)
        return objectives.channel(layer, channel, reduction=reduction)

    parts = [part(layer) if weight == 1 else weight * part(layer) for layer, weight in weights.items()]
    return sum(parts[1:], parts[0])


def _resized(images: Array, size: Sequence[int]) -> tf.Tensor:
    if tuple(images.shape[1:3]) == tuple(size):
        return tf.convert_to_tensor(images)
    return tf.image.resize(images, size, antialias=True)
