"""What a step of activation maximization costs, in gradient passes of the bare model.

A step costs what a run with more steps takes longer than one with fewer, by the number of steps between them. Runs and
passes take turns, and the least time of each counts. Transforms, and the Fourier transform, are measured on their own,
forth and back; a step may cost 1.15 gradient passes and these.

    python benchmarks/synthesis.py
    python benchmarks/synthesis.py --model model.keras --batch 8 --repeats 20
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from cost import CLOCKS, spent

import tfxai
from tfxai.synthesis.parameterization import Fourier

LIMIT = 1.15  # gradient passes, without what moves and draws the image
SHORT, LONG = 2, 12  # steps of the runs that are timed
CASES: dict[str, dict[str, Any]] = {
    "pixels": {"parameterization": "pixel"},
    "frequencies": {"parameterization": "fourier", "transforms": ()},
    "pixels, moved": {"parameterization": "pixel", "transforms": tfxai.transforms.robust()},
    "frequencies, moved": {"parameterization": "fourier"},
}


def load(path: Path | None, network: str, size: int) -> tuple[keras.Model, tuple[int, ...]]:
    """A model, and the shape of its images."""
    if path:
        model = keras.models.load_model(path, compile=False)
    else:
        keras.utils.set_random_seed(0)
        model = getattr(keras.applications, network)(weights=None, input_shape=(size, size, 3))
    return model, tuple(side or size for side in model.input_shape[1:])


def gradient(call: Callable, x: Any) -> Callable[[], Any]:
    """A pass forth and back, from as plain a loss as there is."""

    @tf.function(autograph=False)
    def back(x: tf.Tensor) -> tf.Tensor:
        return tf.gradients(tf.nn.l2_loss(call(x)), x)[0]

    given = tf.constant(x, tf.float32)
    return lambda: back(given).numpy()


def runner(maximization: tfxai.ActivationMaximization, steps: int) -> Callable[[], None]:
    """A run of so many steps by one compiled loop."""

    def run() -> None:
        maximization.steps = steps
        made = maximization(verbose=0).steps
        if (made != steps).any():
            raise RuntimeError(f"Expected {steps} steps of each image, got {made}.")

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost of a step of activation maximization.")
    parser.add_argument("--model", type=Path, help="a .keras file")
    parser.add_argument("--network", default="MobileNetV2", help="else one of keras.applications, with random weights")
    parser.add_argument("--size", type=int, default=224, help="of the images, where the model leaves it open (224)")
    parser.add_argument("--batch", type=int, default=4, help="images at once (default 4)")
    parser.add_argument("--repeats", type=int, default=15, help="rounds (default 15)")
    given = parser.parse_args()
    model, shape = load(given.model, given.network, given.size)
    x, fourier = np.zeros((given.batch, *shape)), Fourier(shape)
    seed = tf.Variable([0, 1])  # of a constant, the places of pixels would be constants
    bare = {
        "pass": gradient(lambda x: model(x, training=False), x + 0.1),
        "moved": gradient(lambda x: tfxai.transforms.robust()(x, seed.read_value()), x),
        "frequencies": gradient(fourier.image, np.zeros((given.batch, *fourier.shape))),
    }
    runs = {}
    for name, options in CASES.items():
        made = tfxai.ActivationMaximization(model, [0] * given.batch, preprocess=(-1, 1), steps=LONG, **options)
        runs |= {(name, steps): runner(made, steps) for steps in (LONG, SHORT)}
    calls = bare | runs
    for call in calls.values():
        call()  # traced and compiled
    rounds = [{name: spent(call, 1) for name, call in calls.items()} for _ in range(given.repeats)]
    least = {name: np.min([one[name] for one in rounds], axis=0) for name in calls}
    unit = least["pass"]
    print(f"{given.model.stem if given.model else given.network}, batch of {given.batch}; gradient pass", end=" ")
    print(", ".join(f"{1000 * value:.0f} ms {clock}" for clock, value in zip(CLOCKS, unit, strict=True)))
    print(f"\n| step | {' | '.join(CLOCKS)} | drawn and moved, {' | drawn and moved, '.join(CLOCKS)} | |")
    print(f"|---|{'---:|' * 4}---|")
    for name in CASES:
        step = (least[name, LONG] - least[name, SHORT]) / (LONG - SHORT) / unit
        own = sum(least[part] / unit for part in ("moved", "frequencies") if part in name) + 0 * unit
        verdict = "ok" if step[0] <= LIMIT + own[0] else "OVER"
        cells = [*(f"{value:.2f}" for value in step), *(f"{value:.2f}" for value in own)]
        print(f"| {name} | {' | '.join(cells)} | {verdict} |")


if __name__ == "__main__":
    main()
