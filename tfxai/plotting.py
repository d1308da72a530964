"""Figures: heat-maps over images, slices of volumes, series and tables, in grids that compare methods."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tfxai import series_pictures, text_pictures, volume_pictures
from tfxai.display import (
    COLOURS,
    GAP,
    INK,
    LINE,
    overlay,
    palette,
    photographs,
    saturate,
    sheet,
    to_display,
)
from tfxai.explanation import Explanation
from tfxai.figure_parts import ABOVE, BAR, BENEATH, CELL, add_key, add_scale, bare, told
from tfxai.groups import column_names
from tfxai.joining import method_of, side_by_side
from tfxai.reading import Reading, read, scored
from tfxai.tables import Table, is_table
from tfxai.words import is_read

__all__ = ["CELL", "GAP", "INK", "LINE", "overlay", "plot_grid", "saturate", "sheet", "to_display"]

MAX_ROWS = 16
NUMBERED, NAMED = 10, 24  # features that have their number or name beneath their bar
LETTER, SHORT = 0.06, 20  # inches of a letter of these names, and letters of a name
STRONG = 0.8  # where bars have their colour, on the way from the middle to an end
LINE_HEIGHT = 0.13  # inches, of the text beneath a cell
HEADING, HEADING_HEIGHT = 22, 0.17  # letters in a line above a column, and inches of another line


@dataclass(frozen=True)
class Row:
    """What a row of a grid shows: one input, or one slice of a volume."""

    number: int  # of the input
    drawn: np.ndarray  # pixels, a series or a row of a table
    maps: list[np.ndarray]  # one for each explanation
    caption: str = ""


def plot(explanation: Explanation, images: np.ndarray | Sequence[np.ndarray] | None = None, **options: Any) -> Figure:
    """One explanation: tables by the names of features, series and volumes by themselves, and all else as a grid."""
    series = options.pop("series", False)
    own = {name: options[name] for name in ("features", "groups", "input") if name in options}
    bars = {name: options[name] for name in ("rows", "top") if name in options}
    is_named = images is None and len(own) + len(bars) == len(options) and is_table(explanation, own.get("input"))
    if is_named and not series:
        return Table(explanation, **own).plot_bars(**bars)
    if is_read(explanation, own.get("input")) or len(explanation) > MAX_ROWS:
        return plot_grid([explanation], images, **options)
    shown = ("polarity", "percentile", "input")
    reading = read(explanation, **{name: options[name] for name in shown if name in options})
    places, axes = reading.maps[0].ndim, reading.inputs[0].ndim - 1
    drawn = options.keys() - set(shown)
    if places == 1 and (series or axes == 2) and images is None and drawn <= {"cmap"}:
        return series_pictures.figure(explanation, reading, **options)
    if places == 3 and drawn <= {"cmap", "alpha"}:
        options.pop("percentile", None)
        return volume_pictures.figure(explanation, reading, images, **options)
    return plot_grid([explanation], images, **options)


def plot_grid(
    explanations: Explanation | Sequence[Explanation] | Mapping[str, Explanation],
    images: np.ndarray | Sequence[np.ndarray] | None = None,
    *,
    alpha: float = 0.5,
    cmap: str | Colormap | None = None,
    polarity: str | None = None,
    titles: Sequence[str] | None = None,
    percentile: float = 99.0,
    input: str | None = None,
    slice: int | Sequence[int] | None = None,
    features: Sequence[str] | Any = None,
) -> Figure:
    """Compare explanations of the same inputs: a row for each input, a column for each explanation.

    The first column shows the input with the class that is explained and its score. Images get the heat-map laid over
    them, as do slices of volumes and frames of clips; series are drawn as lines before a background in the colours of
    the heat-map; for tables, the attributions are drawn as bars above the names or numbers of their columns. For texts,
    the words are drawn on coloured backgrounds, a paragraph for each explanation; of the options below, only titles,
    cmap and input apply.

    Values that speak for and against the target are drawn signed: red and blue on one scale, over the image in grey.
    Every heat-map over an image has its own scale, whose values stand beneath it. Class activation maps are drawn as in
    their papers, by their positive part. A line beneath a cell says if what is not shown is larger than what is, or if
    a map is empty.

    Parameters
    ----------
    explanations : Explanation, sequence of them, or dict of them by title
        All of the same inputs, at most 16.
    images : ndarray, or sequence of ndarray, optional
        Photographs to show instead of preprocessed inputs, each (h, w), (h, w, 3) or (h, w, 4), of any size; a sequence
        may mix sizes. Inputs that are not photographs, such as the bands of a satellite, are shown by their mean,
        unless a composite is given here. For volumes: of their size, (n, d, h, w) or (n, d, h, w, 3).
    alpha : float
        Opacity of the heat-maps, from 0 to 1.
    cmap : str or matplotlib Colormap, optional
        Colours of the heat-maps. Default ``"viridis"``, and for signed ones from blue to red.
    polarity : {"positive", "negative", "absolute", "energy", "signed"}, optional
        As for `Explanation.heatmaps`; default: what suits each method.
    titles : sequence of str, optional
        Titles of the columns; default: the methods, or the keys of the dict.
    percentile : float
        Where heat-maps reach their last colour, as `saturate` does it; 100 shows them as they are.
    input : str, optional
        Which input is shown, if the model has several.
    slice : int or sequence of int, optional
        For volumes (n, d, h, w, ...): which slices along their first axis. Default: for each input, the slice in which
        its heat-maps are strongest.
    features : sequence of str or DataFrame, optional
        For tables: names of the columns, or a table that has them. Default: their numbers.

    Returns
    -------
    matplotlib.figure.Figure
        Made by pyplot, so that notebooks show it.

    Raises
    ------
    ValueError
        If there is nothing or too much to draw, the numbers of inputs, images and titles differ, or the inputs are
        neither images, volumes, series nor tables.
    TypeError
        If something other than explanations is given.

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
    if all(is_read(one, input) for one in columns):
        if images is not None or slice is not None or features is not None or polarity not in (None, "signed"):
            raise ValueError(
                "Expected no images=, slice=, features= or polarity= for texts: words are drawn, with their signs."
            )
        return text_pictures.figure(columns, titles, cmap, input)
    readings = [read(one, polarity, percentile, input) for one in columns]
    rows, draw = _rows(readings, images, slice)
    labels = [[one.label(row.number) for one in columns] for row in rows]
    table = draw is _draw_bars  # which shows its values themselves, and of words the sum over their numbers
    named = _column_names(features, rows[0].drawn, table)
    values = [one.tokens(input) if table else one.of(input)[0] for one in columns]
    texts = []
    for row, label in zip(rows, labels, strict=True):
        first = [_short(columns[0], row.number), scored(columns[0], row.number), row.caption]
        several = len(set(label)) > 1  # then each column says what it explains
        others = [
            [_short(one, row.number) if several else "", "" if table else _wrapped(reading.notes[row.number])]
            for one, reading in zip(columns, readings, strict=True)
        ]
        texts.append(["\n".join(filter(None, lines)) for lines in (first, *others)])

    aspects = [row.drawn.shape[0] / row.drawn.shape[1] if draw is _draw_overlay else 0.75 for row in rows]
    heights = [CELL * aspect for aspect in aspects]
    bar = ABOVE + BAR + BENEATH if draw is _draw_overlay else BENEATH if table else 0
    bar += LETTER * max(map(len, named), default=0)
    beneath = [max(_beneath(row[0], 0), *(_beneath(text, bar) for text in row[1:])) for row in texts]
    headings = [_heading(title) for title in ["input", *titles]]
    above = 0.55 + HEADING_HEIGHT * max(title.count("\n") for title in headings)
    figure, axes = plt.subplots(
        len(rows),
        1 + len(columns),
        squeeze=False,
        layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.06, wspace=0.01, hspace=0.01),
        figsize=(CELL * (1 + len(columns)), sum(heights) + sum(0.1 + space for space in beneath) + above),
        height_ratios=aspects,
    )
    for row, cells, text, height in zip(rows, axes, texts, heights, strict=True):
        for cell, content in zip(cells, text, strict=True):
            bare(cell, content)
        _draw_input(cells[0], row.drawn)
        for column, cell in enumerate(cells[1:]):
            what = values[column][row.number] if table else row.drawn
            reading = readings[column]
            draw(cell, what, row.maps[column], reading.signed, alpha, cmap)
            if draw is _draw_overlay:
                add_scale(cell, reading.ends[row.number], reading.signed, cmap, height)
    if named:
        for cell in axes.flat:
            cell.set_xticks(range(len(named)), named, rotation=90, parse_math=False)
    for cell, title in zip(axes[0], headings, strict=True):
        cell.set_title(title, fontsize=10, color=INK, parse_math=False)
    add_key(figure, {reading.signed for reading in readings}, cmap)
    return figure


