"""Whether an explanation follows its input through changes that should not matter."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import tensorflow as tf

from tfxai.baselines import limits
from tfxai.checks import above, one_of
from tfxai.explainer import Explainer
from tfxai.loops import collect, merge, split
from tfxai.metrics.robustness import Around
from tfxai.run import Run, cast
from tfxai.types import Inputs, Target, Verbose

Change = Literal["brightness", "shift"]
STRENGTH: dict[Change, float] = {"brightness": 0.1, "shift": 1 / 16}
REDUCED = {  # as `Explanation` reads values with channels, in the graph
    "absolute": lambda v: tf.reduce_max(tf.abs(v), -1),
    "energy": lambda v: tf.sqrt(tf.reduce_sum(tf.square(tf.maximum(v, 0)), -1)),
}


def stability(
    explainer: Explainer,
    inputs: Inputs,
    target: Target = None,
    *,
    change: Change = "brightness",
    strength: float | None = None,
    samples: int = 10,
    seed: int = 0,
    batch_size: int = 32,
    verbose: Verbose = "auto",
) -> np.ndarray:
    """How similar maps are before and after a change of the input that should not matter.

    The input becomes brighter or darker as a whole, or is shifted by some positions, its edges repeated. The map of a
    shifted input is shifted back, and compared where both show the same. The class stays the one that is predicted for
    the input itself. That an explanation moves may be the model's doing, whose score moves too.

    Parameters
    ----------
    explainer : Explainer
        Of images, series or volumes.
    inputs : array, tensor, list or dict of them, or dataset
        As `Explainer.explain` takes them.
    target : None, int, str, sequence, callable or target
        As `Explainer.explain` takes it.
    change : {"brightness", "shift"}
        What is changed.
    strength : float, optional
        How much at most: of brightness, the share of the input's range that is added or taken away (default 0.1); of
        shifts, the share of each side (default 1/16, one position at least). These are ours.
    samples : int
        How many changes are drawn, the same for all inputs. Default 10.
    seed : int
        Seed of the changes.
    batch_size : int
        The number of inputs, changed copies included, that pass through the model at once, which bounds the memory.
    verbose : {"auto", 0, 1}
        Progress bar; "auto": if there is more than one batch.

    Returns
    -------
    ndarray
        (n,) Pearson's correlation of the positions, mean over the changes; 0 where a map is constant.

    Raises
    ------
    ValueError
        For an unknown change, a strength that is not positive, inputs without positions that can be shifted, or values
        that have no places in the input.
    TypeError
        If it is not an explainer.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> cam = tfxai.GradCAM(tfxai.datasets.flowers.load_model())
    >>> (tfxai.metrics.stability(cam, images, change="shift", samples=3) > 0.5).tolist()
    [True, True]
    """
    one_of("change", change, get_args(Change))
    strength = STRENGTH[change] if strength is None else strength
    above(0, strength=strength)
    return _Changed(explainer, samples, change, strength, seed).ratios(inputs, target, batch_size, verbose).mean(1)


class _Changed(Around):
    """Correlation of the map of each input with those of its changed copies."""

    def __init__(self, base: Explainer, samples: int, change: Change, strength: float, seed: int):
        super().__init__(base, samples, seed)
        self.change, self.strength = change, strength

    def map(self, run: Run) -> tf.Tensor:
        """(n, positions) the explanation over the input's positions, without channels."""
        values, name = self.attribute(run), run.name(run.image)
        place = (self.base.places(run, values) or {}).get(name)
        if place is None:
            raise ValueError(f"The values of {type(self.base).__name__} have no places in the input {name!r}.")
        own = values[name] if isinstance(values, dict) else values
        kept = [axis for axis in range(own.shape.rank) if axis not in place.channels]
        last = tf.transpose(own, [*kept, *place.channels])
        flat = tf.reshape(last, tf.concat([tf.shape(last)[: len(kept)], [-1]], 0))
        maps = REDUCED.get(self.base.polarity, lambda v: tf.reduce_sum(v, -1))(flat)
        maps = tf.ensure_shape(maps, [own.shape[axis] for axis in kept])
        return place.laid(maps, run.image.shape[1:])

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        shapes = [tuple(x.shape) for x in tf.nest.flatten(run.inputs)]
        if max(map(len, shapes)) < 3:
            raise ValueError(f"Expected images, series or volumes, whose positions can follow, got {shapes}.")
        image = run.image
        axes, size = run.positions(image), run.size(image)
        most = [max(1, round(self.strength * length)) for length in size]
        x, before = run.pixels, self.map(run)
        low, high = limits(x)

        def offsets(seed: tf.Tensor) -> tf.Tensor:
            share = tf.random.stateless_uniform([len(axes)], seed, -1, 1)
            if self.change == "brightness":
                return share[:1]
            return tf.round(share * tf.constant(most, tf.float32))

        def changed(offset: tf.Tensor) -> tf.Tensor:
            if self.change == "brightness":
                return x + self.strength * offset[0] * (high - low)
            return _shifted(x, offset, axes, size)

        def back(pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            maps, offset = pair
            if self.change == "brightness":
                return maps, tf.ones(size)
            own = range(1, len(size) + 1)
            inside = tf.ones(size)
            for number, length in enumerate(size):
                from_there = tf.range(length) + tf.cast(offset[number], tf.int32)
                seen = tf.cast((from_there >= 0) & (from_there < length), tf.float32)
                inside *= tf.reshape(seen, [-1 if axis == number else 1 for axis in range(len(size))])
            return _shifted(maps, -offset, own, size), inside

        def ratios(index: tf.Tensor) -> tf.Tensor:
            by, times = self.draw(index, offsets), tf.size(index)
            copies = tf.map_fn(changed, by, fn_output_signature=tf.TensorSpec(x.shape))
            again = self.rerun(run, run.with_image(merge(cast(copies, image.dtype)), times), times)
            maps = split(self.map(again), run.count)
            kinds = tf.TensorSpec(before.shape), tf.TensorSpec(size)
            maps, inside = tf.map_fn(back, (maps, by), fn_output_signature=kinds)
            return _correlation(before[None], maps, inside[:, None])

        return {"ratios": collect(ratios, self.samples, run.count, run.batch_size)}, {}


def _shifted(x: tf.Tensor, offset: tf.Tensor, axes: Any, size: list[int]) -> tf.Tensor:
    """What stood at a position stands ``offset`` further on; edges are repeated."""
    for number, (axis, length) in enumerate(zip(axes, size, strict=True)):
        places = tf.range(length) - tf.cast(offset[number], tf.int32)
        x = tf.gather(x, tf.clip_by_value(places, 0, length - 1), axis=axis)
    return x


def _correlation(a: tf.Tensor, b: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """(k, n) Pearson's correlation of (k, n, positions), where the weights are 1."""
    axes = list(range(2, b.shape.rank))

    def mean(v: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(v * weights, axes, keepdims=True) / tf.reduce_sum(weights, axes, keepdims=True)

    a, b = a - mean(a), b - mean(b)
    products = mean(a * b), tf.sqrt(mean(tf.square(a)) * mean(tf.square(b)))
    return tf.reshape(tf.math.divide_no_nan(*products), tf.shape(b)[:2])
