"""Scores of all channels of some layers, and which of them are the best."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import tensorflow as tf

from tfxai.checks import one_of, positive
from tfxai.resampling.comparison import Comparison
from tfxai.resampling.scores import METRICS, TESTED, Metric
from tfxai.resampling.selection import ByLayer, ranked

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class ChannelScores:
    """Scores of all channels of some layers, for each image, and which are the best.

    Attributes
    ----------
    channels : dict
        Layer to how many channels it has.
    found : dict
        All that was found of them, by name and layer, which the properties sort.
    target : ndarray or str
        (n,) class ids that were explained, or a description of the target.
    score : ndarray
        (n,) of the images themselves.
    spread : ndarray
        (n,) standard deviation of the score over the cloud; 0 where it is the same for all copies.
    inputs : ndarray or dict
        What the model saw.
    classes : tuple of str, optional
        Names of the classes.
    settings : dict
        Of the cloud and of the scores.
    """

    channels: dict[str, int]
    found: dict[str, ByLayer]
    target: np.ndarray | str
    score: np.ndarray
    spread: np.ndarray
    inputs: Any
    classes: tuple[str, ...] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        count = f"{sum(self.channels.values())} channels of {len(self.channels)} layers"
        return f"{type(self).__name__}({len(self)} inputs, {count}, target {self.target!r})"

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, key: int | slice) -> Self:
        """One image, or a slice of them, with its batch axis."""
        if not isinstance(key, slice):
            if not -len(self) <= key < len(self):
                raise IndexError(f"There are {len(self)} images, so none has the number {key}.")
            key = slice(key % len(self), key % len(self) + 1)
        rows = {"found": self.found, "score": self.score, "spread": self.spread, "inputs": self.inputs}
        rows |= {} if isinstance(self.target, str) else {"target": self.target}
        return replace(self, **tf.nest.map_structure(lambda x: x[key], rows))

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.channels)

    @property
    def scores(self) -> dict[Metric, ByLayer]:
        """Metric to layer to (n, channels); NaN for channels that have no such score."""
        return {metric: self.found[metric] for metric in METRICS if metric in self.found}

    @property
    def p_values(self) -> dict[Metric, ByLayer]:
        """Metric to layer to (n, channels): how often a permuted output correlates as much; needs permutations."""
        return {metric: self.found[f"p_{metric}"] for metric in TESTED if f"p_{metric}" in self.found}

    @property
    def activity(self) -> ByLayer:
        """Layer to (n, channels): size of the mean activation over sites and copies."""
        return self.found["activity"]

    @property
    def peaks(self) -> ByLayer:
        """Layer to (n, channels, axes): where the image excites a channel most."""
        return self.found["peak"]

    @property
    def maps(self) -> dict[str, ByLayer]:
        """ "correlation" (signed) and "variance" to layer to (n, ..., channels), of every site; needs ``maps=True``."""
        return {name: self.found[f"map_{name}"] for name in ("correlation", "variance") if f"map_{name}" in self.found}

    @property
    def chance(self) -> float:
        """Mean size of the correlation of independent noise, sqrt(2 / (pi n)); of the mean over sites, too."""
        return math.sqrt(2 / (math.pi * self.settings["samples"]))

    def top(self, metric: Metric, top: int = 5) -> ByLayer:
        """The channels with the highest scores.

        Parameters
        ----------
        metric : str
            One of ``scores``.
        top : int
            How many of each layer. Default 5 (authors' code).

        Returns
        -------
        dict
            Layer to (images, top) channels, the best first, of equals the first; -1 where there are fewer.

        Raises
        ------
        ValueError
            For an unknown metric; for effects, if there are none; for weights, if a layer has no kernel of its own.
        """
        one_of("metric", metric, METRICS)
        if metric == "effect" and metric not in self.found:
            raise ValueError("There are no effects, which take gradients: InputResampling(..., effect=True).")
        missing = [layer for layer in self.channels if layer not in self.found.get(metric, {})]
        if missing:
            raise ValueError(
                f"The layers {missing[:3]} have no kernel of their own, from which {metric} could be taken: none, "
                "or several, make their channels. Give layers=[...] without them."
            )
        return {layer: ranked(scores, positive("top", top)) for layer, scores in self.found[metric].items()}

    def compare(self, first: Metric = "correlation", second: Metric = "precision", *, top: int = 5) -> Comparison:
        """The channels that two metrics select, and how far they agree.

        Parameters
        ----------
        first, second : str
            Two of ``scores``.
        top : int
            How many channels of each layer.

        Returns
        -------
        Comparison
        """
        return Comparison((first, second), (self.top(first, top), self.top(second, top)), self.channels)

    def to_dataframe(self) -> DataFrame:
        """A pandas table with a row for each image, layer and channel; ImportError without pandas."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("A table of scores needs pandas: pip install pandas. Or use result.scores.") from error
        columns = self.scores | {f"p_{metric}": x for metric, x in self.p_values.items()} | {"activity": self.activity}
        tables = [
            pandas.DataFrame(
                {
                    "image": np.repeat(np.arange(len(self)), count),
                    "layer": layer,
                    "channel": np.tile(np.arange(count), len(self)),
                    **{name: x[layer].ravel() for name, x in columns.items() if layer in x},
                }
            )
            for layer, count in self.channels.items()
        ]
        return pandas.concat(tables, ignore_index=True)
