"""Figures and animations of images that were made."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    from tfxai.neurons.average import AverageImage
    from tfxai.synthesis.result import Synthesis

CELL = 2.0  # inches
SHOWN = 9  # examples beside an image
LAST = 1000  # milliseconds that an animation stays at its end


def sheet(synthesis: Synthesis, columns: int = 5) -> Figure:
    """All images, with what was sought and what was reached."""
    pixels = synthesis.pixels
    columns = min(columns, len(pixels))
    rows = -(-len(pixels) // columns)
    height = CELL * pixels.shape[1] / pixels.shape[2] + 0.45
    figure, axes = plt.subplots(
        rows, columns, squeeze=False, figsize=(CELL * columns, height * rows), layout="constrained"
    )
    for number, cell in enumerate(axes.flat):
        cell.axis("off")
        if number < len(pixels):
            cell.imshow(pixels[number])
            reached = synthesis.probability
            text = f"score {synthesis.score[number]:.3g}" if reached is None else f"p = {reached[number]:.3g}"
            cell.set_title(f"{synthesis.labels[number]}\n{text}", fontsize=8)
    return figure


def beside(synthesis: Synthesis, examples: Sequence[AverageImage]) -> Figure:
    """A row for each image: itself, and the data that excite the same channel most."""
    if len(examples) != len(synthesis):
        raise ValueError(f"Expected examples for each of the {len(synthesis)} images, got {len(examples)}.")
    columns = 1 + min(SHOWN, max(len(one.parts) for one in examples))
    figure, axes = plt.subplots(
        len(synthesis),
        columns,
        squeeze=False,
        figsize=(0.6 * CELL * columns, CELL * len(synthesis) * 0.72),
        layout="constrained",
    )
    for row, pixels, label, one in zip(axes, synthesis.pixels, synthesis.labels, examples, strict=True):
        for cell, picture in zip(row, [pixels, *one.crops], strict=False):
            cell.imshow(picture)
        row[0].set_title(label, fontsize=8, loc="left")
        for cell in row:
            cell.axis("off")
    return figure


def history(synthesis: Synthesis) -> Figure:
    """The terms of the total over the steps, a line for each image."""
    terms = synthesis.history
    figure, axes = plt.subplots(
        1, len(terms), squeeze=False, figsize=(2.6 * len(terms), 2.4), layout="constrained", sharex=True
    )
    for cell, (name, values) in zip(axes[0], terms.items(), strict=True):
        cell.plot(values.T, linewidth=0.8)
        cell.set_title(name, fontsize=9)
        cell.set_xlabel("step", fontsize=8)
        cell.spines[["top", "right"]].set_visible(False)
    return figure


def save_gif(synthesis: Synthesis, path: str | PathLike, seconds: float) -> None:
    """The intermediate images, side by side, one after the other."""
    if synthesis.frames is None:
        raise ValueError("There are no intermediate images. Give ActivationMaximization frames=, such as 10.")
    rows = [np.hstack(list(synthesis.box.pixels(frame))) for frame in synthesis.frames]
    first, *others = (Image.fromarray(row) for row in rows)
    each = max(20, int(1000 * seconds / len(rows)))
    durations = [each] * (len(rows) - 1) + [each + LAST]
    first.save(path, format="GIF", save_all=True, append_images=others, duration=durations, loop=0)