def _column_names(features: Any, row: np.ndarray, table: bool) -> list[str]:
    """What stands beneath bars instead of their numbers; nothing, if no names are given."""
    if features is None:
        return []
    if not table:
        raise ValueError(f"Expected no features= for inputs of shape {row.shape}: only tables have columns with names.")
    names = [textwrap.shorten(name, SHORT, placeholder="…") for name in column_names(features, [("", len(row))])]
    every = -(-len(names) // NAMED)
    return [name if number % every == 0 else "" for number, name in enumerate(names)]


def _rows(readings: Sequence[Reading], images: Any, slice: Any) -> tuple[list[Row], Callable]:
    """What is drawn, and the function that draws it."""
    parts = readings[0].inputs
    places, axes = readings[0].maps[0].ndim, parts[0].ndim - 1
    shape = parts[0].shape
    if places not in (1, 2, 3) or axes - places not in (0, 1):
        raise ValueError(f"Expected images, volumes, series or tables, got inputs of shape {shape}.")
    if images is not None and places == 1:
        raise ValueError(f"Expected no images= for inputs of shape {shape}: only images can be replaced by them.")
    if slice is not None and places != 3:
        raise ValueError(f"Expected no slice= for inputs of shape {shape}: only volumes have slices.")
    inputs = [one for part in parts for one in part]
    maps = [list(each) for each in zip(*(one.maps for one in readings), strict=True)]
    if places == 1:
        rows = [Row(number, *content) for number, content in enumerate(zip(inputs, maps, strict=True))]
        return rows, _draw_series if axes == 2 else _draw_bars
    if places == 2:
        pictures, done = photographs(images, *parts)
        caption = f"{done}\n(images= takes a composite)" if done.startswith("mean") else done
        return [Row(n, *content, caption) for n, content in enumerate(zip(pictures, maps, strict=True))], _draw_overlay
    return _slices(inputs if images is None else volume_pictures.alike(images, inputs), maps, slice), _draw_overlay


def _slices(volumes: Sequence[np.ndarray], maps: Sequence[list[np.ndarray]], slice: Any) -> list[Row]:
    """Slices of volumes along their first axis."""
    rows = []
    for number, (volume, own) in enumerate(zip(volumes, maps, strict=True)):
        shown, done = volume_pictures.pictures(volume)
        for z in _chosen(slice, own):
            caption = f"slice {z} of {len(volume)}\n{done}".strip()
            rows.append(Row(number, shown[z], [one[z] for one in own], caption))
    if len(rows) > MAX_ROWS:
        raise ValueError(f"Expected at most {MAX_ROWS} rows, got {len(rows)}: fewer inputs, or fewer slices of each.")
    return rows


def _chosen(slice: Any, maps: Sequence[np.ndarray]) -> list[int]:
    """The slices of a volume that are drawn."""
    depth = len(maps[0])
    if slice is None:
        return [volume_pictures.strongest(sum(np.abs(one) for one in maps))[0]]
    wanted = np.atleast_1d(np.asarray(slice))
    if wanted.dtype.kind not in "iu" or wanted.ndim != 1 or not ((-depth <= wanted) & (wanted < depth)).all():
        raise ValueError(f"Expected slice to be one or several of 0 to {depth - 1}, got {slice!r}.")
    return [int(z) % depth for z in wanted]


def _columns(explanations: Any, titles: Sequence[str] | None) -> tuple[list[Explanation], list[str]]:
    columns, known = side_by_side(explanations)
    count = len(columns[0])
    if count > MAX_ROWS:
        raise ValueError(
            f"Expected at most {MAX_ROWS} inputs, got {count}. Slice the explanation: explanation[:{MAX_ROWS}]."
        )
    chosen = (known or _titles(columns)) if titles is None else [str(title) for title in titles]
    if len(chosen) != len(columns):
        raise ValueError(f"Expected one title for each of the {len(columns)} explanations, got {len(chosen)}.")
    return columns, chosen


def _titles(columns: Sequence[Explanation]) -> list[str]:
    """The methods; with their layers where a method occurs more than once."""
    methods = [one.method for one in columns]
    titles = []
    for one in columns:
        title = method_of(one)
        layer = one.facts.get("layer")
        if layer and methods.count(one.method) > 1:
            title += f" {layer if isinstance(layer, str) else ', '.join(layer)}"
        titles.append(title)
    return titles


def _draw_input(cell: Axes, one: np.ndarray) -> None:
    if one.dtype == np.uint8 and one.ndim == 3:
        cell.imshow(one)
    elif one.ndim == 2:
        _draw_lines(cell, one)
    else:
        _bars(cell, one, INK)


def _draw_overlay(cell: Axes, picture: np.ndarray, heatmap: np.ndarray, signed: bool, alpha: float, cmap: Any) -> None:
    cell.imshow(overlay(picture, heatmap, alpha, cmap, signed))


def _draw_series(cell: Axes, series: np.ndarray, heatmap: np.ndarray, signed: bool, alpha: float, cmap: Any) -> None:
    _draw_lines(cell, series)
    extent = (*cell.get_xlim(), *cell.get_ylim())
    cmap = COLOURS[signed] if cmap is None else cmap
    cell.imshow(heatmap[None], cmap=cmap, vmin=-signed, vmax=1, alpha=alpha, extent=extent, aspect="auto")


def _draw_bars(cell: Axes, values: np.ndarray, heatmap: np.ndarray, signed: bool, alpha: float, cmap: Any) -> None:
    colours = palette(cmap, signed) / 255
    share = (1 + np.sign(heatmap) * STRONG) / 2 if signed else heatmap  # how long they are tells how much
    _bars(cell, values, colours[np.round(share * (len(colours) - 1)).astype(int)])


def _draw_lines(cell: Axes, series: np.ndarray) -> None:
    cell.plot(series, color=INK, linewidth=0.9)
    cell.set_xlim(-0.5, len(series) - 0.5)


def _bars(cell: Axes, values: np.ndarray, colours: Any) -> None:
    cell.bar(np.arange(len(values)), values, color=colours, width=0.85)
    cell.axhline(0, color=INK, linewidth=0.6)
    ends = sorted({min(0.0, float(values.min())), max(0.0, float(values.max()))})
    cell.set_yticks(ends, [told(one) for one in ends])
    cell.set_xticks(range(0, len(values), -(-len(values) // NUMBERED)))
    cell.tick_params(labelsize=6.5, colors=INK, length=0, pad=1.5)


def _heading(title: str) -> str:
    """A title in lines, which end where words do, also those of a method's name with its options."""
    lines = [""]
    for part in re.findall(r"[^\s_(:,]*[\s_(:,]?", title):
        for piece in textwrap.wrap(part, HEADING, drop_whitespace=False):
            if len(lines[-1] + piece.rstrip()) > HEADING:
                lines.append("")
            lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _beneath(text: str, bar: float) -> float:
    """Inches beneath a cell, of its colour bar and its text."""
    return bar + (LINE_HEIGHT * (text.count("\n") + 1) if text else 0)


def _wrapped(note: str) -> str:
    return "\n".join(textwrap.wrap(note, 30))


def _short(explanation: Explanation, row: int) -> str:
    """What is explained, so that it fits under a cell; of the synonyms of an ImageNet class, the first."""
    label = explanation.label(row)
    label = label if isinstance(explanation.target, str) else label.split(",")[0]
    return textwrap.shorten(label, 32, placeholder="…")
