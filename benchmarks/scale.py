"""What shards cost beside a bare loop over the explainer, in processor time, and the peak memory of many images.

python benchmarks/scale.py
"""

from __future__ import annotations

import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import keras
import numpy as np

import tfxai

SIZE, BATCH = 96, 32


def model(path: Path) -> None:
    keras.applications.MobileNetV2(input_shape=(SIZE, SIZE, 3), weights=None).save(path)


def peak(path: Path, rows: int, folder: Path) -> float:
    """MB of this process after so many images, which a file holds."""
    array = np.lib.format.open_memmap(folder / f"{rows}.npy", "w+", np.uint8, (rows, SIZE, SIZE, 3))
    array[:] = np.random.default_rng(0).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    del array
    tfxai.explain_dataset(path, folder / f"{rows}.npy", "grad_cam", folder / f"out{rows}", batch_size=BATCH, verbose=0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def costs(path: Path, rows: int, folder: Path, repeats: int = 3) -> tuple[float, float]:
    """The least seconds of processor time, of a loop and of shards; both load the model and trace it."""
    x = np.random.default_rng(0).integers(0, 256, (rows, SIZE, SIZE, 3)).astype(np.float32)
    loop, shards = [], []
    for number in range(repeats):
        begin = time.process_time()
        explainer = tfxai.GradCAM(path)
        for first in range(0, rows, BATCH):
            explainer(x[first : first + BATCH], batch_size=BATCH, verbose=0)
        middle = time.process_time()
        tfxai.explain_dataset(path, x, "grad_cam", folder / f"c{number}", batch_size=BATCH, verbose=0)
        loop.append(middle - begin)
        shards.append(time.process_time() - middle)
    return min(loop), min(shards)


def main() -> None:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1, context, max_tasks_per_child=1) as fresh:
        folder = Path(name)
        model(folder / "model.keras")
        loop, shards = fresh.submit(costs, folder / "model.keras", 2000, folder).result()
        print(
            f"2,000 images: loop {loop:.1f} s, shards {shards:.1f} s: {loop / shards:.0%} of its throughput", flush=True
        )
        few, many = (fresh.submit(peak, folder / "model.keras", rows, folder).result() for rows in (2000, 20000))
        print(f"peak memory: {few:.0f} MB at 2,000, {many:.0f} MB at 20,000 images: {many / few:.2f} times")


if __name__ == "__main__":
    main()
