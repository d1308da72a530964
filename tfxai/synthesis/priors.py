"""What an image costs before the model has seen it: (n,) costs, each with a weight.

Any function from images to (n,) costs is a prior; these are those of the literature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfxai import regularizers
from tfxai.run import totals
from tfxai.types import Array


@dataclass(frozen=True, eq=False)
class L2:
    """Distance from a center: ``weight * ||x - center||^2``, in the numbers that the model takes.

    Parameters
    ----------
    weight : float
        Default 0.01, as in the code of Aleksandrov and Hsu, for digits in -1..1. Simonyan et al. (2014) have this prior
        with the center 0.
    center : number or array
        Such as the mean image of a class, (h, w, c), or one for each image, (n, h, w, c).
    squared : bool
        If false: ``weight * ||x - center||``, as that code has it.

    Examples
    --------
    >>> import tensorflow as tf, tfxai
    >>> float(tfxai.priors.L2(0.5)(tf.constant([[3.0, 4.0]]))[0])
    12.5
    """

    weight: float = 1e-2
    center: float | Array = 0.0
    squared: bool = True

    def __post_init__(self) -> None:
        _check(self.weight)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        square = totals(tf.square(x - np.asarray(self.center, np.float32)))
        return self.weight * (square if self.squared else tf.sqrt(square + 1e-12))  # at 0 the root has no gradient


@dataclass(frozen=True)
class AlphaNorm:
    """Bounds single numbers: ``weight * sum |x| ** alpha`` (Mahendran and Vedaldi 2015).

    Parameters
    ----------
    weight : float
        Its factor.
    alpha : float
        Default 6 (the paper).
    """

    weight: float
    alpha: float = 6.0

    def __post_init__(self) -> None:
        _check(self.weight, alpha=self.alpha)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.weight * regularizers.alpha_norm(x, self.alpha)


@dataclass(frozen=True)
class TotalVariation:
    """Smooths images: ``weight * sum |d| ** beta``, d of all neighbours the differences (Mahendran and Vedaldi 2015).

    Parameters
    ----------
    weight : float
        Its factor.
    beta : float
        Default 2 (the paper); 1 keeps edges.
    """

    weight: float
    beta: float = 2.0

    def __post_init__(self) -> None:
        _check(self.weight, beta=self.beta)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        if x.shape.rank != 4:
            raise ValueError(f"TotalVariation needs images, (n, h, w, c), got shape {x.shape}.")
        return self.weight * regularizers.total_variation(x, self.beta)


def _check(weight: float, **powers: float) -> None:
    if not weight >= 0:
        raise ValueError(f"Expected weight to be 0 or more, got {weight!r}.")
    for name, power in powers.items():
        if not power >= 1:
            raise ValueError(f"Expected {name} to be 1 or more, got {power!r}.")
