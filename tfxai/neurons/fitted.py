"""What fitted features show to what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import numpy as np
import tensorflow as tf

from tfxai.models import ModelView

Feature: TypeAlias = tuple[str, int]  # layer and channel


class Fitted(Protocol):
    """A `RelevantFeatures` after ``fit``, for those that need not know how it came about; see its attributes."""

    view: ModelView
    classes: tuple[str, ...] | None
    mu_: float
    layers_: tuple[str, ...]
    channels_: tuple[int, ...]
    index_: list[Feature]
    weights_: np.ndarray
    features_: dict[int, list[Feature]]
    counts_: np.ndarray
    active_: np.ndarray
    residual_: np.ndarray

    def descriptors(self, maps: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """(n, m) descriptors from the outputs of all ``layers_``, in the graph."""
