"""Densities that networks know: denoising and variational autoencoders, and discriminators.

The networks take images as the model that is explained does. Where they were trained in another range, put a
``keras.layers.Rescaling`` before them, and after what returns images.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfxai.models import ModelView, open_model
from tfxai.models.head import scores
from tfxai.run import totals
from tfxai.types import Array, Model


class DenoisingExpert:
    """The gradient of a log-density, as an autoencoder that was trained to remove noise knows it.

    Alain and Bengio (2014): under Gaussian noise of a deviation s, the best reconstruction r satisfies
    grad log p(x) = (r(x) - x) / s^2, p the density of the noisy data. There is no log-density.

    Parameters
    ----------
    autoencoder : keras.Model or anything that `tfxai.layers` takes
        From noisy images to images.
    noise : float
        The deviation s for which it was trained.

    Raises
    ------
    ValueError
        If the noise is not positive, or the network cannot be differentiated.

    Examples
    --------
    >>> import keras, numpy as np, tfxai
    >>> halve = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(0.5)])
    >>> tfxai.DenoisingExpert(halve, noise=1.0).score(np.ones((1, 2), "f")).numpy().tolist()
    [[-0.5, -0.5]]
    """

    def __init__(self, autoencoder: Model, noise: float):
        self.view, self.noise = _network(autoencoder), _deviation(noise)

    def score(self, images: Array) -> tf.Tensor:
        """Gradient of the log-density.

        Parameters
        ----------
        images : tf.Tensor or array
            (n, ...).

        Returns
        -------
        tf.Tensor
            Of the same shape.
        """
        x = tf.cast(images, tf.float32)
        return (tf.cast(self.view.forward(x).outputs, tf.float32) - x) / self.noise**2


class VAEExpert:
    """The bound of a log-density that a variational autoencoder knows.

    Kingma and Welling (2014): with the code's mean m and deviation s by the encoder, and images normally distributed
    around what the decoder g makes of m (one sample, at its mean)::

        log p(x) >= -|x - g(m)|^2 / (2 noise^2) - KL(N(m, s^2), N(0, 1)) + const.

    Parameters
    ----------
    encoder : keras.Model or anything that `tfxai.layers` takes
        From images to mean and logarithm of the variance of the code: its first two outputs.
    decoder : keras.Model or anything that `tfxai.layers` takes
        From codes to images.
    noise : float
        Deviation of a number from the reconstruction.

    Raises
    ------
    ValueError
        If the noise is not positive, or a network cannot be differentiated.
    """

    def __init__(self, encoder: Model, decoder: Model, noise: float):
        self.mean, self.log_variance = (_network(encoder, output) for output in (0, 1))
        self.decoder, self.noise = _network(decoder), _deviation(noise)

    def log_prob(self, images: Array) -> tf.Tensor:
        """Lower bound of the log-density of images.

        Parameters
        ----------
        images : tf.Tensor or array
            (n, ...).

        Returns
        -------
        tf.Tensor
            (n,) float32.
        """
        x = tf.cast(images, tf.float32)
        mean, log_variance = (tf.cast(view.forward(x).outputs, tf.float32) for view in (self.mean, self.log_variance))
        back = tf.cast(self.decoder.forward(mean).outputs, tf.float32)
        distance = totals((x - back) ** 2) / self.noise**2
        constant = np.float32(np.prod(x.shape[1:]) * np.log(2 * np.pi * self.noise**2))
        divergence = totals(tf.exp(log_variance) + mean**2 - 1 - log_variance)
        return -(distance + constant + divergence) / 2


class DiscriminatorExpert:
    """The discriminator of a GAN: its logit is the log-ratio of the densities of data and generated images.

    Goodfellow et al. (2014). It knows images like those that it was trained with, on either side; far from these, it
    says little.

    Parameters
    ----------
    discriminator : keras.Model or anything that `tfxai.layers` takes
        From images to one logit, or to the probability by a sigmoid, that they are data.

    Raises
    ------
    ValueError
        If the network cannot be differentiated.
    """

    def __init__(self, discriminator: Model):
        self.view = _network(discriminator)

    def log_prob(self, images: Array) -> tf.Tensor:
        """Log-ratio of the densities of data and of generated images.

        Parameters
        ----------
        images : tf.Tensor or array
            (n, ...).

        Returns
        -------
        tf.Tensor
            (n,) float32.

        Raises
        ------
        ValueError
            If there is more than one output for each image.
        """
        if tf.executing_eagerly():  # logits are found in a graph
            return tf.function(self.log_prob, autograph=False)(images)
        outputs = self.view.forward(tf.cast(images, tf.float32)).outputs
        logits = scores(tf.cast(outputs, tf.float32), "logit", names=1).values
        if int(np.prod(logits.shape[1:], dtype=int)) != 1:
            raise ValueError(f"Expected a discriminator of one output, (n, 1), got {tuple(logits.shape)}.")
        return tf.reshape(logits, [-1])


def _network(model: Model, output: int | None = None) -> ModelView:
    view = open_model(model, output)
    if view.opaque:
        raise ValueError("Expected a network that can be differentiated. Give tf.function(f) for a function.")
    return view


def _deviation(noise: float) -> float:
    if not noise > 0:
        raise ValueError(f"Expected noise to be positive, got {noise!r}.")
    return float(noise)
