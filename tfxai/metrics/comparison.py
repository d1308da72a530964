"""Methods side by side: who finds the boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfxai.metrics.boxes import Boxes, Component, Threshold, as_heatmaps, centre_box, whole_image
from tfxai.metrics.localization import box_error, centre_point, localization_error, pointing_game, tune_threshold
from tfxai.metrics.statistics import bootstrap_interval


class LocalizationScore(NamedTuple):
    """How well the heat-maps of one method find the boxes, or a baseline does.

    Attributes
    ----------
    name : str
        The method, or "whole image", "centre box" or "centre point".
    images : int
        How many images are scored.
    error : float or None
        Localisation error, see `localization_error`; None for the centre point.
    error_interval : tuple of float or None
        Its 95 % interval, see `bootstrap_interval`.
    alphas : tuple of float
        The tuned thresholds, one for each half that is scored.
    hits : float or None
        Share of hits in the pointing game, see `pointing_game`; None for boxes.
    hits_interval : tuple of float or None
        Its 95 % interval.
    error_difference, hits_difference : tuple of float or None
        95 % intervals of error and hits minus those of the first method, over the same images, which tell more than
        the intervals of either: methods differ if 0 is outside. None for the first method.
    """

    name: str
    images: int
    error: float | None = None
    error_interval: tuple[float, float] | None = None
    alphas: tuple[float, ...] = ()
    hits: float | None = None
    hits_interval: tuple[float, float] | None = None
    error_difference: tuple[float, float] | None = None
    hits_difference: tuple[float, float] | None = None


def compare_localization(
    heatmaps: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]],
    boxes: Boxes,
    *,
    threshold: Threshold = "mean",
    component: Component = "all",
    tolerance: float = 0,
    cross_fit: bool = True,
    seed: int = 0,
) -> list[LocalizationScore]:
    """Localisation error and pointing game of several methods, and of the baselines they have to beat.

    No image is scored with a threshold that was tuned on it: the images are split at random, and the threshold of each
    half is what `tune_threshold` finds on the other.

    Parameters
    ----------
    heatmaps : mapping, or iterable of pairs
        Name of a method to its heat-maps, (n, h, w), of the same images; others are compared with the first. Pairs are
        looked at one at a time, so a generator keeps no more than one method in memory.
    boxes : sequence of array
        For each image (k, 4), or (4,): xmin, ymin, xmax, ymax in pixels of the heat-maps, half open.
    threshold : {"mean", "value", "energy"}
        Kind of the threshold, see `find_boxes`.
    component : {"all", "largest"}
        What the box is put around, see `find_boxes`.
    tolerance : float
        Of the pointing game, in pixels. Default 0; Zhang et al. (2016) take 15.
    cross_fit : bool
        Tune on each half and score the other (default), so that all images are scored; if false, tune on the first half
        and score the second only.
    seed : int
        Seed of the split and of the intervals.

    Returns
    -------
    list of LocalizationScore
        Of each method, then of `whole_image`, `centre_box` and `centre_point`, all on the same images.

    Raises
    ------
    ValueError
        If there are no heat-maps or fewer than four images, or shapes, numbers or options do not fit.

    Examples
    --------
    >>> import tfxai
    >>> heatmaps = tfxai.metrics.centre_point(8, 9, 9)
    >>> boxes = tfxai.metrics.centre_box(8, 9, 9)
    >>> for score in tfxai.metrics.compare_localization({"a dot": heatmaps}, boxes):
    ...     print(score.name, score.error, score.hits)
    a dot 1.0 1.0
    whole image 1.0 None
    centre box 0.0 None
    centre point None 1.0
    """
    folds = _folds(len(boxes), cross_fit, seed)
    scored = np.sort(np.concatenate([test for _, test in folds]))
    own = _pick(boxes, scored)
    found: list[LocalizationScore] = []
    first: list[np.ndarray] = []  # errors and hits of the first method

    def add(name: str, errors: np.ndarray | None, hits: np.ndarray | None, alphas: Sequence[float] = ()) -> None:
        both = [None if x is None else x.astype(np.float64) for x in (errors, hits)]
        error, share = (None if x is None else float(x.mean()) for x in both)
        ends, share_ends = (None if x is None else bootstrap_interval(x, seed=seed) for x in both)
        beside = [
            None if x is None else bootstrap_interval(x - its, seed=seed) for x, its in zip(both, first, strict=False)
        ]
        if not found:
            first.extend(x for x in both if x is not None)
        found.append(LocalizationScore(name, len(scored), error, ends, tuple(alphas), share, share_ends, *beside))

    shape: tuple[int, ...] = ()
    how: dict[str, Any] = {"threshold": threshold, "component": component}
    for name, maps in heatmaps.items() if isinstance(heatmaps, Mapping) else heatmaps:
        maps = as_heatmaps(maps)
        shape = shape or maps.shape
        if maps.shape != shape or len(maps) != len(boxes):
            raise ValueError(
                f"Expected heat-maps of {len(boxes)} images, as there are boxes, of one size; "
                f"those of {name!r} have the shape {maps.shape}, and the first have {shape}."
            )
        errors = np.zeros(len(boxes), bool)
        alphas = []
        for tune, test in folds:
            alphas.append(tune_threshold(maps[tune], _pick(boxes, tune), **how))
            errors[test] = localization_error(maps[test], _pick(boxes, test), alpha=alphas[-1], **how)
        add(name, errors[scored], pointing_game(maps[scored], own, tolerance=tolerance), alphas)
    if not found:
        raise ValueError("Expected the heat-maps of one or more methods, got none.")

    n, (h, w) = len(scored), shape[1:]
    add("whole image", box_error(whole_image(n, h, w), own), None)
    add("centre box", box_error(centre_box(n, h, w), own), None)
    point = centre_point(1, h, w)  # the same for each image
    add("centre point", None, np.concatenate([pointing_game(point, [box], tolerance=tolerance) for box in own]))
    return found


def _folds(n: int, cross_fit: bool, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of images to tune on, and images to score."""
    if n < 4:
        raise ValueError(f"Expected 4 images or more, to tune on one half and to score the other, got {n}.")
    order = np.random.default_rng(seed).permutation(n)
    first, second = order[: n // 2], order[n // 2 :]
    return [(second, first), (first, second)] if cross_fit else [(first, second)]


def _pick(boxes: Boxes, rows: np.ndarray) -> list[np.ndarray]:
    return [boxes[row] for row in rows]
