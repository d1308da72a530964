"""Responses of layers as one vector for each input, and the layers that are looked at by default."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal, TypeAlias, Unpack

import tensorflow as tf

from tfxai.models import ModelView
from tfxai.models.blocks import channel_counts, default_layers
from tfxai.options import ModelOptions
from tfxai.run import Run
from tfxai.runner import Runner
from tfxai.types import Model

MOST_FEATURES = 20_000  # their Gram matrix has 3.2 GB

Response: TypeAlias = Literal["l2sq", "l2"]
LayerNorm: TypeAlias = Literal["l1"] | None


def describe(maps: Iterable[tf.Tensor], response: Response, layer_norm: LayerNorm, global_norm: bool) -> tf.Tensor:
    """(n, m) responses of all channels of some layers, each layer on its own scale.

    Parameters
    ----------
    maps : iterable of tf.Tensor
        Outputs of the layers, (n, ..., channels).
    response : {"l2sq", "l2"}
        The response of a channel: the squared L2 norm of its map, or the norm.
    layer_norm : {"l1", None}
        Whether the responses of a layer are divided by their sum.
    global_norm : bool
        Whether the whole vector is divided by its L2 norm.
    """
    parts = []
    for layer in maps:
        axes = list(range(1, layer.shape.rank - 1))
        responses = tf.math.reduce_euclidean_norm(tf.cast(layer, tf.float32), axes)  # makes no squares to be kept
        if response == "l2sq":
            responses = tf.square(responses)
        if layer_norm:
            responses = tf.math.divide_no_nan(responses, tf.reduce_sum(responses, 1, keepdims=True))
        parts.append(responses)
    whole = tf.concat(parts, 1)
    if not global_norm:
        return whole
    return tf.math.divide_no_nan(whole, tf.norm(whole, axis=1, keepdims=True))


class Responses(Runner):
    """Descriptors of inputs, and the outputs of the model."""

    def __init__(self, model: Model, descriptors: Callable[[Any], tf.Tensor], **options: Unpack[ModelOptions]):
        super().__init__(model, **options)
        self.descriptors = descriptors

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"descriptors": self.descriptors(run.read), "outputs": run.outputs}, {}


def chosen_layers(
    view: ModelView, layers: tuple[str, ...] | None, batch: Any
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """The layers that are given, or one for each block of the model, and how many channels each has.

    Raises
    ------
    ValueError
        If there are too many channels.
    """
    view.prepare(batch)
    names = layers or default_layers(view, batch)
    counts = channel_counts(view, names, batch)
    if sum(counts) > MOST_FEATURES:
        late = [n for n in range(len(names)) if sum(counts[n:]) <= MOST_FEATURES]
        hint = f"the last {len(names) - late[0]}, from {names[late[0]]!r} on" if late else "others"
        raise ValueError(
            f"The {len(names)} layers have {sum(counts)} channels, and memory grows with their square: expected "
            f"at most {MOST_FEATURES}. Give fewer as layers=[...], such as {hint}: {list(names)}."
        )
    return names, counts
