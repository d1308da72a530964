"""What the options that commands share mean: the model, the methods, where results go."""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Literal

import keras

from tfxai import api
from tfxai.api import Named
from tfxai.archive import digest
from tfxai.cli.options import DEFAULT_METHODS
from tfxai.custom import custom_objects
from tfxai.display import palette
from tfxai.models import ModelView, open_model
from tfxai.models.first import takes_pixels_unscaled
from tfxai.models.loading import UnknownObject
from tfxai.neurons.prediction import PredictionByFeatures
from tfxai.preprocessing import of_application


def opened(arguments: argparse.Namespace) -> ModelView:
    """The model that the options of `add_model_options` name; with a note if it seems to need other pixels."""
    view = _opened(arguments)
    if getattr(arguments, "assumed", False) and takes_pixels_unscaled(view):
        print(
            f"note: the model does not rescale pixels itself, and gets them as they are, 0 to 255. {_advice(view)}",
            flush=True,
        )
    return view


def _advice(view: ModelView) -> str:
    """What is to be done about pixels. The name of a network is advice only: it may have been trained anew."""
    names = [str(view.origin.get("model")), *(layer.name.partition("/")[0] for layer in view.layers())]
    known = of_application(names)
    if known is None:
        return "If it was trained on rescaled pixels, say so with --preprocess; --preprocess none silences this note."
    return (
        f"It is called {known[0]!r}, like a network of keras.applications whose weights expect --preprocess {known[1]}"
        "; --preprocess none silences this note."
    )


def _opened(arguments: argparse.Namespace) -> ModelView:
    with keras.saving.custom_object_scope(custom_objects(arguments.custom_objects)):
        try:
            return open_model(arguments.model, arguments.model_output, arguments.signature)
        except UnknownObject as error:
            raise ValueError(
                f"{error.failed}it needs {error.name!r}, which Keras does not know. Say where it is: "
                f"--custom-objects MODULE:{error.name}."
            ) from error


def check_folder(folder: Path) -> None:
    """ValueError if results cannot be written there; nothing is made yet."""
    nearest = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    if not nearest.is_dir():
        raise ValueError(f"Expected a folder for the results, but {str(nearest)!r} is a file.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ValueError(f"Expected a folder that can be written to, but {str(nearest)!r} cannot.")


def check_file(file: Path | None) -> None:
    """As `check_folder`, of a file, if one is asked for."""
    if file is not None:
        check_folder(file.parent)
        if file.is_dir():
            raise ValueError(f"Expected a file to write to, but {str(file)!r} is a folder.")


def bound(given: str) -> float | Literal["auto"]:
    """What ``--mu`` says; ValueError if that is no number."""
    try:
        return "auto" if given == "auto" else float(given)
    except ValueError:
        raise ValueError(f"Expected --mu to be a positive number or auto, got {given!r}.") from None


def look(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the options of `add_look_options` say, as `tfxai.plot_grid` takes it; ValueError if it cannot be drawn."""
    found = {name: getattr(arguments, name) for name in ("polarity", "cmap", "alpha")}
    given = {name: value for name, value in found.items() if value is not None}
    if given and not arguments.images:
        raise ValueError(
            f"Expected --{next(iter(given))} with image files: texts and tables are drawn by their values."
        )
    palette(given.get("cmap"), signed=False)
    if not 0 <= given.get("alpha", 0.5) <= 1:
        raise ValueError(f"Expected --alpha to be between 0 and 1, got {arguments.alpha}.")
    return given


def check_batch_size(arguments: argparse.Namespace) -> None:
    """ValueError if nothing fits into a batch."""
    if arguments.batch_size < 1:
        raise ValueError(f"Expected --batch-size to be at least 1, got {arguments.batch_size}.")


def chosen_methods(arguments: argparse.Namespace, default: Sequence[str] = DEFAULT_METHODS) -> dict[str, Named]:
    """The methods as they were given."""
    check_batch_size(arguments)
    chosen: dict[str, Named] = {}
    takes_layer = False
    for text in arguments.method or default:
        method = api.named(text)
        common = {"score": arguments.score} if arguments.score else {}
        if arguments.layer is not None and method.takes("layer"):
            takes_layer = True
            common["layer"] = arguments.layer
        if method.innermost.cls is PredictionByFeatures and "features" not in method.innermost.options:
            raise ValueError(
                "The method relevant_features needs a file of features: relevant_features:features=FILE, as `tfxai "
                "features fit` writes it."
            )
        chosen[_short(method, chosen)] = method.preset(**common)
    if arguments.layer is not None and not takes_layer:
        raise ValueError("Expected --layer with a method that takes one, such as grad_cam.")
    return chosen


def facts_of(method: Named) -> dict[str, Any]:
    """A method with its options, and what is in the file of features that it may have."""
    file = method.innermost.options.get("features")
    content = {} if file is None else {"features": digest(file)}
    return method.described() | content


def _short(method: Named, taken: Collection[str]) -> str:
    """The title of a method, in which a file goes by its name alone, unless that is taken."""
    file = str(method.innermost.options.get("features", ""))
    short = method.title.replace(file, Path(file).name) if file else method.title
    return method.title if short in taken else short


def read_classes(file: str) -> list[str]:
    """Names of classes: one per line, or the column 'name' of a ``.csv`` file."""
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"There is no file {file!r} with names of classes.")
    with path.open(newline="", encoding="utf-8-sig") as lines:
        if path.suffix.lower() == ".csv":
            rows = csv.DictReader(lines)
            if "name" not in (rows.fieldnames or ()):
                raise ValueError(f"Expected {file!r} to have a column 'name', got {', '.join(rows.fieldnames or ())}.")
            return [row["name"] for row in rows]
        return [line.strip() for line in lines if line.strip()]
