"""The selections of two metrics, compared."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfxai.brief import brief
from tfxai.resampling.overlap import Overlap, overlap
from tfxai.resampling.scores import Metric
from tfxai.resampling.selection import ByLayer, of_image

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Sets(NamedTuple):
    """The selections of two metrics for one image, each a dict of layer to channels."""

    only_first: dict[str, list[int]]
    only_second: dict[str, list[int]]
    both: dict[str, list[int]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The channels that two metrics select.

    Attributes
    ----------
    metrics : tuple of str
        The first and the second.
    selected : tuple of dict
        What each selects, layer to (n, top) channels, -1 where there are fewer.
    channels : dict
        Layer to how many channels it has.
    """

    metrics: tuple[Metric, Metric]
    selected: tuple[ByLayer, ByLayer]
    channels: dict[str, int]

    __repr__ = brief

    def __len__(self) -> int:
        return len(next(iter(self.selected[0].values())))

    def sets(self, image: int = 0) -> Sets:
        """What only the first, only the second, and both select for one image."""
        first, second = (of_image(one, image) for one in self.selected)
        return Sets(
            {layer: [c for c in one if c not in second[layer]] for layer, one in first.items()},
            {layer: [c for c in one if c not in first[layer]] for layer, one in second.items()},
            {layer: [c for c in one if c in second[layer]] for layer, one in first.items()},
        )

    def overlap(self, image: int, layer: str | None = None) -> Overlap:
        """How far they agree for one image, in all layers together or in one."""
        channels = self.channels if layer is None else {layer: self.channels[layer]}
        first, second = (of_image(one, image) for one in self.selected)
        return overlap(first, second, channels)

    def mean(self, layer: str | None = None) -> Overlap:
        """Mean over the images of the overlap, in all layers together or in one."""
        found = np.array([self.overlap(image, layer) for image in range(len(self))])
        found = found[~np.isnan(found[:, 0])]
        return Overlap(*map(float, found.mean(0) if len(found) else [math.nan] * 6))

    def plot(self, image: int | None = None) -> Figure:
        """How far the selections agree in each layer, beside what random selections would.

        Parameters
        ----------
        image : int, optional
            For which image; default: the mean over all.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If there is no such image.
        """
        from tfxai.resampling import figures

        if image is not None and not -len(self) <= image < len(self):
            raise ValueError(f"Expected one of {len(self)} images, got number {image}.")
        found = {layer: self.mean(layer) if image is None else self.overlap(image, layer) for layer in self.channels}
        return figures.overlaps(found, self.metrics)
