"""Occlusion that runs a share of the windows: what it finds of the full map, and the forward passes that it takes.

    python benchmarks/refine.py --data folder --networks mobilenet_v2 --shares 0.25 0.4 0.5

The folder has what `photographs` of rise.py says. Overlap is the share of the 5 % of pixels with the largest values of
the full map that are among those of the refined one. Cost is CPU time, in that of a compiled forward pass of the
same batch for each window: 1 is what full passes of all windows take.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from cost import FORWARD, Bench
from rise import NETWORKS, photographs
from scipy import stats

import tfxai


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    first, second = (set(np.argsort(-values.ravel(), kind="stable")[: values.size // 20]) for values in (one, other))
    return len(first & second) / len(first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--names", default="more_400.csv", help="the table of photographs")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--shares", type=float, nargs="+", default=[0.25, 0.4, 0.5])
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--batch", type=int, default=8, help="images, and copies at a time")
    parser.add_argument("--repeats", type=int, default=25, help="of these a fifth, as cost.py does for what takes long")
    given = parser.parse_args()
    print("| network | share of windows | overlap, ± 95 % | cost |")
    print("|---|---:|---:|---:|")
    for name in given.networks:
        model, images = photographs(given.data, name, given.images, given.names)
        images = np.stack(list(images))
        bench = Bench(model, given.batch, given.repeats)
        options = {"batch_size": given.batch, "verbose": 0}
        full = tfxai.Occlusion(model).explain(images, **options)
        windows = full.extras["drops"][0].size
        for share in (*given.shares, 1.0):
            occlusion = tfxai.Occlusion(model, refine=share if share < 1 else None)
            found = occlusion.explain(images, **options)
            overlaps = [overlap(*maps) for maps in zip(found.values, full.values, strict=True)]
            half = stats.t.ppf(0.975, len(overlaps) - 1) * stats.sem(overlaps)
            explain = partial(occlusion.explain, images[: given.batch], **options)
            costs = bench.compare(explain, bench.bare[FORWARD])[:, 0] / windows
            low, middle, high = np.quantile(costs, [0.25, 0.5, 0.75])
            spread = (high - low) / 2
            cells = f"{np.mean(overlaps):.3f} ± {half:.3f} | {middle:.3f} ± {spread:.3f}"
            print(f"| {name} | {share} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
