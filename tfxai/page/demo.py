"""The page of `tfxai demo`: one HTML file that needs nothing else, in parts that are written one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

import numpy as np

from tfxai import api
from tfxai._version import __version__
from tfxai.display import overlay
from tfxai.evaluation.demo import Comparison, Score
from tfxai.evaluation.showcase import Picture
from tfxai.explanation import Explanation
from tfxai.page.parts import file, legend, sized, tiles, wide
from tfxai.reading import read


def opening(model: str, classes: Sequence[str]) -> str:
    """Begin the page.

    Parameters
    ----------
    model : str
        Name of the network.
    classes : sequence of str
        Their names.

    Returns
    -------
    str
        HTML without scripts and without anything to load, as all parts are; it is whole after each of them.
    """
    names = ", ".join(map(escape, classes))
    return Template(file("demo.html")).substitute(style=file("style.css"), model=escape(model), classes=names)


def shown(picture: Picture, png: bytes) -> str:
    """Show a picture.

    Parameters
    ----------
    picture : Picture
        Its title, and what one sees.
    png : bytes
        The picture as a file.

    Returns
    -------
    str
        HTML.
    """
    title = escape(picture.title)
    return f"<h2>{title}</h2>\n<p>{escape(picture.text)}</p>\n{wide(png, title)}\n"


def comparison(found: Comparison) -> str:
    """Compare methods, at the end of the page.

    Parameters
    ----------
    found : Comparison
        Methods, what they say of some images, and how they were scored.

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> import tfxai
    >>> from tfxai.evaluation.demo import Comparison, Score
    >>> from tfxai.page import demo
    >>> images, _, masks = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.explain(tfxai.datasets.flowers.load_model(), images)
    >>> scores = [Score("grad_cam", 0.5, 1.0)]
    >>> found = Comparison({"grad_cam": explanation}, images, masks, scores, 1.0, 2)
    >>> "names the class of 100%" in demo.comparison(found)
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
    return Template(file("comparison.html")).substitute(
        version=__version__,
        accuracy=f"{found.accuracy:.0%}",
        n=found.n,
        methods=len(explanations),
        flowers=tiles(list(images), labels, "input"),
        parts=tiles(parts, [""] * len(parts), "part that decides"),
        scores=_table(found.scores),
        legend=legend(False, "no evidence", "most evidence"),
        signed_legend=legend(True, "against the class", "for the class"),
        sections="\n".join(sections),
    )


def _method(name: str, explanation: Explanation, images: np.ndarray, iou: float) -> str:
    facts = api.by_name(name).facts
    large = [sized(image) for image in images]
    reading = read(explanation)
    laid = [overlay(image, one, signed=reading.signed) for image, one in zip(large, reading.maps, strict=True)]
    return (
        f"<article><header><h3>{escape(name)}</h3><small>IoU {iou:.3f}</small></header>\n"
        f"<p>Shows {escape(facts.use)}. <span class='soft'>Costs {escape(facts.cost)}. Drawback: "
        f"{escape(facts.drawback)}. {escape(facts.reference)}.</span></p>\n"
        f"{tiles(laid, reading.notes, name)}</article>"
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
