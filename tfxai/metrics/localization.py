"""Whether heat-maps find the boxes where the evidence is known to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfxai.metrics.boxes import GRIDS, Boxes, Component, Threshold, as_boxes, as_heatmaps, find_boxes, iou


def localization_error(
    heatmaps: np.ndarray,
    boxes: Boxes,
    *,
    alpha: float | Sequence[float] | np.ndarray = 1.5,
    threshold: Threshold = "mean",
    component: Component = "all",
    inclusive: bool = False,
) -> np.ndarray:
    """Where the box around the foreground of a heat-map matches none of the image's boxes.

    Weakly supervised localisation after Fong & Vedaldi (2017). The mean is the error they report. Report that of
    `whole_image` and `centre_box` beside it: objects of photographs are large and central.

    Parameters
    ----------
    heatmaps : ndarray
        (n, h, w), of the true class.
    boxes : sequence of array
        For each image (k, 4), or (4,): xmin, ymin, xmax, ymax in pixels of the heat-map, half open. Overlap does not
        depend on the scale, so boxes of another resolution may be scaled, each axis by itself. Corners of VOC and
        ILSVRC count from 1 and include the last pixel: subtract 1 from xmin and ymin.
    alpha : float or sequence of float
        Where the foreground begins, see `find_boxes`. Default 1.5 (Du et al., 2018). Better, take what
        `tune_threshold` finds on other images than those you report.
    threshold : {"mean", "value", "energy"}
        Kind of the threshold, see `find_boxes`.
    component : {"all", "largest"}
        What the box is put around, see `find_boxes`.
    inclusive : bool
        A match is an intersection over union above 0.5 (Fong & Vedaldi); if true, of at least 0.5 (ILSVRC).

    Returns
    -------
    ndarray
        (n,) bool, True for an error; (alphas, n) for several ``alpha``. A constant map is an error.

    Raises
    ------
    ValueError
        As `find_boxes`, or if the boxes do not fit.

    Notes
    -----
    With threshold "mean" an even map cannot find an object that covers 1 / ``alpha`` of the image or more: nothing in
    it is above ``alpha`` times its mean.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> heatmaps = np.zeros((2, 8, 8))
    >>> heatmaps[:, 2:5, 2:5] = 1
    >>> tfxai.metrics.localization_error(heatmaps, [[[2, 2, 5, 6]], [[4, 4, 8, 8]]])
    array([False,  True])
    """
    found = find_boxes(heatmaps, alpha, threshold=threshold, component=component)
    return box_error(found, boxes, inclusive=inclusive)


def box_error(found: np.ndarray, boxes: Boxes, *, inclusive: bool = False) -> np.ndarray:
    """Where a found box matches none of the image's boxes.

    Parameters
    ----------
    found : ndarray
        (n, 4), or (..., n, 4), one box for each image: of `find_boxes`, `whole_image`, `centre_box`, or a detector.
    boxes : sequence of array
        For each image (k, 4), or (4,).
    inclusive : bool
        A match is an intersection over union above 0.5; if true, of at least 0.5 (ILSVRC).

    Returns
    -------
    ndarray
        (n,) or (..., n) bool, True for an error.

    Raises
    ------
    ValueError
        If shapes or numbers do not fit.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.metrics.box_error(tfxai.metrics.centre_box(2, 20, 30), [[5, 3, 25, 17], [0, 0, 5, 3]])
    array([False,  True])
    """
    found = as_boxes(found)
    if found.ndim < 2:
        raise ValueError(f"Expected found boxes (n, 4), one for each image, got the shape {found.shape}.")
    errors = np.ones(found.shape[:-1], bool)
    for number, own in enumerate(_of_each(boxes, found.shape[-2])):
        overlap = iou(found[..., number, None, :], own).max(-1)
        errors[..., number] = overlap < 0.5 if inclusive else overlap <= 0.5
    return errors


def tune_threshold(
    heatmaps: np.ndarray,
    boxes: Boxes,
    *,
    alphas: Sequence[float] | np.ndarray | None = None,
    threshold: Threshold = "mean",
    component: Component = "all",
    inclusive: bool = False,
) -> float:
    """The ``alpha`` with the least localisation error.

    Choose it on other images than those you report: the literature takes 1000 of the training set.

    Parameters
    ----------
    heatmaps, boxes, threshold, component, inclusive
        As in `localization_error`.
    alphas : sequence of float, optional
        What to try. Default: the grid of Fong & Vedaldi (2017), which is 0, 0.5, ..., 10 for threshold "mean" and 0,
        0.05, ..., 0.95 for the others.

    Returns
    -------
    float
        The best of ``alphas``. Of several that are equal, the middle one (the lower of two), which is the farthest from
        where the error grows.

    Raises
    ------
    ValueError
        As `localization_error`.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> heatmap = np.full((1, 8, 8), 0.3)
    >>> heatmap[0, 2:5, 2:5] = 1
    >>> tfxai.metrics.tune_threshold(heatmap, [[2, 2, 5, 5]], threshold="value")
    0.45
    """
    tried = np.unique(GRIDS.get(threshold, ()) if alphas is None else alphas)
    how: dict[str, Any] = {"threshold": threshold, "component": component, "inclusive": inclusive}
    errors = localization_error(heatmaps, boxes, alpha=tried, **how).sum(1)
    best = tried[errors == errors.min()]
    return float(best[(len(best) - 1) // 2])


def pointing_game(heatmaps: np.ndarray, boxes: Boxes, *, tolerance: float = 0) -> np.ndarray:
    """Whether the maximum of each heat-map falls into one of the image's boxes.

    Zhang et al. (2016). Photographs are centred: report the hits of `centre_point` beside it.

    Parameters
    ----------
    heatmaps : ndarray
        (n, h, w).
    boxes : sequence of array
        For each image (k, 4), or (4,): xmin, ymin, xmax, ymax in pixels of the heat-map, half open.
    tolerance : float
        A maximum that misses counts as a hit if a pixel of a box is so near, in pixels. Zhang et al. take 15; default
        0.

    Returns
    -------
    ndarray
        (n,) bool. Of several maxima the first counts, row by row. A constant map points nowhere: False.

    Raises
    ------
    ValueError
        If shapes or numbers do not fit, or heat-maps are not finite.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> tfxai.metrics.pointing_game(np.eye(4)[None], [[[0, 0, 2, 2]]])
    array([ True])
    """
    heatmaps = as_heatmaps(heatmaps)
    if not tolerance >= 0:
        raise ValueError(f"Expected a tolerance of 0 pixels or more, got {tolerance}.")
    hits = np.zeros(len(heatmaps), bool)
    for number, (heatmap, own) in enumerate(zip(heatmaps, _of_each(boxes, len(heatmaps)), strict=True)):
        pixels = np.ceil(own - 0.5)  # those whose middle lies in the box
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        beyond = np.maximum(pixels[:, :2] - (x, y), (x, y) - (pixels[:, 2:] - 1))
        distance = np.linalg.norm(np.maximum(beyond, 0), axis=1)
        hits[number] = distance.min() <= tolerance and heatmap.min() < heatmap.max()
    return hits


def centre_point(n: int, h: int, w: int) -> np.ndarray:
    """Heat-maps that point at the centre, whatever the image: what they score in `pointing_game` is to be beaten.

    Parameters
    ----------
    n, h, w : int
        The shape of the heat-maps they stand beside.

    Returns
    -------
    ndarray
        (n, h, w), one pixel in each is 1 and all others are 0.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.metrics.pointing_game(tfxai.metrics.centre_point(1, 5, 7), [[2, 2, 5, 5]])
    array([ True])
    """
    heatmaps = np.zeros((n, h, w))
    heatmaps[:, h // 2, w // 2] = 1
    return heatmaps


def _of_each(boxes: Boxes, number: int) -> list[np.ndarray]:
    """The boxes (k, 4) of each image."""
    if len(boxes) != number:
        raise ValueError(f"Expected boxes for each of {number} images, got {len(boxes)}.")
    each = [np.atleast_2d(as_boxes(own)) for own in boxes]
    for place, own in enumerate(each):
        if own.ndim != 2 or not len(own):
            raise ValueError(f"Expected one or more boxes (k, 4) for each image, got {own.shape} for image {place}.")
    return each
