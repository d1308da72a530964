"""How the parameters of the preset "tfxai" of guided feature inversion were found: each changed alone, and compared.

    python benchmarks/inversion_preset.py flowers
    python benchmarks/inversion_preset.py photographs MODEL IMAGES BOXES.csv --list FILES.csv --preprocess caffe
    python benchmarks/inversion_preset.py photographs ... --half test

The variants are run on the training half of the photographs: the first, third, fifth ... file of the list. The other
half is for what is reported in the end. Flowers are drawn with a seed that no network was trained on, and their boxes
are those of their masks. Heat-maps are stored, so that the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

import tfxai
from tfxai.evaluation.boxed_images import BoxedImages, read_boxes
from tfxai.evaluation.localization import evaluate_localization, table
from tfxai.evaluation.stored import digest
from tfxai.metrics import compare_localization
from tfxai.models.predict import input_shape

VARIANTS = {
    "tfxai": {},
    "activations": {"channels": "activations"},
    "last layer": {"base": "pooled"},
    "both": {"channels": "activations", "base": "pooled"},
    "stage 2 alone": {"stages": "target"},
    "1 step": {"target_steps": 1},
    "25 steps": {"target_steps": 25},
    "rate 0.005": {"learning_rate": 0.005},
    "rate 0.05": {"learning_rate": 0.05},
    "penalty 0": {"inversion_penalty": 0.0, "target_penalty": 0.0},
    "penalty 3": {"target_penalty": 3.0},
    "penalty 20": {"target_penalty": 20.0},
    "scale-free L1": {"penalty": "scale_free"},
    "probability": {"objective": "probability"},
    "log p": {"objective": "log_probability"},
    "logit": {"objective": "logit", "target_penalty": 30.0},
    "mean": {"fill": "mean"},
    "squared": {"loss": "squared", "inversion_penalty": 0.0},
    "paper": {"preset": "paper"},
    "authors": {"preset": "authors"},
}


def chosen(arguments: argparse.Namespace) -> dict[str, dict]:
    """Variants by name; for photographs, Grad-CAM is beside them."""
    unknown = set(arguments.variants or ()) - VARIANTS.keys()
    if unknown:
        raise SystemExit(f"There are no variants {sorted(unknown)}; there are {list(VARIANTS)}.")
    return {name: VARIANTS[name] for name in arguments.variants or VARIANTS}


def explainers(model: object, variants: dict[str, dict]) -> dict[str, tfxai.Explainer]:
    """Grad-CAM, and each variant."""
    found = {name: tfxai.GuidedFeatureInversion(model, **options) for name, options in variants.items()}
    return {"Grad-CAM": tfxai.GradCAM(model), **found}


def flowers(arguments: argparse.Namespace) -> None:
    """Variants on flowers of both kinds."""
    for kind in ("single-6c", "double-12c"):
        images, labels, masks = tfxai.datasets.flowers.make(kind, n=arguments.limit or 120, seed=77)
        boxes = [box_of(mask) for mask in masks]
        made = explainers(tfxai.datasets.flowers.load_model(kind), chosen(arguments))
        heatmaps = ((name, explainer(images, labels, verbose=0).heatmaps()) for name, explainer in made.items())
        print(f"\n{kind}")
        for score in compare_localization(heatmaps, boxes):
            print(f"{score.name:16s} error {number(score.error)}  hits {number(score.hits)}", flush=True)


def number(value: float | None) -> str:
    """Three digits, or nothing."""
    return "     " if value is None else f"{value:.3f}"


def box_of(mask: np.ndarray) -> np.ndarray:
    """(1, 4) box around a mask."""
    (ys, xs) = np.nonzero(mask)
    return np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]])


def photographs(arguments: argparse.Namespace) -> None:
    """Variants on one half of the photographs of a list."""
    with open(arguments.list, newline="", encoding="utf-8") as lines:
        files = [row["file"] for row in csv.DictReader(lines)][arguments.half == "test" :: 2][: arguments.limit]
    every = read_boxes(arguments.boxes)
    boxes = {key: own for key, own in every.items() if key[0] in set(files)}
    variants = chosen(arguments)
    made = explainers(arguments.model, variants)
    view = made["Grad-CAM"].view
    given = BoxedImages(arguments.images, boxes, *input_shape(view), arguments.preprocess)
    common = {"model": digest(arguments.model), "preprocess": arguments.preprocess}
    facts = {name: common | {"options": variants.get(name)} for name in made}
    cache = arguments.cache / f"{Path(arguments.model).stem}-{arguments.half}"
    print("\n".join(table(evaluate_localization(made, given, given.classes, cache, facts, batch_size=16))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for run in (flowers, photographs):
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        command.add_argument("--variants", nargs="+", metavar="NAME", help=f"of {', '.join(VARIANTS)} (default: all)")
        command.add_argument("--limit", type=int, metavar="N", help="how many images (default: all; 120 flowers)")
    for name in ("model", "images", "boxes"):
        command.add_argument(name)
    command.add_argument("--list", required=True, metavar="FILES.csv", help="table with the column file")
    command.add_argument("--half", choices=["training", "test"], default="training")
    command.add_argument("--preprocess", choices=list(tfxai.images.MODES), default="none")
    command.add_argument("--cache", type=Path, default=Path("tfxai-evaluation"))
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
