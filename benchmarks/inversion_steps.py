"""What a step of guided feature inversion costs, and whether memory grows with the number of steps.

A step of the first stage is compared with a gradient of the part of the model up to the inversion layer, one of the
second with a gradient of the whole model: it needs two, one of the foreground and one of the background. A step costs
what a run with more steps takes longer than one with fewer, by the number of steps between them. Runs and passes take
turns, and the least CPU time of each counts. Every peak of memory is that of a fresh process (Linux), above what it
held with the model in it.

    python benchmarks/inversion_steps.py
    python benchmarks/inversion_steps.py --model model.keras --repeats 20
    python benchmarks/inversion_steps.py --network VGG16 --size 160 --stages target
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from cost import CLOCKS, spent
from memory import FEW, LIMIT, MANY

import tfxai

LIMITS = {"inversion": 1.2, "target": 2.3}  # gradient passes of the part up to the layer, and of the whole model
SHORT, LONG = 2, 12  # steps of the runs that are timed
# Every image takes every step: nothing stops it early, and no penalty drives its weights to zero.
ENDLESS = {"preset": "paper", "inversion_penalty": 0.0, "target_penalty": 0.0}


@dataclass(frozen=True)
class Subject:
    """What is measured: a .keras file or the name of a network in keras.applications, its input's side, the batch."""

    path: Path | None
    network: str
    size: int
    batch: int

    def load(self) -> tuple[keras.Model, np.ndarray]:
        """The model, and random images of as many numbers as it takes, or of ``size`` where it takes any."""
        if self.path:
            model = keras.models.load_model(self.path, compile=False)
        else:
            shape = (self.size, self.size, 3)
            keras.utils.set_random_seed(0)
            model = getattr(keras.applications, self.network)(weights=None, input_shape=shape)
        shape = [length or self.size for length in model.input_shape[1:]]
        return model, np.random.default_rng(0).normal(size=(self.batch, *shape)).astype(np.float32)


def runner(model: keras.Model, images: np.ndarray, stage: str, steps: int) -> Callable[[], None]:
    """A run of one stage, which fails unless it makes all its steps."""
    explainer = tfxai.GuidedFeatureInversion(model, stages=stage, **ENDLESS, **{f"{stage}_steps": steps})

    def run() -> None:
        made = explainer(images, target=0, verbose=0).extras[f"{stage}_steps"]
        if (made != steps).any():
            raise RuntimeError(f"Expected {steps} steps of each image, got {made}.")

    return run


def gradient(model: keras.Model, output: Any, images: np.ndarray) -> Callable[[], np.ndarray]:
    """A pass to an output of the model and back, from as plain a loss as there is."""
    part, x = keras.Model(model.input, output), tf.constant(images)

    @tf.function(autograph=False)
    def back(x: tf.Tensor) -> tf.Tensor:
        return tf.gradients(tf.nn.l2_loss(part(x, training=False)), x)[0]

    return lambda: back(x).numpy()


def cost(subject: Subject, stage: str, repeats: int) -> str:
    """One line of the table of costs."""
    model, images = subject.load()
    layer = tfxai.GuidedFeatureInversion(model).reads[0]
    output = model.get_layer(layer).output if stage == "inversion" else model.output
    calls = [gradient(model, output, images), *(runner(model, images, stage, steps) for steps in (SHORT, LONG))]
    for call in calls:
        call()  # traced and compiled
    turns = LONG - SHORT, 1, 1  # so that all last about as long
    times = [[spent(*both) for both in zip(calls, turns, strict=True)] for _ in range(repeats)]
    bare, few, many = np.min(times, axis=0)
    cpu, wall = (many - few) / (LONG - SHORT) / bare
    unit = f"up to {layer}" if stage == "inversion" else "whole"
    cells = [stage, unit, *(f"{1000 * seconds:.0f}" for seconds in bare), f"{cpu:.2f}", f"{wall:.2f}"]
    return f"| {' | '.join(cells)} | {LIMITS[stage]} | {'ok' if cpu <= LIMITS[stage] else 'OVER'} |"


def peak(subject: Subject, stage: str, steps: int) -> float:
    """MB that this process holds at most during a run, above what it holds with the model before."""
    model, images = subject.load()
    before = peak_anew()
    runner(model, images, stage, steps)()
    return peak_so_far() - before


def growth(subject: Subject, stage: str) -> str:
    """One line of the table of memory."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as fresh:
        few, many = (fresh.submit(peak, subject, stage, steps).result() for steps in (FEW, MANY))
    return f"| {stage} | {few:.0f} | {many:.0f} | {many / few:.2f} | {'ok' if many <= LIMIT * few else 'OVER'} |"


def peak_anew() -> float:
    """What this process holds now, in MB, from which the peak is counted: loading may have set a higher one."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_so_far()


def peak_so_far() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost and memory of the steps of guided feature inversion.")
    parser.add_argument("--model", type=Path, help="a .keras file")
    parser.add_argument("--network", default="MobileNetV2", help="else one of keras.applications, with random weights")
    parser.add_argument("--size", type=int, default=224, help="of the images, where the model leaves it open (224)")
    parser.add_argument("--batch", type=int, default=8, help="images in the batch (default 8)")
    parser.add_argument("--repeats", type=int, default=15, help="rounds (default 15)")
    parser.add_argument("--stages", nargs="+", choices=LIMITS, default=list(LIMITS))
    given = parser.parse_args()
    subject = Subject(given.model, given.network, given.size, given.batch)

    clocks = " | ".join(f"pass, {clock}, ms" for clock in CLOCKS)
    print(f"| stage | gradient pass | {clocks} | step, {' | step, '.join(CLOCKS)} | limit | |")
    print("|---|---|---:|---:|---:|---:|---:|---|")
    for stage in given.stages:
        print(cost(subject, stage, given.repeats), flush=True)
    print(f"\n| stage | MB, {FEW} steps | MB, {MANY} steps | ratio | limit {LIMIT} |\n|---|---:|---:|---:|---|")
    for stage in given.stages:
        print(growth(subject, stage), flush=True)


if __name__ == "__main__":
    main()
