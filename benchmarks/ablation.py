"""What networks lose without the features that matter, and without as many others of the same layers.

For each network features are fitted with several bounds mu and removed: for each image those of its class; and of all
classes together those that contribute most (weight times mean response to the images of the class), as many as make up
a share of all channels. What is lost is compared with what random channels cost, as many of each layer, mean of five.

    python benchmarks/ablation.py                                  # the flower networks
    python benchmarks/ablation.py --data FOLDER --json ablation.json
    python benchmarks/ablation.py --networks mnist --mu 1 10

Other networks need a folder of data, also given by TFXAI_TEST_DATA, which is not part of the package.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

import tfxai
from tfxai.datasets import flowers

LIMIT = 0.05  # of all channels that features are taken from, how many may be removed
LEAST = 1e-8  # weights above it select a feature
TIMES = 5  # how much more than random ones they are to cost
POINT = 0.01  # of accuracy is to be lost at least: five times nothing is nothing


@dataclass(frozen=True)
class Case:
    """A network, what features are fitted on, and what they are removed for."""

    model: keras.Model
    fitted: tuple[np.ndarray, np.ndarray]
    tested: tuple[np.ndarray, np.ndarray]


def flower(name: str) -> Callable[[Path], Case]:
    def case(_: Path) -> Case:
        fitted, tested = (flowers.make(name, n, seed=seed)[:2] for n, seed in ((1200, 11), (600, 12)))
        return Case(flowers.load_model(name), _floats(*fitted), _floats(*tested))

    return case


def mnist(data: Path) -> Case:
    """A small network, trained here."""
    with np.load(data / "small" / "mnist_20k_10k.npz") as file:
        parts = {name: file[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    images, test = (parts[name].reshape(-1, 28, 28, 1).astype(np.float32) / 255 for name in ("x_train", "x_test"))
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(20, 5, activation="relu", name="conv1"),
            layers.MaxPooling2D(),
            layers.Conv2D(50, 5, activation="relu", name="conv2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(500, activation="relu", name="dense"),
            layers.Dense(10, name="logits"),
            layers.Softmax(),
        ]
    )
    trainer = keras.Model(model.inputs, model.get_layer("logits").output)
    trainer.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    trainer.fit(images, parts["y_train"], batch_size=64, epochs=3, verbose=0)
    return Case(model, (images, parts["y_train"]), (test, parts["y_test"]))


def cifar10(data: Path) -> Case:
    labels = np.array([int(row["class_index"]) for row in _rows(data / "small" / "cifar10_test1000_labels.csv")])
    images = prepared(pixels(data, "cifar"), data, "cifar10")
    half = len(images) // 2
    model = load(data, "cifar10_resnet20")
    return Case(model, (images[:half], labels[:half]), (images[half:], labels[half:]))


def squeezenet(data: Path) -> Case:
    """One photograph for most classes: features are removed for the photographs they were fitted on."""
    classes = {row["file"]: int(row["class_index"]) for row in _rows(data / "boxes.csv")}
    files = {file: label for file, label in classes.items() if "val_227" in file}
    given = prepared(pixels(data, "ilsvrc"), data, "squeezenet_v1_0_227"), np.array(list(files.values()))
    return Case(load(data, "squeezenet_v1_0"), given, given)


CASES = {
    "single-6c": flower("single-6c"),
    "double-12c": flower("double-12c"),
    "mnist": mnist,
    "resnet20": cifar10,
    "squeezenet": squeezenet,
}


def measure(case: Case, mus: list[float], shares: list[float]) -> Iterator[dict]:
    """What is lost, for each bound and each way of removing."""
    features = tfxai.RelevantFeatures(case.model).fit(*case.fitted, verbose=0)
    responses = mean_responses(features, *case.fitted)
    index = features.index_
    for point in features.path(mus):
        sizes = np.abs(point.weights)
        by_class = {j: [index[k] for k in np.flatnonzero(column > LEAST)] for j, column in enumerate(sizes.T)}
        contributions = (sizes * responses).sum(1)
        order = [index[k] for k in np.argsort(-contributions) if contributions[k] > LEAST]
        unions = [("union", order[: int(share * len(index))]) for share in shares]
        for mode, chosen in [("per_class", by_class), *unions]:
            report = tfxai.metrics.ablation(features.view, chosen, *case.tested, mode=mode, verbose=0)
            numbers = ("before", "drop", "random_drop", "random_std")
            row = {"mu": point.mu, "mode": mode, "removed": sum(report.removed.values()), "of": len(index)}
            yield row | {name: getattr(report, name)._asdict() for name in numbers}


def mean_responses(features: tfxai.RelevantFeatures, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(m, C), of each feature to the images of each class."""

    @tf.function(autograph=False, reduce_retracing=True)
    def described(batch: tf.Tensor) -> tf.Tensor:
        return features.descriptors(features.view.forward(batch, features.layers_).read)

    found = np.concatenate(
        [described(tf.constant(images[start : start + 100])) for start in range(0, len(images), 100)]
    )
    sums = np.zeros(features.weights_.T.shape)
    np.add.at(sums, labels, found)
    return (sums / np.maximum(features.counts_, 1)[:, None]).T


