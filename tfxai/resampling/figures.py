"""Pictures of input resampling: patches on the image, scores against each other, two selections side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from tfxai.display import photographs
from tfxai.plotting import CELL, INK

if TYPE_CHECKING:
    from tfxai.resampling.result import Comparison, Resampling

DEPTH = "turbo"
TITLES = {"correlation": "influence", "precision": "precision"}


def plot_patches(
    result: Resampling,
    image: int = 0,
    metrics: tuple[str, ...] = ("correlation", "precision"),
    n: int = 5,
    *,
    layers: tuple[str, ...] | None = None,
    projection: str = "receptive_field",
    images: Any = None,
) -> Figure:
    """The image, a column for each metric, with boxes around what the best channels look at, coloured by depth.

    Parameters
    ----------
    result : Resampling
        What was found.
    image : int
        Which image.
    metrics : tuple of str
        Of its ``scores``.
    n : int
        Channels of each layer.
    layers : tuple of str, optional
        Which layers; default: all. Boxes of late layers are as large as the image.
    projection : str
        As for `Resampling.patches`.
    images : ndarray or sequence of ndarray, optional
        Photographs to show instead of preprocessed inputs, of any size.

    Examples
    --------
    >>> import tfxai
    >>> from tfxai.resampling import figures
    >>> images, _, _ = tfxai.datasets.flowers.make(n=1)
    >>> result = tfxai.InputResampling(tfxai.datasets.flowers.load_model(), n=20)(images, verbose=0)
    >>> figure = figures.plot_patches(result, layers=("block1_relu", "block2_relu"))
    >>> len(figure.axes)
    2
    """
    picture, shown, wanted = _picture(result, image, images), result[image], layers or result.layers
    figure, axes = _columns(picture, len(metrics))
    for cell, metric in zip(axes, metrics, strict=True):
        found = shown.patches(metric, n, projection)
        _show(cell, picture, TITLES.get(metric, metric.replace("_", " ")))
        for layer in wanted:
            _draw(cell, found[layer][0], picture, shown, _colour(result, layer))
    _legend(figure, result, wanted)
    return figure


def plot_sets(
    result: Resampling,
    image: int = 0,
    metrics: tuple[str, str] = ("correlation", "precision"),
    n: int = 5,
    *,
    layers: tuple[str, ...] | None = None,
    projection: str = "receptive_field",
    images: Any = None,
) -> Figure:
    """The image three times: with the patches that only the first metric selects, that both do, that only the second.

    Parameters
    ----------
    result, image, metrics, n, layers, projection, images
        As for `plot_patches`.
    """
    picture, shown, wanted = _picture(result, image, images), result[image], layers or result.layers
    sets = result.compare(*metrics, n).sets(image)
    boxes = {metric: shown.patches(metric, n, projection) for metric in metrics}
    tops = {metric: shown.top(metric, n) for metric in metrics}
    names = [TITLES.get(metric, metric.replace("_", " ")) for metric in metrics]
    panels = (
        (f"only {names[0]}", sets.only_first, metrics[0]),
        ("both", sets.both, metrics[0]),
        (f"only {names[1]}", sets.only_second, metrics[1]),
    )
    figure, axes = _columns(picture, 3)
    for cell, (title, chosen, metric) in zip(axes, panels, strict=True):
        _show(cell, picture, f"{title}: {sum(len(chosen[layer]) for layer in wanted)}")
        for layer in wanted:
            inside = np.isin(tops[metric][layer][0], chosen[layer])
            _draw(cell, boxes[metric][layer][0][inside], picture, shown, _colour(result, layer))
    _legend(figure, result, wanted)
    return figure


def plot_scores(
    result: Resampling,
    layer: str,
    image: int = 0,
    metrics: tuple[str, str] = ("correlation", "precision"),
    n: int = 5,
    *,
    images: Any = None,
) -> Figure:
    """The channels of a layer, one score against another, and the patches of those that each selects.

    The dashed line is the mean correlation of independent noise.

    Parameters
    ----------
    result, image, metrics, n, images
        As for `plot_patches`.
    layer : str
        Which layer.
    """
    picture, shown = _picture(result, image, images), result[image]
    scores = [shown.scores[metric][layer][0] for metric in metrics]
    tops = [shown.top(metric, n)[layer][0] for metric in metrics]
    figure = plt.figure(figsize=(3.2 + 0.9 * n, 3.3), layout="constrained")
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[3.2, 0.9 * n])[0]
    cell = left.subplots()
    cell.plot(scores[1], scores[0], "o", color="0.7", markersize=3)
    for top, colour in zip(tops, ("C3", "C0"), strict=True):
        top = top[top >= 0]
        cell.plot(scores[1][top], scores[0][top], "o", color=colour, markersize=5, fillstyle="none")
        for channel in top:
            cell.annotate(str(channel), (scores[1][channel], scores[0][channel]), fontsize=7, color=colour)
    for axis, metric in ((cell.yaxis, metrics[0]), (cell.xaxis, metrics[1])):
        axis.set_label_text(TITLES.get(metric, metric.replace("_", " ")), fontsize=9)
    if metrics[1] == "precision":
        cell.set_xscale("log")
    if "correlation" in metrics[0]:
        cell.axhline(result.chance, color=INK, linewidth=0.8, linestyle="--")
    cell.set_title(layer, fontsize=10, color=INK)
    cell.tick_params(labelsize=7)
    grid = right.subplots(2, n, squeeze=False)
    for line, metric, top, colour in zip(grid, metrics, tops, ("C3", "C0"), strict=True):
        boxes = shown.patches(metric, n)[layer][0]
        for patch, channel, box in zip(line, top, boxes, strict=True):
            patch.set_axis_off()
            if channel >= 0:
                x0, y0, x1, y1 = _scaled(box, picture, shown).round().astype(int)
                patch.imshow(picture[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)])
                patch.set_title(str(channel), fontsize=8, color=colour)
    return figure


def plot_overlap(comparison: Comparison, image: int | None = None) -> Figure:
    """How far two selections agree in each layer, beside what random selections would.

    Parameters
    ----------
    comparison : Comparison
        Of `Resampling.compare`.
    image : int, optional
        For which image; default: the mean over all.

    Raises
    ------
    ValueError
        If there is no such image.
    """
    if image is not None and not -len(comparison) <= image < len(comparison):
        raise ValueError(f"Expected one of {len(comparison)} images, got number {image}.")
    layers = list(comparison.channels)
    found = [comparison.mean(layer) if image is None else comparison.overlap(image, layer) for layer in layers]
    figure, cell = plt.subplots(figsize=(1.5 + 0.3 * len(layers), 3), layout="constrained")
    cell.bar(range(len(layers)), [one.jaccard for one in found], color="C0", label="Jaccard index")
    cell.plot(range(len(layers)), [one.chance_jaccard for one in found], "_", color="C3", markersize=12, label="chance")
    cell.set_xticks(range(len(layers)), layers, rotation=90, fontsize=7)
    cell.set_title(" and ".join(TITLES.get(metric, metric) for metric in comparison.metrics), fontsize=10, color=INK)
    cell.legend(fontsize=8, frameon=False)
    return figure


def _picture(result: Resampling, image: int, images: Any) -> np.ndarray:
    shown = result[image].inputs
    if isinstance(shown, dict) or shown.ndim != 4:
        raise ValueError("Expected a model of images: patches are parts of one.")
    return photographs(None if images is None else images[image : image + 1], shown)[0][0]


def _columns(picture: np.ndarray, count: int) -> tuple[Figure, Any]:
    side = 1.6 * CELL
    figure, axes = plt.subplots(
        1,
        count,
        squeeze=False,
        layout="constrained",
        figsize=(side * count + 1.3, side * picture.shape[0] / picture.shape[1] + 0.3),
    )
    return figure, axes[0]


def _show(cell: Axes, picture: np.ndarray, title: str) -> None:
    cell.imshow(picture)
    cell.set_axis_off()
    cell.set_title(title, fontsize=10, color=INK)


def _draw(cell: Axes, boxes: np.ndarray, picture: np.ndarray, shown: Resampling, colour: Any) -> None:
    for box in boxes:
        if box[2] > box[0]:
            x0, y0, x1, y1 = _scaled(box, picture, shown)
            cell.add_patch(
                Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.3)
            )


def _scaled(box: np.ndarray, picture: np.ndarray, shown: Resampling) -> np.ndarray:
    """A box in pixels of the picture that is drawn."""
    height, width = shown.inputs.shape[1:3]
    factor = np.array([picture.shape[1] / width, picture.shape[0] / height])
    return box * np.tile(factor, 2)


def _colour(result: Resampling, layer: str) -> Any:
    return matplotlib.colormaps[DEPTH]((result.layers.index(layer) + 0.5) / len(result.layers))


def _legend(figure: Figure, result: Resampling, layers: tuple[str, ...]) -> None:
    handles = [Patch(facecolor=_colour(result, layer), label=layer) for layer in layers]
    figure.legend(handles=handles, loc="outside right center", fontsize=6, frameon=False)
