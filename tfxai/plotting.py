"""Every picture: heat-maps over images, series and tables, and grids that compare methods."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tfxai.explanation import Explanation

MAX_ROWS = 16
MAX_PIXELS = 1024  # longest side of what is drawn: a cell of a grid shows no more, and photographs may be huge
CELL = 1.9  # inches
INK = "#333333"
LINE, GAP = 18, 4  # pixels: a line of text and the space between pictures of a sheet


def overlay(image: np.ndarray, heatmap: np.ndarray, alpha: float = 0.5, cmap: str | Colormap = "jet") -> np.ndarray:
    """Lay a heat-map over an image.

    Parameters
    ----------
    image : ndarray
        (h, w), (h, w, 1) or (h, w, 3), uint8 or floats as `to_display` takes them.
    heatmap : ndarray
        (h, w) in [0, 1]; of another size, it is resized to the image's.
    alpha : float
        Opacity of the heat-map: 0 shows the image, 1 the heat-map only.
    cmap : str or matplotlib Colormap
        Colours of the heat-map.

    Returns
    -------
    ndarray
        uint8, (h, w, 3): ``(1 - alpha) * image + alpha * cmap(heatmap)``.

    Raises
    ------
    ValueError
        If shapes do not fit, the heat-map or ``alpha`` leaves [0, 1], or there is no such colour map.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.plotting import overlay
    >>> overlay(np.zeros((2, 2), np.uint8), np.ones((2, 2)), cmap="gray")[0, 0]
    array([128, 128, 128], dtype=uint8)
    """
    image, heatmap = to_display(np.asarray(image)[None])[0], np.asarray(heatmap, np.float32)
    if heatmap.ndim != 2 or not heatmap.size:
        raise ValueError(f"Expected a heat-map of shape (h, w), got {heatmap.shape}.")
    if not (heatmap.min() >= 0 and heatmap.max() <= 1):
        raise ValueError("Expected a heat-map in [0, 1]; Explanation.heatmaps() gives such.")
    if not 0 <= alpha <= 1:
        raise ValueError(f"Expected alpha between 0 and 1, got {alpha!r}.")
    if heatmap.shape != image.shape[:2]:
        resized = cv2.resize(heatmap, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        heatmap = np.clip(resized, 0, 1)  # rounding
    palette = _named_palette(cmap) if isinstance(cmap, str) else _palette(cmap)
    colours = palette[np.minimum(heatmap * len(palette), len(palette) - 1).astype(int)]  # as matplotlib rounds
    return np.round((1 - alpha) * image + alpha * colours).astype(np.uint8)


@functools.cache
def _named_palette(cmap: str) -> np.ndarray:
    return _palette(matplotlib.colormaps.get_cmap(cmap))  # which makes it anew each time


def _palette(cmap: Colormap) -> np.ndarray:
    """(n, 3) colours of a colour map, 0..255."""
    return 255 * cmap(np.arange(cmap.N))[:, :3]


def to_display(x: np.ndarray) -> np.ndarray:
    """Bring images in whatever range a model takes to one that a screen shows.

    Parameters
    ----------
    x : ndarray
        (n, h, w), (n, h, w, 1) or (n, h, w, 3). The range is guessed from the whole batch: uint8, and whole numbers
        from 0 to 255 of any type, are shown as they are; floats in [0, 1] are multiplied by 255; of anything else,
        each image is stretched from its minimum to its maximum.

    Returns
    -------
    ndarray
        uint8, (n, h, w, 3).

    Raises
    ------
    ValueError
        If these are no images, or hold NaN or infinite values.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.plotting import to_display
    >>> to_display(np.array([[[-1.0, 0.0, 1.0]]]))[0, 0, :, 0]
    array([  0, 128, 255], dtype=uint8)
    """
    x = np.asarray(x)
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or not x.size:
        raise ValueError(f"Expected images of shape (n, h, w), (n, h, w, 1) or (n, h, w, 3), got {x.shape}.")
    if x.dtype != np.uint8:
        x = _to_bytes(x.astype(np.float32))
    return np.repeat(x, 3, -1) if x.shape[-1] == 1 else x


def saturate(heatmaps: np.ndarray, percentile: float = 99.0) -> np.ndarray:
    """Let heat-maps reach 1 at a percentile, so that a few extreme pixels do not hide all others.

    Parameters
    ----------
    heatmaps : ndarray
        (n, ...) in [0, 1].
    percentile : float
        Above 0 and up to 100, which changes nothing.

    Returns
    -------
    ndarray
        Each heat-map over its percentile, cut off at 1; as it was where that percentile is 0.

    Raises
    ------
    ValueError
        If ``percentile`` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.plotting import saturate
    >>> saturate(np.array([[0.0, 0.25, 1.0]]), percentile=50)
    array([[0., 1., 1.]])
    """
    if not 0 < percentile <= 100:
        raise ValueError(f"Expected percentile to lie above 0 and up to 100, got {percentile!r}.")
    top = np.percentile(heatmaps, percentile, tuple(range(1, heatmaps.ndim)), keepdims=True)
    return np.clip(heatmaps / np.where(top > 0, top, 1), 0, 1)


def sheet(rows: Sequence[tuple[str, Sequence[np.ndarray], Sequence[str]]]) -> np.ndarray:
    """Lay pictures out in rows, by OpenCV, which takes milliseconds where a matplotlib figure takes seconds.

    Parameters
    ----------
    rows : sequence of (title, pictures, captions)
        The pictures are uint8 (h, w, 3), of any size; a caption for each. Text is cut off at the end of its place.

    Returns
    -------
    ndarray
        uint8, (height, width, 3), on white: title over and captions under each row.

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.plotting import sheet
    >>> sheet([("petals", [np.zeros((90, 60, 3), np.uint8)] * 2, ["red", "blue"])]).shape
    (134, 132, 3)
    """
    height, width = np.max([one.shape[:2] for _, pictures, _ in rows for one in pictures], axis=0)
    step = width + GAP
    heights = [height + LINE * (1 + any(captions)) + GAP for _, _, captions in rows]
    canvas = np.full((GAP + sum(heights), GAP + step * max(len(row[1]) for row in rows), 3), 255, np.uint8)

    def text(content: str, top: int, left: int, right: int | None = None) -> None:
        place = canvas[top : top + LINE, left:right]
        cv2.putText(place, content, (1, LINE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (51, 51, 51), 1, cv2.LINE_AA)

    tops = GAP + np.cumsum([0, *heights[:-1]])
    for top, (title, pictures, captions) in zip(tops, rows, strict=True):
        text(title, top, GAP)
        for left, picture, caption in zip(range(GAP, canvas.shape[1], step), pictures, captions, strict=False):
            canvas[top + LINE :, left:][: picture.shape[0], : picture.shape[1]] = picture
            text(caption, top + LINE + height, left, left + width)
    return canvas


def plot_grid(
    explanations: Explanation | Sequence[Explanation] | Mapping[str, Explanation],
    images: np.ndarray | Sequence[np.ndarray] | None = None,
    *,
    alpha: float = 0.5,
    cmap: str | Colormap = "jet",
    polarity: str | None = None,
    titles: Sequence[str] | None = None,
    percentile: float = 99.0,
    input: str | None = None,
) -> Figure:
    """Compare explanations of the same inputs: a row for each input, a column for each explanation.

    The first column shows the input with the class that is explained and its score. Images get the heat-map laid over
    them; series are drawn as lines before a background in the colours of the heat-map; of tables, the attributions
    are drawn as bars.

    Parameters
    ----------
    explanations : Explanation, sequence of them, or dict of them by title
        All of the same inputs, at most 16.
    images : ndarray, or sequence of ndarray, optional
        Photographs to show instead of preprocessed inputs, each (h, w) or (h, w, 3), of any size; a sequence may mix
        sizes.
    alpha : float
        Opacity of the heat-maps, from 0 to 1.
    cmap : str or matplotlib Colormap
        Colours of the heat-maps.
    polarity : {"positive", "negative", "absolute", "energy"}, optional
        As for `Explanation.heatmaps`; default: what suits each method.
    titles : sequence of str, optional
        Titles of the columns; default: the methods, or the keys of the dict.
    percentile : float
        Where heat-maps reach their last colour, as `saturate` does it; 100 shows them as they are.
    input : str, optional
        Which input is shown, if the model has several.

    Returns
    -------
    matplotlib.figure.Figure
        Made by pyplot, so that notebooks show it.

    Raises
    ------
    ValueError
        If there is nothing to draw or too much, the numbers of inputs, images and titles differ, or the inputs are
        neither images, series nor tables.
    TypeError
        If something else than explanations is given.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> figure = tfxai.plot_grid([tfxai.GradCAM(model)(images), tfxai.Saliency(model)(images)])
    >>> len(figure.axes)
    6
    """
    columns, titles = _columns(explanations, titles)
    shown = [part.of(input)[1] for part in columns[0].parts]  # inputs of one size each
    heatmaps = [
        [one for part in column.parts for one in saturate(part.heatmaps(polarity, input=input), percentile)]
        for column in columns
    ]
    labels = [[one.label(row) for one in columns] for row in range(len(columns[0]))]
    ndim = shown[0].ndim
    if ndim not in (2, 3, 4):
        raise ValueError(f"Expected images, series or tables, got inputs of shape {shown[0].shape}.")
    if images is not None and ndim != 4:
        raise ValueError(
            f"Expected no images= for inputs of shape {shown[0].shape}: only images can be replaced by them."
        )

    pictures = [one for part in shown for one in (part if ndim != 4 or images is not None else to_display(part))]
    pictures = pictures if images is None else photographs(images, pictures)
    aspects = [one.shape[0] / one.shape[1] if ndim == 4 else 0.75 for one in pictures]
    figure, axes = plt.subplots(
        len(labels),
        1 + len(columns),
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.06, wspace=0.01, hspace=0.01),
        figsize=(CELL * (1 + len(columns)), sum(CELL * aspect + 0.36 for aspect in aspects) + 0.3),
        height_ratios=aspects,
    )
    for row, cells in enumerate(axes):
        for column, cell in enumerate(cells[1:]):
            heatmap = heatmaps[column][row]
            if ndim == 4:
                cell.imshow(overlay(pictures[row], heatmap, alpha, cmap))
            elif ndim == 3:
                _draw_series(cell, pictures[row], heatmap, alpha, cmap)
            else:
                values, _ = columns[column].of(input)
                _draw_bars(cell, values[row], matplotlib.colormaps.get_cmap(cmap)(heatmap))
        _draw_input(cells[0], pictures[row])
        several = len(set(labels[row])) > 1  # then each column says what it explains
        texts = [f"{_short(columns[0], row)}\nscore {columns[0].score[row]:.3g}"]
        texts += [_short(one, row) if several else "" for one in columns]
        for cell, text in zip(cells, texts, strict=True):
            _bare(cell, text)
    for cell, title in zip(axes[0], ["input", *titles], strict=True):
        cell.set_title("\n".join(textwrap.wrap(title, 22)), fontsize=10, color=INK, parse_math=False)
    return figure


def _to_bytes(x: np.ndarray) -> np.ndarray:
    if not np.isfinite(x).all():
        raise ValueError("Expected images without NaN or infinite values.")
    low, high = x.min(), x.max()
    if low >= 0 and high <= 1:
        x = 255 * x
    elif low < 0 or high > 255 or (x != np.round(x)).any():
        low, high = x.min((1, 2, 3), keepdims=True), x.max((1, 2, 3), keepdims=True)
        x = 255 * (x - low) / np.where(high > low, high - low, 1)
    return np.round(x).astype(np.uint8)


def _columns(explanations: Any, titles: Sequence[str] | None) -> tuple[list[Explanation], list[str]]:
    if isinstance(explanations, Mapping):
        titles = list(explanations) if titles is None else titles
        explanations = explanations.values()
    columns = [explanations] if isinstance(explanations, Explanation) else list(explanations)
    if not columns:
        raise ValueError("Expected at least one explanation, got none.")
    wrong = [type(one).__name__ for one in columns if not isinstance(one, Explanation)]
    if wrong:
        raise TypeError(f"Expected explanations, got {', '.join(wrong)}.")
    counts = [len(one) for one in columns]
    if len(set(counts)) > 1:
        raise ValueError(f"Expected explanations of the same inputs, got {counts} inputs.")
    if counts[0] > MAX_ROWS:
        raise ValueError(
            f"Expected at most {MAX_ROWS} inputs, got {counts[0]}. Slice the explanation: explanation[:{MAX_ROWS}]."
        )
    titles = _titles(columns) if titles is None else [str(title) for title in titles]
    if len(titles) != len(columns):
        raise ValueError(f"Expected one title for each of the {len(columns)} explanations, got {len(titles)}.")
    return columns, titles


def _titles(columns: Sequence[Explanation]) -> list[str]:
    """The methods; with their layers where a method occurs more than once."""
    methods = [one.method for one in columns]
    titles = []
    for one in columns:
        base = one.facts.get("base", "saliency")
        title = one.method if base == "saliency" else f"{one.method} of {base}"
        layer = one.facts.get("layer")
        if layer and methods.count(one.method) > 1:
            title += f" {layer if isinstance(layer, str) else ', '.join(layer)}"
        titles.append(title)
    return titles


def photographs(images: Any, shown: Any) -> list[np.ndarray]:
    """What is drawn for each input: the photographs that users give, or else the inputs."""
    if images is None:
        return list(to_display(shown))
    if len(images) != len(shown):
        raise ValueError(f"Expected one image for each of the {len(shown)} inputs, got {len(images)}.")
    if isinstance(images, np.ndarray) and images.dtype != object:
        images = to_display(images)
    return [_shrink(to_display(np.asarray(one)[None])[0]) for one in images]


def _shrink(image: np.ndarray) -> np.ndarray:
    factor = MAX_PIXELS / max(image.shape)
    return image if factor >= 1 else cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


def _draw_input(cell: Axes, one: np.ndarray) -> None:
    if one.dtype == np.uint8 and one.ndim == 3:
        cell.imshow(one)
    elif one.ndim == 2:
        _draw_lines(cell, one)
    else:
        _draw_bars(cell, one, INK)


def _draw_series(cell: Axes, series: np.ndarray, heatmap: np.ndarray, alpha: float, cmap: str | Colormap) -> None:
    _draw_lines(cell, series)
    extent = (*cell.get_xlim(), *cell.get_ylim())
    cell.imshow(heatmap[None], cmap=cmap, vmin=0, vmax=1, alpha=alpha, extent=extent, aspect="auto")


def _draw_lines(cell: Axes, series: np.ndarray) -> None:
    cell.plot(series, color=INK, linewidth=0.9)
    cell.set_xlim(-0.5, len(series) - 0.5)


def _draw_bars(cell: Axes, values: np.ndarray, colours: Any) -> None:
    cell.bar(np.arange(len(values)), values, color=colours, width=0.85)
    cell.axhline(0, color=INK, linewidth=0.6)


def _bare(cell: Axes, text: str) -> None:
    cell.set_xticks([])
    cell.set_yticks([])
    for spine in cell.spines.values():
        spine.set_visible(False)
    if text:
        cell.set_xlabel(text, fontsize=8.5, color=INK, labelpad=3, parse_math=False)


def _short(explanation: Explanation, row: int) -> str:
    """What is explained, so that it fits under a cell; of the synonyms of an ImageNet class, the first."""
    label = explanation.label(row)
    label = label if isinstance(explanation.target, str) else label.split(",")[0]
    return textwrap.shorten(label, 32, placeholder="…")
