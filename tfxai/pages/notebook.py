"""What a notebook shows of an explanation: little, and without scripts, which many notebooks do not run."""

from __future__ import annotations

from html import escape
from typing import Any

from tfxai import text_pictures
from tfxai.display import overlay, photographs
from tfxai.pages.encoded import photo
from tfxai.reading import read, scored
from tfxai.tables import Table, is_table
from tfxai.words import is_read

PICTURES, FEATURES, WIDTH = 8, 8, 112  # inputs and features that are shown, and pixels of a picture
STYLE = "display:inline-block;margin:4px;vertical-align:top;text-align:center;font-size:12px;max-width:112px"


def small(explanation: Any) -> str | None:
    """Words on coloured backgrounds, the strongest features of rows, or small pictures of the first inputs.

    Parameters
    ----------
    explanation : Explanation
        Of any kind.

    Returns
    -------
    str or None
        HTML; None of what is none of these, such as series and volumes.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.GradCAM(tfxai.datasets.flowers.load_model())(images)._repr_html_().count("<img")
    2
    """
    try:
        if is_read(explanation):
            return text_pictures.as_html(explanation, explanation.method)
        if all(is_table(part) for part in explanation.parts):
            return _rows(explanation)
        return _pictures(explanation)
    except ValueError:  # values without places, inputs of several kinds: nothing is drawn that is not asked for
        return None


def _rows(explanation: Any) -> str:
    table = Table(explanation)
    rows = range(min(len(explanation), PICTURES))
    told = [(text_pictures.heading(explanation.method, explanation, row), table.told(row, FEATURES)) for row in rows]
    return text_pictures.coloured([(name, [(f"{k} {v:+.3g}", v) for k, v in own]) for name, own in told]) + _rest(
        explanation
    )


def _pictures(explanation: Any) -> str | None:
    first = explanation[: min(len(explanation), PICTURES)]
    reading = read(first)
    if reading.maps[0].ndim != 2:
        return None
    pictures, _ = photographs(None, *reading.inputs)
    figures = []
    for number, (picture, one) in enumerate(zip(pictures, reading.maps, strict=True)):
        label = escape(explanation.label(number))
        note = f"<br>{escape(reading.notes[number])}" if reading.notes[number] else ""
        alt = f"{escape(explanation.method)} for {label}"
        source = photo(overlay(picture, one, signed=reading.signed))
        figures.append(
            f'<figure style="{STYLE}"><img src="{source}" width="{WIDTH}" alt="{alt}">'
            f"<figcaption>{label}<br>{scored(explanation, number)}{note}</figcaption></figure>"
        )
    return f"<div><b>{escape(explanation.method)}</b><br>{''.join(figures)}</div>" + _rest(explanation)


def _rest(explanation: Any) -> str:
    rest = len(explanation) - PICTURES
    return f"<small>and {rest} more: <code>to_html()</code> shows all</small>" if rest > 0 else ""
