"""The page of `tfxai demo`: one HTML file that needs nothing else, in parts that are written one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

import numpy as np

from tfxai.evaluation.demo import Comparison, Score
from tfxai.evaluation.showcase import Picture
from tfxai.pages.entries import map_entry
from tfxai.pages.explained import detail_for, explorer, item
from tfxai.pages.parts import file, tiles, wide

PART = "part that decides"


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
        HTML without anything to load, as all parts are; it is whole after each of them.
    """
    names = ", ".join(map(escape, classes))
    style = file("style.css") + file("explorer.css")
    return Template(file("demo.html")).substitute(style=style, model=escape(model), classes=names)


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
    >>> from tfxai.pages import demo
    >>> images, _, masks = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.explain(tfxai.datasets.flowers.load_model(), images)
    >>> scores = [Score("grad_cam", 0.5, 1.0)]
    >>> found = Comparison({"grad_cam": explanation}, images, masks, scores, 1.0, 2)
    >>> "names the class of 100%" in demo.comparison(found)
    True
    """
    images = found.images
    first = next(iter(found.explanations.values()))
    labels = [first.label(number) for number in range(len(images))]
    # The part keeps its colours, the rest fades.
    parts = [
        np.where(mask[..., None], image, 230 + image // 12) for image, mask in zip(images, found.masks, strict=True)
    ]
    best_first = {score.name: found.explanations[score.name] for score in found.scores if score.seconds is not None}
    methods = {PART: found.truth} | best_first
    detail = detail_for(len(images) * len(methods))
    items = [
        item(label, [], [map_entry(name, one[number], detail) for name, one in methods.items()], images[number])
        for number, label in enumerate(labels)
    ]
    return Template(file("comparison.html")).substitute(
        accuracy=f"{found.accuracy:.0%}",
        n=found.n,
        methods=len(best_first),
        flowers=tiles(list(images), labels, "input"),
        parts=tiles(parts, [""] * len(parts), PART),
        scores=_table(found.scores),
        explorer=explorer(list(methods), methods),
        items="".join(items),
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