def line(name: str, row: dict) -> str:
    drop, random = (row[key]["class_mean"] for key in ("drop", "random_drop"))
    p, random_p = (row[key]["probability"] for key in ("drop", "random_drop"))
    share = row["removed"] / row["of"]
    ok = "ok" if drop >= max(TIMES * random, POINT) and share <= LIMIT else "MISSED"
    cells = [
        name,
        f"{row['mu']:g}",
        row["mode"],
        f"{row['removed']:.3g} of {row['of']}",
        f"{row['before']['class_mean']:.3f}",
        f"{drop:.3f}",
        f"{random:.3f} ± {row['random_std']['class_mean']:.3f}",
        f"{p:.3f}",
        f"{random_p:.3f} ± {row['random_std']['probability']:.3f}",
        ok,
    ]
    return f"| {' | '.join(cells)} |"


def _floats(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return images.astype(np.float32), labels


def _rows(file: Path) -> list[dict[str, str]]:
    with open(file, newline="") as lines:
        return list(csv.DictReader(lines))


def load(data: Path, name: str) -> keras.Model:
    return keras.models.load_model(data / "models" / f"{name}.keras", compile=False)


def pixels(data: Path, kind: str) -> np.ndarray:
    """All pictures of CIFAR-10, or the photographs of ILSVRC that have one size."""
    if kind == "cifar":
        return _read(data / "small" / "cifar10_test1000_strip.png").reshape(-1, 32, 32, 3)
    files = dict.fromkeys(row["file"] for row in _rows(data / "boxes.csv") if "val_227" in row["file"])
    return np.stack([_read(data / file) for file in files])


def _read(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB"))


def prepared(pixels: np.ndarray, data: Path, name: str) -> np.ndarray:
    how = json.loads((data / "models" / "preprocessing.json").read_text())[name]
    pixels = pixels[..., ::-1] if how["order"] == "BGR" else pixels
    return (pixels - np.float32(how["mean"])) * np.float32(how["scale"])


def main() -> None:
    parser = argparse.ArgumentParser(description="What networks lose without relevant features and without others.")
    parser.add_argument("--networks", nargs="+", choices=CASES, default=list(CASES), metavar="NAME")
    parser.add_argument("--mu", nargs="+", type=float, default=[1, 2, 5, 10, 20, 50], help="bounds of the features")
    parser.add_argument("--share", nargs="+", type=float, default=[0.01, LIMIT], help="of all channels, for unions")
    parser.add_argument("--data", type=Path, default=os.environ.get("TFXAI_TEST_DATA"), help="folder of other networks")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    given = parser.parse_args()

    heads = ("network", "mu", "mode", "channels", "accuracy", "loss", "random loss", "p loss", "random p loss", "limit")
    print(f"| {' | '.join(heads)} |\n|---|---:|---|---:|---:|---:|---:|---:|---:|---|")
    results = {}
    for name in given.networks:
        if given.data is None and name not in flowers.CLASSES:
            continue
        results[name] = []
        for row in measure(CASES[name](given.data), given.mu, given.share):
            results[name].append(row)
            print(line(name, row), flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
