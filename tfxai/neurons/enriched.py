"""A prediction enriched: the photograph, what it was taken for, and the features that spoke for it."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from tfxai.display import overlay, photographs, saturate
from tfxai.explanation import Explanation
from tfxai.neurons.interpretation import Interpretation, show
from tfxai.neurons.prediction import evidence
from tfxai.plotting import CELL, INK


def plot_prediction(
    explanation: Explanation,
    interpretation: Interpretation | None = None,
    images: Any = None,
    *,
    alpha: float = 0.5,
    percentile: float = 99.0,
) -> Figure:
    """Figure with a row for each input: it and its class, the combined heat-map, and each feature that speaks for it.

    Parameters
    ----------
    explanation : Explanation
        Of ``features.explain``.
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

    Examples
    --------
    >>> import tfxai
    >>> from tfxai.neurons.enriched import plot_prediction
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=60)
    >>> features = tfxai.RelevantFeatures(tfxai.datasets.flowers.load_model()).fit(images, labels, verbose=0)
    >>> figure = plot_prediction(features.explain(images[:2]), images=images[:2])
    >>> len(figure.axes)
    10
    """
    pictures, _ = photographs(images, explanation.inputs)
    spoke = evidence(explanation)
    combined = saturate(explanation.heatmaps(), percentile)
    lines = 1 if interpretation is None else 2
    columns = 2 + explanation.extras["top"].shape[1]
    figure, axes = plt.subplots(
        lines * len(pictures),
        columns,
        squeeze=False,
        layout="constrained",
        figsize=(CELL * columns, (CELL + 0.4) * lines * len(pictures) + 0.2),
    )
    for cell in axes.flat:
        cell.set_axis_off()
    for row, picture in enumerate(pictures):
        photo, whole, *cells = axes[lines * row]
        show(photo, picture, f"{explanation.label(row).split(',')[0]}\nscore {explanation.score[row]:.3g}")
        show(whole, overlay(picture, combined[row], alpha), "" if spoke[row] else "no feature speaks for it")
        averages = interpretation.averages.get(int(explanation.target[row]), {}) if interpretation else {}
        for column, (cell, feature) in enumerate(zip(cells, spoke[row], strict=False)):
            heatmap = saturate(feature.heatmap[None], percentile)[0]
            text = f"{feature.layer} {feature.channel}\n{feature.contribution:.2g}"
            show(cell, overlay(picture, heatmap, alpha), text)
            average = averages.get((feature.layer, feature.channel))
            if average is not None:
                show(axes[lines * row + 1, 2 + column], average.average / 255)
    for cell, title in zip(axes[0], ["input", "combined", *range(1, columns - 1)], strict=True):
        cell.set_title(str(title), fontsize=10, color=INK)
        cell.set_box_aspect(pictures[0].shape[0] / pictures[0].shape[1])  # also where nothing is shown
    return figure
