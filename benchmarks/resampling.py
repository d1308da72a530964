"""Cost of input resampling beside bare forward passes, and memory over the number of copies.

python benchmarks/resampling.py                      # MobileNetV2 with random weights, 224 px
python benchmarks/resampling.py --model model.keras --sites 0
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from cost import spent

import tfxai
from tfxai.models import open_model

COPIES, BATCH = 50, 25
FEW, MANY = 50, 1000
LIMIT, MEMORY_LIMIT = 1.25, 1.1


def cost(path: Path | None, sites: int | None, repeats: int) -> None:
    """What a copy costs with all layers observed, over what it costs to pass through the model.

    The whole run over its copies, and what each copy more takes, which leaves out what is done once an image.
    """
    view = open_model(load(path))
    image = np.random.default_rng(0).normal(size=(1, *shape(view))).astype(np.float32)
    copies = tf.constant(np.repeat(image, BATCH, 0))
    forward = tf.function(lambda x: view.forward(x).outputs, autograph=False)
    explainers = [tfxai.InputResampling(view, samples=n, sites=sites) for n in (COPIES, 3 * COPIES)]

    def passes() -> None:
        for _ in range(COPIES // BATCH):
            forward(copies).numpy()

    def runner(explainer: tfxai.InputResampling) -> Callable:
        return lambda: explainer(image, batch_size=BATCH, verbose=0)

    runs = [passes, *map(runner, explainers)]
    _, (_, first), _ = [spent(run) for run in runs]
    times = np.array([[spent(run) for run in runs] for _ in range(repeats)])
    bare, few, many = np.moveaxis(times, 1, 0)
    layers = explainers[0](image, verbose=0).layers
    print(
        f"{len(layers)} layers, {sites or 'all'} sites of each, in forward passes a copy, limit {LIMIT}; "
        f"the first call takes {first:.0f} s"
    )
    for name, ratios in {f"{COPIES} copies": few / bare, "each more": (many - few) / 2 / bare}.items():
        (cpu, wall), (low, _), (high, _) = np.percentile(ratios, [50, 25, 75], axis=0)
        print(f"  {name}: {cpu:.2f} ± {(high - low) / 2:.2f} of CPU time, {wall:.2f} of wall time")


def memory(path: Path | None, sites: int | None) -> None:
    """Peaks of fresh processes."""
    peaks = []
    for copies in (FEW, MANY):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
            peaks.append(fresh.submit(peak, path, sites, copies).result())
    ratio = peaks[1] / peaks[0]
    print(
        f"memory: {peaks[0]:.0f} MB for {FEW} copies, {peaks[1]:.0f} MB for {MANY}: {ratio:.2f}; limit {MEMORY_LIMIT}"
    )


def peak(path: Path | None, sites: int | None, copies: int) -> float:
    view = open_model(load(path))
    image = np.random.default_rng(0).normal(size=(1, *shape(view))).astype(np.float32)
    tfxai.InputResampling(view, samples=copies, sites=sites)(image, batch_size=BATCH, verbose=0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def load(path: Path | None) -> keras.Model:
    return keras.models.load_model(path, compile=False) if path else keras.applications.MobileNetV2(weights=None)


def shape(view: Any) -> tuple[int, ...]:
    return tuple(next(iter(view.inputs.values())).shape[1:])


def main() -> None:
    parts = ("cost", "memory")
    parser = argparse.ArgumentParser(description="Time and memory of input resampling.")
    parser.add_argument("--model", type=Path, help="a .keras file; default: MobileNetV2 with random weights, 224 px")
    parser.add_argument("--sites", type=int, default=256, help="most sites of a layer (default 256); 0: all")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts, metavar="PART", help=", ".join(parts))
    parser.add_argument("--repeats", type=int, default=9, help="rounds of the cost (default 9)")
    given = parser.parse_args()
    if "cost" in given.parts:
        cost(given.model, given.sites or None, given.repeats)
    if "memory" in given.parts:
        memory(given.model, given.sites or None)


if __name__ == "__main__":
    main()
