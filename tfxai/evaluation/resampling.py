"""Do stable channels generalise, and do influence and precision come to agree while a network learns?

The experiment of Lengerich et al. (2017), on painted flowers: from single patches that the channels of each metric look
at, a classifier has to tell the class, at every epoch of training.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import keras
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from tfxai.datasets import flowers, train_flowers
from tfxai.evaluation.patch_classifier import patch_accuracy
from tfxai.models import ModelView, open_model
from tfxai.models.predict import predict
from tfxai.plotting import INK
from tfxai.resampling import InputResampling
from tfxai.resampling.clouds import Perturbation
from tfxai.resampling.scores import Metric
from tfxai.resampling.selection import ByLayer, drawn
from tfxai.types import Model

TRAINED_ON = 0.6  # of the images, their patches; the others are tested (authors' code, which divides patches instead)


class Stage(NamedTuple):
    """A network at one stage of its training.

    Attributes
    ----------
    name : str
        Its epoch, or its file.
    network : float
        Accuracy of the network.
    precision, correlation, partial_correlation, random : float
        Accuracy of classifiers of the patches of channels that each metric selects, or that are drawn among those that
        vary.
    jaccard, dice, legacy : float
        Overlap of what correlation and precision select, mean over images.
    chance_jaccard, chance_dice, chance_legacy : float
        That of random selections.
    """

    name: str
    network: float
    precision: float
    correlation: float
    partial_correlation: float
    random: float
    jaccard: float
    dice: float
    legacy: float
    chance_jaccard: float
    chance_dice: float
    chance_legacy: float


SELECTIONS: tuple[Metric, ...] = ("precision", "correlation", "partial_correlation")


def evaluate_resampling(
    name: flowers.Name = "single-6c",
    checkpoints: Sequence[str | PathLike] | None = None,
    *,
    images: int = 120,
    epochs: int = 10,
    train_images: int = 1200,
    top: int = 5,
    seed: int = 0,
    batch_size: int = 32,
    samples: int = 50,
    perturbation: Perturbation = "multiplicative_ramp",
    sigma: float = 0.1,
) -> list[Stage]:
    """Measure a network at each stage of its training.

    Parameters
    ----------
    name : {"single-6c", "double-12c"}
        The flowers.
    checkpoints : sequence of path, optional
        Networks of these flowers, in the order of their training. Default: one is trained, and measured before the
        first and after each epoch.
    images : int
        Flowers whose patches are cut out, new to the network. Those of 60 % of them are learned, the others tested.
    epochs : int
        Of the training.
    train_images : int
        Flowers to train on.
    top : int
        Channels of each layer and metric. Default 5 (authors' code).
    seed : int
        Seed of flowers, clouds, training and classifiers.
    batch_size : int
        How many copies at once.
    samples, perturbation, sigma
        How many copies, and how they are perturbed, as for `InputResampling`.

    Returns
    -------
    list of Stage
    """
    pictures, labels, _ = flowers.make(name, images, seed=seed)
    stages: list[Stage] = []

    def measure(stage: str, model: Model) -> None:
        print(f"{name}: {stage} ...", flush=True)
        view = open_model(model)
        resampling = InputResampling(
            view, samples=samples, perturbation=perturbation, sigma=sigma, relative=True, seed=seed
        )
        stages.append(_measured(stage, view, resampling, pictures, labels, top, seed, batch_size))

    if checkpoints:
        for file in checkpoints:
            measure(Path(file).stem, file)
    else:
        train_flowers.train(name, epochs, train_images, seed, callbacks=[_EachEpoch(measure)])
    return stages


def table(stages: Sequence[Stage]) -> list[str]:
    """Lines of text, and the means over all stages."""
    head = ["stage", "network", *SELECTIONS, "random", "jaccard", "chance"]
    rows = [[s.name, *s[1:6], s.jaccard, s.chance_jaccard] for s in stages]
    rows.append(["mean", *(float(np.nanmean(column)) for column in list(zip(*rows, strict=True))[1:])])
    cells = [head, *([str(row[0]), *(f"{x:.3f}" for x in row[1:])] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]


def write_csv(stages: Sequence[Stage], file: str | PathLike) -> None:
    """A row for each stage."""
    with open(file, "w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(Stage._fields)
        writer.writerows(stages)


def plot(stages: Sequence[Stage]) -> Figure:
    """Accuracies, and the overlap of the selections, over the stages."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    names = [stage.name for stage in stages]
    for field, style in zip(("network", *SELECTIONS, "random"), ("k-", "C0-", "C3-", "C1-", "0.6"), strict=True):
        values = [getattr(stage, field) for stage in stages]
        left.plot(names, values, style, label=field.replace("_", " "))
    for field, style in (("jaccard", "C0-"), ("chance_jaccard", "C0:"), ("legacy", "C2-"), ("chance_legacy", "C2:")):
        right.plot(names, [getattr(stage, field) for stage in stages], style, label=field.replace("_", ", "))
    for cell, title in ((left, "accuracy"), (right, "overlap of influence and precision")):
        cell.set_title(title, fontsize=10, color=INK)
        cell.set_ylim(bottom=0)
        cell.tick_params(axis="x", labelsize=7)
        cell.legend(fontsize=7, frameon=False)
    return figure


def _measured(
    stage: str,
    view: ModelView,
    resampling: InputResampling,
    pictures: np.ndarray,
    labels: np.ndarray,
    top: int,
    seed: int,
    batch_size: int,
) -> Stage:
    inputs = pictures.astype(np.float32)
    accuracy = float((predict(view, inputs, batch_size).values.argmax(1) == labels).mean())
    result = resampling(inputs, batch_size=batch_size, verbose=0)
    random = np.random.default_rng(seed)
    selected: dict[str, ByLayer] = {metric: result.top(metric, top) for metric in SELECTIONS}
    selected["random"] = {layer: drawn(x, top, random) for layer, x in result.scores["correlation"].items()}
    train = np.random.default_rng(seed).permutation(len(labels)) < TRAINED_ON * len(labels)
    found = {
        metric: patch_accuracy(pictures, labels, np.concatenate([*result.boxes(chosen).values()], 1), train, seed)
        for metric, chosen in selected.items()
    }
    return Stage(stage, accuracy, **found, **result.compare(top=top).mean()._asdict())


class _EachEpoch(keras.callbacks.Callback):
    def __init__(self, measure: Callable[[str, Model], None]):
        super().__init__()
        self._measure = measure

    def on_train_begin(self, logs: Any = None) -> None:
        self._measure("0", self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._measure(str(epoch + 1), self.model)
