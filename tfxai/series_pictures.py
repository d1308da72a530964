"""Pictures of explained series: the lines of the input, and below them what each step speaks for."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from tfxai.display import COLOURS, INK, channels_last, palette
from tfxai.reading import Reading, scored

WIDTH, LINES, VALUES, CHANNEL = 7.0, 1.1, 0.8, 0.13  # inches: of the figure; heights of the panels, and of a channel
MOST = 8  # channels with names, and a strip higher than so many times its share is cut to that
UNLIKE = 10  # ranges of channels that differ by this factor are not drawn on one scale
STRONG = 0.9  # where the signs have their colours, on the way from the middle to an end


def figure(
    explanation: Any,
    reading: Reading,
    polarity: str | None = None,
    percentile: float = 99.0,
    input: str | None = None,
    cmap: str | Colormap | None = None,
) -> Figure:
    """Panels for each series: its channels as lines, its values as steps, and the values of each channel as a strip.

    Parameters
    ----------
    explanation : Explanation
        Of series.
    reading : Reading
        How it is drawn.
    polarity, input, cmap
        As for `tfxai.plot_grid`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    polarity = "signed" if reading.signed else polarity or explanation.polarity
    panels: list[tuple[float, Any]] = []
    last: list[int] = []  # panels of each series, under which steps are numbered
    series = [one for batch in reading.inputs for one in batch]
    for number, (one, x) in enumerate(zip(explanation, series, strict=True)):
        x = x.reshape(len(x), -1)
        title = f"{explanation.label(number)}, {scored(explanation, number)}"
        note = reading.notes[number]
        values = one.laid(polarity, input=input)[0]
        own = channels_last(one.of(input)[0], x.shape[:1])[0]
        panels.append((LINES, lambda cell, x=x, title=title: _draw_lines(cell, x, title)))
        panels.append((VALUES, lambda cell, v=values, note=note: _draw_values(cell, v, polarity, note, cmap)))
        if own.shape == x.shape and x.shape[1] > 1:
            height = CHANNEL * min(max(x.shape[1], 3), 2 * MOST)
            panels.append((height, lambda cell, own=own: _draw_channels(cell, own, cmap)))
        last.append(len(panels) - 1)
    heights = [height for height, _ in panels]
    shown, cells = plt.subplots(
        len(panels),
        squeeze=False,
        layout="constrained",
        figsize=(WIDTH, sum(heights) + 0.25 * len(panels) + 0.3),
        height_ratios=heights,
    )
    for panel, (cell, (_, draw)) in enumerate(zip(cells[:, 0], panels, strict=True)):
        draw(cell)
        cell.tick_params(labelsize=8, colors=INK, labelbottom=panel in last)
        for spine in cell.spines.values():
            spine.set_visible(False)
    cells[-1, 0].set_xlabel("step", fontsize=9, color=INK)
    return shown


def _draw_lines(cell: Axes, x: np.ndarray, title: str) -> None:
    steps, channels = x.shape
    ranges = np.ptp(x, 0)
    apart = channels > 1 and ranges.max() > UNLIKE * ranges[ranges > 0].min(initial=np.inf)
    drawn = (x - x.min(0)) / np.where(ranges > 0, ranges, 1) if apart else x
    colours = [INK] if channels == 1 else plt.get_cmap("viridis")(np.linspace(0, 0.9, channels))
    for channel in range(channels):
        cell.plot(drawn[:, channel], color=colours[channel], linewidth=0.9, label=f"channel {channel}")
    if 1 < channels <= MOST:
        cell.legend(frameon=False, fontsize=7, labelcolor=INK, loc="upper left", bbox_to_anchor=(1, 1))
    cell.set_xlim(-0.5, steps - 0.5)
    cell.set_ylabel("input,\neach from\n0 to 1" if apart else "input", fontsize=8, color=INK)
    cell.set_title(title, fontsize=10, color=INK, loc="left", parse_math=False)


def _draw_values(cell: Axes, values: np.ndarray, polarity: str, note: str, cmap: str | Colormap | None) -> None:
    """Steps as high as the values, in the colours of their signs."""
    edges = np.arange(len(values) + 1) - 0.5
    colours = palette(cmap, True) / 255
    for sign in (1, -1):
        colour = colours[round((1 + sign * STRONG) / 2 * (len(colours) - 1))]
        part = np.maximum(sign * values, 0) * sign
        if part.any():
            cell.stairs(part, edges, fill=True, color=colour)
    cell.axhline(0, color=INK, linewidth=0.6)
    cell.set_xlim(edges[0], edges[-1])
    cell.set_ylabel("value" if polarity == "signed" else f"value,\n{polarity}", fontsize=8, color=INK)
    if note:
        cell.set_title(note, fontsize=8, color=INK, loc="left", parse_math=False)


def _draw_channels(cell: Axes, values: np.ndarray, cmap: str | Colormap | None) -> None:
    """(steps, channels) values, signed, on one scale."""
    top = np.abs(values).max() or 1
    steps, channels = values.shape
    extent = (-0.5, steps - 0.5, channels - 0.5, -0.5)
    drawn = cell.imshow(
        values.T, cmap=cmap or COLOURS[True], vmin=-top, vmax=top, aspect="auto", extent=extent, interpolation="nearest"
    )
    if channels <= MOST:
        cell.set_yticks(range(channels))
    cell.set_ylabel("channel", fontsize=8, color=INK)
    bar = cell.figure.colorbar(drawn, ax=cell, ticks=[-top, 0, top], pad=0.01, aspect=8)
    bar.ax.set_yticklabels([f"{-top:.2g}", "0", f"{top:.2g}"], fontsize=7, color=INK)
    bar.outline.set_visible(False)
