"""A page of explained images, texts or rows, which grows as they are explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

import cv2
import numpy as np

from tfxai import api
from tfxai._version import __version__
from tfxai.display import composite, overlay, saturate
from tfxai.explanation import Explanation
from tfxai.inversion.figures import first_stage
from tfxai.neurons.evidence import FeatureExplanation
from tfxai.page.parts import file, legend, sized, tiles
from tfxai.reading import read


class ExplainedPage:
    """A page of explained images, texts or rows: one HTML file without scripts, and without anything to load.

    The file is whole after each of them. Guided feature inversion shows its stages and both sides of its mask, relevant
    features each of those that speak for the class.

    Parameters
    ----------
    path : path
        Of the file, which is begun anew with the first article.
    model : str
        What the model is called.
    pixels : callable, optional
        From preprocessed images, (n, h, w, channels), to uint8 pictures. Default: as inputs are shown.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import tfxai
    >>> from tfxai.page import ExplainedPage
    >>> images, _, _ = tfxai.datasets.flowers.make(n=1)
    >>> explanation = tfxai.explain(tfxai.datasets.flowers.load_model(), images)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = ExplainedPage(pathlib.Path(folder) / "page.html", "flowers")
    ...     page.add("a flower", images[0], ["cyan petals"], {"grad_cam": explanation})
    ...     page.path.read_text()[:15]
    '<!doctype html>'
    """

    def __init__(self, path: Path, model: str, pixels: Callable[[np.ndarray], np.ndarray] | None = None):
        self.path, self.model, self.pixels = path, model, pixels
        self._begun = False

    def add(
        self, title: str, photograph: np.ndarray, predicted: Sequence[str], explanations: Mapping[str, Explanation]
    ) -> None:
        """Add an image.

        Parameters
        ----------
        title : str
            Of the image.
        photograph : ndarray
            uint8, (h, w, 3).
        predicted : sequence of str
            What the model says of it, a line each.
        explanations : dict of str to Explanation
            Of this image alone, by title.
        """
        picture = sized(photograph)
        shown, captions, besides = [picture], ["input"], []
        for name, one in explanations.items():
            shown.append(_laid(picture, one))
            captions.append(" · ".join(filter(None, [name, read(one).notes[0]])))
            more = self._besides(picture, one)
            if more:
                besides.append(f"<h3>{escape(name)}</h3>\n{tiles([*more.values()], [*more], name)}")
        self.add_article(title, predicted, explanations, [tiles(shown, captions, title), *besides])

    def add_article(
        self, title: str, predicted: Sequence[str], explanations: Mapping[str, Explanation], content: Sequence[str]
    ) -> None:
        """Add what is shown as HTML, such as a text; the other parameters as for `add`.

        Parameters
        ----------
        content : sequence of str
            What stands below what the model says.
        """
        lines = "<br>\n".join(map(escape, predicted))
        explained = next(iter(explanations.values())).label(0)
        section = [
            f"<article><header><h2>{escape(title)}</h2><small>explained: {escape(explained)}</small></header>",
            f"<p class='soft'>{lines}</p>",
            *content,
            "</article>\n",
        ]
        with self.path.open("a" if self._begun else "w", encoding="utf-8") as stream:
            if not self._begun:
                stream.write(self._head(explanations))
            stream.write("\n".join(section))
        self._begun = True

    def _head(self, explanations: Mapping[str, Explanation]) -> str:
        known = {name: api.by_name(one.method).facts for name, one in explanations.items()}
        methods = [
            f"<li><b>{escape(name)}</b>: {escape(facts.use)}. Drawback: {escape(facts.drawback)}. "
            f"<span class='soft'>{escape(facts.reference)}.</span></li>"
            for name, facts in known.items()
        ]
        return Template(file("explained.html")).substitute(
            style=file("style.css"),
            version=__version__,
            model=escape(self.model),
            methods="\n".join(methods),
            legend=legend(False, "no evidence", "most evidence"),
            signed_legend=legend(True, "against the class", "for the class"),
        )

    def _besides(self, picture: np.ndarray, one: Explanation) -> dict[str, np.ndarray]:
        """What a method found beside its heat-map, by captions."""
        if isinstance(one, FeatureExplanation):
            return {
                f"{found.layer} {found.channel}: {found.contribution:.2g}": overlay(
                    picture, saturate(found.heatmap[None])[0]
                )
                for found in one.evidence()[0]
            }
        pictures = {}
        if "inversion_values" in one.extras:
            pictures["inversion mask"] = _laid(picture, first_stage(one))
        for name in ("foreground", "background"):
            if name in one.extras:
                pictures[name] = self._side(picture, one.extras[name])
        return pictures

    def _side(self, picture: np.ndarray, images: np.ndarray) -> np.ndarray:
        shown = composite(images)[0] if self.pixels is None else self.pixels(images)
        return cv2.resize(shown[0], picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def _laid(picture: np.ndarray, explanation: Explanation) -> np.ndarray:
    reading = read(explanation)
    return overlay(picture, reading.maps[0], signed=reading.signed)
