"""Keras models from files, and what to do where Keras cannot read them, the reason first."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

from keras.models import load_model

from tfxai.models.saved_model import is_saved_model

SUFFIXES = (".keras", ".h5", ".hdf5")


UNKNOWN = re.compile(r"(?:Could not (?:locate|deserialize) (?:class|function)|Unknown [\w ]+:) '([^']+)'")


class UnknownObject(ValueError):
    """A file needs a class or a function that Keras does not know, of this ``name``."""

    def __init__(self, failed: str, name: str):
        self.failed, self.name = failed, name.rpartition(">")[2]  # without its package
        super().__init__(
            f"{failed}it needs {name!r}, which Keras does not know. Load it yourself and give the model: "
            f"keras.models.load_model(path, custom_objects={{{name!r}: {self.name}}}, compile=False)."
        )


def load(path: Path) -> Any:
    """The Keras model in a file, or the path of a SavedModel.

    Raises
    ------
    UnknownObject
        If a layer or function of the file is neither Keras's nor registered.
    ValueError
        If there is no such file, it holds no model, or one that Keras cannot read.
    """
    if is_saved_model(path):
        return path
    if not path.exists():
        raise ValueError(f"There is no model file {str(path)!r}.")
    if path.suffix not in SUFFIXES:
        raise ValueError(f"Expected a .keras or .h5 file or the folder of a SavedModel, got {str(path)!r}.")
    try:
        return load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds for a damaged file
        raise _explained(path, str(error)) from error


def _explained(path: Path, text: str) -> ValueError:
    """The error of Keras, the reason and the way out before all else."""
    failed = f"Cannot load a Keras model from {str(path)!r}: "
    version = _keras_version(path)
    if version.startswith("2."):
        return ValueError(
            f"{failed}it was written by Keras {version}, whose .keras files Keras 3 does not read. Where it was made, "
            "save it as model.h5 or as a SavedModel, and give that."
        )
    if unknown := UNKNOWN.search(text):
        return UnknownObject(failed, unknown[1])
    if "`Lambda`" in text:
        return ValueError(
            f"{failed}it has a Lambda layer, which is Python code that would run. If you trust the file, load it "
            "yourself, keras.models.load_model(path, safe_mode=False), and give the model, or the folder to which "
            "model.export(folder) writes it as a SavedModel."
        )
    return ValueError(failed + _reason(text))


def _reason(text: str) -> str:
    """What Keras says at the end of its report, without the configuration that it prints."""
    last = text.rpartition("Exception encountered: ")[2]
    return re.split(r"\n\nconfig=| Full object config| using config=", last)[0].strip()[:400]


def _keras_version(path: Path) -> str:
    """By which version a ``.keras`` file was written, as far as it says."""
    try:
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json"))["keras_version"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return ""
