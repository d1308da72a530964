"""Which methods find the petals that a vision transformer goes by, against Grad-CAM on the same flowers.

    python benchmarks/transformer.py                                 # the network that comes with the package
    python -m tfxai.datasets.train_flowers --set single-6c --architecture vit --seed 1 --output nets/1
    python benchmarks/transformer.py --networks nets/1 nets/2        # and others, trained from other seeds

Scores are the area under the curve of intersection over union with the decisive pixels, the share of the map's sum that
lies on them, and whether its maximum does. Intervals hold 95 per cent, and differences are those of the same flowers.
Of one network, flowers are drawn anew. Several are a sample of networks: each explains flowers of its own, and the
interval is Student's of their means, in which flowers and networks both vary. What is done is kept in ``--store``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

from tfxai.datasets import flowers
from tfxai.evaluation.flowers import OF_TRANSFORMERS
from tfxai.metrics import bootstrap_interval, iou_curve, mass_accuracy
from tfxai.models import open_model

SHIPPED = "shipped"
SCORES = ("area", "share on the petals", "maximum on the petals")


def scores(network: str, n: int, seed: int, methods: list[str], store: Path) -> dict[str, np.ndarray]:
    """Method to (scores, n), in per cent."""
    path = store / f"{network.replace('/', '_')}-{n}-{seed}.npz"
    found = dict(np.load(path)) if path.exists() else {}
    images, labels, masks = flowers.make("single-6c", n, seed=seed)
    model = flowers.load_model("single-6c", "vit")
    if network != SHIPPED:
        model.load_weights(Path(network) / "vit-single-6c.weights.h5")
    view = open_model(model)
    for name in methods:
        if name in found:
            continue
        explanation = OF_TRANSFORMERS[name](view)(images.astype(np.float32), target=labels, verbose=0)
        maps = explanation.heatmaps()
        top = maps.reshape(n, -1).argmax(1)
        hits = masks.reshape(n, -1)[np.arange(n), top]
        found[name] = 100 * np.stack([iou_curve(maps, masks).mean(1), mass_accuracy(maps, masks), hits])
        store.mkdir(parents=True, exist_ok=True)
        np.savez(path, **found)
        print(f"{network}: {name} {found[name].mean(1).round(1)}", flush=True)
    return {name: found[name] for name in methods}


def interval(by_network: np.ndarray) -> str:
    """Mean and interval of (networks, flowers)."""
    if len(by_network) == 1:
        low, high = bootstrap_interval(by_network[0])
    else:
        means = by_network.mean(1)
        low, high = stats.t.interval(0.95, len(means) - 1, means.mean(), stats.sem(means))
    return f"{by_network.mean():+.1f} ({low:+.1f} to {high:+.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=[], metavar="FOLDER", help="beside the one that is shipped")
    parser.add_argument("--images", type=int, default=240, help="flowers for each network")
    parser.add_argument("--seed", type=int, default=7, help="of the first network's flowers; the next have the next")
    parser.add_argument("--methods", nargs="+", choices=list(OF_TRANSFORMERS), default=list(OF_TRANSFORMERS))
    parser.add_argument("--store", type=Path, default=Path("transformer-scores"))
    given = parser.parse_args()
    methods = list(dict.fromkeys(["Grad-CAM", *given.methods]))
    found = [
        scores(network, given.images, given.seed + number, methods, given.store)
        for number, network in enumerate([SHIPPED, *given.networks])
    ]
    for number, score in enumerate(SCORES):
        print(f"\n| method | {score} | against Grad-CAM | of each network |\n|---|---|---|---|")
        reference = np.stack([one["Grad-CAM"][number] for one in found])
        for name in methods:
            values = np.stack([one[name][number] for one in found])
            difference = "" if name == "Grad-CAM" else interval(values - reference)
            each = ", ".join(f"{mean:.1f}" for mean in values.mean(1))
            print(f"| {name} | {interval(values)} | {difference} | {each} |")


if __name__ == "__main__":
    main()
