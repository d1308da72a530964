"""Which relevant features speak for how many inputs, class by class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from tfxai.scale.reader import Results


class FeatureCount(NamedTuple):
    """A relevant feature, and how often it speaks.

    Attributes
    ----------
    feature : str
        Its layer and its channel there, such as ``"conv4 17"``.
    inputs : int
        For how many inputs it is among those that contribute most.
    contribution : float
        What it contributes to these on average, as a share of the weights of the class.
    """

    feature: str
    inputs: int
    contribution: float


def feature_counts(results: Results, method: str) -> dict[str, list[FeatureCount]]:
    """Of each class its features, the one that speaks for most inputs first; empty for methods that name none."""
    counts: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0, 0.0]))
    for table in results.tables(method, ["label", "features", "contributions"]):
        rows = (table[name].to_pylist() for name in ("label", "features", "contributions"))
        for label, features, contributions in zip(*rows, strict=True):
            for feature, contribution in zip(features or (), contributions or (), strict=True):
                own = counts[label][feature]
                own[0] += 1
                own[1] += contribution
    return {label: _ordered((name, int(n), total) for name, (n, total) in own.items()) for label, own in counts.items()}


def _ordered(found: Iterable[tuple[str, int, float]]) -> list[FeatureCount]:
    counts = [FeatureCount(name, count, total / count) for name, count, total in found]
    return sorted(counts, key=lambda one: (-one.inputs, -one.contribution, one.feature))
