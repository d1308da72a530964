"""From a channel back to the part of the image that its strongest site looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
import tensorflow as tf

from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.goal import Goal
from tfxai.models import ModelView
from tfxai.models.overrides import Pooling, Relus, backward_rules
from tfxai.models.receptive_field import ReceptiveField
from tfxai.run import Run
from tfxai.types import Inputs

WayBack: TypeAlias = Literal["guided", "deconvnet_upsample", "deconvnet_switch"]
Projection: TypeAlias = Literal["receptive_field", WayBack]

# The rules for ReLUs and max-pooling.
RULES: dict[WayBack, tuple[Relus, Pooling]] = {
    "guided": ("guided", "gradient"),
    "deconvnet_upsample": ("guided", "repeat"),
    "deconvnet_switch": ("deconvnet", "switch"),
}


class Projector(Explainer):
    """The way back from the strongest site of a channel; the target is the number of the channel."""

    facts = Facts("projection", "", "", "", "", "Lengerich et al. 2017")
    polarity = "energy"

    def __init__(self, view: ModelView, layer: str, channels: int, projection: WayBack):
        super().__init__(view, classes=[f"channel {number}" for number in range(channels)])
        self.reads = (layer,)
        relus, pooling = RULES[projection]
        self.backward = backward_rules(relus, "gradient", pooling)

    def run(self, inputs: Inputs, goal: Goal, batch_size: int, numbers: None = None) -> Run:  # type: ignore[override]
        forward = self.view.forward(inputs, self.reads, self.backward)
        layer = forward.read[self.reads[0]]
        peaks = tf.reduce_max(layer, range(1, layer.shape.rank - 1))
        score, goal = goal.score(peaks, {})
        return Run(
            inputs, score, goal, peaks, forward.read, batch_size, "activation", modified_relus=forward.modified_relus
        )

    def attribute(self, run: Run) -> tf.Tensor:
        return run.gradients(run.image)


def around(values: np.ndarray) -> np.ndarray:
    """(n, 4) tight boxes around what is not zero in maps (n, h, w); zeros where everything is."""
    found = np.zeros((len(values), 4), int)
    for row, one in enumerate(values != 0):
        if one.any():
            y, x = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
            found[row] = x[0], y[0], x[-1] + 1, y[-1] + 1
    return found


def reached(channels: np.ndarray, arrives: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """(n, k, 4) boxes around what arrives of (n, k) channels in the image; zeros for channel -1.

    ``arrives`` makes maps (m, h, w, c) of the numbers of rows and channels, (m,) each.
    """
    found = np.zeros((*channels.shape, 4), int)
    places = np.nonzero(channels >= 0)
    if len(places[0]):
        found[places] = around(arrives(places[0], channels[places]).max(-1))
    return found


def seen(field: ReceptiveField, peaks: np.ndarray, channels: np.ndarray) -> np.ndarray:
    """(n, k, 4) receptive fields at the peaks of (n, k) channels, within the image; zeros for channel -1."""
    height, width = field.image
    found = np.zeros((*channels.shape, 4), int)
    for row, number in np.argwhere(channels >= 0):
        box = field.box(*peaks[row, channels[row, number]].tolist())
        found[row, number] = np.clip(box, 0, [width, height, width, height])
    return found
