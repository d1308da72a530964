"""Pictures of features: grids of images with texts beneath them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tfxai.figure_parts import ABOVE, BAR, BENEATH, CELL, add_scale
from tfxai.plotting import INK

AVERAGE = 1.5  # inches, the side of an average image
Shown: TypeAlias = tuple[np.ndarray, str] | tuple[np.ndarray, str, tuple[float, float]]
Row: TypeAlias = list[Shown | None]  # images with texts, and the values of the first and the last colour; or nothing


def classes(groups: Sequence[tuple[str, Sequence[Row]]], columns: int) -> Figure:
    """Rows of average images, with the name of the class above each group of rows."""
    lines = len(groups[0][1])
    figure, axes = _grid(
        [row for _, rows in groups for row in rows],
        columns,
        (AVERAGE * columns + 0.5, (AVERAGE * lines + 0.45) * len(groups)),
    )
    for (name, _), cell in zip(groups, axes[::lines, 0], strict=True):
        title = cell.set_title(name, fontsize=10, color=INK, loc="left", parse_math=False)
        title.set_in_layout(False)  # a long one goes on over the next columns
    return figure


def predictions(rows: Sequence[Row], columns: Sequence[str], aspect: float) -> Figure:
    """Rows of photographs and heat-maps, with the names of the columns above; ``aspect`` is height over width."""
    figure, axes = _grid(rows, len(columns), (CELL * len(columns), (CELL + 0.4) * len(rows) + 0.2))
    for cell, name in zip(axes[0], columns, strict=True):
        cell.set_title(name, fontsize=10, color=INK)
        cell.set_box_aspect(aspect)  # also where nothing is shown
    return figure


def mosaic(crops: np.ndarray) -> np.ndarray:
    """Crops (n, h, w, 3) uint8 in rows of equal length, with white between them."""
    side, gap = math.ceil(math.sqrt(len(crops))), crops.shape[1] // 16 + 1
    lines = math.ceil(len(crops) / side)
    white = ((0, side * lines - len(crops)), (0, gap), (0, gap), (0, 0))
    framed = np.pad(crops, white, constant_values=255)
    framed[len(crops) :] = 255
    height, width = framed.shape[1:3]
    grid = framed.reshape(lines, side, height, width, 3).swapaxes(1, 2).reshape(lines * height, side * width, 3)
    return grid[:-gap, :-gap]


def _grid(rows: Sequence[Row], columns: int, size: tuple[float, float]) -> tuple[Figure, Any]:
    figure, axes = plt.subplots(len(rows), columns, squeeze=False, layout="constrained", figsize=size)
    style: dict[str, Any] = {"fontsize": 8, "color": INK, "ha": "center", "va": "top", "parse_math": False}
    for cell in axes.flat:
        cell.set_axis_off()
    for row, cells in zip(rows, axes, strict=True):
        for shown, cell in zip(row, cells, strict=False):
            if shown is not None:
                cell.imshow(shown[0])
                below = 0.04
                if len(shown) == 3:
                    height = CELL * shown[0].shape[0] / shown[0].shape[1]
                    add_scale(cell, shown[2], False, None, height)
                    below += (ABOVE + BAR + BENEATH) / height
                cell.text(0.5, -below, shown[1], transform=cell.transAxes, **style)
    return figure, axes
