"""Parts of figures: cells without frames, and what the colours mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Patch

from tfxai.display import INK, palette
from tfxai.reading import NEGLIGIBLE, SIGNED_KEY

CELL = 1.9  # inches
BAR, ABOVE, BENEATH = 0.06, 0.05, 0.16  # inches: the height of a colour bar, the space above it, and its numbers


def add_key(figure: Figure, kinds: set[bool], cmap: str | Colormap | None) -> None:
    """What the colours mean, at the foot of the figure."""
    keys = {False: "from nothing to most", True: SIGNED_KEY if cmap is None else "from against to for"}
    bars = []
    for signed in sorted(kinds):
        colours = palette(cmap, signed) / 255
        bars.append(tuple(Patch(facecolor=colours[n]) for n in np.linspace(0, len(colours) - 1, 24).astype(int)))
    figure.legend(
        handles=bars,
        labels=[keys[signed] for signed in sorted(kinds)],
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0)},
        handlelength=6,
        handleheight=0.6,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=8,
        labelcolor=INK,
    )


def add_scale(cell: Axes, ends: tuple[float, float], signed: bool, cmap: Any, height: float) -> None:
    """The colours of one map with the values that they stand for, beneath a cell of so many inches."""
    low, high = ends
    low = low if abs(low) > NEGLIGIBLE * abs(high) else 0.0
    if low == high:  # of an empty map nothing is coloured
        return
    bar = cell.inset_axes((0.1, -(ABOVE + BAR) / height, 0.8, BAR / height))
    bar.imshow(palette(cmap, signed)[None] / 255, aspect="auto", extent=(low, high, 0, 1))
    bar.set_yticks([])
    ticks = [low, 0, high] if signed else [low, high]
    bar.set_xticks(ticks, [told(one) for one in ticks])
    bar.tick_params(axis="x", labelsize=6.5, colors=INK, length=0, pad=1.5)
    for spine in bar.spines.values():
        spine.set_visible(False)
    cell.xaxis.labelpad += 72 * (ABOVE + BAR + BENEATH)


def told(value: float) -> str:
    """A number in as few letters as one reads it by."""
    if 10 <= abs(value) < 1e5:
        text = f"{value:.0f}"
    else:
        text = "0" if value == 0 else f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e")
    return text.replace("-", "\N{MINUS SIGN}", 1) if value < 0 else text


def bare(cell: Axes, text: str) -> None:
    cell.set_anchor("N")  # space that is left is not taken from the title
    cell.set_xticks([])
    cell.set_yticks([])
    for spine in cell.spines.values():
        spine.set_visible(False)
    if text:
        cell.set_xlabel(text, fontsize=8.5, color=INK, labelpad=3, parse_math=False)
