"""The command ``tfxai features fit``."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfxai.cli.work import files
from tfxai.cli.work.explaining import class_names
from tfxai.cli.work.given import bound, check_batch_size, check_file, opened
from tfxai.models.predict import predict
from tfxai.neurons import RelevantFeatures
from tfxai.synthesis.box import box
from tfxai.targets import class_id

SHOWN = 20  # classes in the picture
FEATURES = 5  # of each class there


def run(arguments: argparse.Namespace) -> int:
    """Fit the features, write them, print a report, and draw them; 1 if some of the files were not images, else 0."""
    check_batch_size(arguments)
    output = arguments.output if arguments.output.suffix == ".npz" else Path(f"{arguments.output}.npz")
    for file in (arguments.output, output, output.with_suffix(".png")):
        check_file(file)
    mu, names = bound(arguments.mu), class_names(arguments)
    labels = read_labels(arguments.images, arguments.labels, names)
    view = opened(arguments)
    given = files.Images(list(labels), view, arguments.preprocess, arguments.batch_size, arguments.crop)
    if arguments.labels is None and names is None:
        check_folders(labels, predict(view, next(iter(given)).inputs[:1], 1).values.shape[1])
    predicted: Literal["predicted"] | None = "predicted" if arguments.labels == "predicted" else None
    stream: Any = Labelled(given, labels)

    print(f"fitting to {len(labels)} images ...", flush=True)
    features = RelevantFeatures(view, arguments.layers, mu=mu, seed=arguments.seed, classes=names)
    features.fit(stream, predicted, arguments.batch_size, verbose=1)
    output.parent.mkdir(parents=True, exist_ok=True)
    features.save(output)
    print(f"\n{features.report()}\n\nfeatures: {output}", flush=True)

    shown = sorted(features.features_, key=lambda one: -features.counts_[one])[:SHOWN]
    shown = sorted(one for one in shown if features.features_[one])
    if shown:
        own = predicted or np.array([label for path, label in labels.items() if path not in given.errors])
        found = features.interpret(
            stream,
            own,
            classes=shown,
            top=FEATURES,
            display=box(arguments.preprocess).pixels,
            batch_size=arguments.batch_size,
            verbose=1,
        )
        print("\naverage images:")
        files.save(found.plot(top=FEATURES), output.with_suffix(".png"))
    return given.status("used")


class Labelled:
    """Batches of images with their classes, read again each time."""

    def __init__(self, given: files.Images, labels: Mapping[Path, int]):
        self.given, self.labels = given, labels

    def __len__(self) -> int:
        return len(self.given)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for group in self.given:
            yield group.inputs, np.array([self.labels[path] for path in group.paths])


def read_labels(folder: Path, given: str | None, names: Sequence[str] | None) -> dict[Path, int]:
    """Files to classes, by the folders that they are in or by a table; all 0, if the model is to tell."""
    if not folder.is_dir():
        raise ValueError(f"Expected a folder of images, and {str(folder)!r} is not one.")
    if given not in (None, "predicted"):
        return _from_table(folder, Path(str(given)), names)
    inside = sorted(one for one in folder.iterdir() if one.is_dir())
    by_folder = {one: found for one in inside if (found := files.in_folder(one))}
    if given == "predicted":
        paths = [*files.in_folder(folder), *(path for found in by_folder.values() for path in found)]
        if not paths:
            raise ValueError(f"There are no images in {str(folder)!r}.")
        return dict.fromkeys(paths, 0)
    if not by_folder:
        raise ValueError(
            f"Expected a folder for each class in {str(folder)!r}, with its images; or --labels, the table of the "
            "classes, or predicted."
        )
    classes = _classes([one.name for one in by_folder], names)
    return {path: label for label, found in zip(classes, by_folder.values(), strict=True) for path in found}


def check_folders(labels: Mapping[Path, int], count: int) -> None:
    """ValueError if folders that are counted are not as many as the classes of the model."""
    folders = {path.parent.name for path in labels}
    if len(folders) != count and not all(map(str.isdecimal, folders)):
        raise ValueError(
            f"The model has {count} classes, but there are {len(folders)} folders of images: name them by the numbers "
            "of their classes, or give --classes with the names of all classes."
        )


def _classes(texts: Sequence[str], names: Sequence[str] | None) -> list[int]:
    """Classes that are given as numbers or names; if there are no names, in their order."""
    if all(map(str.isdecimal, texts)):
        return list(map(int, texts))
    return list(range(len(texts))) if names is None else [class_id(text, names) for text in texts]


def _from_table(folder: Path, table: Path, names: Sequence[str] | None) -> dict[Path, int]:
    if not table.is_file():
        raise ValueError(f"There is no file {str(table)!r} with labels. Expected a .csv file, or predicted.")
    with table.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        columns = rows.fieldnames or ()
        if not {"file", "class"} <= set(columns):
            raise ValueError(f"Expected {str(table)!r} to have the columns file and class, it has {list(columns)}.")
        found = {folder / row["file"]: row["class"].strip() for row in rows}
    if not found:
        raise ValueError(f"There are no labels in {str(table)!r}: expected one or more rows.")
    wrong = [text for text in found.values() if not text.isdecimal()]
    if wrong and names is None:
        raise ValueError(f"Expected --classes with the names of all classes, as {str(table)!r} has {wrong[0]!r}.")
    by_name = {text: class_id(text, names) for text in set(wrong)}
    return {path: by_name[text] if text in by_name else int(text) for path, text in found.items()}
