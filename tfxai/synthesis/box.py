"""Which numbers a model takes as pixels: bounds that an image must keep, and the way back to what a screen shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import tensorflow as tf

from tfxai.display import composite
from tfxai.images import is_bgr, preprocessing
from tfxai.types import Array

NEAR = 1e-3  # of the range: how near to its bounds a sigmoid starts; a screen does not show the difference

Way: TypeAlias = Literal["sigmoid", "clip"]
Preprocess: TypeAlias = str | tuple[float | Array, float | Array] | None


@dataclass(frozen=True, eq=False)
class Box:
    """Bounds of pixels after a model's preprocessing, and how images are kept within.

    Attributes
    ----------
    low, high : ndarray
        One number for all channels, or one each; infinite: no bounds.
    way : {"sigmoid", "clip"}
        Images are a sigmoid of free numbers; or numbers in -1..1, brought back after each step. 0 is the middle.
    reverse : bool
        Whether channels stand in reverse order, blue before red.
    """

    low: np.ndarray
    high: np.ndarray
    way: Way = "sigmoid"
    reverse: bool = False

    @property
    def bounded(self) -> bool:
        return bool(np.isfinite(self.low).all())

    @property
    def half(self) -> np.ndarray:
        """From the middle to the bounds; 1 where there are none."""
        return (self.high - self.low) / 2 if self.bounded else np.ones_like(self.low)

    @property
    def middle(self) -> np.ndarray:
        return (self.high + self.low) / 2 if self.bounded else np.zeros_like(self.low)

    def image(self, free: tf.Tensor) -> tf.Tensor:
        """What the model sees, of numbers around 0."""
        inner = tf.tanh(free / 2) if self.bounded and self.way == "sigmoid" else free
        return self.middle + self.half * inner

    def free(self, image: tf.Tensor) -> tf.Tensor:
        """The numbers that make an image."""
        inner = (image - self.middle) / self.half
        if self.bounded and self.way == "sigmoid":
            most = 1 - 2 * NEAR
            inner = 2 * tf.atanh(tf.clip_by_value(inner, -most, most))
        return inner

    def clip(self, image: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(image, self.low, self.high) if self.bounded else image

    def pixels(self, images: np.ndarray) -> np.ndarray:
        """uint8 (n, h, w, 3); without bounds, each image is stretched as `display.composite` does it."""
        if self.bounded:
            images = np.round(255 * np.clip((images - self.low) / (self.high - self.low), 0, 1)).astype(np.uint8)
        return composite(images[..., ::-1] if self.reverse else images)[0]


def box(preprocess: Preprocess, channels: int | None = None, way: Way = "sigmoid") -> Box:
    """The bounds that a preprocessing leaves.

    Parameters
    ----------
    preprocess : None, str or (low, high)
        None: no bounds. A mode of `tfxai.images.prepare`, such as ``"caffe"``: what it makes of 0 and of 255. Or the
        bounds themselves, each a number or one for each channel.
    channels : int, optional
        How many channels images have.
    way : {"sigmoid", "clip"}
        How images are kept within.

    Returns
    -------
    Box

    Raises
    ------
    ValueError
        If it is none of these, or low is not below high, or the numbers of channels do not fit.
    """
    if way not in get_args(Way):
        raise ValueError(f"Expected boxed to be one of {get_args(Way)}, got {way!r}.")
    if preprocess is None:
        return Box(np.array(-np.inf, np.float32), np.array(np.inf, np.float32), way)
    given: tuple[float | Array, float | Array]
    if isinstance(preprocess, str):
        black, white = (preprocessing(preprocess)(np.full(3, value, np.float32)) for value in (0, 255))
        if np.ptp(black) == 0 and np.ptp(white) == 0:  # alike in all channels, and so for grey too
            black, white = black[0], white[0]
        given = black, white
    else:
        given = preprocess
    try:
        low, high = (np.asarray(value, np.float32) for value in given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Expected preprocess to be a mode or (low, high), got {preprocess!r}.") from error
    if not (np.isfinite(low).all() and np.isfinite(high).all() and np.all(low < high)):
        raise ValueError(f"Expected finite bounds, low below high, got low {low} and high {high}.")
    sizes = {value.size for value in (low, high) if value.ndim} - {channels}
    if channels is not None and sizes:
        raise ValueError(f"Expected one bound, or one for each of {channels} channels, got {max(sizes)}.")
    return Box(low, high, way, isinstance(preprocess, str) and is_bgr(preprocess))
