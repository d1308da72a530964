"""Peak memory of a process that explains with many samples, steps, windows, masks or channels, over that with few.

It should not grow. Every number is the peak of a fresh process (Linux) that explains one batch.

    python benchmarks/memory.py
    python benchmarks/memory.py --model model.keras --methods rise occlusion
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

import tfxai

FEW, MANY, LIMIT = 20, 200, 1.1
COUNTED = {
    "smooth_grad": "samples",
    "var_grad": "samples",
    "integrated_gradients": "steps",
    "rise": "masks",
    "occlusion": "windows",
    "score_cam": "channels",
    "ablation_cam": "channels",
}


def peak(method: str, count: int, path: Path | None, batch: int) -> tuple[float, float, int]:
    """Peak MB of this process before and after an explanation, and how many windows etc. it really had."""
    model = _model(path)
    if COUNTED[method] == "channels":
        model = _with_channels(model, count)
    images = np.random.default_rng(0).normal(size=(batch, *model.input_shape[1:])).astype(np.float32)
    before = _peak_so_far()
    explanation = tfxai.methods("decision")[method](model, **_options(method, count, model.input_shape[1:3]))(
        images, verbose=0
    )
    return before, _peak_so_far(), explanation.extras["drops"][0].size if method == "occlusion" else count


def _model(path: Path | None) -> keras.Model:
    return keras.models.load_model(path, compile=False) if path else keras.applications.MobileNetV2(weights=None)


def _with_channels(model: keras.Model, count: int) -> keras.Model:
    """The model with another end, whose last spatial layer has so many channels."""
    maps = model.get_layer(tfxai.GradCAM(model).reads[0]).output
    maps = keras.layers.Conv2D(count, 1, activation="relu", name="counted")(maps)
    return keras.Model(model.input, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(maps)))


def _options(method: str, count: int, size: tuple[int, int]) -> dict[str, Any]:
    kind = COUNTED[method]
    if kind == "windows":
        rows = math.isqrt(count)
        window = [length // 8 for length in size]
        grid = (rows, count // rows)
        return {"window": window, "stride": [math.ceil(7 * w / (n - 1)) for w, n in zip(window, grid, strict=True)]}
    return {} if kind == "channels" else {kind: count}


def _peak_so_far() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="Peak memory with many samples over that with few.")
    parser.add_argument("--model", type=Path, help="a .keras file; default: MobileNetV2 with random weights, 224 px")
    parser.add_argument("--batch", type=int, default=8, help="images in the batch (default 8)")
    parser.add_argument("--methods", nargs="+", choices=COUNTED, default=list(COUNTED), metavar="NAME")
    given = parser.parse_args()

    print(f"| method | of | before, MB | peak, few, MB | peak, many, MB | ratio | limit {LIMIT} |")
    print("|---|---|---:|---:|---:|---:|---|")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as fresh:
        for method in given.methods:
            few, many = (fresh.submit(peak, method, n, given.model, given.batch).result() for n in (FEW, MANY))
            ratio = many[1] / few[1]
            of = f"{few[2]} and {many[2]} {COUNTED[method]}"
            cells = [f"{few[0]:.0f}", f"{few[1]:.0f}", f"{many[1]:.0f}", f"{ratio:.2f}"]
            print(f"| {method} | {of} | {' | '.join(cells)} | {'ok' if ratio <= LIMIT else 'OVER'} |", flush=True)


if __name__ == "__main__":
    main()
