"""How far heat-maps agree with masks, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

THRESHOLDS = np.linspace(0, 1, 21)


def iou_curve(
    heatmaps: np.ndarray, masks: np.ndarray, *, thresholds: Sequence[float] | np.ndarray = THRESHOLDS
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
    >>> float(tfxai.metrics.iou_curve(mask.astype(float), mask, thresholds=[0.5])[0, 0])
    1.0
    """
    heatmaps, masks = _checked(heatmaps, masks)
    curves = np.zeros((len(heatmaps), len(thresholds)))
    for number, threshold in enumerate(thresholds):
        found = heatmaps >= threshold
        union = (found | masks).sum((1, 2))
        curves[:, number] = (found & masks).sum((1, 2)) / np.maximum(union, 1)
    return curves


class FoldedIoU(NamedTuple):
    """How far heat-maps agree with masks, and how much that varies between parts of the images.

    Attributes
    ----------
    curve : ndarray
        (thresholds,) IoU, mean over folds.
    curve_std : ndarray
        (thresholds,) its standard deviation over folds.
    area : float
        Area under the curve: its mean over thresholds.
    area_std : float
        Standard deviation of the area over folds.
    areas : tuple of float
        The area of each fold.
    images : int
        How many images were scored.
    """

    curve: np.ndarray
    curve_std: np.ndarray
    area: float
    area_std: float
    areas: tuple[float, ...]
    images: int


def iou_over_folds(
    heatmaps: np.ndarray,
    masks: np.ndarray,
    folds: Sequence[int] | np.ndarray,
    *,
    scored: Sequence[bool] | np.ndarray | None = None,
    thresholds: Sequence[float] | np.ndarray = THRESHOLDS,
) -> FoldedIoU:
    """The curve of `iou_curve` with mean and standard deviation over folds (Oramas et al., 2019).

    Parameters
    ----------
    heatmaps : ndarray
        (n, h, w) in [0, 1].
    masks : ndarray
        (n, h, w) bool, True where the evidence is.
    folds : sequence of int
        (n,) number of the part to which each image belongs; two or more different ones.
    scored : sequence of bool, optional
        (n,) which images count, such as those that were classified correctly; default: all.
    thresholds : sequence of float
        Default 0, 0.05, ..., 1.

    Returns
    -------
    FoldedIoU
        Standard deviations are those of a sample, with one less than the number of folds in the denominator.

    Raises
    ------
    ValueError
        As `iou_curve`; or if folds or scored do not fit, or a fold has no image that counts.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> masks = np.eye(4, dtype=bool)[None].repeat(3, 0)
    >>> found = tfxai.metrics.iou_over_folds(masks * [[[1.0]], [[0.5]], [[0.5]]], masks, [0, 1, 1], thresholds=[0.4, 1])
    >>> found.area, found.areas
    (0.75, (1.0, 0.5))
    """
    curves, folds = iou_curve(heatmaps, masks, thresholds=thresholds), np.asarray(folds)
    scored = np.ones(len(curves), bool) if scored is None else np.asarray(scored, bool)
    if not folds.shape == scored.shape == (len(curves),):
        raise ValueError(
            f"Expected a fold, and whether it counts, for each of {len(curves)} images, got {folds.shape} and "
            f"{scored.shape}."
        )
    names = np.unique(folds)
    if len(names) < 2:
        raise ValueError("Expected 2 folds or more, for a standard deviation.")
    parts = [curves[scored & (folds == name)] for name in names]
    empty = [str(name) for name, part in zip(names, parts, strict=True) if not len(part)]
    if empty:
        raise ValueError(f"Expected an image that counts in each fold, there is none in {', '.join(empty)}.")
    means = np.stack([part.mean(0) for part in parts])
    areas = means.mean(1)
    return FoldedIoU(
        means.mean(0),
        means.std(0, ddof=1),
        float(areas.mean()),
        float(areas.std(ddof=1)),
        tuple(areas.tolist()),
        int(scored.sum()),
    )


def f_beta(heatmaps: np.ndarray, masks: np.ndarray, *, beta2: float = 0.3, factor: float = 2.0) -> np.ndarray:
    """Weighted harmonic mean of precision and recall, at a threshold that follows each heat-map.

    The protocol of Achanta et al. (2009) for salient objects: what reaches ``factor`` times the mean is found.

    Parameters
    ----------
    heatmaps : ndarray
        (n, h, w) in [0, 1].
    masks : ndarray
        (n, h, w) bool, True where the object is.
    beta2 : float
        Weight of the recall, the square of beta. Default 0.3: precision matters more (Achanta et al.).
    factor : float
        Threshold in means of the map. Default 2 (Achanta et al.). It is cut at the maximum, so that a perfect map of an
        object that covers more than 1 / ``factor`` of the image scores 1, not 0.

    Returns
    -------
    ndarray
        (n,) in [0, 1]. A constant map finds nothing: 0.

    Raises
    ------
    ValueError
        If shapes differ, heat-maps lie outside [0, 1], or ``beta2`` or ``factor`` is negative.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> mask = np.eye(4, dtype=bool)[None]
    >>> tfxai.metrics.f_beta(mask.astype(float), mask)
    array([1.])
    """
    heatmaps, masks = _checked(heatmaps, masks)
    if not (beta2 >= 0 and factor >= 0):
        raise ValueError(f"Expected beta2 and factor of 0 or more, got {beta2} and {factor}.")
    highest, lowest = heatmaps.max((1, 2), keepdims=True), heatmaps.min((1, 2), keepdims=True)
    level = np.minimum(factor * heatmaps.mean((1, 2), dtype=float, keepdims=True), highest)
    found = (heatmaps >= level) & (highest > lowest)
    hit, found_size, true_size = (part.sum((1, 2)) for part in (found & masks, found, masks))
    # with precision = hit / found_size and recall = hit / true_size, without their 0 / 0
    return (beta2 * hit + hit) / np.maximum(beta2 * true_size + found_size, 1)


def mae(heatmaps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Mean absolute difference between heat-maps and masks, without a threshold (Perazzi et al., 2012).

    Parameters
    ----------
    heatmaps : ndarray
        (n, h, w) in [0, 1].
    masks : ndarray
        (n, h, w) bool, True where the object is.

    Returns
    -------
    ndarray
        (n,) in [0, 1], 0 is best.

    Raises
    ------
    ValueError
        If shapes differ or heat-maps lie outside [0, 1].

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> mask = np.eye(4, dtype=bool)[None]
    >>> tfxai.metrics.mae(np.full((1, 4, 4), 0.5), mask)
    array([0.5])
    """
    heatmaps, masks = _checked(heatmaps, masks)
    return np.abs(heatmaps.astype(float) - masks).mean((1, 2))


def _checked(heatmaps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    heatmaps, masks = np.asarray(heatmaps), np.asarray(masks, bool)
    if heatmaps.shape != masks.shape or heatmaps.ndim != 3 or not heatmaps.size:
        raise ValueError(
            f"Expected heat-maps and masks of one shape (n, h, w), got {heatmaps.shape} and {masks.shape}."
        )
    if not (heatmaps.min() >= 0 and heatmaps.max() <= 1):
        raise ValueError("Expected heat-maps in [0, 1], as Explanation.heatmaps() gives them.")
    return heatmaps, masks
