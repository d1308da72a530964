"""Would guided feature inversion be as good if it stopped earlier, and how many passes would that save?

    python benchmarks/inversion_stopping.py MODEL IMAGES BOXES.csv --list FILES.csv --preprocess -1..1 --limit 100

The second stage is run once with all its steps, and its masks are kept step by step. Then it is asked what a rule would
have given: an image stops when a step lowers its loss by less than a share of it (`tolerance`, with `patience=1`).
A batch goes on as long as one of its images does. Errors and hits are compared with those of all steps, photograph by
photograph, with 95 per cent intervals.
"""

from __future__ import annotations

import argparse
import csv

import numpy as np

import tfxai
from tfxai.evaluation.boxed_images import BoxedImages, read_boxes
from tfxai.maps import enlarge
from tfxai.metrics import compare_localization
from tfxai.models.predict import input_shape

TOLERANCES = (0.01, 0.03, 0.1, 0.3)
BATCH = 16


def stopped(losses: np.ndarray, tolerance: float) -> np.ndarray:
    """(n,) how many steps an image makes, of losses (n, steps)."""
    lowest = np.minimum.accumulate(losses, 1)
    idle = losses[:, 1:] >= lowest[:, :-1] - tolerance * np.abs(lowest[:, :-1])
    return np.where(idle.any(1), idle.argmax(1) + 2, losses.shape[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("model", "images", "boxes"):
        parser.add_argument(name)
    parser.add_argument("--list", required=True, metavar="FILES.csv", help="table with the column file")
    parser.add_argument("--preprocess", choices=list(tfxai.images.MODES), default="none")
    parser.add_argument("--limit", type=int, default=100, metavar="N")
    given = parser.parse_args()
    with open(given.list, newline="", encoding="utf-8") as lines:
        files = {row["file"] for row in list(csv.DictReader(lines))[::2][: given.limit]}
    explainer = tfxai.GuidedFeatureInversion(given.model, frames=True)
    boxes = {key: own for key, own in read_boxes(given.boxes).items() if key[0] in files}
    photographs = BoxedImages(given.images, boxes, *input_shape(explainer.view), given.preprocess)
    losses, frames = [], []
    for start in range(0, len(photographs), BATCH):
        rows = slice(start, start + BATCH)
        found = explainer(photographs[rows], photographs.classes[rows], verbose=0)
        losses.append(found.extras["target_history/total"])
        frames.append(found.extras["target_frames"])
    loss, masks = np.concatenate(losses), np.concatenate(frames)
    most = loss.shape[1]

    def heatmaps(steps: np.ndarray) -> np.ndarray:
        best = [row[:count].argmin() for row, count in zip(loss, steps, strict=True)]
        return np.asarray(enlarge(masks[np.arange(len(loss)), best], photographs.size))

    rules = {"all steps": np.full(len(loss), most)}
    rules |= {f"tolerance {one}": stopped(loss, one) for one in TOLERANCES}
    rules |= {f"{count} steps": np.full(len(loss), count) for count in range(1, most)}
    scores = compare_localization({name: heatmaps(steps) for name, steps in rules.items()}, photographs.boxes)
    print("| rule | steps of an image | of a batch | error | difference | hits | difference |")
    print("|---|---:|---:|---:|---|---:|---|")
    for score, steps in zip(scores, rules.values(), strict=False):
        batches = [steps[start : start + BATCH].max() for start in range(0, len(steps), BATCH)]
        cells = [score.name, f"{steps.mean():.2f}", f"{np.mean(batches):.2f}", f"{score.error:.3f}"]
        for value, ends in ((None, score.error_difference), (score.hits, score.hits_difference)):
            cells += [] if value is None else [f"{value:.3f}"]
            cells += ["" if ends is None else f"{ends[0]:+.3f} to {ends[1]:+.3f}"]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
