"""Relevance rules of affine layers: how the relevance R of z = a W + b is shared among the inputs a.

Every rule divides R by some share z', pulls the quotient s back through weights, and multiplies by a. A plus or minus
marks a positive or negative part. Rules of Bach et al. (2015), Montavon et al. (2017, 2019) and Andeol et al. (2021).
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.relevance.affine import Affine, parts

EPSILON = 1e-6  # keeps shares of what is zero finite
NEARLY_ZERO = 1e-9  # the same, where values may be small


@dataclass(frozen=True)
class Rule:
    """Base of the rules. A subclass writes `share`.

    Parameters
    ----------
    bias : bool
        Whether the shift b takes its part of the relevance, which then is lost. Without it relevance is conserved, but
        for outputs that b alone has made.
    """

    bias: bool = field(default=True, kw_only=True)

    def __call__(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        """Relevance of the layer's input."""
        return self.share(layer if self.bias else layer.without_bias(), R)

    def share(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class Epsilon(Rule):
    """R_in = a (W^T R / (z + epsilon sign z)): every input by its part of z. Bach et al. (2015), eq. 58.

    Parameters
    ----------
    epsilon : float
        Absorbs relevance where z is small. Default 1e-6.
    """

    epsilon: float = EPSILON

    def share(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        return layer.a * layer.back(R / stabilized(layer.z, self.epsilon), layer.W)


@dataclass(frozen=True)
class Zero(Rule):
    """R_in = a (W^T R / z), and nothing where z is zero. Bach et al. (2015), eq. 56."""

    def share(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        return layer.a * layer.back(tf.math.divide_no_nan(R, layer.z), layer.W)


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """alpha times the share of what adds to z, minus beta times that of what is taken from it; alpha - beta = 1.

    z+ = a+ W+ + a- W- + b+ and z- = a+ W- + a- W+ + b-. Bach et al. (2015), eq. 60.

    Parameters
    ----------
    alpha, beta : float
        Default 2 and 1.
    """

    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        if not np.isclose(self.alpha - self.beta, 1) or self.beta < 0:
            raise ValueError(
                f"Expected alpha - beta = 1 and beta >= 0, else relevance is not kept; got {self.alpha}, {self.beta}."
            )

    def share(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        positive, negative = parts(layer.W)
        R_in = self.alpha * _same_sign(layer, R, positive, negative, 1)
        return R_in - self.beta * _same_sign(layer, R, negative, positive, -1) if self.beta else R_in


@dataclass(frozen=True)
class ZPlus(Rule):
    """The share of what adds to z: AlphaBeta(1, 0). Montavon et al. (2017)."""

    def share(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        return _same_sign(layer, R, *parts(layer.W), 1)


@dataclass(frozen=True)
class Gamma(Rule):
    """Weights that speak for the output's sign count 1 + gamma times.

    For a >= 0 and z > 0 it is W + gamma W+ in place of W (Montavon et al. 2019, eq. 10); the general form serves
    inputs and outputs of either sign (Andeol et al. 2021, appendix).

    Parameters
    ----------
    gamma : float
        From 0 (the zero rule) to infinity (z+). Default 0.25.
    """

    gamma: float = 0.25

    def share(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        up, down = (layer.W + self.gamma * part for part in parts(layer.W))
        signed = layer.signed
        above, below = (
            _sum(map(layer.forward, signed, weights)) + _shift(layer, self.gamma, sign)
            for weights, sign in (((up, down), 1), ((down, up), -1))
        )
        risen = layer.z > 0
        for_above = tf.where(risen, R / stabilized(above), 0)
        for_below = tf.where(risen, 0.0, R / stabilized(below))
        terms = zip(signed, (up, down), (down, up), strict=False)
        return _sum(a * (layer.back(for_above, W) + layer.back(for_below, V)) for a, W, V in terms)


@dataclass(frozen=True)
class ZBox(Rule):
    """For the first layer, whose inputs lie between bounds l <= a <= h.

    z = a W - l W+ - h W-, and R_in = a (W^T s) - l (W+^T s) - h (W-^T s). Montavon et al. (2017), eq. 18.

    Parameters
    ----------
    low, high : float or tuple of float
        Bounds of the inputs after the preprocessing: a number, or one for each channel.
    """

    low: float | tuple[float, ...] = 0.0
    high: float | tuple[float, ...] = 1.0

    def __post_init__(self) -> None:
        if not np.all(np.asarray(self.low) < np.asarray(self.high)):
            raise ValueError(f"Expected low < high, got {self.low} and {self.high}.")

    def share(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        low, high = (tf.zeros_like(layer.a) + _bound(bound, layer) for bound in (self.low, self.high))
        positive, negative = parts(layer.W)
        z = layer.forward(layer.a, layer.W) - layer.forward(low, positive) - layer.forward(high, negative)
        s = R / stabilized(z)
        return layer.a * layer.back(s, layer.W) - low * layer.back(s, positive) - high * layer.back(s, negative)


@dataclass(frozen=True)
class WSquare(Rule):
    """By the squared weights, whatever the inputs are: for a first layer whose inputs have no bounds.

    Montavon et al. (2017), eq. 12.
    """

    def share(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        squared = layer.W**2
        z = layer.forward(tf.ones_like(layer.a), squared) + (0 if layer.b is None else layer.b**2)
        return layer.back(R / stabilized(z), squared)


@dataclass(frozen=True)
class Flat(Rule):
    """Evenly over all inputs that the layer sees. Lapuschkin et al. (2019)."""

    def share(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        ones = tf.ones_like(layer.W)
        return layer.back(R / stabilized(layer.forward(tf.ones_like(layer.a), ones)), ones)


@dataclass(frozen=True)
class Pass(Rule):
    """R_in = R: as if the layer were not there. For layers whose output has the shape of their input."""

    def share(self, layer: Affine, R: tf.Tensor) -> tf.Tensor:
        if layer.a.shape[1:] != R.shape[1:]:
            raise ValueError(
                f"The rule Pass needs outputs of the inputs' shape; {layer.op.name!r} makes {R.shape} of "
                f"{layer.a.shape}. Use another rule, such as Epsilon."
            )
        return R


def stabilized(z: tf.Tensor, epsilon: float = EPSILON) -> tf.Tensor:
    """z moved away from zero, on its own side; zero counts as positive."""
    return z + tf.where(z >= 0, epsilon, -epsilon)


def _bound(value: float | tuple[float, ...], layer: Affine) -> tf.Tensor:
    bound = tf.constant(value, tf.float32)
    before = graph.channels_first(layer.op) and bound.shape.rank
    return tf.reshape(bound, [-1] + [1] * (layer.a.shape.rank - 2)) if before else bound


def _shift(layer: Affine, gamma: float, sign: int) -> tf.Tensor | float:
    return 0.0 if layer.b is None else layer.b + gamma * _of_sign(layer.b, sign)


def _same_sign(layer: Affine, R: tf.Tensor, for_plus: tf.Tensor, for_minus: tf.Tensor, sign: int) -> tf.Tensor:
    """Shares of the products a+ W and a- W' in their sum, and in the part of b that has the same sign."""
    signed, weights = layer.signed, (for_plus, for_minus)
    z = _sum(map(layer.forward, signed, weights))
    if layer.b is not None:
        z += _of_sign(layer.b, sign)
    s = R / stabilized(z)  # on either side: rounding in fast convolutions may take z across zero
    return _sum(a * layer.back(s, W) for a, W in zip(signed, weights, strict=False))


def _of_sign(b: tf.Tensor, sign: int) -> tf.Tensor:
    return tf.nn.relu(b) if sign > 0 else -tf.nn.relu(-b)


def _sum(terms: Iterable[tf.Tensor]) -> tf.Tensor:
    """Their sum, where the built-in one would first add a zero, one operation more in the graph."""
    return reduce(operator.add, terms)
