"""Relevant features as text."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tfxai.neurons.fitted import Fitted


def summary(features: Fitted, top: int) -> str:
    """The layers that are used, and for each class its strongest features with their shares of its weights."""
    chosen = [pair for pairs in features.features_.values() for pair in pairs]
    uses, distinct = (Counter(layer for layer, _ in pairs) for pairs in (chosen, set(chosen)))
    present = np.flatnonzero(features.counts_).tolist()
    layers = [
        [name, str(count), str(distinct[name]), str(uses[name])]
        for name, count in zip(features.layers_, features.channels_, strict=True)
    ]
    lines = [
        f"{distinct.total()} of {len(features.index_)} features are relevant for {len(present)} classes, "
        f"mu = {features.mu_:g}.",
        "",
        *_table(["layer", "channels", "relevant", "weights"], layers),
        "",
        *_table(
            ["class", "images", "features", "bound", "residual", "strongest"],
            [_row(features, j, top) for j in present],
        ),
    ]
    absent = len(features.counts_) - len(present)
    return "\n".join([*lines, *([f"{absent} classes have no images, so no features."] if absent else [])])


def _row(features: Fitted, j: int, top: int) -> list[str]:
    sizes = np.sort(np.abs(features.weights_[:, j]))[::-1]  # in the order of features_
    pairs = zip(features.features_[j][:top], sizes, strict=False)
    names = features.classes
    return [
        names[j] if names else str(j),
        str(features.counts_[j]),
        str(len(features.features_[j])),
        "felt" if features.active_[j] else "not felt",
        f"{features.residual_[j]:.2f}",
        ", ".join(f"{layer} {channel} ({size / sizes.sum():.0%})" for (layer, channel), size in pairs),
    ]


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in [head, *rows]]
