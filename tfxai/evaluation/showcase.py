"""What the package is for, in four pictures of a small network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from tfxai.datasets import flowers
from tfxai.evaluation.shipped import Shipped
from tfxai.inversion import GuidedFeatureInversion
from tfxai.inversion.figures import stages
from tfxai.resampling import InputResampling
from tfxai.synthesis import ActivationMaximization

SEED = 11
# Options of the methods that keep the demo short.
FEATURES: dict[str, Any] = {"crops": 25}
RESAMPLING: dict[str, Any] = {"samples": 50}
CLASSES: dict[str, Any] = {"steps": 128}


class Picture(NamedTuple):
    """A picture, and what one sees in it.

    Attributes
    ----------
    name : str
        For its file.
    title : str
        The method.
    text : str
        What one sees, for those who have never heard of the method.
    figure : matplotlib.figure.Figure
        The picture.
    """

    name: str
    title: str
    text: str
    figure: Figure


def showcase(shipped: Shipped) -> Iterator[Picture]:
    """Draw the pictures, one after the other, each when it is asked for.

    Parameters
    ----------
    shipped : Shipped
        The network.

    Yields
    ------
    Picture
    """
    for number, (name, (title, draw)) in enumerate(PICTURES.items(), 1):
        print(f"Picture {number}/{len(PICTURES)}: {title}", flush=True)
        text, figure = draw(shipped)
        yield Picture(name, title, text, figure)


def _inversion(shipped: Shipped) -> tuple[str, Figure]:
    images, labels, _ = flowers.make(shipped.name, 4, seed=SEED)
    pairs = np.concatenate([images[::2], images[1::2]], 2)
    explainer = GuidedFeatureInversion(shipped.view, classes=shipped.classes)
    text = (
        "Each row asks for the class of one of two flowers: the first mask keeps what the network's features need, "
        "whatever the class, the second what makes this class, which stays sharp in the foreground and is blurred in "
        "the background."
    )
    return text, stages(explainer(pairs, labels.reshape(-1, 2), verbose=1))


def _features(shipped: Shipped) -> tuple[str, Figure]:
    images, _, _ = flowers.make(shipped.name, 4, seed=SEED)
    chosen = shipped.features.explain(images[[1, 3]], verbose=1)
    others, _ = shipped.examples
    averages = shipped.features.interpret(others, classes=np.unique(chosen.target).tolist(), verbose=1, **FEATURES)
    text = (
        "The few channels of the network that speak for a prediction: where each of them is excited in this flower, "
        f"how much it contributes, and beneath it the mean of those parts of {len(others)} other flowers that excite "
        "it most."
    )
    return text, chosen.plot_prediction(averages)


def _resampling(shipped: Shipped) -> tuple[str, Figure]:
    images, _, _ = flowers.make(shipped.name, 1, seed=SEED)
    explainer = InputResampling(shipped.view, relative=True, classes=shipped.classes, **RESAMPLING)
    text = (
        "Noise disturbs a flower, and each dot is a channel of one layer: those high up rise and fall with the score "
        "of the class, those far to the right hardly change; beside them are the parts of the flower at which the five "
        "best of either kind look."
    )
    return text, explainer(images, verbose=1).plot_scores("block3_relu")


def _classes(shipped: Shipped) -> tuple[str, Figure]:
    maximization = ActivationMaximization(
        shipped.view, range(len(shipped.classes)), preprocess="none", shape=(112, 112, 3), **CLASSES
    )
    found = replace(maximization(verbose=1), labels=list(shipped.classes))
    text = (
        "An image of each class, made from noise so that the score of the class rises: what the network takes for it, "
        "which need not be a whole flower; p is how sure the network is."
    )
    return text, found.plot(columns=6)


PICTURES = {
    "inversion": ("Guided feature inversion", _inversion),
    "features": ("Relevant features", _features),
    "resampling": ("Input resampling", _resampling),
    "classes": ("What each class looks like", _classes),
}
