"""Relevant features on a set of flowers that nothing was designed on: stem and leaves decide, and petals are grey.

    python benchmarks/third_flowers.py
    python benchmarks/third_flowers.py --networks 5 --flowers 600

A network is trained for each part of the flowers from a seed of its own, features are fitted on the other parts with
the constructor's defaults, and the area under the curve of intersection over union is compared with that of other
methods, network by network. Intervals are Student's, 95 per cent.
"""

from __future__ import annotations

import argparse
from typing import cast

import numpy as np
from scipy import stats

from tfxai.choices import FlowerSet
from tfxai.datasets import flowers, train_flowers
from tfxai.evaluation.flowers import evaluate_flowers

NAME = cast(FlowerSet, "leaves-6c")  # of this benchmark alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=3)
    parser.add_argument("--flowers", type=int, default=300, help="of all networks together")
    parser.add_argument("--seed", type=int, default=7, help="of the flowers")
    given = parser.parse_args()
    flowers.PARTS[NAME] = ("leaves",)
    flowers.CLASSES[NAME] = tuple(f"{hue} leaves" for hue in flowers.COLOURS)
    train_flowers.RECIPES["cnn"][NAME] = train_flowers.RECIPES["cnn"]["single-6c"]
    found = evaluate_flowers(NAME, given.flowers, given.networks, retrain=True, seed=given.seed)
    ours = 100 * np.array(found["relevant features"].areas)
    print("\n| method | area, % | relevant features have more | of each network |\n|---|---|---|---|")
    for name, score in found.items():
        areas = 100 * np.array(score.areas)
        more = ours - areas
        low, high = stats.t.interval(0.95, len(more) - 1, more.mean(), stats.sem(more)) if more.any() else (0, 0)
        difference = f"{more.mean():+.1f} ({low:+.1f} to {high:+.1f})" if more.any() else ""
        print(f"| {name} | {areas.mean():.1f} | {difference} | {', '.join(f'{area:.1f}' for area in areas)} |")


if __name__ == "__main__":
    main()
