"""GaussianExpert: a normal density of images, by their principal components."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import tensorflow as tf

from tfxai.types import Array

LEAST = 1e-3  # variance, as a share of the mean one: pixels that never change would have none


class GaussianExpert:
    """A normal density of images: along some principal components as the data vary, alike in all other directions.

    The density of probabilistic principal component analysis (Tipping and Bishop 1999): it keeps the largest
    eigenvalues of the data's covariance with their eigenvectors, and has the mean of the others in their place. A
    Gaussian with mean 0 and variances 1 / (2 weight) is the prior ``L2(weight)``.

    Parameters
    ----------
    rank : int
        How many components; 0: the same variance in all directions. Default 20 (ours): with many more, the last ones
        are so narrow that an ascent makes no headway along them.

    Attributes
    ----------
    mean_ : ndarray
        (d,) of the numbers of an image.
    components_ : ndarray
        (rank, d) directions, of length 1.
    variances_ : ndarray
        (rank,) along them.
    residual_ : ndarray
        () variance in all other directions; or (d,) of each number where there are no components.

    Raises
    ------
    ValueError
        If ``rank`` is negative.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=12, size=32)
    >>> expert = tfxai.GaussianExpert(rank=4).fit(images / 255)
    >>> expert.log_prob(images[:2] / 255).shape
    TensorShape([2])
    """

    def __init__(self, rank: int = 20):
        if isinstance(rank, bool) or not isinstance(rank, int | np.integer) or rank < 0:
            raise ValueError(f"Expected rank to be a whole number from 0 on, got {rank!r}.")
        self.rank = int(rank)

    def fit(self, images: Array) -> GaussianExpert:
        """Find mean and components of images.

        Parameters
        ----------
        images : ndarray
            (n, ...) as the model takes them.

        Returns
        -------
        GaussianExpert
            Itself.

        Raises
        ------
        ValueError
            If there are not more images than components, or all are the same.
        """
        rows = flat_rows(images)
        n, d = rows.shape
        if self.rank >= min(n, d):
            raise ValueError(f"Expected more than {self.rank} images of as many numbers, got {n} of {d}.")
        self.mean_ = rows.mean(0)
        _, singular, directions = np.linalg.svd(rows - self.mean_, full_matrices=False)
        variances, total = singular**2 / n, rows.var(0).sum()
        if not total > 0:
            raise ValueError("Expected images that differ from each other.")
        least = LEAST * total / d
        rest = total - variances[: self.rank].sum()
        self.components_ = directions[: self.rank]
        self.variances_ = np.maximum(variances[: self.rank], least)
        self.residual_ = np.maximum(rest / (d - self.rank), least)
        return self

    @classmethod
    def of(cls, mean: Array, variance: float | Array) -> GaussianExpert:
        """A density of numbers that do not depend on each other.

        Parameters
        ----------
        mean : array
            Of each number, in the shape of an image.
        variance : float or array
            Of all numbers, or of each.

        Returns
        -------
        GaussianExpert

        Raises
        ------
        ValueError
            If a variance is not positive, or shapes do not fit.
        """
        expert, mean = cls(rank=0), np.asarray(mean, float)
        variance = np.asarray(variance, float)
        if not (variance > 0).all() or (variance.ndim and variance.shape != mean.shape):
            raise ValueError(
                f"Expected one positive variance, or one for each of {mean.shape} numbers, got {variance}."
            )
        expert.mean_, expert.residual_ = mean.reshape(-1), variance.reshape(-1) if variance.ndim else variance
        expert.components_, expert.variances_ = np.zeros((0, mean.size)), np.zeros(0)
        return expert

    def log_prob(self, images: Array) -> tf.Tensor:
        """Log-density of images.

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
        centred = centred_rows(self, images)
        d, k = self.mean_.size, len(self.variances_)
        along = tf.matmul(centred, self.components_.T.astype(np.float32))
        saved = (1 / self.residual_ - 1 / self.variances_).astype(np.float32) if k else np.zeros(0, np.float32)
        distance = tf.reduce_sum(centred**2 / self.residual_.astype(np.float32), 1) - tf.reduce_sum(saved * along**2, 1)
        rest = np.log(self.residual_).sum() if self.residual_.ndim else (d - k) * np.log(self.residual_)
        volume = d * np.log(2 * np.pi) + np.log(self.variances_).sum() + rest
        return -(distance + np.float32(volume)) / 2


def flat_rows(images: Array) -> np.ndarray:
    """(n, d) numbers of images; ValueError unless there are at least two, and all are finite."""
    array = np.asarray(images, float)
    if array.ndim < 2 or len(array) < 2 or not np.isfinite(array).all():
        raise ValueError(f"Expected a batch of at least two finite images, got shape {array.shape}.")
    return array.reshape(len(array), -1)


class Centred(Protocol):
    """An expert that was fitted."""

    mean_: np.ndarray


def centred_rows(expert: Centred, images: Array) -> tf.Tensor:
    """(n, d) float32 numbers of images, less the expert's mean; ValueError if it has none, or of another size."""
    if not hasattr(expert, "mean_"):
        raise ValueError("The expert has not been fitted. Call fit(images) first.")
    x, d = tf.cast(images, tf.float32), expert.mean_.size
    rows = tf.reshape(x, [tf.shape(x)[0], np.prod(x.shape[1:], dtype=int)])
    if rows.shape[1] != d:
        raise ValueError(f"Expected images of {d} numbers, as those of fit, got {rows.shape[1]}.")
    return rows - expert.mean_.astype(np.float32)
