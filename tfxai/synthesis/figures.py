"""Figures and animations of images that were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

CELL = 2.0  # inches
SHOWN = 9  # examples beside an image
LAST = 1000  # milliseconds that an animation stays at its end


def sheet(pixels: np.ndarray, titles: Sequence[str], columns: int) -> Figure:
    """All images (n, h, w, 3), each below its title."""
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
            cell.set_title(titles[number], fontsize=8)
    return figure


def beside(pixels: np.ndarray, titles: Sequence[str], examples: Sequence[np.ndarray]) -> Figure:
    """A row for each image: itself, and pictures that belong to it."""
    if len(examples) != len(pixels):
        raise ValueError(f"Expected examples for each of the {len(pixels)} images, got {len(examples)}.")
    columns = 1 + min(SHOWN, max(map(len, examples)))
    figure, axes = plt.subplots(
        len(pixels),
        columns,
        squeeze=False,
        figsize=(0.6 * CELL * columns, CELL * len(pixels) * 0.72),
        layout="constrained",
    )
    for row, image, title, own in zip(axes, pixels, titles, examples, strict=True):
        for cell, picture in zip(row, [image, *own], strict=False):
            cell.imshow(picture)
        row[0].set_title(title, fontsize=8, loc="left")
        for cell in row:
            cell.axis("off")
    return figure


def history(terms: Mapping[str, np.ndarray]) -> Figure:
    """Each of the terms (n, steps), a line for each image."""
    figure, axes = plt.subplots(
        1, len(terms), squeeze=False, figsize=(2.6 * len(terms), 2.4), layout="constrained", sharex=True
    )
    for cell, (name, values) in zip(axes[0], terms.items(), strict=True):
        cell.plot(values.T, linewidth=0.8)
        cell.set_title(name, fontsize=9)
        cell.set_xlabel("step", fontsize=8)
        cell.spines[["top", "right"]].set_visible(False)
    return figure


def save_gif(frames: Sequence[np.ndarray], path: str | PathLike, seconds: float) -> None:
    """Pictures (h, w, 3), one after the other; a turn takes so many seconds, and the last stays for another."""
    first, *others = (Image.fromarray(frame) for frame in frames)
    each = max(20, int(1000 * seconds / len(frames)))
    durations = [each] * (len(frames) - 1) + [each + LAST]
    first.save(path, format="GIF", save_all=True, append_images=others, duration=durations, loop=0)
