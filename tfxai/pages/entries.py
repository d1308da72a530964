"""What a page is told of an explanation: its map, words or bars, and what its method found besides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tfxai.explanation import Explanation
from tfxai.inversion.figures import first_stage, side_of
from tfxai.maps import Side, stretched
from tfxai.neurons.evidence import FeatureExplanation
from tfxai.neurons.interpretation import Interpretation
from tfxai.pages import attends, encoded
from tfxai.reading import read
from tfxai.tables import Table, is_table
from tfxai.words import is_read

FEATURES = 30  # of a row of a table: the others are told as one
UNSIGNED = ("absolute", "energy")

Entry: TypeAlias = dict[str, Any]  # as JSON holds it
Told: TypeAlias = Sequence[tuple[str, float]]  # words or features, and what each speaks for or against
Pixels: TypeAlias = Callable[[np.ndarray], np.ndarray]


def entry(title: str, one: Explanation, probability: float | None = None) -> Entry:
    """What stands beneath any explanation of one input; of what kind it is and what it shows is added to it."""
    layer = one.facts.get("layer") or ""
    scale = str(one.facts.get("score") or "")
    score = float(one.score[0])
    if probability is None:
        probability = one.probability(0)
    return {
        "method": title,
        "layer": layer if isinstance(layer, str) else ", ".join(map(str, layer)),
        "target": one.label(0),
        "short": one.label(0) if isinstance(one.target, str) else one.label(0).split(",")[0],  # of synonyms the first
        "score": score if np.isfinite(score) else None,
        "scale": scale,
        "probability": None if probability is None else float(probability),
        "note": "",
        "signed": True,
        "unsigned": False,
    }


def map_entry(
    title: str,
    one: Explanation,
    detail: int,
    *,
    probability: float | None = None,
    input: str | None = None,
    pixels: Pixels | None = None,
    interpretation: Interpretation | None = None,
) -> Entry:
    """An explanation of one image.

    Parameters
    ----------
    title : str
        The method.
    one : Explanation
        Of one image.
    detail : int
        As for `encoded.grey_map`.
    probability : float, optional
        Of the class that is explained.
    input : str, optional
        Which input, if the model has several.
    pixels : callable, optional
        From preprocessed images to uint8 pictures, for images that a method made.
    interpretation : Interpretation, optional
        Average images of relevant features, which stand beside their heat-maps.
    """
    reading = read(one, input=input)
    return (
        entry(title, one, probability)
        | {
            "kind": "map",
            "map": _grey(one, input, detail),
            "signed": reading.signed,
            "unsigned": one.polarity in UNSIGNED,
            # what is not shown may be by the control of signs, which is its own name here
            "note": reading.notes[0].replace(
                ' not shown: polarity="signed"', ' is not shown: choose "for and against"'
            ),
            "more": _besides(one, detail, pixels, interpretation),
        }
        | attends.to_patches(one, input, detail)
    )


def told_entry(title: str, one: Explanation, told: Told, kind: str, probability: float | None = None) -> Entry:
    """An explanation of one text ("words") or one row of a table ("bars"), as numbers by words."""
    unsigned = one.polarity in UNSIGNED and all(value >= 0 for _, value in told)
    words = [[word, float(value)] for word, value in told]
    return entry(title, one, probability) | {"kind": kind, "told": words, "unsigned": unsigned}


def any_entry(
    title: str,
    one: Explanation,
    detail: int,
    input: str | None = None,
    interpretation: Interpretation | None = None,
) -> Entry:
    """An explanation of one input, of whichever kind it is."""
    if is_read(one, input):
        told = one.words(0, input=input)
        return told_entry(title, one, told, "words") | attends.to_words(one, input, len(told))
    if is_table(one, input):
        return told_entry(title, one, Table(one, input=input).told(0, FEATURES), "bars")
    return map_entry(title, one, detail, input=input, interpretation=interpretation)


def _grey(one: Explanation, input: str | None, detail: int) -> dict[str, Any]:
    """The map of one image as its method gave it; laid over the input where its axes are not those of the image."""
    polarity = one.polarity if one.polarity in UNSIGNED else "signed"
    place, size = one.place(input), one.laid(polarity, input=input).shape[1:]
    if len(size) != 2:
        raise ValueError(f"Expected images, texts or tables, got inputs with maps of shape {size}; plot() draws these.")
    sides, values = place.sides, one.reduced(polarity, input)
    rows, columns = (side.along for side in sides)
    if rows is None or columns is None or rows > columns or values.ndim != 3:
        values, sides = one.laid(polarity, input=input), _whole(size)
    return encoded.grey_map(values[0], (sides[0], sides[1]), size, detail)


def _whole(size: Sequence[int]) -> tuple[Side, ...]:
    return stretched(size, size).sides


def _besides(
    one: Explanation, detail: int, pixels: Pixels | None, interpretation: Interpretation | None
) -> list[dict[str, Any]]:
    """What a method found beside its heat-map."""
    found: list[dict[str, Any]] = []
    if isinstance(one, FeatureExplanation):
        averages = {} if interpretation is None else interpretation.averages.get(int(one.target[0]), {})
        for feature in one.evidence()[0]:
            name = f"{feature.layer} {feature.channel}"
            found.append(_small(f"{name}: {feature.contribution:.2g}", feature.heatmap, detail))
            if (known := averages.get((feature.layer, feature.channel))) is not None:
                picture = np.clip(np.rint(known.average), 0, 255).astype(np.uint8)
                found.append({"caption": f"what {name} looks for", "photo": encoded.photo(picture)})
        return found
    if "inversion_values" in one.extras:
        stage = first_stage(one)
        map_ = _grey(stage, None, detail)
        found.append({"caption": "inversion mask", "map": map_, "signed": read(stage).signed, "unsigned": False})
    for name in ("foreground", "background"):
        if name in one.extras:
            found.append({"caption": name, "photo": encoded.photo(side_of(one, name, pixels)[0])})
    return found + _steps(one)


def _steps(one: Explanation) -> list[dict[str, Any]]:
    """The loss of guided feature inversion from step to step of each stage, and the masks, if they were kept."""
    lines, frames = [], []
    for stage in ("inversion", "target"):
        if f"{stage}_history/total" in one.extras:
            count = int(one.extras[f"{stage}_steps"][0])
            lines.append([float(f"{value:.6g}") for value in one.extras[f"{stage}_history/total"][0][:count]])
            frames.append(one.extras.get(f"{stage}_frames", np.empty((1, 0)))[0][:count])
    if not any(lines) or not np.isfinite(np.concatenate(lines)).all():
        return []
    told = " and ".join(str(len(line)) for line in lines)
    loss = {"caption": f"the loss over {told} steps", "lines": lines}
    return [*_film(frames, one.extras["foreground"].shape[1:3]), loss] if frames[0].size else [loss]


def _film(stages: Sequence[np.ndarray], size: Sequence[int]) -> list[dict[str, Any]]:
    """Masks (steps, h, w) of each stage: a row of the picture for each."""
    masks = np.concatenate(stages)
    sides = stretched(masks.shape[1:], size).sides
    film = encoded.film(masks, (sides[0], sides[1]), (size[0], size[1]))
    return [{"caption": "the mask", "film": film, "steps": [len(one) for one in stages]}]


def _small(caption: str, heatmap: np.ndarray, detail: int) -> dict[str, Any]:
    size = heatmap.shape[-2], heatmap.shape[-1]
    sides = _whole(size)
    map_ = encoded.grey_map(heatmap, (sides[0], sides[1]), size, detail)
    return {"caption": caption, "map": map_, "signed": False, "unsigned": True}
