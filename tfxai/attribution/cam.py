"""Class activation maps: the channels of a layer, weighted by what they mean for the score.

Throughout, A (n, h, w, c) is the output of the layer and G = dS/dA the gradient of the score; sums and means run over
positions. All work on any layer with spatial output, in one dimension (series) as in two or three.
"""

from __future__ import annotations

import tensorflow as tf

from tfxai.attribution.layer_map import GradientMap
from tfxai.facts import Facts
from tfxai.models import graph
from tfxai.models.operations import PASSING
from tfxai.run import Run


class CAM(GradientMap):
    """Class activation map: the last maps, weighted by the classifier's own weights.

    Zhou et al. (2016): sum_k w_k A_k, for networks that end in global average pooling and at most one linear layer.
    Its spatial mean plus the bias is the logit. The architecture is checked in the graph.

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
    >>> tfxai.CAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("cam")

    def map(self, run: Run, layer: tf.Tensor) -> tf.Tensor:
        _check_head(layer, run.outputs)
        return super().map(run, layer)

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        # Under global average pooling, each of the positions of G holds its share of w.
        return tf.reduce_sum(_sum(G) * A, -1)


class GradCAM(GradientMap):
    """Gradient-weighted class activation map.

    Selvaraju et al. (2017): sum_k mean(G_k) A_k; its positive part, which `Explanation.heatmaps` shows, is the paper's
    map. ``heatmaps("negative")`` shows the evidence against the class.

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
    >>> tfxai.GradCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("grad_cam")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(_mean(G) * A, -1)


class GradCAMPlusPlus(GradientMap):
    """Grad-CAM with weights that count each position of an object, for several objects of a class.

    Chattopadhyay et al. (2018): sum_k (sum alpha relu(G)) A_k with alpha = 1 / (2 + sum(A) G), which is their eq. 19
    for Y = exp(S): the exponential cancels, so no score is too large, and so does G^2, so no gradient is too small.

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
    >>> tfxai.GradCAMPlusPlus(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("grad_cam_plus_plus")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        weights = _sum(tf.math.divide_no_nan(tf.nn.relu(G), 2 + _sum(A) * G))
        return tf.reduce_sum(weights * A, -1)


class XGradCAM(GradientMap):
    """Grad-CAM with gradients weighted by the activations: each channel's map sums to the sum of G_k A_k.

    Fu et al. (2020): sum_k (sum(G_k A_k) / sum(A_k)) A_k.

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
    >>> tfxai.XGradCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("x_grad_cam")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.math.divide_no_nan(_sum(G * A), _sum(A)) * A, -1)


class LayerCAM(GradientMap):
    """Every position weighted by its own positive gradient; for early layers too.

    Jiang et al. (2021): sum_k relu(G_k) A_k.

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
    >>> tfxai.LayerCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("layer_cam")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.nn.relu(G) * A, -1)


class HiResCAM(GradientMap):
    """Gradient times activation at every position: what the layer's positions add to the score.

    Draelos and Carin (2020): sum_k G_k A_k.

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
    >>> tfxai.HiResCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("hi_res_cam")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(G * A, -1)


def _axes(x: tf.Tensor) -> list[int]:
    return list(range(1, x.shape.rank - 1))


def _mean(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(x, _axes(x), keepdims=True)


def _sum(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(x, _axes(x), keepdims=True)


_LINEAR = {"MatMul", "BiasAdd", "AddV2", "Add", "Conv2D", "Neg", "ConcatV2"}
_SHAPES = {"Shape", "StridedSlice", "Pack", "Prod"}  # they compute the shape of a Reshape


def _check_head(layer: tf.Tensor, logits: tf.Tensor) -> None:
    """ValueError unless only global average pooling and linear operations lie between the layer and the logits."""
    pooled = False
    passing = PASSING | _SHAPES
    for op in graph.between(layer, logits):
        whole = op.type in ("Mean", "AvgPool") and all(size == 1 for size in _positions(op.outputs[0], layer))
        if whole and not pooled:
            pooled = True
        elif op.type not in passing and not (pooled and op.type in _LINEAR and not _joins(op, layer)):
            raise ValueError(
                "CAM needs a network that ends in global average pooling and one linear layer; after the layer there "
                f"is {op.name!r} ({op.type}). Choose the last spatial layer, or use GradCAM, which needs no such end."
            )
    if not pooled:
        raise ValueError("CAM needs global average pooling after the layer, and there is none. Use GradCAM.")


def _positions(pooled: tf.Tensor, layer: tf.Tensor) -> list[int | None]:
    """Spatial sizes that a pooling leaves: none if the axes are gone."""
    return (
        list(pooled.shape[1:-1]) if pooled.shape.rank == layer.shape.rank else [] if pooled.shape.rank == 2 else [None]
    )


def _joins(op: tf.Operation, layer: tf.Tensor) -> bool:
    """Whether a sum or product joins two branches that both come from the layer."""
    return op.type in ("AddV2", "Add", "MatMul") and all(layer.op.name in graph.ancestors([x]) for x in op.inputs)
