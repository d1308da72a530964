"""Class activation maps whose weights come from trying: no gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Unpack

import numpy as np
import tensorflow as tf

from tfxai.attribution.layer_map import LayerMap
from tfxai.facts import Facts
from tfxai.layer_edits import masked_scores
from tfxai.loops import collect, merge, split
from tfxai.maps import outer, unit
from tfxai.models import graph
from tfxai.options import ModelOptions
from tfxai.run import Run
from tfxai.token_maps import grids
from tfxai.types import Layer, Model


class ScoreCAM(LayerMap):
    """Channels weighted by the score of the input seen through them.

    Wang et al. (2020): each channel, enlarged and scaled to [0, 1], masks the input; the weights are the softmax over
    channels of the scores, taken as logits and without subtracting a baseline, as in their code. The outer units of a
    channel lie at the ends of the region that the layer sees, and what lies outside is masked.

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
    >>> tfxai.ScoreCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("score_cam")

    def map(self, run: Run, layer: tf.Tensor) -> tf.Tensor:
        run, place = self.placed(run, self.name(run, layer))
        A, image, x = self.as_maps(run, layer, layer), run.image, run.pixels
        place = place.to_corners(A[..., 0])
        channels_first = tf.transpose(A, [A.shape.rank - 1, *range(A.shape.rank - 1)])
        inside = place.inside(image.shape[1:])

        def scores(index: tf.Tensor) -> tf.Tensor:
            channels = merge(tf.gather(channels_first, index))
            masks = unit(place.laid(channels, image.shape[1:], bounded=False)) * inside
            copies = run.with_image(merge(x * run.over(split(masks, run.count), image)), tf.size(index))
            return split(self.rerun(run, copies, tf.size(index)).score, run.count)

        weights = tf.nn.softmax(collect(scores, A.shape[-1], run.count, run.batch_size))
        return tf.einsum("n...c,nc->n...", A, weights)


class _Edited(LayerMap):
    """Base of the methods that change a layer many times, and run only what lies above it again."""

    def scores(self, run: Run, layer: tf.Tensor, masks: Callable[[tf.Tensor], tf.Tensor], count: int) -> tf.Tensor:
        """(n, count) what the score would be of the layer times each mask.

        ``masks``: from (k,) numbers of masks to these, (k, 1, ...) if they are the same for all inputs.
        """
        score, batch_size = masked_scores(run, layer, self.jit_compile)
        return collect(lambda index: score(masks(index)), count, run.count, batch_size)


class AblationCAM(_Edited):
    """Channels weighted by how far the score falls without them.

    Desai and Ramaswamy (2020): weights (S - S_k) / S, where S_k is the score with channel k set to zero. Only the part
    of the model above the layer runs again for each channel.

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
    >>> tfxai.AblationCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("ablation_cam")

    def map(self, run: Run, layer: tf.Tensor) -> tf.Tensor:
        axis = graph.channel_axis(layer)
        channels = layer.shape[axis]
        size = [channels if other == axis else 1 for other in range(1, layer.shape.rank)]
        keep = 1 - tf.eye(channels)

        def without(index: tf.Tensor) -> tf.Tensor:
            return tf.reshape(tf.gather(keep, index), [-1, 1, *size])

        S = run.score[:, None]
        weights = tf.math.divide_no_nan(S - self.scores(run, layer, without, channels), S)
        A = self.as_maps(run, layer, layer)
        return tf.reduce_sum(A * tf.reshape(weights, [-1, *[1] * (A.shape.rank - 2), channels]), -1)


class ReciproCAM(_Edited):
    """The score of one position alone: all others of the layer are set to zero.

    Byun and Lee (2022): S_p is the score if the layer is A * m_p, where m_p is 1 at the position p, or the Gaussian
    (1 2 1)/4 along each axis around it. Only the part of the model above the layer runs again for each position. The
    values are S_p - S_0, with S_0 that of nothing but zeros, so what speaks against the class is negative; the paper
    scales the map to [0, 1], which a constant does not change. Under global average pooling and a linear layer, S_p -
    S_0 is what the position adds to the score. Among tokens, those without a place, such as a class token, are kept.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    layer : str, keras layer or sequence of them, optional
        A layer with spatial output; for several, the mean of their heat-maps at the input's size. Default: the last one
        that all paths to the output pass through.
    gaussian : bool
        Whether the mask is a Gaussian. Default True; else neighbours are left out.
    grid : (int, int), optional
        For a layer of tokens: how many rows and columns of them (the last ones) stand for places, if the graph does not
        tell.
    **options
        As for `Explainer`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.ReciproCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = Facts.of("recipro_cam")

    def __init__(
        self,
        model: Model,
        layer: Layer | Sequence[Layer] | None = None,
        *,
        gaussian: bool = True,
        grid: Sequence[int] | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, layer, grid=grid, **options)
        self.gaussian = gaussian

    def map(self, run: Run, layer: tf.Tensor) -> tf.Tensor:
        axis, known = graph.channel_axis(layer), grids(run, self.name(run, layer), self.grid)
        tokens = next(iter(known.values())).tokens if known else None
        others = [length for other, length in enumerate(layer.shape) if other not in (0, axis)]
        size = list(others if tokens is None else tokens.shape)
        axes = [around(length) if self.gaussian else np.eye(length, dtype=np.float32) for length in size]
        count = int(np.prod(size))
        places = np.unravel_index(np.arange(count), size)  # of each position, along each axis
        alone = [tf.constant(np.concatenate([rows, 0 * rows[:1]])) for rows in axes]  # and one that keeps nothing
        numbers = [np.append(along, length) for along, length in zip(places, size, strict=True)]

        def only(index: tf.Tensor) -> tf.Tensor:
            masks = outer([tf.gather(one, tf.gather(along, index)) for one, along in zip(alone, numbers, strict=True)])
            rows = masks[:, None] if tokens is None else _of_tokens(masks, tokens, layer.shape[1], run.count)
            return tf.expand_dims(rows, axis + 1)

        scores = self.scores(run, layer, only, count + 1)
        return tf.reshape(scores[:, :-1] - scores[:, -1:], [-1, *size])


def around(length: int) -> np.ndarray:
    """(length, length) a Gaussian of three taps around each position, cut by the border."""
    near = np.eye(length) / 2 + (np.eye(length, k=1) + np.eye(length, k=-1)) / 4
    return near.astype(np.float32)


def _of_tokens(masks: tf.Tensor, tokens: np.ndarray, held: int, inputs: tf.Tensor) -> tf.Tensor:
    """(k, rows, columns) masks of a grid as (k, rows of the layer, tokens held by each): 1 for tokens without a place.

    A row of the layer is an image, or a window of one.
    """
    windows = -(-(int(tokens.max()) + 1) // held)
    cells = np.full(windows * held, tokens.size)
    cells[tokens.ravel()] = np.arange(tokens.size)
    flat = tf.pad(tf.reshape(masks, [-1, tokens.size]), [[0, 0], [0, 1]], constant_values=1)
    return tf.tile(tf.reshape(tf.gather(flat, cells, axis=1), [-1, windows, held]), [1, inputs, 1])
