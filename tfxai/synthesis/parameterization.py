"""How numbers make an image: one for each pixel, or one for each frequency of decorrelated colours."""

from __future__ import annotations

import abc

import numpy as np
import tensorflow as tf

# Axes along which the colours of photographs vary independently (Ohta et al. 1980): brightness, red against blue, and
# green against both; and how far they reach there in ImageNet (Olah et al. 2017).
COLOURS = np.array([[1, 1, 1], [1, 0, -1], [-1, 2, -1]]) / np.sqrt([[3], [2], [6]])
REACH = np.array([1, 0.28, 0.13])
DECAY = 1.5


class Parameterization(abc.ABC):
    """Images (n, h, w, c) of free numbers, and back; the numbers start around 0 and may have any value.

    Attributes
    ----------
    shape : tuple of int
        Of the numbers that make one image.
    """

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape

    @abc.abstractmethod
    def image(self, numbers: tf.Tensor) -> tf.Tensor:
        """The images that numbers make."""

    @abc.abstractmethod
    def numbers(self, image: tf.Tensor) -> tf.Tensor:
        """Numbers that make these images."""


class Pixels(Parameterization):
    """A number for each pixel and channel."""

    def image(self, numbers: tf.Tensor) -> tf.Tensor:
        return numbers

    def numbers(self, image: tf.Tensor) -> tf.Tensor:
        return image


class Fourier(Parameterization):
    """The coefficients of a Fourier transform, in colours that are independent of each other.

    In photographs, amplitudes fall with the frequency f as 1 / f. So the numbers are coefficients over 1 / f: steps of
    equal length then change all frequencies as photographs do, where steps in pixels make high ones (Olah et al. 2017).
    With 1 / f^1.5, our default, the texture that only this network sees is weaker, and other networks recognise more.
    Numbers of unit variance make pixels of unit variance.
    """

    def __init__(self, shape: tuple[int, ...], decay: float = DECAY):
        if len(shape) != 3:
            raise ValueError(f'Expected images (h, w, c) for the Fourier parameterization, got {shape}. Use "pixel".')
        height, width, channels = shape
        self.size = height, width
        self.shape = (channels, height, width // 2 + 1, 2)
        rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
        scale = 1 / np.maximum(np.hypot(rows, columns), 1 / max(height, width)) ** decay
        # Columns between the first and the last stand for two frequencies each, and of the others the real part counts.
        counts = np.where((columns > 0) & (columns < 0.5), 2, 1)
        power = (counts * scale / (height * width)) ** 2
        self.scale = (scale / np.sqrt(power.sum())).astype(np.float32)
        mix = COLOURS * REACH[:, None] if channels == 3 else np.eye(channels)
        self.mix = (mix / np.sqrt((mix**2).sum() / channels)).astype(np.float32)
        self.unmix = np.linalg.inv(self.mix).astype(np.float32)

    def image(self, numbers: tf.Tensor) -> tf.Tensor:
        real, imaginary = tf.unstack(numbers, axis=-1)  # slices have a slow gradient
        planes = tf.signal.irfft2d(tf.complex(real * self.scale, imaginary * self.scale), self.size)
        return tf.einsum("nkhw,kc->nhwc", tf.ensure_shape(planes, [None, self.shape[0], *self.size]), self.mix)

    def numbers(self, image: tf.Tensor) -> tf.Tensor:
        found = tf.signal.rfft2d(tf.einsum("nhwc,ck->nkhw", image, self.unmix))
        return tf.stack([tf.math.real(found), tf.math.imag(found)], -1) / self.scale[..., None]


KINDS: dict[str, type[Parameterization]] = {"pixel": Pixels, "fourier": Fourier}
