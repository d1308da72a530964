"""What a page is told of input resampling: the channels of a layer, their two scores, and what each looks at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfxai.resampling.result import BOTH, Resampling

TITLE = "input_resampling"


def apart(given: Any) -> tuple[Any, dict[str, Resampling]]:
    """What is given to a page without what input resampling found, and that by its titles."""
    if isinstance(given, Resampling):
        return [], {TITLE: given}
    if isinstance(given, Mapping):
        found = {str(title): one for title, one in given.items() if isinstance(one, Resampling)}
        return {title: one for title, one in given.items() if not isinstance(one, Resampling)}, found
    if not isinstance(given, list | tuple):
        return given, {}
    own = [one for one in given if isinstance(one, Resampling)]
    titles = [TITLE if not number else f"{TITLE} ({number + 1})" for number in range(len(own))]
    return [one for one in given if not isinstance(one, Resampling)], dict(zip(titles, own, strict=True))


def entries(title: str, result: Resampling, number: int) -> list[dict[str, Any]]:
    """An entry for each layer of one image: of each channel number, influence, precision, and the box that it sees."""
    one = result[number]
    boxes = one.boxes({layer: np.arange(count)[None] for layer, count in one.channels.items()})
    target = label(one)
    common = {"method": title, "target": target, "short": target.split(",")[0], "score": float(one.score[0])}
    common |= {"scale": "", "probability": None, "note": "", "kind": "scatter", "chance": one.chance}
    first = one.inputs if isinstance(one.inputs, np.ndarray) else next(iter(one.inputs.values()))
    found = []
    for layer in one.layers:
        influence, precision = (one.scores[metric][layer][0] for metric in BOTH)
        channels = [
            [channel, _rounded(influence[channel]), _rounded(precision[channel]), *map(int, boxes[layer][0][channel])]
            for channel in range(one.channels[layer])
        ]
        found.append(common | {"layer": layer, "channels": channels, "size": list(first.shape[1:3])})
    return found


def label(one: Resampling) -> str:
    """What the score is of, for the first image."""
    if isinstance(one.target, str):
        return one.target
    number = int(one.target[0])
    return one.classes[number] if one.classes else f"class {number}"


def _rounded(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None
