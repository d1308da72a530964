"""Whether heat-maps lie where the evidence is known to be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

THRESHOLDS = np.linspace(0, 1, 21)


def iou_curve(
    heatmaps: np.ndarray, masks: np.ndarray, thresholds: Sequence[float] | np.ndarray = THRESHOLDS
) -> np.ndarray:
    """Intersection over union of thresholded heat-maps with masks.

    The protocol of Oramas et al. (2019): at each threshold t, the IoU of ``heatmap >= t`` with the mask.

    Parameters
    ----------
    heatmaps : ndarray
        (n, h, w) in [0, 1], as `Explanation.heatmaps` gives them.
    masks : ndarray
        (n, h, w) bool, True where the evidence is.
    thresholds : sequence of float
        Default 0, 0.05, ..., 1.

    Returns
    -------
    ndarray
        (n, thresholds) IoU; the mean over images is the curve, the mean of all is the area under it. Where both
        prediction and mask are empty, 0.

    Raises
    ------
    ValueError
        If shapes differ or heat-maps lie outside [0, 1].

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> mask = np.eye(4, dtype=bool)[None]
    >>> float(tfxai.metrics.iou_curve(mask.astype(float), mask, [0.5])[0, 0])
    1.0
    """
    heatmaps, masks = np.asarray(heatmaps), np.asarray(masks, bool)
    if heatmaps.shape != masks.shape or heatmaps.ndim != 3 or not len(heatmaps):
        raise ValueError(
            f"Expected heat-maps and masks of one shape (n, h, w), got {heatmaps.shape} and {masks.shape}."
        )
    if not (heatmaps.min() >= 0 and heatmaps.max() <= 1):
        raise ValueError("Expected heat-maps in [0, 1]; Explanation.heatmaps() gives such.")
    curves = np.zeros((len(heatmaps), len(thresholds)))
    for number, threshold in enumerate(thresholds):
        found = heatmaps >= threshold
        union = (found | masks).sum((1, 2))
        curves[:, number] = (found & masks).sum((1, 2)) / np.maximum(union, 1)
    return curves


def pointing_game(heatmaps: np.ndarray, boxes: Sequence[np.ndarray]) -> np.ndarray:
    """Whether the maximum of each heat-map falls into one of the image's boxes.

    Zhang et al. (2016), without tolerance. Photographs are centred: report the hits of the centre point beside it.

    Parameters
    ----------
    heatmaps : ndarray
        (n, h, w).
    boxes : sequence of array
        For each image (k, 4): xmin, ymin, xmax, ymax in pixels of the heat-map, half open.

    Returns
    -------
    ndarray
        (n,) bool. A constant map points nowhere: False.

    Raises
    ------
    ValueError
        If shapes or numbers do not fit.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> tfxai.metrics.pointing_game(np.eye(4)[None], [[[0, 0, 2, 2]]])
    array([ True])
    """
    heatmaps = np.asarray(heatmaps)
    if heatmaps.ndim != 3 or len(heatmaps) != len(boxes):
        raise ValueError(f"Expected heat-maps (n, h, w) and boxes for each, got {heatmaps.shape} and {len(boxes)}.")
    hits = np.zeros(len(heatmaps), bool)
    for number, (heatmap, own) in enumerate(zip(heatmaps, boxes, strict=True)):
        xmin, ymin, xmax, ymax = np.asarray(own, float).reshape(-1, 4).T
        y, x = np.unravel_index(heatmap.argmax(), heatmap.shape)
        x, y = x + 0.5, y + 0.5  # the middle of the pixel
        inside = (xmin <= x) & (x < xmax) & (ymin <= y) & (y < ymax)
        hits[number] = inside.any() and heatmap.min() < heatmap.max()
    return hits
