"""Pictures of explained tables: bars of a row, points of all rows, a summary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfxai.display import AGAINST_TO_FOR, INK

AGAINST, FOR = AGAINST_TO_FOR(0.1), AGAINST_TO_FOR(0.9)
GREY, PALE = "#9a9a9a", "#c8c8c8"
LOW_TO_HIGH = "viridis"  # of a feature's own value: neither red nor blue, which tell what it speaks for
LINE, WIDTH = 0.27, 7.0  # inches: of a feature, and of a figure
VISIBLE = 0.01  # of the change of the score: a smaller gap is not spoken of
ROOM = 0.14  # of the width of the bars, for the numbers beside them
BINS, APART = 110, 0.14  # beeswarm: points of one bin would cover each other, and lie apart by this share of a line


@dataclass(frozen=True)
class Panel:
    """One row: names and values from top to bottom, and where the score begins, if the values sum to its change."""

    title: str
    names: list[str]
    values: np.ndarray
    score: float
    start: float | None
    ends: tuple[str, str] = ("baseline", "this row")  # whose scores bars lead from and to


def bars(panels: Sequence[Panel], label: str) -> Figure:
    """Bars of rows, one below the other; ``label`` is the name of the axis."""
    lines = [len(panel.names) + (0 if panel.start is None else 2) for panel in panels]
    figure, axes = plt.subplots(
        len(panels),
        squeeze=False,
        layout="constrained",
        figsize=(WIDTH, sum(LINE * n + 0.85 for n in lines)),
        height_ratios=[LINE * n + 0.3 for n in lines],
    )
    for panel, cell in zip(panels, axes[:, 0], strict=True):
        draw_bars(cell, panel)
        cell.set_xlabel(label, fontsize=9, color=INK, parse_math=False)
    return figure


def beeswarm(names: Sequence[str], values: np.ndarray, own: Sequence[np.ndarray | None], label: str) -> Figure:
    """A line of points for each of the features; grey for those that have no numbers of their own."""
    figure, cell = plt.subplots(layout="constrained", figsize=(WIDTH, 0.34 * len(names) + 1.1))
    reach = float(np.ptp(values))
    points = None
    for line, (one, numbers) in enumerate(zip(values.T, own, strict=True)):
        aside = line + _aside(one, reach)
        if numbers is None:
            cell.scatter(one, aside, s=9, color=GREY, linewidths=0)
        else:
            points = cell.scatter(one, aside, s=9, c=_ranged(numbers), cmap=LOW_TO_HIGH, vmin=0, vmax=1, linewidths=0)
    cell.axvline(0, color=INK, linewidth=0.6, zorder=0)
    _name(cell, names)
    cell.set_xlabel(label, fontsize=9, color=INK, parse_math=False)
    if points is not None:
        bar = figure.colorbar(points, ax=cell, ticks=[0, 1], aspect=30, pad=0.02)
        bar.ax.set_yticklabels(["low", "high"], fontsize=8, color=INK)
        bar.set_label("the feature's own value", fontsize=8, color=INK, labelpad=-12)
        bar.outline.set_visible(False)
    return figure


def summary(names: Sequence[str], magnitude: np.ndarray, mean: np.ndarray, label: str) -> Figure:
    """A bar for the mean magnitude of each feature, a dot for its mean."""
    figure, cell = plt.subplots(layout="constrained", figsize=(WIDTH, LINE * len(names) + 1.2))
    lines = np.arange(len(names))
    cell.barh(lines, magnitude, color=PALE, height=0.7, label="mean magnitude")
    cell.scatter(mean, lines, s=18, color=_colours(mean), zorder=3, label="mean (red for, blue against)")
    cell.axvline(0, color=INK, linewidth=0.6)
    _name(cell, names)
    cell.set_xlabel(label, fontsize=9, color=INK, parse_math=False)
    cell.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower right")
    return figure


def draw_bars(cell: Axes, panel: Panel) -> None:
    """Bars of one row; where its values sum to the change of the score, each begins where the one above it ends."""
    values, names, title = panel.values, panel.names, panel.title
    summing = panel.start is not None
    lefts = panel.start + np.cumsum(values) - values if summing else np.zeros_like(values)
    lines = np.arange(len(values)) + summing
    cell.barh(lines, values, left=lefts, color=_colours(values), height=0.7)
    for line, left, value in zip(lines, lefts, values, strict=True):
        side = 1 if value >= 0 else -1
        cell.annotate(
            f"{value:+.3g}",
            (left + value, line),
            (4 * side, 0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize=8,
            color=INK,
        )
    if panel.start is None:
        cell.axvline(0, color=INK, linewidth=0.6)
    else:
        first, last = panel.ends
        names = [f"{first}: score {panel.start:.3g}", *names, f"{last}: score {panel.score:.3g}"]
        cell.scatter([panel.start, panel.score], [0, len(values) + 1], s=22, color=INK, zorder=3)
        ends = [panel.start, *(lefts + values)]
        down = np.arange(len(values) + 2)  # from each end to where the next bar begins
        cell.plot(np.repeat(ends, 2), np.repeat(down, 2)[1:-1], color=INK, linewidth=0.6, zorder=0)
        gap, change = ends[-1] - panel.score, panel.score - panel.start
        if abs(gap) > VISIBLE * abs(change):
            title += f"\nthe values sum to {ends[-1] - panel.start:.3g}, and the score changes by {change:.3g}"
    cell.set_title(title, fontsize=10, color=INK, parse_math=False)
    reached = [*lefts, *(lefts + values), *([] if panel.start is None else [panel.start, panel.score])]
    low, high = min(reached), max(reached)
    room = ROOM * ((high - low) or 1)
    cell.set_xlim(low - room, high + room)
    _name(cell, names)


def _colours(values: np.ndarray) -> list:
    return [FOR if value > 0 else AGAINST for value in values]


def _ranged(own: np.ndarray) -> np.ndarray:
    """A feature's own values in [0, 1], of which a few that are far out do not take all colours."""
    low, high = np.percentile(own, (5, 95))
    if low == high:  # a rare category: nearly all rows are alike
        low, high = own.min(), own.max()
    return np.full(len(own), 0.5) if low == high else np.clip((own - low) / (high - low), 0, 1)


def _aside(values: np.ndarray, reach: float) -> np.ndarray:
    """How far points move aside that would cover each other: the more lie together, the wider the line."""
    bins = np.round(values / (reach or 1) * BINS)
    moved = np.zeros(len(values))
    for one in np.unique(bins):
        inside = np.flatnonzero(bins == one)
        moved[inside] = np.arange(len(inside)) - (len(inside) - 1) / 2
    return moved * min(APART, 0.4 / max(np.abs(moved).max(), 1e-9))


def _name(cell: Axes, names: Sequence[str]) -> None:
    """Features from top to bottom, with nothing that would distract from them."""
    cell.set_yticks(range(len(names)), names, fontsize=9, color=INK, parse_math=False)
    cell.set_ylim(len(names) - 0.4, -0.6)
    cell.tick_params(axis="x", labelsize=8, colors=INK)
    cell.tick_params(axis="y", length=0)
    for side in ("top", "right", "left"):
        cell.spines[side].set_visible(False)
    cell.spines["bottom"].set_color(INK)
