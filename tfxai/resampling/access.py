"""What results ask of the explainer that they came from, because it needs the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from tfxai.explanation import Explanation
from tfxai.models.receptive_field import ReceptiveField
from tfxai.resampling.patches import WayBack


class ModelAccess(Protocol):
    """What `InputResampling` does for its results, which need not know it."""

    def fields(self, inputs: Any, layers: tuple[str, ...]) -> dict[str, ReceptiveField]:
        """What the units of layers see of inputs of this size."""

    def project(self, inputs: Any, layer: str, channels: Any, projection: WayBack) -> Explanation:
        """The way back of channels into the inputs."""

    def score_changes(
        self, inputs: Any, ids: np.ndarray, what: Any, removed: Mapping[str, np.ndarray], batch_size: int, units: bool
    ) -> np.ndarray:
        """Scores of the inputs minus those without channels or units, see `tfxai.resampling.ablation.score_changes`."""
