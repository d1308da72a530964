"""What measures of faithfulness cost, in forward passes of the same batch: a step of a curve, a subset, a change."""

from __future__ import annotations

import argparse
import time

import keras
import numpy as np
import tensorflow as tf

import tfxai
from tfxai.metrics.curves import Ordered
from tfxai.metrics.infidelity import Changes
from tfxai.metrics.road import Removed
from tfxai.metrics.subsets import Subsets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNetV2(weights=None, classifier_activation=None)
    images = np.random.default_rng(0).uniform(-1, 1, (given.batch, 224, 224, 3)).astype("float32")
    gradient = tfxai.Saliency(model)(images, 1)
    forward = tf.function(lambda x: model(x, training=False))
    many = np.arange((given.steps + 1) * given.batch) % given.batch

    def curve(fill: str | float, **more: object) -> Ordered:
        return Ordered(model, given.steps, fill=fill, **more)

    measures = {
        "deletion": (curve(0.0), given.steps + 1, 1.1),
        "deletion of superpixels": (curve(0.0, groups="superpixels"), given.steps + 1, 1.1),
        "insertion, blurred": (curve("blur", insert=True), given.steps + 1, 1.1),
        "mu_fidelity": (Subsets(model, [0.2], given.steps, groups="patches"), given.steps, 1.1),
        "infidelity": (Changes(model, given.steps, 0.1), given.steps, None),
        "road": (Removed(model, (0.1, 0.3, 0.5), noise=0.01, seed=0), 3, None),
    }
    for name, (runner, passes, limit) in measures.items():
        ratios = []
        for turn in range(given.repeats + 1):
            start = time.process_time()
            for first in range(0, passes * given.batch, given.batch):
                forward(images[many[first : first + given.batch]]).numpy()
            middle = time.process_time()
            runner.judged(gradient, None, None, given.batch, 0)
            if turn:  # the first traces
                ratios.append((time.process_time() - middle) / (middle - start))
        low, median, high = np.percentile(ratios, [25, 50, 75])
        print(f"{name:24}{median:6.2f} ± {(high - low) / 2:.2f} forward passes{f'   limit {limit}' if limit else ''}")


if __name__ == "__main__":
    main()
