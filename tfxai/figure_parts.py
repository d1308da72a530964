"""Parts of figures: cells without frames, and what the colours mean."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.patches import Patch

from tfxai.display import INK, palette
from tfxai.reading import SIGNED_KEY

CELL = 1.9  # inches


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


def bare(cell: Axes, text: str) -> None:
    cell.set_anchor("N")  # space that is left is not taken from the title
    cell.set_xticks([])
    cell.set_yticks([])
    for spine in cell.spines.values():
        spine.set_visible(False)
    if text:
        cell.set_xlabel(text, fontsize=8.5, color=INK, labelpad=3, parse_math=False)
