"""RBMExpert: a density of images by a Gaussian restricted Boltzmann machine."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from scipy.special import expit

from tfxai.checks import positive
from tfxai.synthesis.gaussian import centred_rows, flat_rows
from tfxai.types import Array


class RBMExpert:
    """A density by hidden binary units, each of which prefers images on one side of a plane.

    Montavon et al. (2018): with v = (x - mean) / scale::

        log p(x) = sum_j log(1 + exp(w_j . v + b_j)) - |v - c|^2 / 2 + const.

    It is fitted by persistent contrastive divergence (Tieleman 2008). The constant is not known, so log-densities can
    be compared only with those of the same expert.

    Parameters
    ----------
    hidden : int
        How many hidden units. Default 100.
    noise : float
        Deviation of a number when all hidden units are known, as a share of that of all numbers of the data. Default
        0.5 (ours).
    epochs : int
        How often each image is seen. Default 30.
    batch_size : int
        How many images make a step. Default 64.
    learning_rate : float
        Length of a step. Default 0.005; where weights become infinite, less is needed.
    seed : int
        Seed of the weights, the order of the images and the hidden units.

    Attributes
    ----------
    mean_ : ndarray
        (d,) mean image.
    scale_ : float
        What is one in v.
    weights_ : ndarray
        (d, hidden), w.
    hidden_bias_ : ndarray
        (hidden,), b.
    visible_bias_ : ndarray
        (d,), c.

    Raises
    ------
    ValueError
        For parameters out of range.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=12, size=32)
    >>> expert = tfxai.RBMExpert(hidden=8, epochs=2, learning_rate=1e-4).fit(images / 255)
    >>> expert.log_prob(images[:2] / 255).shape
    TensorShape([2])
    """

    def __init__(
        self,
        *,
        hidden: int = 100,
        noise: float = 0.5,
        epochs: int = 30,
        batch_size: int = 64,
        learning_rate: float = 0.005,
        seed: int = 0,
    ):
        self.hidden, self.epochs = positive("hidden", hidden), positive("epochs", epochs)
        self.batch_size, self.seed = positive("batch_size", batch_size), seed
        for name, value in {"noise": noise, "learning_rate": learning_rate}.items():
            if not value > 0:
                raise ValueError(f"Expected {name} to be positive, got {value!r}.")
        self.noise, self.learning_rate = noise, learning_rate

    def fit(self, images: Array) -> RBMExpert:
        """Learn the density of images.

        Parameters
        ----------
        images : ndarray
            (n, ...) as the model takes them.

        Returns
        -------
        RBMExpert
            Itself.

        Raises
        ------
        ValueError
            If there are fewer than two images, all are the same, or the learning rate is too high.
        """
        rows, rng = flat_rows(images), np.random.default_rng(self.seed)
        n, d = rows.shape
        self.mean_ = rows.mean(0)
        self.scale_ = self.noise * (rows - self.mean_).std()
        if not self.scale_ > 0:
            raise ValueError("Expected images that differ from each other.")
        v = (rows - self.mean_) / self.scale_
        w, b, c = rng.normal(0, 0.01, (d, self.hidden)), np.zeros(self.hidden), np.zeros(d)
        chains = v[rng.integers(n, size=self.batch_size)]
        with np.errstate(all="ignore"):  # what is not finite is told below
            for _ in range(self.epochs):
                order = rng.permutation(n)
                for start in range(0, n, self.batch_size):
                    data = v[order[start : start + self.batch_size]]
                    known = expit(data @ w + b)
                    states = rng.random((self.batch_size, self.hidden)) < expit(chains @ w + b)
                    chains = c + states @ w.T + rng.normal(size=chains.shape)
                    dreamt = expit(chains @ w + b)
                    w += self.learning_rate * (data.T @ known / len(data) - chains.T @ dreamt / self.batch_size)
                    b += self.learning_rate * (known.mean(0) - dreamt.mean(0))
                    c += self.learning_rate * (data.mean(0) - chains.mean(0))
        if not all(np.isfinite(part).all() for part in (w, b, c)):
            raise ValueError(f"The weights became infinite. Give a learning_rate below {self.learning_rate!r}.")
        self.weights_, self.hidden_bias_, self.visible_bias_ = w, b, c
        return self

    def log_prob(self, images: Array) -> tf.Tensor:
        """Log-density of images, but for a constant.

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
            Before `fit`, or for images of another size.
        """
        v = centred_rows(self, images) / np.float32(self.scale_)
        w, b, c = (part.astype(np.float32) for part in (self.weights_, self.hidden_bias_, self.visible_bias_))
        return tf.reduce_sum(tf.math.softplus(tf.matmul(v, w) + b), 1) - tf.reduce_sum((v - c) ** 2, 1) / 2
