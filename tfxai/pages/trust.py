"""The page of `tfxai evaluate faithfulness`: curves, tables and a verdict in one HTML file."""

from __future__ import annotations

from html import escape
from string import Template

from tfxai._version import __version__
from tfxai.metrics.judge import MEASURES
from tfxai.metrics.trust import TrustReport
from tfxai.pages.parts import file, wide


def trusted(report: TrustReport, model: str, png: bytes | None) -> str:
    """All that a report says.

    Parameters
    ----------
    report : TrustReport
        What was found.
    model : str
        Name of the model.
    png : bytes, optional
        The picture of its curves as a file, if it has some.

    Returns
    -------
    str
        HTML without scripts and without anything to load.
    """
    first = next(iter(next(iter(report.values.values())).values()))
    return Template(file("trust.html")).substitute(
        style=file("style.css"),
        version=__version__,
        model=escape(model),
        n=len(first),
        verdict="\n".join(f"<li>{escape(sentence)}</li>" for sentence in report.verdict().values()),
        curves="" if png is None else wide(png, "mean score along each curve, with 95 % intervals"),
        tables="\n".join(_table(report, measure) for measure in report.values),
    )


def _table(report: TrustReport, measure: str) -> str:
    head, *rows = report.cells(measure)
    better = "larger" if MEASURES[measure].larger else "smaller"
    lines = [
        f"<h2>{escape(measure)}</h2>",
        f'<p class="soft">{escape(MEASURES[measure].what)}; {better} is better.</p>',
        "<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>",
        *("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows),
        "</table>",
    ]
    return "\n".join(lines)
