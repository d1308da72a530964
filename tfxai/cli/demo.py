"""The demo: explain the shipped network, and measure how well each method finds what decides."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from tfxai import api, metrics
from tfxai.datasets import flowers
from tfxai.explanation import Explanation
from tfxai.page import page as report
from tfxai.plotting import plot_grid

# Methods with options that keep the demo short; the defaults take more samples.
METHODS: dict[str, dict[str, Any]] = {
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
    "rise": {"masks": 400},
}
SHOWN = 6  # images in the picture and on the page
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


def run(output: Path, n: int = 42, dataset: str = "single-6c") -> list[Score]:
    """Explain the shipped network on painted flowers, score the methods, and write a picture and a page.

    Parameters
    ----------
    output : path
        Folder for ``demo.png`` and ``demo.html``; made if need be.
    n : int
        Number of images to score by; the first six are shown.
    dataset : {"single-6c", "double-12c"}
        Which flowers, see `tfxai.datasets.flowers`.

    Returns
    -------
    list of Score
        Of all methods and two baselines, best first.

    Raises
    ------
    ValueError
        If there is no such set, or ``n`` is below 1.

    Examples
    --------
    >>> from tfxai.cli import demo
    >>> scores = demo.run("out", n=6)  # doctest: +SKIP
    """
    output = Path(output)
    images, labels, masks = flowers.make(dataset, n, seed=SEED)
    model = flowers.load_model(dataset)
    classes = flowers.CLASSES[dataset]
    probabilities = model.predict(images.astype(np.float32), verbose=0)
    accuracy = float((probabilities.argmax(1) == labels).mean())
    print(f"Explaining the predictions of {model.name} ({model.count_params():,} parameters) for {n} painted flowers,")
    print(f"{accuracy:.0%} of which it names correctly, by {len(METHODS)} methods.\n")

    explanations: dict[str, Explanation] = {}
    scores = baselines(masks)
    for number, (name, options) in enumerate(METHODS.items(), 1):
        print(f"Method {number}/{len(METHODS)}: {name}", flush=True)
        start = time.perf_counter()
        found = api.by_name(name)(model, classes=classes, **options).explain(images, verbose=1)
        seconds = time.perf_counter() - start
        scores.append(Score(name, float(metrics.iou_curve(found.heatmaps(), masks).mean()), seconds))
        explanations[name] = found[:SHOWN]
    scores.sort(key=lambda score: -score.iou)

    print("\nMean IoU of the heat-maps with the part that decides, over thresholds:\n")
    for line in _table(scores):
        print(line)

    output.mkdir(parents=True, exist_ok=True)
    truth = _truth(masks[:SHOWN], next(iter(explanations.values())))
    figure = plot_grid({"part that decides": truth} | explanations, images[:SHOWN])
    figure.savefig(output / "demo.png", dpi=100)
    plt.close(figure)
    page = report.page(explanations, images[:SHOWN], masks[:SHOWN], scores, model.name, accuracy, n)
    (output / "demo.html").write_text(page, encoding="utf-8")
    print(f"\nPicture: {output / 'demo.png'}\nPage:    {output / 'demo.html'}")
    return scores


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
    >>> from tfxai.cli import demo
    >>> [score.name for score in demo.baselines(np.ones((1, 8, 8), bool))]
    ['whole image', 'centre disc']
    """
    _, height, width = masks.shape
    y, x = np.mgrid[:height, :width] + 0.5
    radius = np.sqrt(masks.sum((1, 2)).mean() / np.pi)
    disc = np.hypot(y - height / 2, x - width / 2) <= radius
    maps = {"whole image": np.ones((height, width)), "centre disc": disc.astype(float)}
    return [
        Score(name, float(metrics.iou_curve(np.broadcast_to(one, masks.shape), masks).mean()))
        for name, one in maps.items()
    ]


def _truth(masks: np.ndarray, like: Explanation) -> Explanation:
    """The masks as one more column of a grid."""
    return Explanation(masks.astype(np.float32), like.target, like.score, like.inputs, classes=like.classes)


def _table(scores: Sequence[Score]) -> list[str]:
    best = max(score.iou for score in scores)
    lines = [f"{'method':<22}{'IoU':>6}{'seconds':>9}"]
    for name, iou, seconds in scores:
        bar = "#" * round(24 * iou / best)
        lines.append(f"{name:<22}{iou:>6.3f}{'baseline' if seconds is None else f'{seconds:.1f}':>9}  {bar}")
    return lines
