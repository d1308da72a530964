"""First calls, which trace the model: seconds from a built model to its explanation, in fresh processes.

    python benchmarks/first_call.py
    TF_ENABLE_ONEDNN_OPTS=1 python benchmarks/first_call.py --networks ResNet50 --method DeepLift --runs 3

One image at 224 px, random weights. The second call, in the same process, is what later ones take.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import numpy as np


def once(network: str, method: str) -> None:
    """CPU and wall time of the first call, and of the second, as JSON."""
    import keras
    from cost import spent

    import tfxai

    model = getattr(keras.applications, network)(weights=None, classifier_activation=None)
    image = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype(np.float32)
    explainer = getattr(tfxai, method)(model)
    calls = [spent(lambda: explainer.explain(image, verbose=0)) for _ in range(2)]
    print(json.dumps([call.tolist() for call in calls]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["EfficientNetV2B0", "ResNet50", "MobileNetV3Small"])
    parser.add_argument("--method", default="LRP")
    parser.add_argument("--runs", type=int, default=5, help="processes for each network")
    parser.add_argument("--once", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.once:
        once(given.once, given.method)
        return
    print("| network | method | first call, CPU time, s | wall time, s | second call, wall time, s |")
    print("|---|---|---:|---:|---:|")
    for network in given.networks:
        command = [sys.executable, __file__, "--once", network, "--method", given.method]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(given.runs)]
        found = np.array([json.loads(run.stdout.splitlines()[-1]) for run in runs])  # (runs, calls, clocks)
        low, middle, high = np.quantile(found, [0.25, 0.5, 0.75], axis=0)
        spread = (high - low) / 2
        cells = [f"{middle[at]:.2f} ± {spread[at]:.2f}" for at in ((0, 0), (0, 1), (1, 1))]
        print(f"| {network} | {given.method} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
