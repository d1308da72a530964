"""Cost of relevant features: fitting beside bare forward passes, the solver, photographs from end to end; memory.

python benchmarks/relevant_features.py                                     # MobileNetV2 with random weights, 224 px
python benchmarks/relevant_features.py --model model.keras --parts cost
python benchmarks/relevant_features.py --model model.keras --parts photographs --images folder
python benchmarks/relevant_features.py --parts solver memory
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from cost import spent

import tfxai
from tfxai.neurons import lasso

BATCH = 32
FEATURES, CLASSES = 5000, 1000  # of the solver's problem
MNIST = 60_000


def cost(path: Path | None, repeats: int) -> None:
    """What an image more costs to fit, over what it costs to pass through the model."""
    model = load(path)
    few, many = 2 * BATCH, 18 * BATCH  # 512 images more
    images = np.random.default_rng(0).normal(size=(many, *model.input_shape[1:])).astype(np.float32)
    labels = np.arange(many) % 10
    layers = tfxai.RelevantFeatures(model).fit(images[:2], labels[:2]).layers_  # to look for them is not timed
    features = tfxai.RelevantFeatures(model, layers)
    forward = tf.function(lambda x: model(x, training=False))

    def passes() -> None:
        for start in range(few, many, BATCH):
            forward(tf.constant(images[start : start + BATCH])).numpy()

    def fit(count: int) -> None:
        features.fit(images[:count], labels[:count], BATCH, verbose=0)

    passes(), fit(few)  # traced
    ratios = []
    for _ in range(repeats):
        bare, short, long = spent(passes), spent(lambda: fit(few)), spent(lambda: fit(many))
        ratios.append([(b - a) / c for a, b, c in zip(short, long, bare, strict=True)])
    cpu, wall = np.median(ratios, axis=0)
    print(
        f"fitting {model.name}, {len(features.weights_)} channels: {cpu:.2f} forward passes an image of CPU time, "
        f"{wall:.2f} of wall time; limit 1.3"
    )


def solver(rows: int, positive: bool) -> None:
    """All classes of one problem, of descriptors that are correlated as those of networks are."""
    random = np.random.default_rng(0)
    labels = random.permutation(np.arange(rows) % CLASSES)
    causes = random.random((CLASSES, 200)) ** 4
    strengths = causes[labels] * random.random((rows, 200))
    x = np.abs(strengths @ random.normal(size=(200, FEATURES)) + 0.5 * random.normal(size=(rows, FEATURES))) ** 2
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    gram, cross = x.T @ x, x.T @ np.eye(CLASSES)[labels]
    found = []
    cpu, wall = spent(lambda: found.append(lasso.solve(gram, cross, [10], positive)))
    (weights,), _ = found[0]
    selected = (weights != 0).sum(0).mean()
    print(
        f"solver, {rows} images, {FEATURES} channels, {CLASSES} classes, {'positive' if positive else 'signed'}: "
        f"{selected:.0f} features a class, {cpu:.0f} s of CPU time, {wall:.0f} s of wall time; limit 120"
    )


def photographs(path: Path | None, folder: Path) -> None:
    """A folder of images, from the first to the report."""
    model = load(path)
    files = sorted(file for file in folder.iterdir() if file.is_file())
    features = tfxai.RelevantFeatures(model)

    def run() -> None:
        size = model.input_shape[1:3]
        images = np.stack([keras.utils.img_to_array(keras.utils.load_img(file, target_size=size)) for file in files])
        features.fit(images, "predicted", verbose=0)
        features.path()
        features.report()

    cpu, wall = spent(run)
    print(f"{len(files)} photographs, {model.name}: {cpu:.0f} s of CPU time, {wall:.0f} s of wall time; limit 180")


def memory() -> None:
    """Peak of a fresh process that fits a stream of noise."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        before, after, wall = fresh.submit(fit_noise).result()
    print(f"{MNIST} images of 28 px: peak {after:.0f} MB, {before:.0f} MB before; limit 2000; {wall:.0f} s")


def fit_noise() -> tuple[float, float, float]:
    inputs = x = keras.Input((28, 28, 1))
    for filters in (32, 64):
        x = keras.layers.MaxPooling2D()(keras.layers.Conv2D(filters, 3, activation="relu")(x))
    x = keras.layers.Dense(500, activation="relu")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))

    def noise() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        random = np.random.default_rng(0)
        for _ in range(MNIST // 250):
            yield random.random((250, 28, 28, 1), dtype=np.float32), random.integers(0, 10, 250)

    specs = tf.TensorSpec([None, 28, 28, 1]), tf.TensorSpec([None], tf.int64)
    data = tf.data.Dataset.from_generator(noise, output_signature=specs)
    before = peak()
    _, wall = spent(lambda: tfxai.RelevantFeatures(model).fit(data, verbose=0))
    return before, peak(), wall


def load(path: Path | None) -> keras.Model:
    return keras.models.load_model(path, compile=False) if path else keras.applications.MobileNetV2(weights=None)


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parts = ("cost", "solver", "memory")
    parser = argparse.ArgumentParser(description="Time and memory of relevant features.")
    parser.add_argument("--model", type=Path, help="a .keras file; default: MobileNetV2 with random weights, 224 px")
    parser.add_argument("--images", type=Path, help="folder of photographs, to be fitted from end to end")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, metavar="PART", help=", ".join(parts))
    parser.add_argument("--repeats", type=int, default=5, help="rounds of the cost (default 5)")
    given = parser.parse_args()

    if "memory" in given.parts:
        memory()
    if "cost" in given.parts:
        cost(given.model, given.repeats)
    if given.images:
        photographs(given.model, given.images)
    if "solver" in given.parts:
        for rows in (2000, 10_000):
            for positive in (True, False):
                solver(rows, positive)


if __name__ == "__main__":
    main()
