"""Which methods find the petals that a vision transformer goes by, against Grad-CAM on the same flowers.

    python benchmarks/transformer.py

The score is the area under the curve of intersection over union with the decisive pixels. Intervals hold 95 per cent:
flowers are drawn anew, and both methods scored on the same ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from tfxai.datasets import flowers
from tfxai.evaluation.flowers import OF_TRANSFORMERS
from tfxai.metrics import bootstrap_interval, iou_curve
from tfxai.models import open_model


def areas(n: int, seed: int, methods: list[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Methods, and for each flower the area in per cent."""
    images, labels, masks = flowers.make("single-6c", n, seed=seed)
    view = open_model(flowers.load_model("single-6c", "vit"))
    for name in methods:
        explanation = OF_TRANSFORMERS[name](view)(images.astype(np.float32), target=labels, verbose=0)
        yield name, 100 * iou_curve(explanation.heatmaps(), masks).mean(1)


def row(name: str, scores: np.ndarray, reference: np.ndarray) -> str:
    """A line of the table."""
    low, high = bootstrap_interval(scores)
    cells = [name, f"{scores.mean():.1f} ({low:.1f} to {high:.1f})"]
    if scores is not reference:
        low, high = bootstrap_interval(scores - reference)
        cells.append(f"{(scores - reference).mean():+.1f} ({low:+.1f} to {high:+.1f})")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=240)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--methods", nargs="+", choices=list(OF_TRANSFORMERS), default=list(OF_TRANSFORMERS))
    given = parser.parse_args()
    found: dict[str, np.ndarray] = {}
    print("| method | area | against Grad-CAM |\n|---|---|---|")
    for name, scores in areas(given.images, given.seed, ["Grad-CAM", *given.methods]):
        if name not in found:
            found[name] = scores
            print(row(name, scores, found["Grad-CAM"]), flush=True)


if __name__ == "__main__":
    main()
