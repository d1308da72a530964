"""Does the score need the channels that were selected? It, without them, and without as many others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from tfxai.brief import brief
from tfxai.channels import at_peaks, without
from tfxai.checks import positive
from tfxai.goal import Goal
from tfxai.models import ModelView
from tfxai.models.view import cut, padded
from tfxai.options import ModelOptions
from tfxai.runner import Runner
from tfxai.types import Inputs


@dataclass(frozen=True, eq=False)
class Ablation:
    """How the score of each image changes without the channels, or units, that a metric selects.

    Attributes
    ----------
    changes : dict
        Metric to (images,) score of the image minus that without its channels.
    random : dict
        Metric to (images, controls), the same without as many random channels of each layer.
    """

    changes: dict[str, np.ndarray]
    random: dict[str, np.ndarray]

    __repr__ = brief

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


def score_changes(
    view: ModelView,
    inputs: Inputs,
    ids: np.ndarray,
    what: Any,
    removed: Mapping[str, np.ndarray],
    batch_size: int,
    units: bool = False,
    **options: Unpack[ModelOptions],
) -> np.ndarray:
    """(sets, images) score of each image minus that without channels.

    Parameters
    ----------
    view : ModelView
        The model.
    inputs : ndarray or dict
        What it is given.
    ids : ndarray
        (images,) classes.
    what : Neuron, Channel, callable or None
        What is scored instead of the classes.
    removed : mapping
        Layer to (sets, images, channels) bool, of each set the channels that are zero.
    batch_size : int
        How many images at once.
    units : bool
        Whether of each channel only the unit is zero that the image excites most.
    **options
        As for `Explainer`.
    """
    step = _compiled(view, what, tuple(removed), units, options)
    fixed = view.batch_size
    size = fixed or positive("batch_size", batch_size)
    rows = inputs, ids.astype(np.int32), {layer: mask.swapaxes(0, 1) for layer, mask in removed.items()}
    parts = []
    for some in cut(rows, size):
        batch, own, masks = padded(some, fixed) if fixed else some
        masks = {layer: mask.swapaxes(0, 1) for layer, mask in masks.items()}
        parts.append(step(*tf.nest.map_structure(tf.constant, (batch, own, masks))))
    return np.concatenate(parts, 1)[:, : len(ids)]


def _compiled(
    view: ModelView, what: Any, layers: tuple[str, ...], units: bool, options: ModelOptions
) -> Callable[..., tf.Tensor]:
    """From inputs, classes and masks (sets, images, channels) to the changes, (sets, images)."""
    runner = Runner(view, **options)
    runner.reads = layers

    @tf.function(autograph=False, reduce_retracing=True)
    def changes(inputs: Any, ids: tf.Tensor, masks: dict[str, tf.Tensor]) -> tf.Tensor:
        run = runner.run(inputs, Goal(ids, what, of_classes=True), 1)

        def change(removed: dict[str, tf.Tensor]) -> tf.Tensor:
            if units:
                removed = {layer: at_peaks(mask, run.read[layer]) for layer, mask in removed.items()}
            return run.score - without(run.read, removed, run.score)

        # one set after the other: in parallel, they would hold the activations of all of them at once
        return tf.map_fn(change, masks, fn_output_signature=tf.float32, parallel_iterations=1)

    return changes
