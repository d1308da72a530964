"""Explanations as rows of a table, and what holds for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import numpy as np

from tfxai.explanation import Explanation
from tfxai.maps import Place
from tfxai.neurons.evidence import FeatureExplanation
from tfxai.scale.packing import Store, pack

COLUMNS = ("id", "method", "target", "label", "score", "map", "shape", "scale", "offset", "features", "contributions")


class Found(NamedTuple):
    """Explanations of a batch as rows.

    Attributes
    ----------
    columns : dict of str to list
        By the names of `COLUMNS`; a row for each input and method, those of one input side by side.
    failed : dict of str to str
        The ids of inputs that cannot be explained, and why.
    headers : dict
        What holds for all explanations of a method.
    """

    columns: dict[str, list]
    failed: dict[str, str]
    headers: dict[str, Any]


def gathered(
    groups: Sequence[tuple[Sequence[str], Mapping[str, Explanation]]], store: Store, failed: dict[str, str]
) -> Found:
    """Explanations as rows.

    Parameters
    ----------
    groups : sequence of tuple
        The ids of some inputs, and their explanations by each method, by the titles of these.
    store : {"float16", "uint8", "float32"}
        See `tfxai.scale.packing.pack`.
    failed : dict of str to str
        As for `Found`.
    """
    columns: dict[str, list] = {name: [] for name in COLUMNS}
    for names, explanations in groups:
        methods = [_columns(names, title, one, store) for title, one in explanations.items()]
        for name, column in columns.items():
            for row in zip(*(own[name] for own in methods), strict=True):
                column += row
    headers = {title: _header(one) for title, one in groups[0][1].items()} if groups else {}
    return Found(columns, failed, headers)


def _columns(names: Sequence[str], title: str, explanation: Explanation, store: Store) -> dict[str, Sequence]:
    maps = _maps(explanation)
    packed = pack(maps, store)
    described = isinstance(explanation.target, str)
    return {
        "id": names,
        "method": [title] * len(names),
        "target": [None] * len(names) if described else explanation.target.tolist(),  # type: ignore[union-attr]
        "label": [explanation.label(row) for row in range(len(names))],
        "score": explanation.score.tolist(),
        "map": list(packed.codes.reshape(len(names), -1)),
        "shape": [np.array(maps.shape[1:], np.int32)] * len(names),
        "scale": packed.scale.tolist(),
        "offset": packed.offset.tolist(),
        **_features(explanation),
    }


def _header(explanation: Explanation) -> dict[str, Any]:
    """What holds for all explanations of a method, as JSON can tell it."""
    places = explanation.places
    if places is not None:
        places = {name: _without_channels(place) for name, place in places.items()}
    return {
        "method": explanation.method,
        "polarity": explanation.polarity,
        "classes": explanation.classes,
        "target": explanation.target if isinstance(explanation.target, str) else None,
        "places": None if places is None else {name: asdict(place) for name, place in places.items()},
        "input": list(explanation.inputs.shape[1:]),
        "facts": {name: fact for name, fact in explanation.facts.items() if name != "model_path"},
    }


def _maps(explanation: Explanation) -> np.ndarray:
    """Values without channels, read as the method's heat-maps are, at their own resolution."""
    if isinstance(explanation.values, dict):
        raise ValueError("Expected a method with values for one input.")
    if explanation.places == {}:  # units without places
        return explanation.values
    polarity = explanation.polarity
    return explanation.reduced("signed" if polarity in ("positive", "negative") else polarity)


def _features(explanation: Explanation) -> dict[str, list]:
    """The relevant features that speak for each input, as "layer channel", and what each contributes.

    None for other methods; of a class without relevant features there are none.
    """
    if not isinstance(explanation, FeatureExplanation):
        return {"features": [None] * len(explanation), "contributions": [None] * len(explanation)}
    relevant = zip(explanation.evidence(), explanation.extras["fallback"], strict=True)
    found = [[] if fallback else evidence for evidence, fallback in relevant]
    return {
        "features": [[f"{one.layer} {one.channel}" for one in own] for own in found],
        "contributions": [[one.contribution for one in own] for own in found],
    }


def _without_channels(place: Place) -> Place:
    """The same of values whose channels were added up."""
    moved = [
        side
        if side.along is None
        else side._replace(along=side.along - sum(channel < side.along for channel in place.channels))
        for side in place.sides
    ]
    return replace(place, sides=tuple(moved), channels=())
