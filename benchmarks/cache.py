"""Batches that fit a processor's cache beside whole ones: seconds of both, and how far the values differ.

    python benchmarks/cache.py
    TF_ENABLE_ONEDNN_OPTS=1 python benchmarks/cache.py --networks VGG16 ResNet50 --methods saliency

Networks have random weights. Both ways take turns in one process; ratios are medians of the turns, with the half
interquartile range.
"""

from __future__ import annotations

import argparse
from unittest.mock import patch

import keras
import numpy as np
from cost import spent

import tfxai

CASES = {
    "saliency": ({}, 32),
    "grad_cam": ({}, 32),
    "integrated_gradients": ({"steps": 16}, 2),
    "rise": ({"masks": 64}, 1),
    "occlusion": ({"window": 32, "stride": 32}, 1),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["MobileNetV2", "EfficientNetB0", "ResNet50", "VGG16"])
    parser.add_argument("--methods", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    print("| network | method | rows at once | CPU time, of a whole batch's | wall time | difference |")
    print("|---|---|---:|---:|---:|---:|")
    for network in given.networks:
        model = getattr(keras.applications, network)(weights=None)
        for method in given.methods:
            print(f"| {network} | {method} | {compared(model, method, given.repeats)} |", flush=True)


def compared(model: keras.Model, method: str, repeats: int) -> str:
    """Cells of the table."""
    options, rows = CASES[method]
    shape = [length or 224 for length in model.input_shape[1:]]
    x = np.random.default_rng(0).normal(size=(rows, *shape)).astype(np.float32)
    cut, whole = (tfxai.methods()[method](model, **options) for _ in range(2))
    with patch("tfxai.runner.rows_at_once", lambda *given: None):
        whole.explain(x, verbose=0)
    cut.explain(x, verbose=0)  # both are traced
    ratios = []
    for turn in range(repeats):
        order = [cut, whole] if turn % 2 else [whole, cut]
        seconds = {explainer: spent(lambda own=explainer: own.explain(x, verbose=0)) for explainer in order}
        ratios.append(seconds[cut] / seconds[whole])
    low, (cpu, wall), high = np.quantile(ratios, [0.25, 0.5, 0.75], axis=0)
    a, b = (explainer.explain(x, verbose=0).values for explainer in (cut, whole))
    (trace,) = cut._traces.values()
    spread = (high - low) / 2
    cells = trace.at_once, f"{cpu:.2f} ± {spread[0]:.2f}", f"{wall:.2f} ± {spread[1]:.2f}"
    return " | ".join(map(str, (*cells, f"{np.abs(a - b).max() / np.abs(b).max():.0e}")))


if __name__ == "__main__":
    main()
