"""How many masks RISE needs: rank correlation with the map of 20,000 masks that are drawn alone.

    python benchmarks/rise.py                           # flowers
    python benchmarks/rise.py --data folder --networks mobilenet_v2 --images 8

The folder has what `photographs` says. The long maps take minutes each; --keep names a folder in which they are kept.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy import stats

import tfxai

MANY = 20_000
WAYS = {
    "alone, 500": {"masks": 500, "balanced": False},
    "alone, 1500": {"masks": 1500, "balanced": False},
    "balanced, 500": {"masks": 500},
    "balanced, 512": {"masks": 512},
}
NETWORKS = {
    "mobilenet_v1": ("mobilenet_v1_025_224.keras", "mobilenet_v1_025_warp"),
    "mobilenet_v2": ("mobilenet_v2_224.keras", "mobilenet_v2_warp"),
    "squeezenet": ("squeezenet_v1_0.keras", "squeezenet_v1_0_227"),
}


def flowers(count: int) -> tuple[keras.Model, Iterator[np.ndarray]]:
    images, _, _ = tfxai.datasets.flowers.make(n=count, seed=501)
    return tfxai.datasets.flowers.load_model(), iter(images.astype("float32"))


def photographs(
    data: Path, name: str, count: int, names: str = "small_300.csv"
) -> tuple[keras.Model, Iterator[np.ndarray]]:
    """Models in models/, what they take in models/preprocessing.json, the photographs in the column file of a table."""
    file, preprocessing = NETWORKS[name]
    given = json.loads((data / "models" / "preprocessing.json").read_text())[preprocessing]
    with open(data / names) as table:
        files = list(dict.fromkeys(row["file"] for row in csv.DictReader(table)))

    def image(file: str) -> np.ndarray:
        pixels = keras.utils.img_to_array(
            keras.utils.load_img(data / file, target_size=(given["crop"],) * 2, interpolation="bilinear")
        )
        pixels = pixels[..., ::-1] if given["order"] == "BGR" else pixels
        return (pixels - np.array(given["mean"], "float32")) * np.float32(given["scale"])

    model = keras.models.load_model(data / "models" / file)
    return model, (image(files[37 * n % len(files)]) for n in range(count))  # 37: not neighbours


def correlations(name: str, model: keras.Model, images: Iterator[np.ndarray], keep: Path | None) -> list[list[float]]:
    """(images, ways) Spearman's, of each image's map with its long one."""

    def found(image: np.ndarray, seed: int, **options: Any) -> np.ndarray:
        return tfxai.RISE(model, seed=seed, **options).explain(image[None], verbose=0).values[0]

    rows = []
    for number, image in enumerate(images):
        file = keep / f"{name}_{number}.npy" if keep else None
        if file and file.exists():
            truth = np.load(file)
        else:
            truth = found(image, 10_000 + number, masks=MANY, balanced=False)
            if file:
                np.save(file, truth)
        rows.append([stats.spearmanr(found(image, number, **way).ravel(), truth.ravel())[0] for way in WAYS.values()])
        print(f"  {name} {number}: " + ", ".join(f"{one:.3f}" for one in rows[-1]), flush=True)
    return rows


def report(name: str, rows: list[list[float]]) -> None:
    """Means over images, and paired 95 % bootstrap intervals of what balanced masks have more than 1500 alone."""
    values = np.array(rows)
    drawn = np.random.default_rng(0).integers(len(values), size=(10_000, len(values)))
    base = list(WAYS).index("alone, 1500")
    cells = []
    for column in range(len(WAYS)):
        low, high = np.percentile((values[:, column] - values[:, base])[drawn].mean(1), [2.5, 97.5])
        cells.append(f"{values[:, column].mean():.3f}" + ("" if column == base else f" [{low:+.3f}, {high:+.3f}]"))
    print(f"| {name} | {len(values)} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of networks and photographs")
    parser.add_argument("--networks", nargs="+", choices=["flowers", *NETWORKS], default=["flowers"])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="folder for the long maps")
    given = parser.parse_args()
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    tables = []
    for name in given.networks:
        model, images = flowers(given.images) if name == "flowers" else photographs(given.data, name, given.images)
        tables.append(partial(report, name, correlations(name, model, images, given.keep)))
    print("| network | images | " + " | ".join(WAYS) + " |\n|---|---:|" + "---:|" * len(WAYS))
    for table in tables:
        table()


if __name__ == "__main__":
    main()
