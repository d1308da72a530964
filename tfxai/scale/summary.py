"""What the explanations of a whole data set say: mean maps by class, groups of similar maps, and what stands out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike

import cv2
import numpy as np

from tfxai.checks import positive
from tfxai.explanation import Explanation
from tfxai.scale.clusters import Clusters, clusters
from tfxai.scale.feature_counts import FeatureCount, feature_counts
from tfxai.scale.reader import Results, read

SIDE = 16  # values of a map along each axis when maps are compared
SHOWN = 8  # images of a group


@dataclass
class ClassSummary:
    """The explanations of one class.

    Attributes
    ----------
    label : str
        The class that was explained.
    count : int
        How many inputs it was explained for.
    mean : ndarray
        (h, w), the mean of all their heat-maps.
    ids : list of str
        The inputs that were compared: all, or as many of them as ``most`` says, drawn at random.
    maps : ndarray
        (n, 16, 16), their heat-maps.
    clusters : Clusters
        Groups of these, see `tfxai.scale.clusters.Clusters`.
    features : list of FeatureCount
        Which relevant features speak for how many of them, see `tfxai.scale.feature_counts.FeatureCount`; empty for
        methods other than ``relevant_features``.
    """

    label: str
    count: int = 0
    mean: np.ndarray = field(default_factory=lambda: np.zeros(0))
    ids: list[str] = field(default_factory=list)
    maps: np.ndarray = field(default_factory=lambda: np.zeros(0))
    clusters: Clusters | None = None
    features: list[FeatureCount] = field(default_factory=list)

    def groups(self, shown: int = SHOWN) -> Iterator[tuple[float, list[str], np.ndarray]]:
        """Of each group its share of the class, the ids of its most typical members, and its mean map."""
        for members in self._found.typical:
            yield len(members) / len(self.ids), [self.ids[row] for row in members[:shown]], self.maps[members].mean(0)

    def unusual(self, shown: int = SHOWN) -> list[tuple[str, float]]:
        """The inputs whose explanations are least like others of the class, with their distance over the usual one."""
        order = np.argsort(-self._found.distance, kind="stable")[:shown]
        return [(self.ids[row], float(self._found.distance[row])) for row in order]

    @property
    def _found(self) -> Clusters:
        assert self.clusters is not None
        return self.clusters


@dataclass(frozen=True)
class Summary:
    """What the explanations of a data set say.

    Attributes
    ----------
    results : Results
        Of what.
    method : str
        By which method.
    classes : list of ClassSummary
        In the order of their sizes, the largest first.
    """

    results: Results
    method: str
    classes: list[ClassSummary]


def summarize(
    results: Results | str | PathLike[str], method: str | None = None, *, most: int = 500, seed: int = 0
) -> Summary:
    """Summarize the explanations of a data set, class by class.

    Heat-maps of each class are compared, and those that are alike make groups (Lapuschkin et al. 2019). A group of maps
    that point at something other than the object, such as a watermark, is a short cut that the model takes. The shards
    are read once, and a sample of each class is kept.

    Parameters
    ----------
    results : Results or path
        What `tfxai.explain_dataset` made.
    method : str, optional
        By which method; not needed where there is one.
    most : int
        How many inputs of a class are compared; if there are more, this many are drawn. Means are over all inputs.
        Default 500.
    seed : int
        Seed of the draws and the clustering.

    Returns
    -------
    Summary

    Raises
    ------
    ValueError
        If nothing has been explained yet, or the maps are not images.
    """
    results = results if isinstance(results, Results) else read(results)
    name, most = results.named(method), positive("most", most)
    random = np.random.default_rng(seed)
    kept: dict[str, ClassSummary] = {}
    for ids, explanation in results.explanations(name):
        maps = _maps(explanation)
        small = np.stack([cv2.resize(one, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for one in maps])
        for row, id in enumerate(ids):
            label = explanation.label(row)
            own = kept.setdefault(label, ClassSummary(label, 0, np.zeros(maps.shape[1:]), [], np.zeros(0)))
            if own.count == 0:
                own.maps = np.zeros((most, SIDE, SIDE), np.float32)
            _take(own, id, maps[row], small[row], most, random)
    if not kept:
        raise ValueError(f"Expected explanations in {str(results.folder)!r}, but there are none yet.")
    counts = feature_counts(results, name)
    for own in kept.values():
        own.features = counts.get(own.label, [])
        own.mean = own.mean / own.count
        own.maps = own.maps[: len(own.ids)]
        own.clusters = clusters(own.maps, seed)
    return Summary(results, name, sorted(kept.values(), key=lambda own: (-own.count, own.label)))


def _maps(explanation: Explanation) -> np.ndarray:
    maps = explanation.heatmaps()
    if maps.ndim != 3:
        raise ValueError(f"Expected explanations of images, got heat-maps of shape {maps.shape[1:]}.")
    return maps


def _take(
    own: ClassSummary, id: str, heatmap: np.ndarray, small: np.ndarray, most: int, random: np.random.Generator
) -> None:
    """Add an input to the mean, and to the sample with the chance that all have (a reservoir)."""
    own.count += 1
    own.mean += heatmap
    place = len(own.ids) if len(own.ids) < most else int(random.integers(own.count))
    if place == len(own.ids):
        own.ids.append(id)
    elif place < most:
        own.ids[place] = id
    if place < most:
        own.maps[place] = small
