"""From a channel back to the part of the image that its strongest site looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from tfxai.explainer import Explainer
from tfxai.explanation import Explanation
from tfxai.facts import Facts
from tfxai.goal import Goal
from tfxai.models import ModelView
from tfxai.models.overrides import backward_rules
from tfxai.models.receptive_field import ReceptiveField
from tfxai.run import Run

if TYPE_CHECKING:
    from tfxai.resampling.resampling import InputResampling
    from tfxai.resampling.result import ByLayer, Resampling

# Projection to the rules for ReLUs and max-pooling.
PROJECTIONS = {
    "guided": ("guided", "gradient"),
    "deconvnet_upsample": ("guided", "repeat"),
    "deconvnet_switch": ("deconvnet", "switch"),
}


class Projector(Explainer):
    """The way back from the strongest site of a channel; the target is the number of the channel."""

    facts = Facts("projection", "", "", "", "", "Lengerich et al. 2017")
    polarity = "energy"

    def __init__(self, view: ModelView, layer: str, channels: int, projection: str):
        super().__init__(view, classes=[f"channel {number}" for number in range(channels)])
        self.reads = (layer,)
        relus, pooling = PROJECTIONS[projection]
        self.backward = backward_rules(relus, "gradient", pooling)

    def run(self, inputs: Any, goal: Goal, batch_size: int) -> Run:
        forward = self.view.forward(inputs, self.reads, self.backward)
        layer = forward.read[self.reads[0]]
        peaks = tf.reduce_max(layer, range(1, layer.shape.rank - 1))
        score, goal = goal.score(peaks, {})
        return Run(
            inputs, score, goal, peaks, forward.read, batch_size, "activation", modified_relus=forward.modified_relus
        )

    def attribute(self, run: Run) -> tf.Tensor:
        return run.gradients(run.image)


def project(result: Resampling, layer: str, channels: Any, projection: str) -> Explanation:
    """See `Resampling.project`."""
    _check(projection, tuple(PROJECTIONS))
    if layer not in result.channels:
        raise ValueError(f"Expected one of the layers {list(result.channels)}, got {layer!r}.")
    return _method(result).projector(layer, projection)(result.inputs, channels, verbose=0)


def boxes(result: Resampling, selected: ByLayer, projection: str) -> ByLayer:
    """See `Resampling.patches`; ``selected`` holds (n, k) channels of each layer, -1 for none."""
    _check(projection, ("receptive_field", *PROJECTIONS))
    if projection == "receptive_field":
        fields = _method(result).fields(result.inputs, result.layers)
        return {layer: _seen(fields[layer], result.peaks[layer], channels) for layer, channels in selected.items()}
    found = {}
    for layer, channels in selected.items():
        found[layer] = np.zeros((*channels.shape, 4), int)
        rows, _ = places = np.nonzero(channels >= 0)
        if len(rows):
            inputs = tf.nest.map_structure(lambda x: x[rows], result.inputs)  # noqa: B023
            values = _method(result).projector(layer, projection)(inputs, channels[places], verbose=0).values
            found[layer][places] = around(values.max(-1))
    return found


def around(values: np.ndarray) -> np.ndarray:
    """(n, 4) tight boxes around what is not zero in maps (n, h, w); zeros where everything is."""
    found = np.zeros((len(values), 4), int)
    for row, one in enumerate(values != 0):
        if one.any():
            y, x = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
            found[row] = x[0], y[0], x[-1] + 1, y[-1] + 1
    return found


def _seen(field: ReceptiveField, peaks: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """Receptive fields at the peaks, within the image."""
    height, width = field.image
    found = np.zeros((*channels.shape, 4), int)
    for place in np.argwhere(channels >= 0):
        row, number = place
        box = field.box(*peaks[row, channels[row, number]].tolist())
        found[row, number] = np.clip(box, 0, [width, height, width, height])
    return found


def _method(result: Resampling) -> InputResampling:
    if result.method is None:
        raise ValueError(
            "The way back needs the model: load(path, method=tfxai.InputResampling(model)), with the same layers."
        )
    return result.method


def _check(projection: str, known: tuple[str, ...]) -> None:
    if projection not in known:
        raise ValueError(f"Expected projection to be one of {known}, got {projection!r}.")
