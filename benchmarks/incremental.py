"""Occlusion by passes of what a window can change, in forward passes of the same batch for each window."""

from __future__ import annotations

import argparse
import time

import keras
import numpy as np
import tensorflow as tf

import tfxai

# Network, side of the images in pixels, and the bound: forward passes for each window.
CASES = [
    ("VGG16", 224, 1 / 4),
    ("VGG16", 448, 1 / 10),
    ("ResNet50", 224, None),
    ("ResNet50", 448, 1 / 3),
    ("MobileNetV2", 224, 0.6),
    ("MobileNetV2", 448, 0.35),
    ("DenseNet121", 224, None),
    ("EfficientNetV2B0", 224, None),
    ("EfficientNetB0", 224, 1.03),
]


class Sampled(tfxai.Occlusion):
    """Only every so-many-th window along each axis, which is enough to tell what one costs."""

    every = 1

    def _windows(self, size):
        return [cover[:: self.every] for cover in super()._windows(size)]

    def attribute(self, run):
        values = super().attribute(run)
        return tf.where(tf.math.is_nan(values), 0.0, values)  # what no window covers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8, help="images, and copies at a time")
    parser.add_argument("--window", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--networks", nargs="*", help="only these")
    parser.add_argument("--sizes", type=int, nargs="*", help="only images of these sides")
    parser.add_argument("--every", type=int, default=1, help="run every so-many-th window along each axis")
    given = parser.parse_args()
    Sampled.every = given.every
    for name, size, limit in CASES:
        if (given.networks and name not in given.networks) or (given.sizes and size not in given.sizes):
            continue
        keras.utils.set_random_seed(0)
        model = getattr(keras.applications, name)(weights=None, classifier_activation=None, input_shape=(size, size, 3))
        images = np.random.default_rng(0).uniform(-1, 1, (given.batch, size, size, 3)).astype("float32")
        occlusion = Sampled(model, window=given.window, stride=given.window)
        forward = tf.function(lambda x, model=model: model(x, training=False))
        options = {"target": 1, "batch_size": given.batch, "verbose": 0}
        found, ratios = occlusion(images, **options), []
        windows, all_windows = found.extras["drops"][0].size, (size // given.window) ** 2
        forward(images)
        for _ in range(given.repeats):
            start = time.process_time()
            for _ in range(5):
                forward(images).numpy()
            middle = time.process_time()
            occlusion(images, **options)
            passes = (time.process_time() - middle) / ((middle - start) / 5)
            ratios.append((passes - 1) / windows + 1 / all_windows)  # the pass of whole images is shared by all windows
        low, median, high = np.percentile(ratios, [25, 50, 75])
        share, bound = found.facts["incremental"], f"   limit {limit:.2f}" if limit else ""
        print(
            f"{name:18}{size:4} px, {windows:4} windows: {median:.3f} ± {(high - low) / 2:.3f} forward passes a window"
            f"{bound}, estimated {share or 1:.2f}",
            flush=True,
        )
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
