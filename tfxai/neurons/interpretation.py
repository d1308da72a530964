"""What a network has learned about its classes: the relevant features of each, as average images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfxai.classes import check_count, class_names
from tfxai.neurons.average import AverageImage, Feature, average_images
from tfxai.plotting import INK

if TYPE_CHECKING:
    from tfxai.neurons.relevant import RelevantFeatures


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

    def plot(self, classes: int | Sequence[int] | None = None, most: int = 5, crops: int = 0) -> Figure:
        """Figure with a row for each class: the average images of its features, with their weights beneath.

        Parameters
        ----------
        classes : int or sequence of int, optional
            Which classes; default: all.
        most : int
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
        wanted = list(self.averages) if classes is None else np.atleast_1d(np.asarray(classes)).tolist()
        missing = [one for one in wanted if one not in self.averages]
        if missing:
            raise ValueError(f"There are no average images of class {missing[0]}, but of {list(self.averages)}.")
        columns = max((min(most, len(self.averages[one])) for one in wanted), default=0)
        if not columns:
            raise ValueError(f"None of the classes {wanted} has a relevant feature.")
        lines = 2 if crops else 1
        figure, axes = plt.subplots(
            lines * len(wanted),
            columns,
            squeeze=False,
            layout="constrained",
            figsize=(1.5 * columns + 0.5, (1.5 * lines + 0.45) * len(wanted)),
        )
        for cell in axes.flat:
            cell.set_axis_off()
        for number, one in enumerate(wanted):
            for column, (feature, average) in enumerate([*self.averages[one].items()][:columns]):
                cell = axes[lines * number, column]
                show(
                    cell, average.average / 255, f"{average.layer} {average.channel}\n{self.weights[one][feature]:.3g}"
                )
                if crops:
                    show(axes[lines * number + 1, column], _mosaic(average.crops[:crops]))
            name = self.names[one].split(",")[0] if self.names else f"class {one}"  # of synonyms the first
            title = axes[lines * number, 0].set_title(name, fontsize=10, color=INK, loc="left", parse_math=False)
            title.set_in_layout(False)  # a long one goes on over the next columns
        return figure


def interpret(
    features: RelevantFeatures,
    images: Any,
    labels: Any = None,
    *,
    classes: Sequence[int] | None = None,
    most: int | None = None,
    names: Sequence[str] | Mapping | None = None,
    **options: Any,
) -> Interpretation:
    """Average images of the relevant features of each class.

    Parameters
    ----------
    features : RelevantFeatures
        After ``fit``.
    images : array, tensor or tf.data.Dataset
        Images as the model takes them; a dataset of batches is streamed.
    labels : array or "predicted", optional
        Classes of the images. If given, a class is shown by its own images alone; else by those of any class.
    classes : sequence of int, optional
        Which classes are shown; default: all that have a feature.
    most : int, optional
        How many features of each class, largest weight first; default: all.
    names : sequence of str or dict, optional
        Names of the classes, as for `Explainer`.
    **options
        As for `average_images`.

    Returns
    -------
    Interpretation

    Raises
    ------
    ValueError
        If a class does not exist, or none of them has a feature; else as `average_images`.

    Examples
    --------
    >>> import tfxai
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=60)
    >>> features = tfxai.RelevantFeatures(tfxai.datasets.flowers.load_model()).fit(images, labels, verbose=0)
    >>> interpretation = features.interpret(images, most=3, top=20, verbose=0)
    >>> figure = interpretation.plot([0, 1], crops=9)
    """
    names = class_names(names)
    check_count(names, len(features.features_))
    wanted = list(features.features_) if classes is None else list(classes)
    unknown = [one for one in wanted if one not in features.features_]
    if unknown:
        raise ValueError(f"There is no class {unknown[0]}, but 0 to {len(features.features_) - 1}.")
    chosen = {one: features.features_[one][:most] for one in wanted if features.features_.get(one)}
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
        names,
    )


def show(cell: Axes, image: np.ndarray, text: str = "") -> None:
    """An image with a text beneath it."""
    cell.imshow(image)
    style: dict[str, Any] = {"fontsize": 8, "color": INK, "ha": "center", "va": "top", "parse_math": False}
    cell.text(0.5, -0.04, text, transform=cell.transAxes, **style)


def _mosaic(crops: np.ndarray) -> np.ndarray:
    """Crops in rows of equal length, with white between them."""
    side, gap = math.ceil(math.sqrt(len(crops))), crops.shape[1] // 16 + 1
    lines = math.ceil(len(crops) / side)
    white = ((0, side * lines - len(crops)), (0, gap), (0, gap), (0, 0))
    framed = np.pad(crops, white, constant_values=255)
    framed[len(crops) :] = 255
    height, width = framed.shape[1:3]
    grid = framed.reshape(lines, side, height, width, 3).swapaxes(1, 2).reshape(lines * height, side * width, 3)
    return grid[:-gap, :-gap]
