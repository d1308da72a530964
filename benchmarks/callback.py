"""What `tfxai.callbacks.ExplanationCallback` adds to training.

The claim: an epoch that is 50 times as long as one explanation gets at most 3 % longer by explaining once. Of these,
2 % are the explanation itself. Maps are compared and pictures written beside the training, so real training is timed:
`fit` of some epochs of that length, without and with the callback by turns, so that whatever slows the machine down
slows both. The median of the ratios counts.

    python benchmarks/callback.py                       # the flower network, 112 px
    python benchmarks/callback.py --model model.keras
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import tfxai

METHODS = ("grad_cam", "saliency")
LENGTH = 50  # of an epoch, in explanations
EPOCHS = 5
LIMIT = 1.03


def compare(model: keras.Model, images: np.ndarray, method: str, repeats: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Seconds of an explanation, and of training without and with the callback, (repeats,) each."""
    x, labels = images.astype("float32"), np.zeros(len(images))
    explainer = tfxai.methods("decision")[method](model)
    one = np.median([spent(lambda: explainer(images, verbose=0)) for _ in range(12)][2:])
    batch = np.median([spent(lambda: model.train_on_batch(x, labels)) for _ in range(12)][2:])
    steps = round(LENGTH * one / batch)

    def train(*callbacks: keras.callbacks.Callback) -> None:
        data = tf.data.Dataset.from_tensors((x, labels)).repeat()
        model.fit(data, epochs=EPOCHS, steps_per_epoch=steps, verbose=0, callbacks=list(callbacks))

    with tempfile.TemporaryDirectory() as folder:
        watch = tfxai.callbacks.ExplanationCallback(images, method, log_dir=folder)
        train(watch)  # traces
        times = [(spent(train), spent(lambda: train(watch))) for _ in range(repeats)]
        if len(list(Path(folder).glob("*.png"))) != EPOCHS * (repeats + 1):
            raise RuntimeError("The callback did not write its pictures.")
    without, watched = np.array(times).T
    return one, without, watched


def spent(run: Callable) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="What the callback adds to training.")
    parser.add_argument("--model", type=Path, help="a .keras file; default: the flower network, 112 px")
    parser.add_argument("--batch", type=int, default=8, help="images that are explained (default 8)")
    parser.add_argument("--repeats", type=int, default=9, help="rounds (default 9)")
    given = parser.parse_args()
    if given.model:
        model = keras.models.load_model(given.model, compile=False)
        size = model.input_shape[1]
    else:
        model = tfxai.datasets.flowers.load_model()
        size = 112
    images = tfxai.datasets.flowers.make(n=given.batch, size=size)[0]
    print(f"{model.name}, {given.batch} images of {size} x {size}")
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    print("| method | explanation, ms | epoch, s | with the callback, s | ratio | limit 1.03 |")
    print("|---|---:|---:|---:|---:|---|")
    for method in METHODS:
        one, without, watched = compare(model, images, method, given.repeats)
        ratio = np.median(watched / without)
        epochs = (f"{np.median(times) / EPOCHS:.2f}" for times in (without, watched))
        cells = [method, f"{1000 * one:.0f}", *epochs, f"{ratio:.3f}"]
        print(f"| {' | '.join(cells)} | {'ok' if ratio <= LIMIT else 'OVER'} |", flush=True)


if __name__ == "__main__":
    main()
