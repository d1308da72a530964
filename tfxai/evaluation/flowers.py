"""How well methods find the part of a painted flower that decides its class."""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from tfxai.attribution import (
    RISE,
    AttentionGradient,
    AttentionRollout,
    GradCAM,
    GradCAMPlusPlus,
    GuidedGradCAM,
    HiResCAM,
    IntegratedGradients,
    LayerCAM,
    LeGrad,
    Occlusion,
    Saliency,
    ScoreCAM,
    SmoothGrad,
    TransformerAttribution,
)
from tfxai.attribution.backprop import GuidedBackprop
from tfxai.datasets import flowers, train_flowers
from tfxai.explainer import Explainer
from tfxai.explanation import Explanation
from tfxai.facts import Facts
from tfxai.loops import merge
from tfxai.maps import enlarge, unit
from tfxai.metrics.segmentation import FoldedIoU, iou_over_folds
from tfxai.models import ModelView, open_model
from tfxai.models.predict import predict
from tfxai.neurons import RelevantFeatures
from tfxai.relevance import LRP
from tfxai.run import Run

Results = dict[str, dict[str, FoldedIoU]]  # set, method


class GuidedGradCAMPlusPlus(GuidedGradCAM):
    """Guided backpropagation where Grad-CAM++ is positive (Chattopadhyay et al., 2018)."""

    weigh = GradCAMPlusPlus.weigh


class UpsampledActivation(Explainer):
    """The maps of the features that speak most for the predicted class, enlarged, each scaled to [0, 1]: their maximum.

    What a heat-map of features is without a backward pass (Oramas et al., 2019).

    Parameters
    ----------
    features : RelevantFeatures
        Fitted; its model is explained.
    top : int
        How many features an image has at most. Default 3 (their code).
    """

    facts = Facts("upsampled_activation", "", "", "", "", "Oramas et al. 2019")

    def __init__(self, features: RelevantFeatures, top: int = 3):
        super().__init__(features.view)
        self.of_classes = True
        self.reads = features.layers_
        self.features, self.top = features, top

    def attribute(self, run: Run) -> tf.Tensor:
        size = run.image.shape[1:-1]
        weights = tf.gather(tf.transpose(self.features.weights_), run.goal.ids)
        contributions, top = tf.math.top_k(weights * self.features.descriptors(run.read), self.top)
        combined, first = tf.zeros([run.count, *size]), 0
        for name, count in zip(self.features.layers_, self.features.channels_, strict=True):
            channels = top - first
            counts = (contributions > 0) & (channels >= 0) & (channels < count)
            maps = tf.transpose(tf.cast(run.read[name], tf.float32), [0, 3, 1, 2])
            maps = merge(tf.gather(maps, tf.clip_by_value(channels, 0, count - 1), axis=1, batch_dims=1))
            maps = tf.reshape(unit(enlarge(maps, size)), [-1, self.top, *size])
            combined = tf.maximum(combined, tf.reduce_max(tf.where(counts[:, :, None, None], maps, 0.0), 1))
            first += count
        return combined


OF_FEATURES: dict[str, Callable[[RelevantFeatures], Callable[..., Explanation]]] = {
    "upsampled activation": UpsampledActivation,
    "relevant features": lambda features: features.explain,
    "relevant features, paper": lambda features: partial(features.explain, preset="paper"),
}
OF_MODELS: dict[str, Callable[[ModelView], Callable[..., Explanation]]] = {
    "deconvnet + guided": GuidedBackprop,
    "Grad-CAM": GradCAM,
    "guided Grad-CAM": GuidedGradCAM,
    "Grad-CAM++": GradCAMPlusPlus,
    "guided Grad-CAM++": GuidedGradCAMPlusPlus,
}
OF_TRANSFORMERS: dict[str, Callable[[ModelView], Callable[..., Explanation]]] = {
    "Grad-CAM": GradCAM,
    "HiResCAM": HiResCAM,
    "LayerCAM": LayerCAM,
    "Score-CAM": ScoreCAM,
    "attention rollout": AttentionRollout,
    "transformer attribution": TransformerAttribution,
    "LeGrad": LeGrad,
    "attention x gradient": AttentionGradient,
    "saliency": Saliency,
    "SmoothGrad": SmoothGrad,
    "integrated gradients": IntegratedGradients,
    "AttnLRP": partial(LRP, composite="attn_lrp"),
    "AttnLRP with gamma": partial(LRP, composite="attn_lrp_gamma"),
    "CP-LRP": partial(LRP, composite="cp_lrp"),
    "occlusion": Occlusion,
    "RISE": partial(RISE, masks=500),
}


