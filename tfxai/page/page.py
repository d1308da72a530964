"""A page that compares methods: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import cv2
import numpy as np

from tfxai import api
from tfxai._version import __version__
from tfxai.display import overlay, palette
from tfxai.explanation import Explanation
from tfxai.reading import read

if TYPE_CHECKING:
    from tfxai.cli.demo import Score

TILE = 224  # pixels

STYLE = """
:root { color-scheme: light dark; --ink: #1f2430; --soft: #667085; --paper: #fbfbfd; --card: #fff; --line: #e4e7ec;
        --bar: #4f7cff; --base: #98a2b3; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8ee; --soft: #98a2b3; --paper: #14161c; --card: #1c1f27; --line: #2c313c; --bar: #6c93ff;
          --base: #667085; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 68rem; background: var(--paper); color: var(--ink);
       font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; letter-spacing: -.01em; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1.02rem; margin: 0; font-family: ui-monospace, Menlo, Consolas, monospace; }
p { margin: .4rem 0; max-width: 46rem; }
.soft, small { color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: .85rem; }
th, td { padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; }
td.name { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .92rem; white-space: nowrap; }
td.wide { width: 50%; padding-right: 0; }
.bar { height: .8rem; border-radius: .4rem; background: var(--bar); }
.baseline .bar { background: var(--base); }
.baseline td.name { font-family: inherit; font-style: italic; }
article { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1rem;
          margin: .9rem 0; }
article header { display: flex; gap: .75rem; align-items: baseline; justify-content: space-between; }
.tiles { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: .4rem; margin-top: .7rem; }
.tiles figure { margin: 0; }
.tiles img { width: 100%; display: block; border-radius: .35rem; }
.tiles figcaption { font-size: .78rem; text-align: center; color: var(--soft); margin-top: .2rem; }
@media (max-width: 40rem) { .tiles { grid-template-columns: repeat(3, minmax(0, 1fr)); } td.wide { width: 35%; } }
.legend { display: flex; gap: .75rem; align-items: center; max-width: 30rem; }
.legend div { flex: 1; height: .8rem; border-radius: .4rem; }
li { margin: .25rem 0; max-width: 46rem; }
"""

HINTS = """
<ul>
<li>A heat-map shows what the <em>network</em> uses, which need not be what you would use. Here it is known what it must
use: only one part of each flower carries the colour that is the class.</li>
<li>The IoU rewards maps that fill the part. Gradient methods light up single pixels, so they score low even where
all of them lie on the part: compare them with each other, and look.</li>
<li>The baselines know nothing of the network. A disc in the middle scores well because the flowers stand there;
a method has found something where it does better, or where its maps follow the flowers.</li>
<li>Maps of the CAM family are as coarse as the layer they come from, an eighth of the picture's resolution here.</li>
<li>Guided backpropagation and the deconvnet show what excites the network at all and hardly depend on the class. Do not
take them for evidence of a decision.</li>
<li>Where values speak for the class and against it, the picture is grey: blue speaks against, red for it. The others
show one kind of evidence only: class activation maps that which speaks for the class.</li>
<li>Every map has its own scale: colours compare places within a picture, not pictures.</li>
</ul>
"""


def page(
    explanations: Mapping[str, Explanation],
    images: np.ndarray,
    masks: np.ndarray,
    scores: Sequence[Score],
    model: str,
    accuracy: float,
    n: int,
) -> str:
    """Write the page of the demo.

    Parameters
    ----------
    explanations : mapping
        Method to `Explanation` of the images that are shown.
    images : ndarray
        uint8, (k, h, w, 3): the images that are shown.
    masks : ndarray
        bool, (k, h, w): their parts that decide.
    scores : sequence of Score
        Of methods and baselines, best first, measured on ``n`` images.
    model : str
        Name of the network.
    accuracy : float
        Share of the ``n`` images that it classifies correctly.
    n : int
        Number of images.

    Returns
    -------
    str
        HTML without scripts and without anything to load.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> from tfxai.cli import demo
    >>> from tfxai.page import page as report
    >>> images, _, masks = tfxai.datasets.flowers.make(n=2)
    >>> found = tfxai.explain(tfxai.datasets.flowers.load_model(), images)
    >>> html = report.page({"grad_cam": found}, images, masks, [demo.Score("grad_cam", 0.5, 1.0)], "flowers", 1.0, 2)
    >>> html.startswith("<!doctype html>")
    True
    """
    first = next(iter(explanations.values()))
    labels = [first.label(number) for number in range(len(images))]
    # The part keeps its colours, the rest fades.
    parts = [np.where(mask[..., None], image, 230 + image // 12) for image, mask in zip(images, masks, strict=True)]
    sections = [_method(name, explanations[name], images, iou) for name, iou, _ in scores if name in explanations]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>tfxai demo: {escape(model)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            "<h1>What does the network look at?</h1>",
            f"<p>The network <b>{escape(model)}</b> names the class of {accuracy:.0%} of {n} painted flowers. "
            f"{len(explanations)} methods of tfxai explain its predictions. As the flowers are painted, the part that "
            "decides is known, so that each method can be scored by how well its heat-maps hit that part.</p>",
            "<h2>The flowers, and the part that decides</h2>",
            _tiles(list(images), labels, "input"),
            _tiles(parts, [""] * len(parts), "part that decides"),
            "<h2>How well do the heat-maps hit that part?</h2>",
            '<p class="soft">Intersection over union of thresholded heat-maps and part, mean over thresholds from 0 '
            f"to 1 and over {n} images. Seconds include compilation.</p>",
            _table(scores),
            "<h2>How to read the heat-maps</h2>",
            _legend(False, "no evidence", "most evidence"),
            _legend(True, "against the class", "for the class"),
            HINTS,
            "<h2>The methods, best first</h2>",
            *sections,
            f'<p class="soft">Made by tfxai {__version__}. The same for your own model: '
            "<code>tfxai explain MODEL.keras IMAGE...</code></p>\n</body>\n</html>\n",
        ]
    )


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
