"""Explanations of the same inputs as one page to explore."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tfxai.display import channels_last, photographs
from tfxai.explanation import Explanation
from tfxai.joining import method_of, side_by_side
from tfxai.metrics.curves import Curve
from tfxai.neurons.interpretation import Interpretation
from tfxai.pages import resampled
from tfxai.pages.entries import Entry, any_entry
from tfxai.pages.explained import detail_for, explorer, item, shell
from tfxai.resampling.result import Resampling
from tfxai.tables import is_table
from tfxai.words import is_read

Shown: TypeAlias = Explanation | Resampling


def page(
    explanations: Shown | Sequence[Shown] | Mapping[str, Shown],
    images: np.ndarray | Sequence[np.ndarray] | None = None,
    *,
    curves: Curve | Sequence[Curve] | None = None,
    path: str | PathLike | None = None,
    title: str = "What does the model look at?",
    names: Sequence[str] | None = None,
    detail: int | None = None,
    input: str | None = None,
    interpretation: Interpretation | None = None,
) -> str:
    """One HTML file in which explanations of the same inputs are explored, side by side.

    It holds all that it needs, plain JavaScript included, and opens anywhere without a network. The reader chooses
    inputs, methods, classes and layers, opacity, threshold, colours, signs and zoom, hides what a method finds most
    important, and reads values under the pointer. Explanations by one method of several layers or classes are told
    apart by these.

    Parameters
    ----------
    explanations : Explanation, sequence of them, or dict of them by title
        Of the same images, texts or rows of a table: any number of inputs, methods, classes and layers. What
        `tfxai.InputResampling` gives may be among them: its channels are shown with both scores, and what each sees.
    images : ndarray, or sequence of ndarray, optional
        Photographs to show instead of preprocessed inputs, each (h, w), (h, w, 3) or (h, w, 4), of any size.
    curves : Curve or sequence of Curve, optional
        What `tfxai.metrics.deletion` gives, one for each explanation: the reader who hides the top sees how the score
        falls. The picture hides in its mean colour, the curve in the ``fill`` that it was made with.
    path : path, optional
        Where to write the page as well.
    title : str
        Heading of the page.
    names : sequence of str, optional
        What the inputs are called, such as names of files; default: their numbers, or the texts.
    detail : int, optional
        Values along the longer side of maps that are kept; larger maps are averaged. Default: 448 for up to 16 maps,
        and 96 for more, so that 20 images by 8 methods take about 1 MB.
    input : str, optional
        Which input is shown, if the model has several.
    interpretation : Interpretation, optional
        What ``features.interpret`` gives, for explanations by relevant features: the average image of each feature
        stands beside its heat-map.

    Returns
    -------
    str
        The page.

    Raises
    ------
    ValueError
        If there is nothing to show, the numbers of inputs, images, names and curves differ, or inputs are neither
        images, texts nor rows of a table.
    TypeError
        If something other than explanations is given.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> html = tfxai.page([tfxai.GradCAM(model)(images), tfxai.Saliency(model)(images)])
    >>> html.count('class="tfxai-item"')
    2
    """
    explanations, channels = resampled.apart(explanations)
    columns, known = side_by_side(explanations) if explanations or not channels else ([], [])
    titles = known or list(map(method_of, columns))
    results: list[Shown] = [*columns, *channels.values()]
    counts = {len(one) for one in results}
    if len(counts) > 1:
        raise ValueError(f"Expected results for the same inputs, got {sorted(counts)} inputs.")
    (count,) = counts
    if names is not None and len(names) != count:
        raise ValueError(f"Expected a name for each of the {count} inputs, got {len(names)} names.")
    if detail is not None and detail < 1:
        raise ValueError(f"Expected detail to be a positive number of values, got {detail!r}.")
    drawn = _curves(curves, columns)
    if columns:
        pictures = _pictures(columns[0], images, input)
        if channels and pictures is None:
            raise ValueError(
                "Channels of input resampling are shown over images, but these explanations are not of images."
            )
    else:
        pictures = photographs(images, _only(next(iter(channels.values()))))[0]
    kept = detail_for(count * len(columns)) if detail is None else detail
    methods = dict(zip(titles, columns, strict=True))
    items = [
        item(
            str(names[number]) if names is not None else _name(columns, number),
            [],
            _distinct(
                [
                    any_entry(name, one[number], kept, input, interpretation) | _curve(curve, number)
                    for name, one, curve in zip(titles, columns, drawn, strict=True)
                ]
            )
            + [entry for name, one in channels.items() for entry in resampled.entries(name, one, number)],
            None if pictures is None else pictures[number],
        )
        for number in range(count)
    ]
    html = shell(title, explorer([*methods, *channels], methods)) + "".join(items) + "</body>\n</html>\n"
    if path is not None:
        Path(path).write_text(html, encoding="utf-8")
    return html


def _curves(given: Any, columns: Sequence[Explanation]) -> list[Curve] | list[None]:
    if given is None:
        return [None] * len(columns)
    found = [given] if isinstance(given, Curve) else list(given)
    wrong = [type(one).__name__ for one in found if not isinstance(one, Curve)]
    if wrong:
        raise TypeError(f"Expected curves as tfxai.metrics.deletion gives them, got {', '.join(wrong)}.")
    if [len(one) for one in found] != [len(one) for one in columns]:
        raise ValueError(
            f"Expected a curve for each of {len(columns)} explanations, of {len(columns[0])} inputs each, got "
            f"{len(found)} curves of {[len(one) for one in found]} inputs."
        )
    return found


def _curve(curve: Curve | None, number: int) -> Entry:
    if curve is None:
        return {}
    rounded = ([float(f"{value:.5g}") for value in one[number]] for one in (curve.shares, curve.scores))
    return {"curve": dict(zip(("shares", "scores"), rounded, strict=True))}


def _name(columns: Sequence[Explanation], number: int) -> str:
    return columns[0].texts[number] if columns and columns[0].texts else f"input {number}"


def _only(found: Resampling) -> np.ndarray:
    """The images that were resampled."""
    if isinstance(found.inputs, np.ndarray):
        return found.inputs
    raise ValueError(
        "A page shows channels over one image, and this model has several inputs. plot_scores() draws them."
    )


def _pictures(one: Explanation, images: Any, input: str | None) -> list[np.ndarray] | None:
    """Photographs, or inputs as they are shown; None for what is not an image."""
    if is_read(one, input) or all(is_table(part, input) for part in one.parts):
        if images is not None:
            raise ValueError("Expected no images= for texts and tables: words and features are shown.")
        return None
    batches = []
    for part in one.parts:
        size = part.laid("signed", input=input).shape[1:]
        if len(size) != 2:
            shape = part.of(input)[1].shape
            raise ValueError(
                f"Expected images, texts or rows of a table for a page, got inputs of shape {shape}. "
                "Explanation.plot() draws series and volumes."
            )
        batches.append(channels_last(part.of(input)[1], size))
    return photographs(images, *batches)[0]


def _distinct(entries: list[Entry]) -> list[Entry]:
    """Entries that nothing tells apart get a number after their layer."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for entry in entries:
        key = entry["method"], entry["layer"], entry["target"]
        seen[key] += 1
        if seen[key] > 1:
            entry["layer"] = f"{entry['layer']} ({seen[key]})".strip()
    return entries
