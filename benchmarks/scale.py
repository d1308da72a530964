"""Shards beside a bare loop over the explainer, in processor and in wall time, and the peak memory of many images.

python benchmarks/scale.py
python benchmarks/scale.py --only memory
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import keras
import numpy as np

import tfxai
from tfxai import images
from tfxai.datasets import flowers

SIZE, BATCH, FEW, MANY = 96, 32, 2000, 20000


def mobilenet(path: Path) -> None:
    keras.applications.MobileNetV2(input_shape=(SIZE, SIZE, 3), weights=None).save(path)


def small(path: Path) -> None:
    """The network of the demo, a hundredth of the work: what is beside the explanations weighs most."""
    inputs = keras.Input((SIZE, SIZE, 3))
    keras.Model(inputs, flowers.load_model()(inputs)).save(path)


def numbers(folder: Path, rows: int) -> Path:
    """A .npy file of images, written without having all of them in memory."""
    file = folder / f"{rows}.npy"
    array = np.lib.format.open_memmap(file, "w+", np.uint8, (rows, SIZE, SIZE, 3))
    some = np.random.default_rng(0).integers(0, 256, (500, SIZE, SIZE, 3), np.uint8)
    for first in range(0, rows, 500):
        array[first : first + 500] = some[: rows - first]
    return file


def photographs(folder: Path, rows: int) -> Path:
    """A folder of JPEG files, smooth as photographs are."""
    (folder / "photos").mkdir()
    random = np.random.default_rng(0)
    for row in range(rows):
        coarse = random.integers(0, 256, (12, 12, 3), np.uint8)
        cv2.imwrite(f"{folder}/photos/{row:05}.jpg", cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC))
    return folder / "photos"


def batches(source: Path) -> Iterator[np.ndarray]:
    """What a bare loop explains."""
    if source.suffix == ".npy":
        array = np.load(source)
        yield from (array[first : first + BATCH] for first in range(0, len(array), BATCH))
    else:
        files = sorted(source.iterdir())
        for first in range(0, len(files), BATCH):
            pixels = [images.read(file) for file in files[first : first + BATCH]]
            yield images.prepare(pixels, (SIZE, SIZE), 3, "none")


def loop(model: Path, source: Path, folder: Path) -> None:
    explainer = tfxai.GradCAM(model)
    for batch in batches(source):
        explainer(batch, batch_size=BATCH, verbose=0)


def shards(model: Path, source: Path, folder: Path) -> None:
    tfxai.explain_dataset(model, source, "grad_cam", folder, batch_size=BATCH, verbose=0)


def ratios(model: Path, source: Path, folder: Path, repeats: int) -> dict[str, list[float]]:
    """Of each pair the seconds of the loop over those of the shards; both load the model and trace it."""
    clocks = {"processor": time.process_time, "wall": time.perf_counter}
    found: dict[str, list[float]] = {name: [] for name in clocks}
    for number in range(repeats + 1):
        taken = {}
        both: list[Callable] = [loop, shards] if number % 2 else [shards, loop]
        for one in both:
            begin = {name: clock() for name, clock in clocks.items()}
            one(model, source, folder / f"out{number}")
            taken[one] = {name: clock() - begin[name] for name, clock in clocks.items()}
        if number:  # the first imports what it needs
            for name in clocks:
                found[name].append(taken[loop][name] / taken[shards][name])
            print(f"  loop {taken[loop]['processor']:.1f} s, shards {taken[shards]['processor']:.1f} s", flush=True)
    return found


def peak(model: Path, source: Path, folder: Path) -> float:
    """MB of this process after all images of a source."""
    shards(model, source, folder)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def throughput(folder: Path, repeats: int, fresh: ProcessPoolExecutor) -> None:
    make = {"MobileNetV2": mobilenet, "small network": small}
    sources = {".npy": numbers(folder, FEW), "JPEG files": photographs(folder, FEW)}
    for name, build in make.items():
        model = folder / f"{name}.keras"
        build(model)
        for kind, source in sources.items():
            out = folder / f"{name} {source.name}"
            found = fresh.submit(ratios, model, source, out, repeats).result()
            told = []
            for clock, values in found.items():
                low, _, high = statistics.quantiles(values, n=4)
                told.append(f"{statistics.median(values):.1%} ± {(high - low) / 2:.1%} of the loop in {clock} time")
            print(f"{name}, {FEW} images, {kind}: {', '.join(told)}", flush=True)


def memory(folder: Path, fresh: ProcessPoolExecutor) -> None:
    mobilenet(folder / "memory.keras")
    found = []
    for rows in (FEW, MANY):
        source = fresh.submit(numbers, folder, rows).result()
        found.append(fresh.submit(peak, folder / "memory.keras", source, folder / f"memory{rows}").result())
        print(f"{rows} images: {found[-1]:.0f} MB", flush=True)
    print(f"peak memory at {MANY} images over that at {FEW}: {found[1] / found[0]:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["throughput", "memory"])
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1, context, max_tasks_per_child=1) as fresh:
        if given.only != "memory":
            throughput(Path(name), given.repeats, fresh)
        if given.only != "throughput":
            memory(Path(name), fresh)


if __name__ == "__main__":
    main()
