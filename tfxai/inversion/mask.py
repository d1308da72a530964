"""A soft mask over the input: made of the channels of a layer, or of free cells."""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfxai.baselines import blur_matrix

FLAT = 1e-6  # a map that varies by less than this share of its maximum varies by rounding only
LEAST = 1e-6  # weights that are all smaller have run to zero


class Enlarged:
    """Maps (n, h, w), or with more or fewer axes, enlarged linearly to (n, height, width), then blurred.

    Parameters
    ----------
    old, new : sequence of int
        Sizes before and after, such as height and width.
    align_corners : bool
        Whether the outer pixels of the small map lie on the outer pixels of the large one, or as far inside as their
        size demands.
    sigma : float
        Of the Gaussian, in pixels of the large map; 0: none.
    """

    def __init__(self, old: Sequence[int], new: Sequence[int], align_corners: bool = False, sigma: float = 0.0):
        # Matrices instead of an operation for resizing: their gradient is the same on every device and in every run.
        sides = [interpolation(*lengths, align_corners) for lengths in zip(old, new, strict=True)]
        self._sides = [
            tf.constant(blur_matrix(len(side), sigma) @ side if sigma else side, tf.float32) for side in sides
        ]
        axes = string.ascii_lowercase[: len(sides)]
        terms = ["Z" + axes, *(axis.upper() + axis for axis in axes)]
        self._equation = f"{','.join(terms)}->Z{axes.upper()}"

    def __call__(self, maps: tf.Tensor) -> tf.Tensor:
        return tf.einsum(self._equation, maps, *self._sides)


class ChannelMask:
    """Masks in [0, 1] from weights of a layer's channels.

    Du et al. (2018): q = sum_c w_c A_c, scaled by its own minimum and maximum and enlarged. The mask does not depend on
    the scale of w. Negative activations count as zero.

    Parameters
    ----------
    activations : tf.Tensor
        (n, h, w, c), A; of series (n, steps, c), of volumes (n, d, h, w, c).
    size : sequence of int
        Size of the mask, such as height and width.
    scaling : {"before", "after"}
        Whether q is scaled before it is enlarged, (q - min) / (max - min), or after, then as (q - min) / max.
    align_corners : bool
        As for `Enlarged`.
    """

    def __init__(
        self, activations: tf.Tensor, size: Sequence[int], scaling: str = "before", align_corners: bool = False
    ):
        self.activations = tf.nn.relu(tf.cast(activations, tf.float32))
        self.scaling = scaling
        self._enlarged = Enlarged(activations.shape[1:-1], size, align_corners)

    def __call__(self, weights: tf.Tensor) -> tf.Tensor:
        """(n, height, width), or of another size, in [0, 1]; zeros where the channels make no map."""
        q = self._combined(weights)
        if self.scaling == "after":
            q = self._enlarged(q)
            low, high = _extremes(q)
            return _divided(q - low, high, where=_varies(low, high))
        return self._enlarged(_scaled(q))

    def coarse(self, weights: tf.Tensor) -> tf.Tensor:
        """(n, h, w) in [0, 1]: the masks in the size of the layer's maps, scaled before they would be enlarged."""
        return _scaled(self._combined(weights))

    def exists(self, weights: tf.Tensor) -> tf.Tensor:
        """(n,) whether the weights are alive and their map varies."""
        varies = tf.reshape(_varies(*_extremes(self._combined(weights))), [-1])
        return varies & (tf.reduce_max(weights, 1) >= LEAST)

    def _combined(self, weights: tf.Tensor) -> tf.Tensor:
        return tf.einsum("n...c,nc->n...", self.activations, weights)


def blend(over: tf.Tensor, under: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """One input where the mask, (n, h, w) for images, is 1, the other where it is 0."""
    return over * mask[..., None] + under * (1 - mask[..., None])


def interpolation(old: int, new: int, align_corners: bool = False) -> np.ndarray:
    """(new, old) matrix of linear interpolation along one axis."""
    pixels = np.arange(new)
    places = pixels * (old - 1) / max(new - 1, 1) if align_corners else (pixels + 0.5) * old / new - 0.5
    distances = np.abs(np.clip(places, 0, old - 1)[:, None] - np.arange(old))
    return np.maximum(1 - distances, 0).astype(np.float32)


def _extremes(maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    axes = list(range(1, maps.shape.rank))
    return tf.reduce_min(maps, axes, keepdims=True), tf.reduce_max(maps, axes, keepdims=True)


def _scaled(q: tf.Tensor) -> tf.Tensor:
    low, high = _extremes(q)
    return _divided(q - low, high - low, where=_varies(low, high))


def _varies(low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    return high - low > FLAT * high


def _divided(x: tf.Tensor, by: tf.Tensor, where: tf.Tensor) -> tf.Tensor:
    return tf.where(where, x / tf.where(where, by, 1), 0)  # neither branch may have an infinite gradient
