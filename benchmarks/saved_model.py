"""Time of explaining a SavedModel, over that of explaining the Keras model from which it was exported.

Two tables. The first: the same explainer, on the same batch, on both; calls take turns, so that whatever slows the
machine down slows both. The second: what a user waits for before the first Grad-CAM of one image, opening the file
included, in fresh processes.

    python benchmarks/saved_model.py
    python benchmarks/saved_model.py --model model.keras --batch 8 --repeats 15 --methods saliency grad_cam
    python benchmarks/saved_model.py --model model.keras --methods --processes 7   # the second table only
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from cost import CLOCKS, Bench

import tfxai

SLACK, FIRST_SLACK = 1.1, 3.0  # what the SavedModel may cost, in calls on the Keras model
METHODS = {
    "saliency": {},
    "guided_backprop": {},
    "grad_cam": {},
    "ablation_cam": {},
    "integrated_gradients": {"steps": 20},
    "occlusion": {"window": 56, "stride": 56},
}
CALLED, OPENED = "the Keras model, loaded before", "the .keras file"
EXPORTED, FOLDER = "the SavedModel, loaded before", "the SavedModel's folder"


def measure(method: str, bench: Bench, folder: Path) -> str:
    """One line of the first table."""
    targets = np.arange(len(bench.images)) % bench.model.output_shape[-1]

    def caller(explained: Any) -> Callable[[], tfxai.Explanation]:
        explainer = tfxai.methods("decision")[method](explained, **METHODS[method])
        return lambda: explainer(bench.images, target=targets, verbose=0)

    base, run = caller(bench.model), caller(folder)
    expected, found = base().values, run().values
    difference = np.abs(found - expected).max() / np.abs(expected).max()
    low, ratio, high = np.percentile(bench.compare(run, base), [25, 50, 75], axis=0)
    costs = [f"{r:.3f} ± {s:.3f}" for r, s in zip(ratio, (high - low) / 2, strict=True)]
    options = ", ".join(f"{name} {value}" for name, value in METHODS[method].items())
    verdict = "ok" if ratio[0] <= SLACK else "OVER"
    return f"| {method} | {options} | {' | '.join(costs)} | {verdict} | {difference:.1g} |"


def first_call(kind: str, path: Path, size: tuple[int, ...]) -> tuple[float, float]:
    """Seconds from a model to its first Grad-CAM of one image, by each clock, in this process."""
    images = np.zeros((1, *size), np.float32)
    keras.ops.relu(tf.zeros([1])).numpy()  # TensorFlow and Keras have started
    if kind == CALLED:
        model = keras.models.load_model(path, compile=False)
    elif kind == EXPORTED:
        model = tf.saved_model.load(str(path))
    else:
        model = path
    start = [clock() for clock in CLOCKS.values()]
    tfxai.GradCAM(model)(images, target=0)
    cpu, wall = (clock() - begun for clock, begun in zip(CLOCKS.values(), start, strict=True))
    return cpu, wall


def first_calls(model: Path, folder: Path, size: tuple[int, ...], processes: int) -> None:
    """The second table; kinds take turns."""
    kinds = {CALLED: model, OPENED: model, EXPORTED: folder, FOLDER: folder}
    seconds: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as fresh:
        for _ in range(processes):
            for kind, path in kinds.items():
                seconds[kind].append(fresh.submit(first_call, kind, path, size).result())
    medians = {
        kind: [statistics.median(times) for times in zip(*found, strict=True)] for kind, found in seconds.items()
    }
    print(f"\n| first Grad-CAM of | cpu time, s | wall time, s | ratio, cpu | ratio, wall | limit {FIRST_SLACK:g} |")
    print("|---|---:|---:|---:|---:|---|")
    for kind, times in medians.items():
        ratios = [own / base for own, base in zip(times, medians[CALLED], strict=True)]
        limit = ("ok" if max(ratios) <= FIRST_SLACK else "OVER") if kind == FOLDER else ""
        cells = [f"{value:.2f}" for value in (*times, *ratios)]
        print(f"| {kind} | {' | '.join(cells)} | {limit} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of explaining a SavedModel, over that of its Keras model.")
    parser.add_argument("--model", type=Path, help="a .keras file; default: MobileNetV2 with random weights, 224 px")
    parser.add_argument("--batch", type=int, default=8, help="images in the batch (default 8)")
    parser.add_argument("--repeats", type=int, default=15, help="rounds (default 15)")
    parser.add_argument("--processes", type=int, default=7, help="fresh processes of each kind (default 7; 0: none)")
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS), metavar="NAME")
    given = parser.parse_args()
    if given.model:
        model = keras.models.load_model(given.model, compile=False)
    else:
        model = keras.applications.MobileNetV2(weights=None, classifier_activation=None)
    with tempfile.TemporaryDirectory() as temporary:
        folder, file = Path(temporary, "exported"), Path(temporary, "model.keras")
        start = time.perf_counter()
        model.export(folder, verbose=False)
        print(f"{model.name}, batch of {given.batch}; exported in {time.perf_counter() - start:.1f} s\n")
        model.save(file)
        bench = Bench(model, given.batch, given.repeats)
        if given.methods:
            print(f"| method | options | cost, cpu time | cost, wall time | limit {SLACK} | difference |")
            print("|---|---|---:|---:|---|---:|", flush=True)
        for method in given.methods:
            print(measure(method, bench, folder), flush=True)
        if given.processes:
            first_calls(file, folder, model.input_shape[1:], given.processes)


if __name__ == "__main__":
    main()
