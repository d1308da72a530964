"""The experiment of Lengerich et al. (2017) on two classes, as theirs had: do precise channels generalise better?

Networks learn to tell red flowers from yellow ones, from several seeds. At several epochs the patches that the channels
of each score look at are cut out; a linear support vector machine is to tell the class from one of them. What it learns
from and what it is tested on are other images (two halves, which change places). The same for channels drawn at random
among those that vary. Besides, how far influence and precision select the same channels, and what ablation says.

    python benchmarks/resampling_two_classes.py
    python benchmarks/resampling_two_classes.py --seeds 0 --images 20

Intervals of 95 % are made by drawing images anew, with the networks that there are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import resampling_ablation
from sklearn.svm import LinearSVC

import tfxai
from tfxai.datasets import flowers
from tfxai.evaluation.patch_classifier import SOFT, cut_out, describe
from tfxai.resampling.selection import drawn

CLASSES = (0, 1)  # red, yellow
EPOCHS = (0, 1, 2, 4)
TOP, DRAWS = 5, 2000
SCORES = ("precision", "correlation", "partial_correlation", "effect")


def pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    images, labels, _ = flowers.make("single-6c", 3 * count, seed=seed)
    chosen = np.isin(labels, CLASSES)
    return images[chosen], labels[chosen]


def correct(images: np.ndarray, labels: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(n,) share of an image's patches of which its class was told; NaN where it has none."""
    rows, numbers = np.nonzero(boxes[..., 2] > boxes[..., 0])
    described = np.array([describe(cut_out(images[row], boxes[row, k])) for row, k in zip(rows, numbers, strict=True)])
    half = np.random.default_rng(0).permutation(len(labels)) % 2 == 0
    right = np.zeros(len(rows))
    for part in (half, ~half):
        learned = part[rows]
        classifier = LinearSVC(C=SOFT, random_state=0).fit(described[learned], labels[rows[learned]])
        right[~learned] = classifier.predict(described[~learned]) == labels[rows[~learned]]
    counts = np.bincount(rows, minlength=len(labels))
    return np.where(counts > 0, np.bincount(rows, right, len(labels)) / np.maximum(counts, 1), np.nan)


def stage(model: keras.Model, images: np.ndarray, labels: np.ndarray, cloud: dict[str, Any]) -> dict[str, np.ndarray]:
    """Of each image: whether its class was told from patches of each selection, and overlap."""
    explainer = tfxai.InputResampling(model, relative=True, effect=True, **cloud)
    result = explainer(images.astype(np.float32), labels, verbose=0)
    random = np.random.default_rng(0)
    selected = {score: result.top(score, TOP) for score in SCORES}
    selected["random"] = {layer: drawn(x, TOP, random) for layer, x in result.scores["correlation"].items()}
    found = {
        name: correct(images, labels, np.concatenate([*result.boxes(chosen).values()], 1))
        for name, chosen in selected.items()
    }
    overlaps = [result.compare(top=TOP).overlap(image) for image in range(len(images))]
    return found | {"jaccard": np.array([o.jaccard for o in overlaps]), "chance": [o.chance_jaccard for o in overlaps]}


class Stages(keras.callbacks.Callback):
    """Measures before the first epoch and after some others."""

    def __init__(self, tested: tuple[np.ndarray, np.ndarray]):
        super().__init__()
        self.tested = tested
        self.found: list[tuple[str, int, float, dict[str, np.ndarray]]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.measure(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if epoch + 1 in EPOCHS:
            self.measure(epoch + 1)

    def measure(self, epoch: int) -> None:
        images, labels = self.tested
        accuracy = float((self.model.predict(images, verbose=0).argmax(1) == labels).mean())
        for name, cloud in resampling_ablation.CLOUDS.items():
            self.found.append((name, epoch, accuracy, stage(self.model, images, labels, cloud)))


def train(seed: int, learned: tuple[np.ndarray, np.ndarray], stages: Stages) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = flowers.build_model(len(CLASSES))
    trainer = keras.Model(model.input, model.get_layer("logits").output)
    trainer.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    trainer.fit(*learned, batch_size=32, epochs=max(EPOCHS), verbose=0, callbacks=[stages])
    return model


def mean(values: np.ndarray) -> str:
    """Of (runs, images), and its interval over images."""
    values = np.asarray(values, float)
    rows = np.random.default_rng(0).integers(values.shape[1], size=(DRAWS, values.shape[1]))
    by_image = np.nanmean(values, 0)
    low, high = np.percentile(by_image[rows].mean(1), [2.5, 97.5])
    return f"{by_image.mean():.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description="Do patches of precise channels tell two classes apart?")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=60, help="that are looked at (default 60)")
    parser.add_argument("--train", type=int, default=600, help="that are learned from (default 600)")
    parser.add_argument("--json", type=Path, help="write all ratios of the ablation to this file")
    given = parser.parse_args()
    learned, tested = pictures(given.train, 11), pictures(given.images, 12)
    found, ablated = [], []
    for seed in given.seeds:
        stages = Stages(tested)
        model = train(seed, learned, stages)
        found += stages.found
        print(f"seed {seed}: accuracy {[round(one[2], 3) for one in stages.found[::2]]}", flush=True)
        for kind, cloud, sizes in resampling_ablation.measure(model, tested[0][:30].astype(np.float32), None, 50):
            ablated.append((f"seed {seed}, {kind}, {cloud}", sizes))
            ratios = {k: resampling_ablation.ratio(v, sizes["random"]) for k, v in sizes.items() if k != "random"}
            print(ablated[-1][0], {k: "{:.2f} ({:.2f}-{:.2f})".format(*v) for k, v in ratios.items()}, flush=True)
    names = (*SCORES, "random", "jaccard", "chance")
    print(f"\n| cloud | epoch | network | {' | '.join(names)} | precision - correlation |")
    for cloud in resampling_ablation.CLOUDS:
        for epochs in (*((e,) for e in EPOCHS), EPOCHS):
            some = [one for one in found if one[0] == cloud and one[1] in epochs]
            cells = [mean([one[3][name] for one in some]) for name in names]
            cells.append(mean([one[3]["precision"] - one[3]["correlation"] for one in some]))
            network = np.mean([one[2] for one in some])
            label = epochs[0] if len(epochs) == 1 else "all"
            print(f"| {cloud} | {label} | {network:.3f} | {' | '.join(cells)} |", flush=True)
    if given.json:
        given.json.write_text(json.dumps({k: {n: v.tolist() for n, v in s.items()} for k, s in ablated}) + "\n")


if __name__ == "__main__":
    main()
