"""A page of explained images, texts or rows to explore, which may grow as they are explained."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from tfxai import api
from tfxai._version import __version__
from tfxai.display import palette
from tfxai.explanation import Explanation
from tfxai.pages import attends, encoded
from tfxai.pages.entries import Entry, Told, map_entry, told_entry
from tfxai.pages.parts import file

FEW, NATIVE, REDUCED = 16, 448, 96  # a few maps keep their pixels; of many, each is small, so that the page is
STOPS = 33  # colours of a ramp; those between are mixed
# By name: colours of one sign, and of both. All but the greys are even steps to the eye, also without seeing red.
PALETTES: dict[str, tuple[str, str | None]] = {
    "viridis, blue to red": ("viridis", None),
    "cividis, orange to purple": ("cividis", "PuOr"),
    "magma, brown to teal": ("magma", "BrBG"),
    "grey, grey to red": ("gray", "RdGy_r"),
}
SCRIPTS = (
    *("png", "maps", "colour", "state", "frame", "dom", "more", "attends", "pictures"),
    *("words", "scatter", "controls", "explore", "start"),
)


def detail_for(maps: int) -> int:
    """Values along the longer side of maps that a page of so many keeps."""
    return NATIVE if maps <= FEW else REDUCED


def explorer(titles: Sequence[str], kinds: Mapping[str, Explanation]) -> str:
    """The part of a page that shows the items that follow it.

    Parameters
    ----------
    titles : sequence of str
        The methods, as they are called here.
    kinds : mapping of str to Explanation
        An explanation by each of them of which something is known.

    Returns
    -------
    str
        HTML; `item` makes what follows.
    """
    about = {
        "methods": list(titles),
        "palettes": {
            name: {"plain": _stops(plain, False), "signed": _stops(signed, True)}
            for name, (plain, signed) in PALETTES.items()
        },
    }
    return Template(file("explorer.html")).substitute(
        version=__version__,
        methods="\n".join(filter(None, (_known(title, kinds[title]) for title in titles if title in kinds))),
        about=encoded.as_json(about),
        script="".join(file(f"script/{name}.js") for name in SCRIPTS),
    )


def item(name: str, said: Sequence[str], entries: Sequence[Entry], photograph: np.ndarray | None = None) -> str:
    """One input with its explanations, to stand after an `explorer`.

    Parameters
    ----------
    name : str
        What it is called.
    said : sequence of str
        What the model says of it, a line each.
    entries : sequence of dict
        Of `tfxai.pages.entries`.
    photograph : ndarray, optional
        uint8, (h, w, 3).

    Returns
    -------
    str
        HTML.
    """
    content: dict[str, Any] = {"name": name, "said": list(said), "entries": list(entries)}
    if photograph is not None:
        height, width = photograph.shape[:2]
        shape = next((entry["map"]["size"] for entry in entries if "map" in entry), [height, width])
        mean = [round(float(one)) for one in photograph.reshape(-1, 3).mean(0)]
        content |= {"photo": encoded.photo(photograph), "width": width, "height": height, "size": shape, "mean": mean}
    kind = 'type="application/json" class="tfxai-item"'
    return f'<script {kind} data-name="{escape(name)}">{encoded.as_json(content)}</script>\n'


class ExplainedPage:
    """A page of explained images, texts or rows: one HTML file with all that it needs, which opens anywhere.

    The file is whole after each of them. Guided feature inversion shows its stages and both sides of its mask, relevant
    features each of those that speak for the class.

    Parameters
    ----------
    path : path
        Of the file, which starts over with the first input.
    title : str
        Heading of the page.
    pixels : callable, optional
        From preprocessed images, (n, h, w, channels), to uint8 pictures. Default: as inputs are shown.
    detail : int
        Values along the longer side of maps that are kept; larger maps are averaged.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import tfxai
    >>> from tfxai.pages import ExplainedPage
    >>> images, _, _ = tfxai.datasets.flowers.make(n=1)
    >>> explanation = tfxai.explain(tfxai.datasets.flowers.load_model(), images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = ExplainedPage(pathlib.Path(folder) / "page.html", "flowers")
    ...     page.add("a flower", images[0], ["cyan petals"], {"grad_cam": explanation})
    ...     page.path.read_text()[:15]
    '<!doctype html>'
    """

    def __init__(
        self,
        path: Path,
        title: str,
        pixels: Callable[[np.ndarray], np.ndarray] | None = None,
        detail: int = REDUCED,
    ):
        self.path, self.title, self.pixels, self.detail = path, title, pixels, detail
        self._begun = False

    def add(
        self,
        name: str,
        photograph: np.ndarray,
        said: Sequence[str],
        explanations: Mapping[str, Explanation],
        probabilities: np.ndarray | None = None,
    ) -> None:
        """Add an image.

        Parameters
        ----------
        name : str
            Of the image.
        photograph : ndarray
            uint8, (h, w, 3).
        said : sequence of str
            What the model says of it, a line each.
        explanations : dict of str to Explanation
            Of this image alone, by title.
        probabilities : ndarray, optional
            (classes,) of the image.
        """
        entries = [
            map_entry(title, one, self.detail, probability=probability(one, probabilities), pixels=self.pixels)
            for title, one in explanations.items()
        ]
        self._write(explanations, item(name, said, entries, photograph))

    def add_told(
        self,
        name: str,
        said: Sequence[str],
        explanations: Mapping[str, Explanation],
        told: Mapping[str, Told],
        kind: str,
        probabilities: np.ndarray | None = None,
    ) -> None:
        """Add a text or a row of a table; the other parameters as for `add`.

        Parameters
        ----------
        told : dict of str to sequence of (str, float)
            What each explanation tells of words or features.
        kind : {"words", "bars"}
            How it is shown.
        """
        entries = [
            told_entry(title, one, told[title], kind, probability(one, probabilities))
            | (attends.to_words(one, None, len(told[title])) if kind == "words" else {})
            for title, one in explanations.items()
        ]
        self._write(explanations, item(name, said, entries))

    def _write(self, explanations: Mapping[str, Explanation], text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a" if self._begun else "w", encoding="utf-8") as stream:
            if not self._begun:
                stream.write(shell(self.title, explorer(list(explanations), explanations)))
            stream.write(text)
        self._begun = True


def shell(title: str, content: str) -> str:
    """The beginning of a page, whole as it is."""
    style = file("style.css") + file("explorer.css")
    return Template(file("explained.html")).substitute(title=escape(title), style=style, explorer=content)


def probability(one: Explanation, probabilities: np.ndarray | None) -> float | None:
    """That of the class that is explained, if it is one."""
    if probabilities is None or isinstance(one.target, str) or one.facts.get("target") == "only output":
        return None
    return float(probabilities[int(one.target[0])])


def _known(title: str, one: Explanation) -> str:
    """What is known of a method, if it is one of the package."""
    try:
        facts = api.by_name(one.method).facts
    except ValueError:
        return ""
    return (
        f"<li><b>{escape(title)}</b>: {escape(facts.use)}. Costs {escape(_cost(facts.cost, one.facts))}. "
        f"Drawback: {escape(facts.drawback)}. "
        f"<span class='soft'>{escape(facts.reference)}.</span></li>"
    )


def _cost(cost: str, facts: Mapping[str, Any]) -> str:
    """What a method costs with the number that it was made with, such as of masks, in place of the default."""
    counted = re.match(r"\d+( .*\((\w+)\).*)", cost)
    number = facts.get("options", {}).get(counted[2]) if counted else None
    return f"{number}{counted[1]}" if counted and isinstance(number, int) else cost


def _stops(cmap: str | None, signed: bool) -> list[str]:
    colours = palette(cmap, signed)
    chosen = colours[np.linspace(0, len(colours) - 1, STOPS).round().astype(int)].round().astype(int)
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in chosen]
