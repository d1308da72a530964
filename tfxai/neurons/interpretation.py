"""What a network has learned about its classes: the relevant features of each, as average images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfxai.brief import brief
from tfxai.classes import check_count
from tfxai.neurons.average import AverageImage, average_images
from tfxai.neurons.fitted import Feature, Fitted
from tfxai.types import Inputs, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Interpretation:
    """The relevant features of classes, as pictures.

    Attributes
    ----------
    averages : dict
        Class to a dict of `AverageImage` by (layer, channel), largest weight first.
    weights : dict
        Class to a dict of weights by (layer, channel).
    names : tuple of str, optional
        Names of the classes.
    """

    averages: dict[int, dict[Feature, AverageImage]]
    weights: dict[int, dict[Feature, float]]
    names: tuple[str, ...] | None = None

    __repr__ = brief

    def plot(self, classes: int | Sequence[int] | None = None, *, top: int = 5, crops: int = 0) -> Figure:
        """Figure with a row for each class: the average images of its features, with their weights beneath.

        Parameters
        ----------
        classes : int or sequence of int, optional
            Which classes; default: all.
        top : int
            How many features of each.
        crops : int
            How many of the crops that excite a feature most are shown beneath its average image.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If there is no such class, or none of them has a feature.
        """
        from tfxai.neurons import figures

        wanted = list(self.averages) if classes is None else np.atleast_1d(np.asarray(classes)).tolist()
        missing = [one for one in wanted if one not in self.averages]
        if missing:
            raise ValueError(f"There are no average images of class {missing[0]}, only of {list(self.averages)}.")
        columns = max((min(top, len(self.averages[one])) for one in wanted), default=0)
        if not columns:
            raise ValueError(f"None of the classes {wanted} has a relevant feature.")
        groups = []
        for one in wanted:
            name = self.names[one].split(",")[0] if self.names else f"class {one}"  # of synonyms the first
            shown = list(self.averages[one].items())[:columns]
            rows: list[figures.Row] = [
                [(x.average / 255, f"{x.layer} {x.channel}\n{self.weights[one][feature]:.3g}") for feature, x in shown]
            ]
            if crops:
                rows.append([(figures.mosaic(x.crops[:crops]), "") if x.parts else None for _, x in shown])
            groups.append((name, rows))
        return figures.classes(groups, columns)


def interpret(
    features: Fitted,
    images: Inputs,
    labels: Labels | None = None,
    *,
    classes: Sequence[int] | None = None,
    top: int | None = None,
    **options: Any,
) -> Interpretation:
    """Average images of the relevant features of each class, see `RelevantFeatures.interpret`.

    Parameters
    ----------
    features : RelevantFeatures
        After ``fit``.
    images, labels, classes, top
        As there.
    **options
        As for `average_images`.
    """
    check_count(features.classes, len(features.features_))
    wanted = list(features.features_) if classes is None else list(classes)
    unknown = [one for one in wanted if one not in features.features_]
    if unknown:
        raise ValueError(f"There is no class {unknown[0]}: the classes are 0 to {len(features.features_) - 1}.")
    chosen = {one: features.features_[one][:top] for one in wanted if features.features_[one]}
    # Shown by images of any class, a feature has one picture for all classes.
    keys = {(one, f): (None if labels is None else one, f) for one, group in chosen.items() for f in group}
    pairs = list(dict.fromkeys(keys.values()))
    if not pairs:
        raise ValueError(f"None of the classes {wanted} has a relevant feature. Fit with a larger mu.")
    own = None if labels is None else [one for one, _ in keys]
    found = average_images(features.view, [feature for _, feature in pairs], images, labels, classes=own, **options)
    averages = dict(zip(pairs, found, strict=True))
    row = {feature: number for number, feature in enumerate(features.index_)}
    return Interpretation(
        {one: {f: averages[keys[one, f]] for f in group} for one, group in chosen.items()},
        {one: {f: float(features.weights_[row[f], one]) for f in group} for one, group in chosen.items()},
        features.classes,
    )
