"""How well methods find the boxes in image files."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfxai.evaluation import stored
from tfxai.evaluation.boxed_images import BoxedImages
from tfxai.evaluation.heatmaps import heatmaps
from tfxai.explainer import Explainer
from tfxai.metrics import LocalizationScore, compare_localization
from tfxai.metrics.boxes import Component, Threshold


class Row(NamedTuple):
    """A row of the table: a score, and what its heat-maps cost; None for baselines."""

    score: LocalizationScore
    seconds: float | None


def evaluate_localization(
    explainers: Mapping[str, Explainer],
    images: BoxedImages,
    target: np.ndarray | None,
    cache: Path,
    facts: Mapping[str, dict[str, Any]],
    *,
    batch_size: int = 32,
    threshold: Threshold = "mean",
    component: Component = "all",
    tolerance: float = 0,
    cross_fit: bool = True,
    seed: int = 0,
) -> list[Row]:
    """Explain images by each method, with the heat-maps stored, and compare the methods.

    Parameters
    ----------
    explainers : mapping
        Name to explainer.
    images, target, batch_size
        As for `tfxai.evaluation.heatmaps.heatmaps`.
    cache : path
        Where heat-maps are stored, in a folder for each method.
    facts : mapping
        Name to what the heat-maps depend on besides the images.
    threshold, component, tolerance, cross_fit, seed
        As for `tfxai.metrics.compare_localization`.

    Returns
    -------
    list of Row
        One for each method, then the baselines.
    """
    seconds: dict[str, float] = {}

    def made() -> Iterator[tuple[str, np.ndarray]]:
        for name, explainer in explainers.items():
            print(f"explaining by {name} ...", flush=True)
            folder = cache / stored.file_name(name)
            found, seconds[name] = heatmaps(name, explainer, images, target, folder, facts[name], batch_size)
            yield name, found

    scores = compare_localization(
        made(),
        images.boxes,
        threshold=threshold,
        component=component,
        tolerance=tolerance,
        cross_fit=cross_fit,
        seed=seed,
    )
    return [Row(score, seconds.get(score.name)) for score in scores]


def table(rows: Sequence[Row]) -> list[str]:
    """Lines of text."""
    beside = "minus the first"
    cells = [
        ("method", "error", "95 % interval", beside, "alpha", "hits", "95 % interval", beside, "images", "s/image")
    ]
    for score, seconds in rows:
        cells.append(
            (
                score.name,
                _number(score.error),
                _interval(score.error_interval),
                _interval(score.error_difference, "+"),
                ", ".join(f"{alpha:g}" for alpha in score.alphas),
                _number(score.hits),
                _interval(score.hits_interval),
                _interval(score.hits_difference, "+"),
                str(score.images),
                "" if seconds is None else f"{seconds:.3g}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def write_csv(rows: Sequence[Row], file: str | PathLike) -> None:
    """The table with all digits; what a row does not have stays empty, two values of alpha have a space between."""
    with open(file, "w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        ends = [f"{score}{end}" for score in ("error", "hits") for end in ("", "_low", "_high")]
        beside = [f"{score}_difference_{end}" for score in ("error", "hits") for end in ("low", "high")]
        writer.writerow(["method", *ends, "alphas", "images", "seconds_per_image", *beside])
        for score, seconds in rows:
            error = (score.error, *(score.error_interval or (None, None)))
            hits = (score.hits, *(score.hits_interval or (None, None)))
            alphas = " ".join(f"{alpha:g}" for alpha in score.alphas)
            differences = (
                end for pair in (score.error_difference, score.hits_difference) for end in pair or (None, None)
            )
            writer.writerow((score.name, *error, *hits, alphas, score.images, seconds, *differences))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(ends: tuple[float, float] | None, sign: str = "") -> str:
    return "" if ends is None else f"{ends[0]:{sign}.3f} to {ends[1]:{sign}.3f}"
