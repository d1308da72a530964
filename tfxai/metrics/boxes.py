"""Boxes: around what stands out in a heat-map, and how far two of them agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, get_args

import cv2
import numpy as np

from tfxai.choices import Component, Threshold

# For each image (k, 4), or (4,): xmin, ymin, xmax, ymax, half open.
Boxes: TypeAlias = Sequence[np.ndarray] | np.ndarray

# What Fong & Vedaldi (2017) try for alpha, for each kind of threshold.
GRIDS: dict[Threshold, np.ndarray] = {
    "mean": np.arange(21) / 2,
    "value": np.arange(20) / 20,
    "energy": np.arange(20) / 20,
}


def find_boxes(
    heatmaps: np.ndarray,
    alpha: float | Sequence[float] | np.ndarray,
    *,
    threshold: Threshold = "mean",
    component: Component = "all",
) -> np.ndarray:
    """The box around the foreground of each heat-map.

    Parameters
    ----------
    heatmaps : ndarray
        (n, h, w), as `Explanation.heatmaps` gives them or of any other source.
    alpha : float or sequence of float
        Where the foreground begins; with a sequence, heat-maps are averaged, scaled or sorted only once.
    threshold : {"mean", "value", "energy"}
        The foreground is what is greater than ``alpha`` times the mean; what is greater than ``alpha`` once the map is
        scaled to [0, 1]; or the smallest set of pixels that holds the share ``alpha`` of the sum, where pixels of one
        value come together. All three are of Fong & Vedaldi (2017), whose grids `tune_threshold` tries.
    component : {"all", "largest"}
        The tightest box around all of the foreground (Fong & Vedaldi), or around its largest connected part, with eight
        neighbours to a pixel (Zhou et al., 2016, with threshold "value" and ``alpha`` 0.2).

    Returns
    -------
    ndarray
        (n, 4), or (alphas, n, 4) for a sequence: xmin, ymin, xmax, ymax in pixels of the heat-map, half open. Without
        foreground the box is empty, (0, 0, 0, 0), and matches nothing. So it is for a constant map, which shows no
        place, at any ``alpha``.

    Raises
    ------
    ValueError
        If heat-maps are not (n, h, w) or not finite, or negative with threshold "mean" or "energy"; for an unknown
        threshold or component; if ``alpha`` is negative, or above 1 with threshold "value" or "energy".

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> heatmap = np.zeros((1, 5, 7))
    >>> heatmap[0, 1:3, 2:6] = 1
    >>> tfxai.metrics.find_boxes(heatmap, alpha=1.5)
    array([[2., 1., 6., 3.]])
    """
    heatmaps, alphas = as_heatmaps(heatmaps), np.asarray(alpha, float)
    for name, value, known in (("threshold", threshold, tuple(GRIDS)), ("component", component, get_args(Component))):
        if value not in known:
            raise ValueError(f"Unknown {name} {value!r}; choose one of {', '.join(known)}.")
    highest = np.inf if threshold == "mean" else 1
    if alphas.ndim > 1 or not alphas.size or not ((alphas >= 0) & (alphas <= highest) & (alphas < np.inf)).all():
        raise ValueError(
            f"Expected one alpha or a list, with threshold {threshold!r} from 0 to {highest}; got {alpha}."
        )
    if threshold != "value" and heatmaps.min() < 0:
        raise ValueError(
            f"Threshold {threshold!r} needs heat-maps without negative values: "
            "take those of Explanation.heatmaps(), or the positive part."
        )
    found = np.zeros((alphas.size, len(heatmaps), 4))
    for number, heatmap in enumerate(heatmaps):
        if heatmap.min() < heatmap.max():
            comparable, unit = _comparable(heatmap.astype(float), threshold)
            around = _around_all if component == "all" else _around_largest
            found[:, number] = around(comparable, alphas.ravel() * unit)
    return found.reshape(*alphas.shape, -1, 4)


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes.

    Parameters
    ----------
    a, b : array_like
        (..., 4): xmin, ymin, xmax, ymax, half open. The other axes are broadcast: ``iou(a[:, None], b)`` compares each
        of ``a`` with each of ``b``.

    Returns
    -------
    ndarray
        In [0, 1]; 0 with an empty box.

    Raises
    ------
    ValueError
        If the last axis is not 4 long, a number is not finite, or a box ends before it begins.

    Examples
    --------
    >>> import tfxai
    >>> float(tfxai.metrics.iou([0, 0, 2, 2], [1, 0, 3, 2]).round(3))
    0.333
    """
    a, b = as_boxes(a), as_boxes(b)
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    both = np.maximum(sides, 0).prod(-1)
    area_a, area_b = ((box[..., 2:] - box[..., :2]).prod(-1) for box in (a, b))
    union = area_a + area_b - both
    return both / np.where(union > 0, union, 1)


