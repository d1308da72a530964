"""What methods cost on the device that TensorFlow finds first, written as JSON: run it on a GPU.

Batches grow until the device is busy, with XLA and without; methods without gradients also run in fewer bits. A cost is
in forward passes of the same batch, by wall time: on a GPU the host's CPU time says little.

    python benchmarks/gpu.py --json gpu.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.stats import spearmanr

import tfxai

METHODS: dict[str, dict[str, Any]] = {
    "saliency": {},
    "grad_cam": {},
    "integrated_gradients": {"steps": 50},
    "smooth_grad": {"samples": 50},
    "lrp": {},
    "occlusion": {"window": 32, "stride": 32},
    "rise": {"masks": 128},
}
PRECISIONS = ("float32", "bfloat16", "float16")


def measured(
    model: keras.Model, name: str, images: np.ndarray, compiled: bool, repeats: int, precision: str
) -> dict[str, Any]:
    """Seconds of the first call, of later ones, and of forward passes in float32 in turn with these."""
    forward = tf.function(lambda x: model(x, training=False), jit_compile=compiled)
    explainer = tfxai.methods()[name](model, jit_compile=compiled, precision=precision, **METHODS[name])
    options = {"target": 1, "batch_size": len(images), "verbose": 0}
    start = time.perf_counter()
    explainer(images, **options)
    first = time.perf_counter() - start
    forward(images).numpy()
    passes, calls = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        forward(images).numpy()
        middle = time.perf_counter()
        explainer(images, **options)
        passes.append(middle - start)
        calls.append(time.perf_counter() - middle)
    ratios = np.array(calls) / passes
    return {
        "first_call_s": first,
        "call_s": float(np.median(calls)),
        "forward_s": float(np.median(passes)),
        "forward_passes": float(np.median(ratios)),
        "spread": float(np.subtract(*np.percentile(ratios, [75, 25])) / 2),
        **(_compared(model, name, images, compiled, explainer) if precision != "float32" else {}),
    }


def _compared(
    model: keras.Model, name: str, images: np.ndarray, compiled: bool, explainer: tfxai.Explainer
) -> dict[str, float]:
    """How far maps are from those of float32: rank correlation, and largest difference as a share of the largest."""
    options = {"target": 1, "batch_size": len(images), "verbose": 0}
    exact = tfxai.methods()[name](model, jit_compile=compiled, **METHODS[name])(images, **options).values
    found = explainer(images, **options).values
    return {
        "rank_correlation": float(spearmanr(exact.ravel(), found.ravel())[0]),
        "largest_difference": float(np.abs(exact - found).max() / np.abs(exact).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--network", default="MobileNetV2", help="of keras.applications")
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32, 128])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, default=Path("gpu.json"))
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, given.network)(weights=None, classifier_activation=None)
    device = (tf.config.list_physical_devices("GPU") or tf.config.list_physical_devices("CPU"))[0]
    details = tf.config.experimental.get_device_details(device) if device.device_type == "GPU" else {}
    about = {"network": given.network, "device": device.device_type, **{k: str(v) for k, v in details.items()}}
    rows = []
    for batch in given.batches:
        images = np.random.default_rng(0).uniform(-1, 1, (batch, *model.input_shape[1:])).astype("float32")
        for name in given.methods:
            types = PRECISIONS if tfxai.methods()[name].lowers else PRECISIONS[:1]
            for compiled, precision in itertools.product((False, True), types):
                row = {"method": name, "batch": batch, "xla": compiled, "precision": precision}
                try:
                    row |= measured(model, name, images, compiled, given.repeats, precision)
                except (ValueError, tf.errors.OpError) as error:  # out of memory, or what XLA cannot compile
                    row["error"] = str(error).splitlines()[0]
                rows.append(row)
                print(row, flush=True)
                given.json.write_text(json.dumps({**about, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
