"""The command ``tfxai resample``."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tfxai.cli.work import files
from tfxai.cli.work.explaining import chosen_target, class_names
from tfxai.cli.work.given import check_batch_size, check_folder, opened
from tfxai.pages import page
from tfxai.pages.resampled import label
from tfxai.resampling import InputResampling
from tfxai.resampling.result import Resampling
from tfxai.resampling.selection import ranked

SEES = 0.5  # of the sides of an image, the most that a box may take
COLUMNS = ("file", "layer", "score", "rank", "channel", "value", "activity")


def run(arguments: argparse.Namespace) -> int:
    """Resample image by image, and write what was found; 1 if some of the files were not images, else 0."""
    check_batch_size(arguments)
    if arguments.best < 1:
        raise ValueError(f"Expected --best to be at least 1, got {arguments.best}.")
    paths, names = files.find(arguments.images), class_names(arguments)
    target = chosen_target(arguments.target, names)
    check_folder(arguments.output)
    view = opened(arguments)
    given = files.Images(paths, view, arguments.preprocess, 1, arguments.crop)
    method = InputResampling(
        view,
        arguments.layers,
        samples=arguments.samples,
        perturbation=arguments.perturbation,
        sigma=arguments.sigma,
        activity=arguments.activity,
        relative=True,
        effect=arguments.effect,
        seed=arguments.seed,
        classes=names,
    )
    table, titles = arguments.output / "channels.csv", files.titles(paths)
    print(f"resampling {len(paths)} images, {arguments.samples} copies of each ...", flush=True)
    begun = False
    for group, photographs, inputs in given:
        for path, photograph, image in zip(group, photographs, inputs, strict=True):
            result = method(image[None], target, arguments.batch_size, verbose=0)
            print(f"\n{path}\n  {label(result)}: score {result.score[0]:.4g} ± {result.spread[0]:.2g} over the copies")
            folder = arguments.output / titles[path]
            folder.mkdir(parents=True, exist_ok=True)
            result.save(folder / "resampling.npz")
            with table.open("a" if begun else "w", newline="", encoding="utf-8") as stream:
                rows = [(path, *line) for line in best(result, arguments.best)]
                csv.writer(stream).writerows(rows if begun else [COLUMNS, *rows])
            begun = True
            for name, figure in pictures(method, result, photograph, arguments.best):
                files.save(figure, folder / f"{name}.png")
            page(
                result, [photograph], path=folder / "channels.html", names=[path.name], title=f"Channels of {path.name}"
            )
    print(f"\nbest channels: {table}")
    return given.status("resampled")


def best(result: Resampling, count: int) -> Iterator[tuple[Any, ...]]:
    """Layer, score, rank, channel, value and activity of the best channels of the first image by each score."""
    for layer in result.layers:
        for score, by_layer in result.scores.items():
            if layer in by_layer:  # weights are those of layers with a kernel
                values, activity = by_layer[layer][0], result.activity[layer][0]
                for rank, channel in enumerate(ranked(by_layer[layer], count)[0], 1):
                    if channel >= 0:
                        yield layer, score, rank, channel, values[channel], activity[channel]


def local(method: InputResampling, inputs: np.ndarray, layers: tuple[str, ...]) -> list[str]:
    """Layers whose units see less than half of the image along a side, of which boxes tell something; or else all."""
    fields = method.fields(inputs, layers).items()
    narrow = [layer for layer, field in fields if (np.divide(field.size, field.image) < SEES).all()]
    return narrow or list(layers)


def pictures(
    method: InputResampling, result: Resampling, photograph: np.ndarray, count: int
) -> Iterator[tuple[str, Figure]]:
    """Names and figures for one image, each made when its turn comes."""
    shown: dict[str, Any] = {"top": count, "images": [photograph]}
    layers = local(method, result.inputs, result.layers)
    yield "patches", result.plot_patches(layers=layers, **shown)
    yield "sets", result.plot_sets(layers=layers, **shown)
    yield "overlap", result.compare(top=count).plot()
    for layer in result.layers:
        yield f"scores-{layer.replace('/', '-')}", result.plot_scores(layer, **shown)
