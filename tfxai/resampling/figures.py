"""Pictures of input resampling: patches on the image, scores against each other, how far selections agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from tfxai.plotting import CELL, INK
from tfxai.resampling.overlap import Overlap

DEPTH = "turbo"  # colours of layers, from the first to the last
FIRST, SECOND = "C3", "C0"  # colours of two selections
TITLES = {"correlation": "influence"}

Boxes = Mapping[str, np.ndarray]  # layer to (k, 4) xmin, ymin, xmax, ymax in pixels of the picture, or empty boxes


def title(metric: str) -> str:
    """What a picture calls a metric."""
    return TITLES.get(metric, metric.replace("_", " "))


def patches(picture: np.ndarray, panels: Sequence[tuple[str, Boxes]], layers: Sequence[str]) -> Figure:
    """A picture (h, w, 3) for each panel, with boxes in the colours of their layers; ``layers`` are all of them."""
    side = 1.6 * CELL
    colours = {layer: matplotlib.colormaps[DEPTH]((n + 0.5) / len(layers)) for n, layer in enumerate(layers)}
    figure, axes = plt.subplots(
        1,
        len(panels),
        squeeze=False,
        layout="constrained",
        figsize=(side * len(panels) + 1.3, side * picture.shape[0] / picture.shape[1] + 0.3),
    )
    for cell, (name, by_layer) in zip(axes[0], panels, strict=True):
        cell.imshow(picture)
        cell.set_axis_off()
        cell.set_title(name, fontsize=10, color=INK)
        for layer, boxes in by_layer.items():
            _draw(cell, boxes, colours[layer])
    shown = [layer for layer in layers if any(layer in by_layer for _, by_layer in panels)]
    handles = [Patch(facecolor=colours[layer], label=layer) for layer in shown]
    figure.legend(handles=handles, loc="outside right center", fontsize=6, frameon=False)
    return figure


def scores(
    picture: np.ndarray,
    layer: str,
    metrics: tuple[str, str],
    values: Sequence[np.ndarray],
    selected: Sequence[np.ndarray],
    boxes: Sequence[np.ndarray],
    chance: float,
) -> Figure:
    """The channels of a layer, the scores of one metric over those of another, and the patches that each selects.

    Parameters
    ----------
    picture : ndarray
        (h, w, 3).
    layer : str
        Its name.
    metrics : tuple of str
        Of the vertical axis and of the horizontal one.
    values : sequence of ndarray
        (channels,) scores of each.
    selected : sequence of ndarray
        (top,) channels that each selects, -1 for none.
    boxes : sequence of ndarray
        (top, 4) what these look at, in pixels of the picture.
    chance : float
        Correlation of independent noise, a dashed line.
    """
    top = len(selected[0])
    figure = plt.figure(figsize=(3.2 + 0.9 * top, 3.3), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[3.2, 0.9 * top])[0]
    cell = left.subplots()
    y, x = values
    cell.plot(x, y, "o", color="0.7", markersize=3)
    for one, colour in zip(selected, (FIRST, SECOND), strict=True):
        channels = one[one >= 0]
        cell.plot(x[channels], y[channels], "o", color=colour, markersize=5, fillstyle="none")
        for channel in channels:
            cell.annotate(str(channel), (x[channel], y[channel]), fontsize=7, color=colour)
    for axis, metric in zip((cell.yaxis, cell.xaxis), metrics, strict=True):
        axis.set_label_text(title(metric), fontsize=9)
    if metrics[1] == "precision":
        cell.set_xscale("log")
    if "correlation" in metrics[0]:
        cell.axhline(chance, color=INK, linewidth=0.8, linestyle="--")
    cell.set_title(layer, fontsize=10, color=INK)
    cell.tick_params(which="both", labelsize=7)  # of a logarithmic axis that is short, minor ticks have labels too
    grid = right.subplots(2, top, squeeze=False)
    for line, one, around, colour in zip(grid, selected, boxes, (FIRST, SECOND), strict=True):
        for patch, channel, box in zip(line, one, around, strict=True):
            patch.set_axis_off()
            if channel >= 0:
                x0, y0, x1, y1 = box.round().astype(int)
                patch.imshow(picture[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)])
                patch.set_title(str(channel), fontsize=8, color=colour)
    return figure


def overlaps(found: Mapping[str, Overlap], metrics: tuple[str, str]) -> Figure:
    """How far two selections agree in each layer, beside what random selections would."""
    figure, cell = plt.subplots(figsize=(1.5 + 0.3 * len(found), 3), layout="constrained")
    numbers, by_layer = range(len(found)), found.values()
    cell.bar(numbers, [one.jaccard for one in by_layer], color=SECOND, label="Jaccard index")
    cell.plot(numbers, [one.chance_jaccard for one in by_layer], "_", color=FIRST, markersize=12, label="chance")
    cell.tick_params(labelsize=7)
    cell.set_xticks(numbers, list(found), rotation=90)
    cell.set_title(" and ".join(map(title, metrics)), fontsize=10, color=INK)
    cell.legend(fontsize=8, frameon=False)
    return figure


def _draw(cell: Axes, boxes: np.ndarray, colour: Any) -> None:
    for x0, y0, x1, y1 in boxes:
        if x1 > x0:
            corner = x0 - 0.5, y0 - 0.5
            cell.add_patch(Rectangle(corner, x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.3))
