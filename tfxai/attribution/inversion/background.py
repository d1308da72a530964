"""What is seen in place of an input."""

from __future__ import annotations

import tensorflow as tf

from tfxai.baselines import Baseline, gaussian, references

SAME = 1e-5  # an input that differs from its background by a smaller share of itself is no different


def background(spec: Baseline, x: tf.Tensor, blur: float) -> tf.Tensor:
    """One background for each image, as `tfxai.baselines.references`.

    Parameters
    ----------
    spec : number, array, str or function
        ``"blur"`` is a Gaussian here whose sigma is the share ``blur`` of the shorter side.
    x : tf.Tensor
        (n, h, w, c).
    blur : float
        See there.
    """
    if isinstance(spec, str) and spec == "blur":
        sigma = blur * min(x.shape[1:3])
        return gaussian(gaussian(x, sigma, 1), sigma, 2)
    found = references(spec, x, draws=1)
    if found.shape[0] != 1:
        raise ValueError(f"Expected one background for each image, got {found.shape[0]}.")
    return found[0]


def differs(x: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    """(n,) whether images differ from their backgrounds by more than rounding."""
    return tf.reduce_max(tf.abs(x - p), [1, 2, 3]) > SAME * tf.reduce_max(tf.abs(x), [1, 2, 3])
