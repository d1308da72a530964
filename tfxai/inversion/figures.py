"""Pictures of guided feature inversion: what each stage found, and what the model was shown in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tfxai.display import in_range_of, overlay, photographs
from tfxai.explanation import Explanation
from tfxai.figure_parts import add_scale
from tfxai.plotting import CELL, INK
from tfxai.reading import read, scored

COLUMNS = ("input", "inversion mask", "target mask", "foreground", "background")


def stages(
    explanation: Explanation,
    images: np.ndarray | Sequence[np.ndarray] | None = None,
    pixels: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Figure:
    """Figure with a row for each input: it, the masks of both stages over it, its foreground, its background.

    Parameters
    ----------
    explanation : Explanation
        By `GuidedFeatureInversion`, with both stages.
    images : ndarray or sequence of ndarray, optional
        Photographs to show instead of preprocessed inputs.
    pixels : callable, optional
        From preprocessed images, (n, h, w, channels), to uint8 pictures. Default: as inputs are shown.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the explanation has no such stages.

    Examples
    --------
    >>> import tfxai
    >>> from tfxai.inversion import figures
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explainer = tfxai.GuidedFeatureInversion(tfxai.datasets.flowers.load_model(), target_steps=5)
    >>> len(figures.stages(explainer(images)).axes)
    10
    """
    extras = explanation.extras
    if not {"inversion_values", "target_steps"} <= extras.keys():
        raise ValueError('Expected an explanation by GuidedFeatureInversion with stages="both".')
    pictures, _ = photographs(images, explanation.of()[1])
    masks = [read(one, one.polarity) for one in (first_stage(explanation), explanation)]
    sides = [side_of(explanation, name, pixels) for name in ("foreground", "background")]
    aspect = pictures[0].shape[0] / pictures[0].shape[1]
    size = CELL * len(COLUMNS), (CELL * aspect + 0.45) * len(pictures) + 0.2
    figure, axes = plt.subplots(len(pictures), len(COLUMNS), squeeze=False, layout="constrained", figsize=size)
    for row, (picture, cells) in enumerate(zip(pictures, axes, strict=True)):
        over = [overlay(picture, mask.maps[row]) for mask in masks]
        for cell, content in zip(cells, [picture, *over, *(side[row] for side in sides)], strict=True):
            cell.imshow(content, aspect="auto")  # foreground and background have the shape that the model takes
            cell.set_box_aspect(aspect)
            cell.set(xticks=[], yticks=[])
            cell.spines[:].set_visible(False)
        for cell, mask in zip(cells[1:], masks, strict=False):
            add_scale(cell, mask.ends[row], False, None, CELL * aspect)
        label = explanation.label(row).split(",")[0]  # of synonyms the first
        cells[0].set_xlabel(f"{label}\n{scored(explanation, row)}", fontsize=8.5, color=INK, parse_math=False)
    for cell, name in zip(axes[0], COLUMNS, strict=True):
        cell.set_title(name, fontsize=10, color=INK)
    return figure


def first_stage(explanation: Explanation) -> Explanation:
    """The explanation with the mask of the first stage."""
    return replace(explanation, values=explanation.extras["inversion_values"])


def side_of(explanation: Explanation, name: str, pixels: Callable[[Any], np.ndarray] | None = None) -> np.ndarray:
    """The "foreground" or the "background" as pictures; ``pixels``: from what the model takes to these."""
    images = explanation.extras[name]
    return in_range_of(explanation.of()[1], images) if pixels is None else pixels(images)
