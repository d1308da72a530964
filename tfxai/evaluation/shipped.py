"""The network that the demo explains."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from tfxai.datasets import flowers
from tfxai.models import open_model
from tfxai.neurons import RelevantFeatures

EXAMPLES, SEED = 240, 12  # flowers, which are not those that are explained


class Shipped:
    """A network that comes with the package, opened once, and its relevant features, fitted once.

    Parameters
    ----------
    name : {"single-6c", "double-12c"}
        The flowers on which it was trained, see `tfxai.datasets.flowers`.
    """

    def __init__(self, name: flowers.Name = "single-6c"):
        self.name, self.classes = name, flowers.CLASSES[name]
        self.model = flowers.load_model(name)
        self.view = open_model(self.model)

    @cached_property
    def examples(self) -> tuple[np.ndarray, np.ndarray]:
        """Flowers from which its features are learned, and their classes."""
        images, labels, _ = flowers.make(self.name, EXAMPLES, seed=SEED)
        return images, labels

    @cached_property
    def features(self) -> RelevantFeatures:
        """The channels that tell its classes apart."""
        return RelevantFeatures(self.view, classes=self.classes).fit(*self.examples, verbose=1)
