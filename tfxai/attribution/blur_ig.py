"""Gradients on the path from a blurred input to the sharp one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import tensorflow as tf

from tfxai.baselines import along, unpadded
from tfxai.checks import above, positive
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.loops import accumulate, column, merge, split
from tfxai.options import ModelOptions
from tfxai.run import Run, check_floating, gradients, totals
from tfxai.types import Model

NOTHING = 5.7  # exp(-NOTHING^2 / 2) is what float32 rounds away


class BlurIG(Explainer):
    """The gradient along the path from a blurred image to the sharp one, times the path: which details, of which size.

    Xu et al. (2020): integrated gradients along x(s), the image under a Gaussian blur whose sigma s falls from
    ``max_sigma`` to 0. The values sum to S(x) - S(x(max_sigma)); what is missing is reported as
    ``extras["completeness_gap"]``. There is no baseline to choose, and no new colours come up on the path.

    The blur is the flow of heat with nothing crossing the border: each cosine of frequency w, mirrored at the borders,
    shrinks by exp(-s^2 w^2 / 2). So a mean stays what it is, and borders are not darkened. Sigmas fall with the square
    of the steps, for most of the change of a score is at small ones.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series or volumes.
    max_sigma : float
        Of the blur at the start, in pixels. Default 50 (paper); a quarter of the longest side leaves next to nothing.
    steps : int
        Points on the path. Default 100 (the authors' code).
    input : str, optional
        Which of several inputs is blurred. Default: the only one with positions.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For numbers out of range, or inputs without positions or gradients.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.BlurIG(tfxai.datasets.flowers.load_model(), steps=10)(images).values.shape
    (2, 112, 112, 3)
    """

    facts = Facts.of("blur_ig")

    def __init__(
        self,
        model: Model,
        *,
        max_sigma: float = 50.0,
        steps: int = 100,
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, **options)
        above(0, max_sigma=max_sigma)
        if not np.isfinite(max_sigma):
            raise ValueError(f"Expected max_sigma to be a number of pixels, got {max_sigma!r}.")
        self.max_sigma, self.steps, self.input = float(max_sigma), positive("steps", steps), input

    def attribute(self, run: Run) -> tf.Tensor:
        image, positions = run.image, run.positions(run.image)
        check_floating(image)
        x = unpadded(run.pixels, positions, run.kept(image))
        spectrum = cosines(x, positions)
        sigmas = tf.constant(self.max_sigma * np.linspace(1, 0, self.steps + 1) ** 2, tf.float32)

        def blurred(sigma: tf.Tensor) -> tf.Tensor:
            """(n, ...) for one sigma, from the cosines that it leaves."""
            low = [slice(None)] * x.shape.rank
            if not self.jit_compile:  # XLA wants to know how many
                for axis in positions:
                    low[axis] = slice(waves_left(sigma, x.shape[axis]))
            faded = spectrum[tuple(low)] * damping(sigma[None], x.shape, positions)[0][tuple(low)]
            return run.with_padding(cosines(faded, positions, back=x.shape), image)

        def steps(index: tf.Tensor, active: tf.Tensor) -> tf.Tensor:
            ends = tf.minimum(index[0] + tf.range(tf.size(index) + 1), self.steps)  # what ends a step begins the next
            kind = tf.TensorSpec(x.shape, tf.float32)
            blurs = tf.map_fn(blurred, tf.gather(sigmas, ends), fn_output_signature=kind)
            before, after = blurs[:-1], blurs[1:]
            middle = run.with_image(merge(before + after) / 2, tf.size(index))
            again = self.rerun(run, middle, tf.size(index))
            slope = split(gradients(again.score, again.image, "input"), run.count)
            return tf.tensordot(active, slope * (after - before), 1)

        values = accumulate(steps, tf.zeros_like(x), self.steps, run.count, run.batch_size)
        start = run.with_image(blurred(sigmas[0]), 1)
        run.extras["completeness_gap"] = totals(values) - (run.score - self.rerun(run, start).score)
        return values


def cosines(x: tf.Tensor, axes: Sequence[int], back: Sequence[int] = ()) -> tf.Tensor:
    """The cosine transform along some axes, orthonormal, or from the first cosines ``back`` to inputs of a shape."""
    for axis in axes:
        size = back[axis] if back else x.shape[axis]
        waves = np.cos(np.pi / size * np.outer(np.arange(size), np.arange(size) + 0.5)) * np.sqrt(2 / size)
        waves[0] = np.sqrt(1 / size)
        x = along(x, tf.constant(waves.T, x.dtype)[:, : tf.shape(x)[axis]] if back else waves, axis)
    return x


def waves_left(sigma: tf.Tensor, size: int) -> tf.Tensor:
    """How many cosines along an axis of such a size a blur leaves more of than float32 tells from nothing."""
    return tf.cast(tf.minimum(float(size), 1 + NOTHING * size / np.pi / tf.maximum(sigma, 1e-6)), tf.int32)


def damping(sigma: tf.Tensor, shape: Sequence[int], axes: Sequence[int]) -> tf.Tensor:
    """(k, 1, ...) what blurs of (k,) sigmas leave of each cosine along some axes of inputs (n, ...)."""
    left = tf.ones([1] * (len(shape) + 1))
    for axis in axes:
        frequency = np.pi * np.arange(shape[axis]) / shape[axis]
        ends = [shape[axis] if other == axis else 1 for other in range(1, len(shape))]
        left *= tf.exp(-tf.square(column(sigma, left) * frequency.reshape(1, 1, *ends).astype("f")) / 2)
    return left
