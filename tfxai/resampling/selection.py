"""Selections of channels: those with the highest scores in each layer, or random ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

ByLayer: TypeAlias = dict[str, np.ndarray]


def ranked(scores: np.ndarray, top: int) -> np.ndarray:
    """(images, top) numbers of the highest scores, the best first, of equals the first; -1 instead of NaN."""
    missing = np.isnan(scores)
    order = np.argsort(np.where(missing, np.inf, -scores), axis=1, kind="stable")[:, :top]
    order = np.where(np.take_along_axis(missing, order, 1), -1, order)
    return np.pad(order, ((0, 0), (0, top - order.shape[1])), constant_values=-1)


def drawn(scores: np.ndarray, top: int, random: np.random.Generator) -> np.ndarray:
    """(images, top) random channels among those that have a score; -1 where there are fewer."""
    return ranked(np.where(np.isnan(scores), np.nan, random.random(scores.shape)), top)


def masked(selected: np.ndarray, channels: int) -> np.ndarray:
    """(images, channels) bool, true for those that are selected, (images, top), -1 for none."""
    return (selected[:, :, None] == np.arange(channels)).any(1)


def with_controls(selected: Sequence[np.ndarray], scores: np.ndarray, seeds: Sequence[Any]) -> np.ndarray:
    """(sets, images, channels) bool: what each metric selects, each before random sets of as many that have a score.

    Parameters
    ----------
    selected : sequence of ndarray
        (images, top) channels, -1 for none, by each metric.
    scores : ndarray
        (images, channels), NaN for channels that are never drawn.
    seeds : sequence
        One for each random set, the same for all metrics.
    """

    def others(one: np.ndarray, seed: Any) -> np.ndarray:
        return np.where(one >= 0, drawn(scores, one.shape[1], np.random.default_rng(seed)), -1)

    sets = [one for own in selected for one in (own, *(others(own, seed) for seed in seeds))]
    return np.stack([masked(one, scores.shape[1]) for one in sets])


def nested(flat: Mapping[str, np.ndarray]) -> dict[str, ByLayer]:
    """Arrays called "name/layer" as name to layer to array."""
    found: dict[str, ByLayer] = defaultdict(dict)
    for key, array in flat.items():
        name, layer = key.split("/", 1)
        found[name][layer] = array
    return dict(found)


def of_image(selected: Mapping[str, np.ndarray], image: int) -> dict[str, list[int]]:
    """Layer to the channels that are selected for one image."""
    return {layer: [c for c in channels[image].tolist() if c >= 0] for layer, channels in selected.items()}
