"""Pictures of explained volumes: the slice of largest values along each axis, and the heat-map over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from tfxai.display import INK, composite, overlay
from tfxai.figure_parts import CELL, add_key, bare
from tfxai.reading import Reading, scored

CROSS = "#e0a000"  # where the other slices lie: a colour of no heat-map's end
SIGNS = 1.3  # inches above and below the slices of a volume, for what is said of them


def figure(
    explanation: Any,
    reading: Reading,
    images: Any = None,
    alpha: float = 0.5,
    cmap: str | Colormap | None = None,
    polarity: str | None = None,
    input: str | None = None,
) -> Figure:
    """Two rows for each volume: its slices along each of the three axes, and the same with heat-maps.

    Lines in a slice tell where the two others lie.

    Parameters
    ----------
    explanation : Explanation
        Of volumes.
    reading : Reading
        How it is drawn.
    images : ndarray, optional
        Shown instead of the inputs, of their size.
    alpha, cmap, polarity, input
        As for `tfxai.plot_grid`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    inputs = [one for batch in reading.inputs for one in batch]
    volumes = inputs if images is None else alike(images, inputs)
    sizes = [volume.shape[:3] for volume in volumes]
    inch = 1.3 * CELL / max(max(size) for size in sizes)
    tall = [inch * max(size[0], size[1]) for size in sizes]
    wide = [inch * max(size[axis] for size in sizes) for axis in (2, 2, 1)]
    shown, cells = plt.subplots(
        2 * len(volumes),
        3,
        squeeze=False,
        layout="constrained",
        figsize=(sum(wide) + 0.6, 2 * sum(tall) + SIGNS * len(volumes)),
        height_ratios=[height for height in tall for _ in range(2)],
        width_ratios=wide,
    )
    for number, (one, volume, own) in enumerate(zip(explanation, volumes, reading.maps, strict=True)):
        shades, done = pictures(volume)
        places = strongest(np.abs(one.heatmaps("signed" if reading.signed else polarity, input=input)[0]))
        for axis, place in enumerate(places):
            above, below = cells[2 * number : 2 * number + 2, axis]
            notes = reading.notes[number] if axis == 0 else ""
            bare(above, f"axis {axis + 1}: slice {place} of {volume.shape[axis]}")
            bare(below, "\n".join(filter(None, [done if axis == 0 else "", notes])))
            above.imshow(np.take(shades, place, axis))
            _draw_cross(above, [place for other, place in enumerate(places) if other != axis])
            below.imshow(overlay(np.take(shades, place, axis), np.take(own, place, axis), alpha, cmap, reading.signed))
        title = f"{explanation.label(number)}, {scored(explanation, number)} ({explanation.method})"
        cells[2 * number, 0].set_title(title, fontsize=10, color=INK, loc="left", parse_math=False)
    add_key(shown, {reading.signed}, cmap)
    return shown


def pictures(volume: np.ndarray) -> tuple[np.ndarray, str]:
    """(d, h, w, 3) the slices of a volume, all in one range; and what was done, in words."""
    shades, done = composite(volume.reshape(1, -1, *volume.shape[2:]))
    return shades.reshape(*volume.shape[:3], 3), done


def strongest(magnitudes: np.ndarray) -> list[int]:
    """Along each axis of a volume the slice in which there is most."""
    axes = range(magnitudes.ndim)
    return [int(magnitudes.sum(tuple(other for other in axes if other != axis)).argmax()) for axis in axes]


def alike(images: Any, volumes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Images that replace volumes, which must have their size."""
    given = [np.asarray(one) for one in images]
    sizes, expected = [one.shape[:3] for one in given], [one.shape[:3] for one in volumes]
    if sizes != expected:
        raise ValueError(f"Expected images of the volumes' sizes, {expected}, got {sizes}.")
    return given


def _draw_cross(cell: Axes, places: Sequence[int]) -> None:
    """Where the slices along the two axes of this one lie."""
    row, column = places
    cell.axhline(row, color=CROSS, linewidth=0.7)
    cell.axvline(column, color=CROSS, linewidth=0.7)
