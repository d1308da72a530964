"""Class activation maps whose weights come from trying: no gradients."""

from __future__ import annotations

import tensorflow as tf

from tfxai.attribution.layer_map import LayerMap, map_facts
from tfxai.loops import collect, merge, split
from tfxai.maps import unit
from tfxai.models import graph
from tfxai.run import Run

CACHE = 4 << 20  # bytes of edited activations at once: beside what little runs above a late layer, memory is slow


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
        A layer with spatial output; of several, the mean of their heat-maps at the input's size. Default: the last one
        that all paths to the output pass.
    grid : (int, int), optional
        Of a layer of tokens, how many rows and columns of them stand for places, the last ones, where the graph does
        not tell.
    **options
        As for `Explainer`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.ScoreCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = map_facts(
        "score_cam",
        cost="1 forward pass for each channel",
        drawback="slow; weights are often nearly uniform",
        reference="Wang et al. 2020",
    )

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


class AblationCAM(LayerMap):
    """Channels weighted by how far the score falls without them.

    Desai and Ramaswamy (2020): weights (S - S_k) / S, where S_k is the score with channel k set to zero. Only the part
    of the model above the layer runs again for each channel.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    layer : str, keras layer or sequence of them, optional
        A layer with spatial output; of several, the mean of their heat-maps at the input's size. Default: the last one
        that all paths to the output pass.
    grid : (int, int), optional
        Of a layer of tokens, how many rows and columns of them stand for places, the last ones, where the graph does
        not tell.
    **options
        As for `Explainer`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.AblationCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """

    facts = map_facts(
        "ablation_cam",
        cost="1 forward pass, and the part above the layer for each channel",
        drawback="slow in early layers",
        reference="Desai and Ramaswamy 2020",
    )

    def map(self, run: Run, layer: tf.Tensor) -> tf.Tensor:
        goal, axis = run.goal, graph.channel_axis(layer)
        channels = layer.shape[axis]
        size = [channels if other == axis else 1 for other in range(1, layer.shape.rank)]
        scored = run.read[goal.reads[0]] if goal.reads else run.outputs
        keep = 1 - tf.eye(channels, dtype=layer.dtype)
        # Where something bypasses the layer, its batch must stay as it was in the first pass.
        alone = graph.bypassed(layer, scored, tf.nest.flatten(run.inputs))
        batch_size = 1 if alone else run.batch_size
        if not self.jit_compile:
            batch_size = min(batch_size, max(1, CACHE // (layer.dtype.size * (layer.shape[1:].num_elements() or 1))))

        def scores(index: tf.Tensor) -> tf.Tensor:
            without = merge(layer * tf.reshape(tf.gather(keep, index), [-1, 1, *size]))
            again = graph.rerun(layer, without, scored)
            score, _ = goal.repeat(tf.size(index)).score(again, dict.fromkeys(goal.reads, again))
            return split(score, run.count)

        S = run.score[:, None]
        weights = tf.math.divide_no_nan(S - collect(scores, channels, run.count, batch_size), S)
        A = self.as_maps(run, layer, layer)
        return tf.reduce_sum(A * tf.reshape(weights, [-1, *[1] * (A.shape.rank - 2), channels]), -1)
