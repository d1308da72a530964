"""A page that compares methods: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from importlib import resources
from string import Template

import cv2
import numpy as np

from tfxai import api
from tfxai._version import __version__
from tfxai.display import overlay, palette
from tfxai.evaluation.demo import Comparison, Score
from tfxai.explanation import Explanation
from tfxai.reading import read

TILE = 224  # pixels


def comparison_page(found: Comparison) -> str:
    """Write the page of `tfxai demo`.

    Parameters
    ----------
    found : Comparison
        Methods, what they say of some images, and how they were scored.

    Returns
    -------
    str
        HTML without scripts and without anything to load.

    Examples
    --------
    >>> import tfxai
    >>> from tfxai.evaluation.demo import Comparison, Score
    >>> from tfxai.page import comparison_page
    >>> images, _, masks = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.explain(tfxai.datasets.flowers.load_model(), images)
    >>> scores = [Score("grad_cam", 0.5, 1.0)]
    >>> html = comparison_page(Comparison({"grad_cam": explanation}, images, masks, scores, "flowers", 1.0, 2))
    >>> html.startswith("<!doctype html>")
    True
    """
    images, explanations = found.images, found.explanations
    first = next(iter(explanations.values()))
    labels = [first.label(number) for number in range(len(images))]
    # The part keeps its colours, the rest fades.
    parts = [
        np.where(mask[..., None], image, 230 + image // 12) for image, mask in zip(images, found.masks, strict=True)
    ]
    sections = [_method(name, explanations[name], images, iou) for name, iou, _ in found.scores if name in explanations]
    return Template(_file("page.html")).substitute(
        style=_file("style.css"),
        version=__version__,
        model=escape(found.model),
        accuracy=f"{found.accuracy:.0%}",
        n=found.n,
        methods=len(explanations),
        flowers=_tiles(list(images), labels, "input"),
        parts=_tiles(parts, [""] * len(parts), "part that decides"),
        scores=_table(found.scores),
        legend=_legend(False, "no evidence", "most evidence"),
        signed_legend=_legend(True, "against the class", "for the class"),
        sections="\n".join(sections),
    )


def _file(name: str) -> str:
    """A file that lies beside this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _method(name: str, explanation: Explanation, images: np.ndarray, iou: float) -> str:
    facts = api.by_name(name).facts
    large = [_enlarge(image) for image in images]
    reading = read(explanation)
    tiles = [overlay(image, one, signed=reading.signed) for image, one in zip(large, reading.maps, strict=True)]
    return (
        f"<article><header><h3>{escape(name)}</h3><small>IoU {iou:.3f}</small></header>\n"
        f"<p>Shows {escape(facts.use)}. <span class='soft'>Costs {escape(facts.cost)}. Drawback: "
        f"{escape(facts.drawback)}. {escape(facts.reference)}.</span></p>\n"
        f"{_tiles(tiles, reading.notes, name)}</article>"
    )


def _table(scores: Sequence[Score]) -> str:
    best = max(score.iou for score in scores) or 1
    rows = []
    for name, iou, seconds in scores:
        kind, time = ("baseline", "baseline") if seconds is None else ("method", f"{seconds:.1f}")
        rows.append(
            f'<tr class="{kind}"><td class="name">{escape(name)}</td><td class="number">{iou:.3f}</td>'
            f'<td class="number">{time}</td>'
            f'<td class="wide"><div class="bar" style="width: {100 * iou / best:.1f}%"></div></td></tr>'
        )
    head = '<tr><th>method</th><th class="number">IoU</th><th class="number">seconds</th><th></th></tr>'
    return "\n".join(["<table>", head, *rows, "</table>"])


def _legend(signed: bool, low: str, high: str) -> str:
    colours = palette(None, signed)[np.linspace(0, 255, 17).astype(int)]
    stops = ", ".join(f"rgb({r:.0f}, {g:.0f}, {b:.0f})" for r, g, b in colours)
    return (
        f'<div class="legend"><span>{low}</span>'
        f'<div style="background: linear-gradient(to right, {stops})"></div><span>{high}</span></div>'
    )


def _tiles(images: Sequence[np.ndarray], captions: Sequence[str], what: str) -> str:
    figures = []
    for number, (image, caption) in enumerate(zip(images, captions, strict=True), 1):
        alt = f"{what}, image {number}"
        below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        figures.append(f'<figure><img src="{_embedded(image)}" alt="{escape(alt)}">{below}</figure>')
    return '<div class="tiles">' + "\n".join(figures) + "</div>"


def _embedded(image: np.ndarray) -> str:
    bgr = cv2.cvtColor(_enlarge(image.astype(np.uint8)), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def _enlarge(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (TILE, TILE), interpolation=cv2.INTER_CUBIC)
