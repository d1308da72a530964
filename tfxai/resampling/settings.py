"""The settings of input resampling: how copies are made, and how channels are scored over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from tfxai.checks import at_least, one_of, positive
from tfxai.resampling.clouds import Perturbation
from tfxai.resampling.scores import Spatial

FEWEST = 3  # copies of which a correlation means anything


@dataclass(frozen=True)
class Settings:
    """How copies of an image are made, and how channels are scored over them; see `InputResampling`."""

    perturbation: Perturbation
    samples: int
    sigma: float
    clip: tuple[float, float] | None
    spatial: Spatial
    activity: float
    relative: bool
    permutations: int
    sites: int | None
    maps: bool
    effect: bool

    def __post_init__(self) -> None:
        if positive("samples", self.samples) < FEWEST:
            raise ValueError(
                f"Expected samples to be at least {FEWEST} copies, of which correlations are made, got {self.samples}."
            )
        if not 0 < self.sigma < np.inf:
            raise ValueError(f"Expected sigma to be positive, got {self.sigma!r}: without noise nothing varies.")
        one_of("spatial", self.spatial, get_args(Spatial))
        at_least(0, activity=self.activity)
        if self.clip is not None and not (len(self.clip) == 2 and self.clip[0] < self.clip[1]):
            raise ValueError(f"Expected clip to be the lowest and the highest value, got {self.clip!r}.")
        if self.permutations:
            positive("permutations", self.permutations)
        if self.sites is not None:
            positive("sites", self.sites)
