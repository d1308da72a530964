"""Does the score need the channels that were selected? It, without them, and without as many others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfxai.checks import positive
from tfxai.goal import Goal
from tfxai.models.graph import edited
from tfxai.models.view import padded
from tfxai.resampling.result import ranked
from tfxai.runner import Runner
from tfxai.targets import Rows

if TYPE_CHECKING:
    from tfxai.resampling.result import Resampling


@dataclass(frozen=True, eq=False)
class Ablation:
    """How the score of each image changes without the channels that a metric selects.

    Attributes
    ----------
    changes : dict
        Metric to (images,) score of the image minus that without its channels.
    random : dict
        Metric to (images, controls), the same without as many random channels of each layer.
    """

    changes: dict[str, np.ndarray]
    random: dict[str, np.ndarray]

    def size(self, metric: str) -> float:
        """Mean size of the change over the images."""
        return float(np.abs(self.changes[metric]).mean())

    def random_size(self, metric: str) -> float:
        """Mean size of the change without random channels."""
        return float(np.abs(self.random[metric]).mean())

    def __str__(self) -> str:
        head = f"{'without the channels of':26}{'mean |change|':>14}{'random':>10}{'ratio':>8}"
        rows = [(metric, self.size(metric), self.random_size(metric)) for metric in self.changes]
        return "\n".join(
            [head, *(f"{name:26}{own:14.3f}{other:10.3f}{own / max(other, 1e-12):8.2f}" for name, own, other in rows)]
        )


def ablate(
    result: Resampling,
    metrics: tuple[str, ...] = ("correlation", "precision"),
    n: int = 5,
    *,
    layers: tuple[str, ...] | None = None,
    controls: int = 5,
    seed: int = 0,
    batch_size: int = 32,
) -> Ablation:
    """Score images without the channels that metrics select for them.

    The maps of the channels are set to zero, where the layers give them out, and what depends on them is computed anew.
    Random channels are as many in each layer, of those that vary over the cloud: the dead would change nothing.

    Parameters
    ----------
    result : Resampling
        Of `InputResampling`; its target is scored.
    metrics : tuple of str
        Of its ``scores``.
    n : int
        Channels of each layer.
    layers : tuple of str, optional
        In which layers, at once; default: all of the result.
    controls : int
        How many random sets for each image and metric.
    seed : int
        Of the random sets.
    batch_size : int
        How many images at once.

    Returns
    -------
    Ablation

    Raises
    ------
    ValueError
        If a layer is none of the result's, or it was loaded without a model.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> result = tfxai.InputResampling(tfxai.datasets.flowers.load_model(), n=20)(images, verbose=0)
    >>> result.ablate(controls=2).random["precision"].shape
    (2, 2)
    """
    wanted = result.layers if layers is None else tuple(layers)
    unknown = [layer for layer in wanted if layer not in result.channels]
    if unknown:
        raise ValueError(f"Expected some of the layers {list(result.channels)}, got {unknown[0]!r}.")
    if result.method is None or (isinstance(result.target, str) and result.what is None):
        raise ValueError("An ablation needs the model and the target, and the result was loaded without. Make it anew.")
    if isinstance(result.what, Rows):
        raise ValueError("An ablation takes classes, a unit of a layer or a function of the outputs alone, got Rows.")
    positive("controls", controls)
    masks = {layer: _masks(result, layer, metrics, n, controls, seed) for layer in wanted}
    step = _without(result, wanted)
    fixed = result.method.view.batch_size
    size = fixed or positive("batch_size", batch_size)
    ids = np.zeros(len(result), np.int32) if isinstance(result.target, str) else result.target.astype(np.int32)
    rows = result.inputs, ids, {layer: mask.swapaxes(0, 1) for layer, mask in masks.items()}
    parts = []
    for start in range(0, len(result), size):
        some = tf.nest.map_structure(lambda x: x[start : start + size], rows)  # noqa: B023
        inputs, own, removed = padded(some, fixed) if fixed else some
        removed = {layer: mask.swapaxes(0, 1) for layer, mask in removed.items()}
        parts.append(step(*tf.nest.map_structure(tf.constant, (inputs, own, removed))))
    change = np.concatenate(parts, 1)[:, : len(result)].reshape(len(metrics), 1 + controls, -1)
    return Ablation(
        {metric: change[number, 0] for number, metric in enumerate(metrics)},
        {metric: change[number, 1:].T for number, metric in enumerate(metrics)},
    )


def _masks(result: Resampling, layer: str, metrics: tuple[str, ...], n: int, controls: int, seed: int) -> np.ndarray:
    """(sets, images, channels) bool: for each metric what it selects, and random sets."""
    lives = ~np.isnan(result.scores["correlation"][layer])
    found = []
    for metric in metrics:
        numbers = result.top(metric, n)[layer]
        found.append(_chosen(numbers, lives.shape[1]))
        for control in range(controls):
            random = np.random.default_rng((seed, control, result.layers.index(layer))).random(lives.shape)
            drawn = ranked(np.where(lives, random, np.nan), n)
            found.append(_chosen(np.where(numbers >= 0, drawn, -1), lives.shape[1]))
    return np.stack(found)


def _chosen(numbers: np.ndarray, count: int) -> np.ndarray:
    """(images, count) bool from (images, n) numbers, -1 for none."""
    return (numbers[:, :, None] == np.arange(count)).any(1)


def _without(result: Resampling, layers: tuple[str, ...]) -> Any:
    """A compiled function of inputs, classes and masks (sets, images, channels): the changes, (sets, images)."""
    runner = Runner(result.method.view, **result.method.options)  # type: ignore[union-attr]
    runner.reads = layers

    @tf.function(autograph=False, reduce_retracing=True)
    def changes(inputs: Any, ids: tf.Tensor, masks: dict[str, tf.Tensor]) -> tf.Tensor:
        run = runner.run(inputs, Goal(ids, result.what, of_classes=True), 1)

        def score(removed: dict[str, tf.Tensor]) -> tf.Tensor:
            edits = [(run.read[layer], _zeroed(mask)) for layer, mask in removed.items()]
            return run.score - edited(edits, run.score)

        return tf.map_fn(score, masks, fn_output_signature=tf.float32, parallel_iterations=1)

    return changes


def _zeroed(mask: tf.Tensor) -> Any:
    """The edit that sets channels to zero, (images, channels) of them."""

    def edit(layer: tf.Tensor) -> tf.Tensor:
        wide = tf.reshape(mask, [-1, *[1] * (layer.shape.rank - 2), layer.shape[-1]])
        return tf.where(wide, tf.zeros([], layer.dtype), layer)

    return edit
