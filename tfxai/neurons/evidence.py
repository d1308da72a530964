"""Predictions with the features that speak for them: as lists, and as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfxai.display import overlay, photographs, saturate
from tfxai.explanation import Explanation
from tfxai.neurons.interpretation import Interpretation
from tfxai.reading import read, scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Evidence(NamedTuple):
    """One feature that speaks for a prediction.

    Attributes
    ----------
    layer : str
        Name of its layer.
    channel : int
        Which channel.
    contribution : float
        What it contributes to the class, as a share of the weights.
    heatmap : ndarray
        (h, w) in [0, 1], what excites it in the image.
    """

    layer: str
    channel: int
    contribution: float
    heatmap: np.ndarray


class FeatureExplanation(Explanation):
    """An `Explanation` by `PredictionByFeatures`, which also lists and draws the features that speak for each input.

    Examples
    --------
    >>> import tfxai
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=24)
    >>> features = tfxai.RelevantFeatures(tfxai.datasets.flowers.load_model()).fit(images, labels, verbose=0)
    >>> explanation = features.explain(images[:2])
    >>> strongest = explanation.evidence()[0][0]
    >>> strongest.heatmap.shape
    (112, 112)
    >>> figure = explanation.plot_prediction()
    """

    def evidence(self) -> list[list[Evidence]]:
        """The features that speak for each prediction.

        Returns
        -------
        list of list of Evidence
            For each input at most ``top`` of them, the strongest first, or none.
        """
        layers, channels = self.facts["layers"], self.facts["channels"]
        index = [(layer, channel) for layer, count in zip(layers, channels, strict=True) for channel in range(count)]
        by_input = zip(*(self.extras[name] for name in ("contributions", "top", "heatmaps")), strict=True)
        return [
            [
                Evidence(index[k][0], index[k][1], float(r[k]), heatmap)
                for k, heatmap in zip(top, heatmaps, strict=True)
                if k >= 0
            ]
            for r, top, heatmaps in by_input
        ]

    def plot_prediction(
        self,
        interpretation: Interpretation | None = None,
        images: np.ndarray | Sequence[np.ndarray] | None = None,
        *,
        alpha: float = 0.5,
        percentile: float = 99.0,
    ) -> Figure:
        """Figure with a row for each input: it and its class, the combined heat-map, and each feature that speaks.

        Parameters
        ----------
        interpretation : Interpretation, optional
            Of ``features.interpret``: the average image of each feature is put under its heat-map.
        images : ndarray or sequence of ndarray, optional
            Photographs to show instead of preprocessed inputs.
        alpha : float
            Opacity of the heat-maps, from 0 to 1.
        percentile : float
            Where heat-maps reach their last colour; 100 shows them as they are.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from tfxai.neurons import figures

        pictures, _ = photographs(images, self.inputs)
        combined = read(self, self.polarity, percentile)
        evidence = self.evidence()
        rows: list[figures.Row] = []
        for number, (picture, found) in enumerate(zip(pictures, evidence, strict=True)):
            text = f"{self.label(number).split(',')[0]}\n{scored(self, number)}"  # of synonyms the first
            whole = overlay(picture, combined.maps[number], alpha)
            note = "no feature is relevant:\nthose that respond most" if self.extras["fallback"][number] else ""
            row: figures.Row = [
                (picture, text),
                (whole, note if found else "no feature speaks for it", combined.ends[number]),
            ]
            for one in found:
                heatmap = overlay(picture, saturate(one.heatmap[None], percentile)[0], alpha)
                row.append((heatmap, f"{one.layer} {one.channel}\n{one.contribution:.2g}"))
            rows.append(row)
            if interpretation is not None:
                averages = interpretation.averages.get(int(self.target[number]), {})
                below = [averages.get((one.layer, one.channel)) for one in found]
                rows.append([None, None, *(None if one is None else (one.average / 255, "") for one in below)])
        columns = ["input", "combined", *map(str, range(1, 1 + max(map(len, evidence))))]
        return figures.predictions(rows, columns, pictures[0].shape[0] / pictures[0].shape[1])
