"""Pictures of texts: words on coloured backgrounds, as a figure and as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import Colormap, to_hex
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from tfxai.display import palette
from tfxai.reading import scored

INK, PALE = "#222222", "#666666"
STRONG = 0.6  # of the way from the middle of the colours to an end
OPACITY = 0.75  # of the strongest colour, so that letters are read on it
WIDTH, MARGIN = 7.0, 0.15  # inches
SIZE, SMALL = 10.5, 8.5  # points
LINE, PAD, SPACE = 0.26, 0.035, 0.03  # inches: height of a line, beside a word, between words
_LETTERS = RendererAgg(1, 1, 100)  # draws nothing: it knows how wide letters are
KEYS = {False: [("nothing", 0.0), ("most", 1.0)], True: [("against", -1.0), ("for", 1.0)]}

Shade = tuple[str, float]  # a word and what it says, from -1 to 1


def figure(
    explanations: Sequence[Any], titles: Sequence[str], cmap: str | Colormap | None = None, input: str | None = None
) -> Figure:
    """A paragraph for each text and explanation, under what is explained.

    Parameters
    ----------
    explanations : sequence of Explanation
        Of the same texts.
    titles : sequence of str
        One for each of them.
    cmap : str or matplotlib Colormap, optional
        Colours from against to for; default: from blue to red.
    input : str, optional
        Which input is shown, if the model has several.

    Returns
    -------
    matplotlib.figure.Figure
    """
    blocks = [
        (heading(title, one, number), list(_lines(_shades(one.words(number, input=input)))))
        for number in range(len(explanations[0]))
        for title, one in zip(titles, explanations, strict=True)
    ]
    height = sum(1.5 + len(lines) for _, lines in blocks) * LINE + LINE + 2 * MARGIN
    shown = plt.figure(figsize=(WIDTH, height))
    page = shown.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, 0))  # in inches, from the top
    page.set_axis_off()
    y = MARGIN
    for title, lines in blocks:
        _write(page, MARGIN, y, title, SMALL, PALE)
        for number, line in enumerate(lines, 1):
            _draw(page, y + number * LINE, line, cmap)
        y += (1.5 + len(lines)) * LINE
    signed = any(one.polarity == "signed" for one in explanations) or any(
        share < 0 for _, lines in blocks for line in lines for _, share in line
    )
    _draw(page, y, KEYS[signed], cmap)
    return shown


def as_html(explanation: Any, title: str) -> str:
    """The same as HTML, with values as titles of words.

    Parameters
    ----------
    explanation : Explanation
        Of texts.
    title : str
        What stands before the target and the score.

    Returns
    -------
    str
    """
    rows = range(len(explanation))
    return coloured([(heading(title, explanation, row), explanation.words(row)) for row in rows])


def coloured(paragraphs: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> str:
    """Words on coloured backgrounds as HTML, in paragraphs with a heading, each on a scale of its own."""
    written = []
    for title, told in paragraphs:
        spans = [
            f'<span style="background:{_colour(share)};padding:1px 3px;border-radius:2px" title="{value:+.4g}">'
            f"{html.escape(word)}</span>"
            for (word, value), (_, share) in zip(told, _shades(told), strict=True)
        ]
        written.append(f'<p><small style="color:{PALE}">{html.escape(title)}</small><br>{" ".join(spans)}</p>')
    style = f"background:#fff;color:{INK};padding:4px 8px;max-width:50em;line-height:1.7"
    return f'<div style="{style}">{"".join(written)}</div>'


def heading(title: str, explanation: Any, number: int) -> str:
    """What stands above a text: method, target and score."""
    return f"{title}: {explanation.label(number)}, {scored(explanation, number)}"


def _shades(told: Sequence[tuple[str, float]]) -> list[Shade]:
    """Words on the scale of their text, on which zero stays zero."""
    top = max((abs(value) for _, value in told), default=0) or 1
    return [(word, value / top) for word, value in told]


def _colour(share: float, cmap: str | Colormap | None = None) -> str:
    colours = palette(cmap, True) / 255
    strong = colours[round((1 + np.sign(share) * STRONG) / 2 * (len(colours) - 1))]
    return to_hex(1 - OPACITY * abs(share) * (1 - strong))


def _lines(shades: Sequence[Shade]) -> Iterator[list[Shade]]:
    """Words in lines that fit; what is longer than a line is broken."""
    line: list[Shade] = []
    used = 0.0
    for word, share in shades:
        for part in _broken(word):
            if line and used + _width(part) > WIDTH - 2 * MARGIN:
                yield line
                line, used = [], 0.0
            line.append((part, share))
            used += _width(part) + SPACE
    yield line


def _broken(word: str) -> Iterator[str]:
    while _width(word) > WIDTH - 2 * MARGIN:
        fits = next(n for n in range(len(word), 0, -1) if n == 1 or _width(word[:n]) <= WIDTH - 2 * MARGIN)
        yield word[:fits]
        word = word[fits:]
    yield word


def _width(word: str) -> float:
    """Inches that a word takes, with its background."""
    pixels, _, _ = _LETTERS.get_text_width_height_descent(word, FontProperties(size=SIZE), False)
    return pixels / _LETTERS.dpi + 2 * PAD


def _draw(page: Axes, y: float, line: Sequence[Shade], cmap: str | Colormap | None) -> None:
    x = MARGIN
    for word, share in line:
        width = _width(word)
        page.add_patch(Rectangle((x, y + 0.02), width, LINE - 0.04, color=_colour(share, cmap), linewidth=0))
        _write(page, x + PAD, y, word, SIZE, INK)
        x += width + SPACE


def _write(page: Axes, x: float, y: float, words: str, size: float, colour: str) -> None:
    page.text(x, y + 0.7 * LINE, words, fontsize=size, color=colour, va="baseline", parse_math=False)
