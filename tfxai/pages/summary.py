"""The page of `tfxai summarize`: of each class the mean heat-map, groups of similar ones, and what stands out."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from string import Template

import numpy as np

from tfxai._version import __version__
from tfxai.display import overlay
from tfxai.pages.parts import file, sized, tiles
from tfxai.scale.summary import ClassSummary, Summary

TYPICAL = 5  # members of a group, which stand in one row with its mean
UNUSUAL = 6
FEATURES = 10  # of a class, in its table


def shown_ids(summary: Summary) -> set[str]:
    """The inputs whose pictures the page needs."""
    typical = {name for one in summary.classes for _, names, _ in one.groups(TYPICAL) for name in names}
    return typical | {name for one in summary.classes for name, _ in one.unusual(UNUSUAL)}


def summarized(summary: Summary, model: str, pictures: Mapping[str, np.ndarray]) -> str:
    """All that a summary says, with pictures.

    Parameters
    ----------
    summary : Summary
        What was found.
    model : str
        Name of the model.
    pictures : mapping
        Inputs as uint8 images, by their ids; heat-maps stand alone where there are none.

    Returns
    -------
    str
        HTML without scripts and without anything to load.
    """
    return Template(file("summary.html")).substitute(
        style=file("style.css"),
        version=__version__,
        name=escape(model),
        method=escape(summary.method),
        count=sum(one.count for one in summary.classes),
        classes="\n".join(_class(one, pictures) for one in summary.classes),
    )


def _class(one: ClassSummary, pictures: Mapping[str, np.ndarray]) -> str:
    compared = "" if len(one.ids) == one.count else f", of which {len(one.ids)} were compared"
    maps = dict(zip(one.ids, one.maps, strict=True))
    rows = []
    for number, (share, names, mean) in enumerate(one.groups(TYPICAL), 1):
        images = [_laid(mean, None), *(_laid(maps[name], pictures.get(name)) for name in names)]
        captions = [f"mean of group {number}", *names]
        rows.append(f"<h3>group {number}: {share:.0%}</h3>{tiles(images, captions, f'group {number}')}")
    unusual = one.unusual(UNUSUAL)
    captions = [f"{name}: {distance:.1f} times the usual distance" for name, distance in unusual]
    images = [_laid(maps[name], pictures.get(name)) for name, _ in unusual]
    found = f"{len(rows)} groups of similar heat-maps" if len(rows) > 1 else "no distinct groups"
    return (
        f'<h2>{escape(one.label)}</h2>\n<article class="overview">'
        f"{tiles([_laid(one.mean, None)], ['mean of all'], 'mean heat-map')}"
        f"<div><p>{one.count} inputs{compared}: {found}.</p>{_features(one)}</div></article>\n"
        f"<article>{''.join(rows)}</article>\n"
        f"<article><h3>least like the others</h3>{tiles(images, captions, 'unusual')}</article>"
    )


def _features(one: ClassSummary) -> str:
    """Which relevant features speak for how many inputs, as bars; nothing for methods that name none."""
    if not one.features:
        return ""
    rows = [
        f'<tr><td class="name">{escape(feature.feature)}</td><td class="number">{feature.inputs}</td>'
        f'<td class="number">{feature.inputs / one.count:.0%}</td><td class="number">{feature.contribution:.2g}</td>'
        f'<td class="wide"><div class="bar" style="width:{100 * feature.inputs / one.count:.1f}%"></div></td></tr>'
        for feature in one.features[:FEATURES]
    ]
    more = len(one.features) - FEATURES
    rest = f'<p class="soft">And {more} more, for fewer inputs.</p>' if more > 0 else ""
    head = '<tr><th>layer, channel</th><th class="number">inputs</th><th class="number">share</th>'
    head += '<th class="number">contribution</th><th></th></tr>'
    return f"<h3>relevant features</h3><table>{head}{''.join(rows)}</table>{rest}"


def _laid(heatmap: np.ndarray, picture: np.ndarray | None) -> np.ndarray:
    """A heat-map, brightest where it is largest, over its picture if there is one."""
    top = heatmap.max(initial=0)
    scaled = heatmap / top if top > 0 else np.zeros_like(heatmap)
    if picture is None:
        return overlay(sized(np.zeros((*heatmap.shape, 3), np.uint8)), scaled, alpha=1)
    return overlay(sized(picture), scaled)
