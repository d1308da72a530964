"""Class activation maps by principal components: what dominates a layer."""

from __future__ import annotations

import tensorflow as tf

from tfxai.attribution.layer_map import GradientMap, LayerMap
from tfxai.facts import Facts
from tfxai.run import Run


class EigenCAM(LayerMap):
    """The first principal component of the layer's activations; depends on no class.

    Muhammad and Yeasin (2020): positions as rows, centred, projected on the first right singular vector. The sign of
    that vector is arbitrary; ours makes the largest magnitude positive.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    layer : str, keras layer or sequence of them, optional
        A layer with spatial output; for several, the mean of their heat-maps at the input's size. Default: the last one
        that all paths to the output pass through.
    grid : (int, int), optional
        For a layer of tokens: how many rows and columns of them (the last ones) stand for places, if the graph does not
        tell.
    **options
        As for `Explainer`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.EigenCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("eigen_cam")

    def map(self, run: Run, layer: tf.Tensor) -> tf.Tensor:
        return _first_component(self.as_maps(run, layer, layer))


class EigenGradCAM(GradientMap):
    """The first principal component of gradient times activation; EigenCAM for a class.

    As `EigenCAM`, on G * A.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    layer : str, keras layer or sequence of them, optional
        A layer with spatial output; for several, the mean of their heat-maps at the input's size. Default: the last one
        that all paths to the output pass through.
    grid : (int, int), optional
        For a layer of tokens: how many rows and columns of them (the last ones) stand for places, if the graph does not
        tell.
    **options
        As for `Explainer`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.EigenGradCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("eigen_grad_cam")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        return _first_component(G * A)


def _first_component(x: tf.Tensor) -> tf.Tensor:
    rows = tf.reshape(x, [-1, x.shape[1:-1].num_elements(), x.shape[-1]])
    rows -= tf.reduce_mean(rows, 1, keepdims=True)
    scale = tf.reduce_max(tf.abs(rows), [1, 2], keepdims=True)  # squares of small numbers would be lost
    rows = tf.math.divide_no_nan(rows, scale)
    # The first right singular vector v, by the smaller of the two Gram matrices, which is faster than all of an SVD.
    wide = rows.shape[1] < rows.shape[2]
    _, vectors = tf.linalg.eigh(tf.matmul(rows, rows, transpose_a=not wide, transpose_b=wide))
    top = vectors[:, :, -1:]
    v = tf.matmul(rows, top, transpose_a=True) if wide else top
    v = tf.math.divide_no_nan(v, tf.norm(v, axis=1, keepdims=True))
    scores = tf.matmul(rows * scale, v)[:, :, 0]
    flip = tf.reduce_max(-scores, 1, keepdims=True) > tf.reduce_max(scores, 1, keepdims=True)
    return tf.reshape(tf.where(flip, -scores, scores), [-1, *x.shape[1:-1]])