def evaluate_flowers(
    name: flowers.Name,
    n: int = 600,
    folds: int = 5,
    mu: float | Literal["auto"] = "auto",
    *,
    architecture: flowers.Architecture = "cnn",
    retrain: bool = False,
    only_correct: bool = False,
    seed: int = 0,
    batch_size: int = 32,
) -> dict[str, FoldedIoU]:
    """Score methods on painted flowers, by the protocol of Oramas et al. (2019) for an8Flower.

    Each fold is explained with features that were fitted on the others; for a transformer, without features. The
    predicted class is explained.

    Parameters
    ----------
    name : {"single-6c", "double-12c"}
        The set.
    n : int
        How many flowers.
    folds : int
        The number of parts they are divided into. Default 5 (Oramas et al.).
    mu : float or "auto"
        Bound of `RelevantFeatures`, by default its own.
    architecture : {"cnn", "vit"}
        Which network is explained, see `tfxai.datasets.flowers.load_model`.
    retrain : bool
        Train a network for each fold, instead of taking the one that is shipped, so that the deviation over folds is
        also that of networks.
    only_correct : bool
        Score only images that are classified correctly.
    seed : int
        Seed of the flowers.
    batch_size : int
        As for `Explainer.explain`.

    Returns
    -------
    dict
        Method to `tfxai.metrics.FoldedIoU`.

    Raises
    ------
    ValueError
        If there are fewer flowers than folds, or fewer than two folds, or no such set or network.
    """
    if not 2 <= folds <= n:
        raise ValueError(f"Expected 2 folds or more and a flower for each, got {folds} folds of {n} flowers.")
    images, labels, masks = flowers.make(name, n, seed=seed)
    inputs = images.astype(np.float32)
    fold = np.arange(n) * folds // n  # labels come in random order, with each class once in a block
    of_features, of_models = (OF_FEATURES, OF_MODELS) if architecture == "cnn" else ({}, OF_TRANSFORMERS)
    heatmaps = {method: np.zeros(masks.shape, np.float32) for method in (*of_features, *of_models)}
    explainers: dict[str, Callable[..., Explanation]] = {}
    correct = np.zeros(n, bool)
    for number in range(folds):
        print(f"{name}: fold {number + 1} of {folds} ...", flush=True)
        test = fold == number
        if retrain or not explainers:
            view = open_model(_network(name, architecture, number if retrain else None))
            explainers = {method: made(view) for method, made in of_models.items()}
        correct[test] = predict(view, inputs[test], batch_size).values.argmax(1) == labels[test]
        if of_features:
            features = RelevantFeatures(view, mu=mu).fit(inputs[~test], labels[~test], batch_size=batch_size, verbose=0)
            explainers |= {method: made(features) for method, made in of_features.items()}
        for method, explain in explainers.items():
            heatmaps[method][test] = explain(inputs[test], batch_size=batch_size, verbose=0).heatmaps()
    scored = correct if only_correct else None
    return {method: iou_over_folds(maps, masks, fold, scored=scored) for method, maps in heatmaps.items()}


def _network(name: flowers.Name, architecture: flowers.Architecture, seed: int | None) -> keras.Model:
    """The network that is shipped, or one that is trained with a seed."""
    if seed is None:
        return flowers.load_model(name, architecture)
    return train_flowers.train(name, seed=seed, architecture=architecture)


def table(results: Results) -> list[str]:
    """Lines of text: the area under the IoU curve in per cent, a column for each set; the best has a star."""
    methods = list(dict.fromkeys(method for found in results.values() for method in found))
    best = {name: max(score.area for score in found.values()) for name, found in results.items()}
    lines = ["".join(["area under the IoU curve, %".ljust(28), *(name.rjust(16) for name in results)])]
    for method in methods:
        cells = []
        for name, found in results.items():
            score = found[method]
            star = "*" if score.area == best[name] else " "
            cells.append(f"{100 * score.area:.1f} ± {100 * score.area_std:.1f} {star}".rjust(16))
        lines.append("".join([method.ljust(28), *cells]).rstrip())
    return lines


def write_csv(results: Results, file: str | PathLike) -> None:
    """A row for each set and method: the area with its deviation, of how many images, and of each fold by itself."""
    rows = [(name, method, score) for name, found in results.items() for method, score in found.items()]
    with open(file, "w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(
            ["data", "method", "area", "std", "images", *(f"fold_{k}" for k in range(1, len(rows[0][2].areas) + 1))]
        )
        writer.writerows((name, method, s.area, s.area_std, s.images, *s.areas) for name, method, s in rows)
