"""Which score of input resampling finds what a network needs? Ablation of the best channels and units of each score.

For each network, cloud and score: the size of the change of the class score without the five best channels (or single
units, those that the image excites most) of a layer, over that without five random ones of the same layer that are not
dead, mean of ten draws. Each layer by itself; geometric mean over layers; 95 % intervals by drawing images anew.

    python benchmarks/resampling_ablation.py                                # the flower networks
    python benchmarks/resampling_ablation.py --data FOLDER --json found.json
    python benchmarks/resampling_ablation.py --networks resnet20 --images 12

Other networks need a folder of data, also given by TFXAI_TEST_DATA, which is not part of the package.
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ablation
import keras
import numpy as np
import tensorflow as tf

import tfxai
from tfxai.datasets import flowers
from tfxai.models import ModelView, open_model
from tfxai.resampling.selection import ByLayer, drawn, masked, ranked

TOP, CONTROLS, DRAWS = 5, 10, 2000
CLOUDS: dict[str, dict[str, Any]] = {
    "ramp": {"perturbation": "multiplicative_ramp", "sigma": 0.1},
    "masked": {"perturbation": "mask_superpixel", "sigma": 0.3},
}
KINDS: dict[str, dict[str, Any]] = {"channels": {}, "units": {"spatial": "peak", "sites": None}}
OF_CLOUD = ("correlation", "partial_correlation", "precision", "regression", "effect")
OF_IMAGE = ("effect, no cloud", "activation")  # what the image alone tells
LAYERS = {
    "resnet20": [f"layer{stage}_{block}_relu2" for stage in (1, 2, 3) for block in (0, 2)],
    "squeezenet": ["fire2_concat", "fire4_concat", "fire6_concat", "fire8_concat", "fire9_concat"],
}


def measure(
    model: keras.Model | ModelView, images: np.ndarray, layers: list[str] | None, samples: int
) -> Iterator[tuple[str, str, dict[str, np.ndarray]]]:
    """Kind, cloud, and of each score and of random draws the size of each change, (layers, images)."""
    view = open_model(model)
    for kind, options in KINDS.items():
        alone = clean(view, images, layers, options)
        for cloud, how in CLOUDS.items():
            explainer = tfxai.InputResampling(
                view, layers, samples=samples, relative=True, effect=True, **how, **options
            )
            result = explainer(images, verbose=0)
            scores = {name: result.scores[name] for name in OF_CLOUD} | alone
            yield kind, cloud, changes(explainer, result, scores, kind == "units")


def clean(view: ModelView, images: np.ndarray, layers: list[str] | None, options: dict) -> dict[str, ByLayer]:
    """Scores by what the image alone tells: effects to first order, and activations."""
    explainer = tfxai.InputResampling(
        view, layers, samples=3, perturbation=lambda x, seed: x, relative=True, effect=True, **options
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nothing varies
        result = explainer(images, verbose=0)
    if not options:
        return dict(zip(OF_IMAGE, (result.scores["effect"], result.scores["activation_sum"]), strict=True))

    @tf.function(autograph=False)
    def highest(batch: tf.Tensor) -> list[tf.Tensor]:
        read = view.forward(batch, result.layers).read
        return [tf.reduce_max(tf.reshape(read[k], [1, -1, read[k].shape[-1]]), 1) for k in result.layers]

    rows = [highest(tf.constant(images[i : i + 1])) for i in range(len(images))]
    peaks = {layer: np.concatenate(one) for layer, one in zip(result.layers, zip(*rows, strict=True), strict=True)}
    return dict(zip(OF_IMAGE, (result.scores["effect"], peaks), strict=True))


def changes(
    explainer: tfxai.InputResampling, result: Any, scores: dict[str, ByLayer], units: bool
) -> dict[str, np.ndarray]:
    """Sizes of the changes without the best of each score and without random ones, of one layer after the other."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in (*scores, "random")}
    for number, layer in enumerate(result.layers):
        random = np.random.default_rng(number)
        live = result.scores["correlation"][layer]
        sets = [ranked(by_layer[layer], TOP) for by_layer in scores.values()]
        sets += [drawn(live, TOP, random) for _ in range(CONTROLS)]
        removed = {layer: np.stack([masked(one, live.shape[1]) for one in sets])}
        sizes = np.abs(explainer.score_changes(result.inputs, result.target, None, removed, 8, units))
        for name, size in zip(scores, sizes, strict=False):
            found[name].append(size)
        found["random"].append(sizes[len(scores) :].mean(0))
    return {name: np.stack(rows) for name, rows in found.items()}


def ratio(own: np.ndarray, random: np.ndarray) -> tuple[float, float, float]:
    """Geometric mean over layers of the mean change over that of random ones, and its 95 % interval over images."""
    rows = np.random.default_rng(0).integers(own.shape[1], size=(DRAWS, own.shape[1]))

    def of(some: np.ndarray) -> np.ndarray:
        return np.exp(np.log(own[:, some].mean(-1) / random[:, some].mean(-1)).mean(0))

    low, high = np.percentile(of(rows), [2.5, 97.5])
    return float(of(np.arange(own.shape[1])[None])[0]), float(low), float(high)


def main() -> None:
    names = ("single-6c", "double-12c", "resnet20", "squeezenet")
    parser = argparse.ArgumentParser(description="What networks lose without the best channels of each score.")
    parser.add_argument("--networks", nargs="+", choices=names, default=list(names), metavar="NAME")
    parser.add_argument("--images", type=int, default=36)
    parser.add_argument("--samples", type=int, default=50, help="copies of each image (default 50)")
    parser.add_argument("--data", type=Path, default=os.environ.get("TFXAI_TEST_DATA"), help="folder of other networks")
    parser.add_argument("--json", type=Path, help="write all ratios to this file")
    given = parser.parse_args()
    columns = (*OF_CLOUD, *OF_IMAGE)
    print(f"| network | removed | cloud | {' | '.join(columns)} |\n|---|---|---|{'---:|' * len(columns)}")
    results: dict[str, dict[str, tuple[float, float, float]]] = {}
    for name in given.networks:
        if name not in flowers.CLASSES and given.data is None:
            continue
        case = ablation.CASES[name](Path(given.data or "."))
        for kind, cloud, found in measure(case.model, case.tested[0][: given.images], LAYERS.get(name), given.samples):
            ratios = {column: ratio(found[column], found["random"]) for column in columns}
            results[f"{name}, {kind}, {cloud}"] = ratios
            cells = [f"{middle:.2f} ({low:.2f} to {high:.2f})" for middle, low, high in ratios.values()]
            print(f"| {name} | {kind} | {cloud} | {' | '.join(cells)} |", flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
