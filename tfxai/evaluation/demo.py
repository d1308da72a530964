"""Methods compared on the shipped network, by how well their heat-maps hit the part of a flower that decides."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfxai import api, metrics
from tfxai.datasets import flowers
from tfxai.evaluation.shipped import Shipped
from tfxai.explanation import Explanation

# Methods with options that keep the demo short; the defaults take more samples.
METHODS: dict[str, dict[str, Any]] = {
    "guided_feature_inversion": {"frames": True},
    "relevant_features": {},  # and those that were fitted
    "saliency": {},
    "gradient_x_input": {},
    "integrated_gradients": {"steps": 25, "baseline": "mean"},
    "smooth_grad": {"samples": 25, "noise": 0.03},  # petals are nearly flat: more noise leads off the data
    "guided_backprop": {},
    "deconvnet": {},
    "grad_cam": {},
    "grad_cam_plus_plus": {},
    "layer_cam": {},
    "guided_grad_cam": {},
    "occlusion": {"fill": "mean"},
    "rise": {"masks": 300},
}
SHOWN = 6  # images whose explanations are kept
SEED = 11  # not the images on which the options were chosen


class Score(NamedTuple):
    """How well heat-maps hit the part that decides.

    Attributes
    ----------
    name : str
        A method, or a trivial baseline.
    iou : float
        Intersection over union with the masks, mean over thresholds and images.
    seconds : float or None
        Wall time for all images, compilation included; None for baselines.
    """

    name: str
    iou: float
    seconds: float | None = None


class Comparison(NamedTuple):
    """Methods compared on images for which the part that decides is known.

    Attributes
    ----------
    explanations : dict of str to Explanation
        Method to what it says of the first images, which may be shown.
    images : ndarray
        uint8, (k, h, w, 3): these images.
    masks : ndarray
        bool, (k, h, w): their parts that decide.
    scores : list of Score
        Of methods and baselines, best first, measured on all ``n`` images.
    accuracy : float
        Share of the ``n`` images that it classifies correctly.
    n : int
        Number of images.
    """

    explanations: dict[str, Explanation]
    images: np.ndarray
    masks: np.ndarray
    scores: list[Score]
    accuracy: float
    n: int

    @property
    def truth(self) -> Explanation:
        """The parts that decide, as a method that knows them would give them."""
        like = next(iter(self.explanations.values()))
        return Explanation(self.masks.astype(np.float32), like.target, like.score, like.inputs, classes=like.classes)


def evaluate_demo(shipped: Shipped, n: int = 30) -> Comparison:
    """Explain a shipped network on painted flowers by all `METHODS`, and score these.

    Parameters
    ----------
    shipped : Shipped
        The network.
    n : int
        Number of images to score by; the explanations of the first six are returned.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If ``n`` is below 1.
    """
    images, labels, masks = flowers.make(shipped.name, n, seed=SEED)
    model = shipped.model
    probabilities = model.predict(images.astype(np.float32), verbose=0)
    accuracy = float((probabilities.argmax(1) == labels).mean())
    print(f"Explaining the predictions of {model.name} ({model.count_params():,} parameters) for {n} painted flowers,")
    print(f"{accuracy:.0%} of which it names correctly, by {len(METHODS)} methods.\n")

    explanations: dict[str, Explanation] = {}
    scores = baselines(masks)
    for number, (method, options) in enumerate(METHODS.items(), 1):
        print(f"Method {number}/{len(METHODS)}: {method}", flush=True)
        if method == "relevant_features":
            options = options | {"features": shipped.features}
        start = time.perf_counter()
        explainer = api.named(method).make(shipped.view, classes=shipped.classes, **options)
        found = explainer.explain(images, verbose=1)
        seconds = time.perf_counter() - start
        scores.append(Score(method, mean_iou(found.heatmaps(), masks), seconds))
        explanations[method] = found[:SHOWN]
    scores.sort(key=lambda score: -score.iou)
    return Comparison(explanations, images[:SHOWN], masks[:SHOWN], scores, accuracy, n)


def baselines(masks: np.ndarray) -> list[Score]:
    """Scores of two heat-maps that know nothing of the model: the whole image, and a disc in its middle.

    Parameters
    ----------
    masks : ndarray
        (n, h, w) bool. The disc is as large as the masks are on average.

    Returns
    -------
    list of Score

    Examples
    --------
    >>> import numpy as np
    >>> from tfxai.evaluation import demo
    >>> [score.name for score in demo.baselines(np.ones((1, 8, 8), bool))]
    ['whole image', 'centre disc']
    """
    _, height, width = masks.shape
    y, x = np.mgrid[:height, :width] + 0.5
    radius = np.sqrt(masks.sum((1, 2)).mean() / np.pi)
    disc = np.hypot(y - height / 2, x - width / 2) <= radius
    maps = {"whole image": np.ones((height, width)), "centre disc": disc.astype(float)}
    return [Score(name, mean_iou(np.broadcast_to(one, masks.shape), masks)) for name, one in maps.items()]


def mean_iou(heatmaps: np.ndarray, masks: np.ndarray) -> float:
    """Intersection over union, mean over thresholds and images."""
    return float(metrics.iou_curve(heatmaps, masks).mean())


def table(scores: Sequence[Score]) -> list[str]:
    """Lines of text, with a bar for each score."""
    best = max(score.iou for score in scores)
    lines = [f"{'method':<26}{'IoU':>6}{'seconds':>9}"]
    for name, iou, seconds in scores:
        bar = "#" * round(24 * iou / best)
        lines.append(f"{name:<26}{iou:>6.3f}{'baseline' if seconds is None else f'{seconds:.1f}':>9}  {bar}")
    return lines