def whole_image(n: int, h: int, w: int) -> np.ndarray:
    """The whole image as a box, ``n`` times: what it scores in `box_error` is to be beaten.

    Parameters
    ----------
    n, h, w : int
        The shape of the heat-maps it stands beside.

    Returns
    -------
    ndarray
        (n, 4) boxes.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.metrics.whole_image(1, 20, 30)
    array([[ 0.,  0., 30., 20.]])
    """
    return np.tile([0.0, 0.0, w, h], (n, 1))


def centre_box(n: int, h: int, w: int) -> np.ndarray:
    """The box in the centre with half of the area, in the shape of the image (Dabkowski & Gal, 2017).

    Parameters
    ----------
    n, h, w : int
        The shape of the heat-maps it stands beside.

    Returns
    -------
    ndarray
        (n, 4) boxes for `box_error`.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.metrics.centre_box(1, 20, 30).round(1)
    array([[ 4.4,  2.9, 25.6, 17.1]])
    """
    centre = np.array([w, h]) / 2
    reach = centre / 2**0.5
    return np.tile(np.concatenate([centre - reach, centre + reach]), (n, 1))


def as_heatmaps(heatmaps: np.ndarray) -> np.ndarray:
    """Heat-maps, checked."""
    heatmaps = np.asarray(heatmaps)
    if heatmaps.ndim != 3 or not heatmaps.size:
        raise ValueError(f"Expected one or more heat-maps (n, h, w), got the shape {heatmaps.shape}.")
    if not np.isfinite(heatmaps).all():
        raise ValueError("The heat-maps hold NaN or infinite values, which cannot be ranked; leave these images out.")
    return heatmaps


def as_boxes(boxes: np.ndarray | Sequence[float]) -> np.ndarray:
    """Boxes (..., 4), checked."""
    boxes = np.asarray(boxes, float)
    if not boxes.ndim or boxes.shape[-1] != 4:
        raise ValueError(f"Expected boxes (..., 4) of xmin, ymin, xmax, ymax, got the shape {boxes.shape}.")
    if not (np.isfinite(boxes).all() and (boxes[..., :2] <= boxes[..., 2:]).all()):
        raise ValueError("Expected finite boxes with xmin <= xmax and ymin <= ymax; some are not.")
    return boxes


def _comparable(heatmap: np.ndarray, threshold: str) -> tuple[np.ndarray, float]:
    """A map and a unit: the foreground is where the map is greater than alpha units."""
    if threshold == "mean":
        return heatmap, heatmap.mean()
    if threshold == "value":
        return (heatmap - heatmap.min()) / np.ptp(heatmap), 1
    # A pixel belongs to the smallest set as long as all that are brighter hold less than alpha.
    values, place, counts = np.unique(heatmap, return_inverse=True, return_counts=True)
    held = np.cumsum((values * counts)[::-1])[::-1]  # by the pixels of a value or a greater one
    brighter = np.append(held[1:], 0) / held[0]
    return -brighter[place].reshape(heatmap.shape), -1


def _around_all(comparable: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(levels, 4) boxes around what is above each level; the maxima of rows and columns are enough to know."""
    columns, rows = (comparable.max(axis) > levels[:, None] for axis in (0, 1))
    first = [found.argmax(1) for found in (columns, rows)]
    last = [found.shape[1] - found[:, ::-1].argmax(1) for found in (columns, rows)]
    return np.stack(first + last, 1) * rows.any(1, keepdims=True)


def _around_largest(comparable: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(levels, 4) boxes around the largest connected part above each level."""
    found = np.zeros((len(levels), 4))
    for number, level in enumerate(levels):
        parts = cv2.connectedComponentsWithStats((comparable > level).astype(np.uint8), connectivity=8)[2][1:]
        if len(parts):
            x, y, width, height, _ = parts[parts[:, cv2.CC_STAT_AREA].argmax()]
            found[number] = x, y, x + width, y + height
    return found
