"""Where inputs come from: a number of rows, each with an id, which can be read from any of them on."""

from __future__ import annotations

import csv
import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from tfxai import images
from tfxai.scale.records import Parquet, Row, TFRecords, fingerprint, known
from tfxai.scale.streamed import LABEL, Stream
from tfxai.streams import described

PATHS = ("path", "file", "image")  # columns of a .csv file that may hold paths
BLOCK = 2**20  # bytes of an array that are read at once
FOLDER = "folder"  # what the column of targets of a folder tree is called


class Source(Protocol):
    """Rows that can be explained."""

    @property
    def rows(self) -> int | None:
        """How many there are; None where only the end tells."""

    @property
    def facts(self) -> dict[str, Any]:
        """What tells these data from others, as JSON can hold it."""

    @property
    def raw(self) -> bool:
        """Whether rows are arrays as the model takes them, and no images."""

    def read(self, first: int, last: int) -> Iterable[Row]:
        """The rows from ``first`` up to ``last``."""


def open_source(given: Any, column: str | None = None, target: str | None = None) -> Source:
    """What is in a folder, a file, an array or a dataset.

    Parameters
    ----------
    given : path, ndarray or tf.data.Dataset
        A folder tree of images, or a folder of Parquet or TFRecord files; one such file, or a ``.csv`` of paths; a
        ``.npy`` file or an array of inputs; a dataset of batches, which gives the same rows each time it is read.
    column : str, optional
        The column of a table, or the feature of TFRecords, that holds images or paths. Default: the only one that
        qualifies.
    target : str, optional
        The column, or feature, that says which class is explained. Of a folder tree it is "folder": that in which an
        image lies, below the tree's own. Of a dataset of pairs, (inputs, labels), it is "label".

    Raises
    ------
    ValueError, TypeError
        If it is none of these, or empty.
    """
    if isinstance(given, tf.data.Dataset):
        known(target, [LABEL], "the dataset")
        return Stream(given, bool(target))
    if isinstance(given, np.ndarray):
        known(target, [], "an array")
        return Array(given)
    if not isinstance(given, str | PathLike):
        raise TypeError(
            "Expected the source to be a folder, a file, an array or a tf.data.Dataset of batches, got "
            f"{described(given)}. From other data, make one: tf.data.Dataset.from_generator."
        )
    path = Path(given)
    if not path.exists():
        raise ValueError(f"There is no source {str(path)!r}.")
    if path.is_dir():
        return _folder(path, column, target)
    if path.suffix == ".csv":
        return Files(path.parent, *_listed(path, column, target), "csv")
    if path.suffix == ".npy":
        known(target, [], f"the array {str(path)!r}")
        return Array(np.load(path, mmap_mode="r", allow_pickle=False), path)
    if path.suffix in (".parquet", ".pq"):
        return Parquet([path], column, target)
    if ".tfrecord" in path.name:
        return TFRecords([path], column, target)
    raise ValueError(
        f"Expected a folder of images, or a .csv, .npy, .parquet or .tfrecord file, got {str(path)!r}. One image is "
        "explained by tfxai.explain."
    )


class Files:
    """Images by their paths.

    Parameters
    ----------
    root : Path
        The folder to which paths are relative.
    paths : sequence of str
        Which are the ids as well.
    targets : sequence of str, optional
        Of each the target.
    kind : str
        Where the paths come from.
    """

    raw = False

    def __init__(self, root: Path, paths: Sequence[str], targets: Sequence[str] | None, kind: str):
        self.root, self.paths, self.rows = root, paths, len(paths)
        self.targets = [None] * len(paths) if targets is None else targets
        found = hashlib.sha256()
        for path, target in zip(paths, self.targets, strict=True):
            try:
                size = os.stat(root / path).st_size
            except OSError:  # it will fail when it is read
                size = -1
            found.update(f"{path}\0{size}\n".encode())
            if target is not None:
                found.update(f"{target}\n".encode())
        self.facts = {"kind": kind, "rows": self.rows, "digest": found.hexdigest()[:16]}

    def read(self, first: int, last: int) -> Iterator[Row]:
        rows = zip(self.paths[first:last], self.targets[first:last], strict=True)
        return (Row(path, self.root / path, target) for path, target in rows)


class Array:
    """Rows of an array in memory, or of a ``.npy`` file, of which no more is in memory than a block."""

    raw = True

    def __init__(self, values: np.ndarray, path: Path | None = None):
        if values.ndim < 2 or not len(values):
            raise ValueError(f"Expected an array of one or more inputs, (n, ...), got shape {values.shape}.")
        self.values, self.rows, self.path = values, len(values), path
        digest = fingerprint([path]) if path else hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()[:16]
        self.facts = {"kind": "array", "rows": self.rows, "type": str(values.dtype), "digest": digest}

    def read(self, first: int, last: int) -> Iterator[Row]:
        last = min(last, self.rows)
        if self.path is None or not self.values.flags.c_contiguous:
            yield from (Row(str(row), self.values[row]) for row in range(first, last))
            return
        shape, kind = self.values.shape[1:], self.values.dtype  # pages of a file that is mapped would stay in memory
        size = math.prod(shape)
        at_once = max(1, BLOCK // (size * kind.itemsize or 1))
        with self.path.open("rb") as stream:
            stream.seek(self.values.offset + first * self.values.strides[0])  # type: ignore[attr-defined]
            for start in range(first, last, at_once):
                count = min(at_once, last - start)
                block = np.fromfile(stream, kind, count * size).reshape(count, *shape)
                yield from (Row(str(start + number), row) for number, row in enumerate(block))


def _folder(path: Path, column: str | None, target: str | None) -> Source:
    """The images below a folder, or the Parquet files or TFRecords where there are no images."""
    found: dict[str, list[str]] = {"images": [], "Parquet files": [], "TFRecords": []}
    for folder, _, files in os.walk(path):
        relative = Path(folder).relative_to(path).as_posix()
        for name in files:
            if kind := _kind(name):
                found[kind].append(name if relative == "." else f"{relative}/{name}")
    if found["images"]:
        known(target, [FOLDER], f"a folder tree such as {str(path)!r}")
        paths = sorted(found["images"])
        return Files(path, paths, [_first(name) for name in paths] if target else None, "folder")
    there = [kind for kind, names in found.items() if names]
    if len(there) != 1:
        what = f"both {' and '.join(there)}" if there else "none of them"
        raise ValueError(f"Expected a folder of images, Parquet files or TFRecords; {str(path)!r} has {what}.")
    parts = [path / name for name in sorted(found[there[0]])]
    return (Parquet if there == ["Parquet files"] else TFRecords)(parts, column, target)


def _first(path: str) -> str:
    """The first folder of a path; empty if it has none."""
    return path.partition("/")[0] if "/" in path else ""


def _kind(name: str) -> str | None:
    if name.lower().endswith(images.SUFFIXES):
        return "images"
    if name.endswith((".parquet", ".pq")):
        return "Parquet files"
    return "TFRecords" if ".tfrecord" in name else None


def _listed(path: Path, column: str | None, target: str | None) -> tuple[list[str], list[str] | None]:
    """The paths in a ``.csv`` file, and their targets."""
    with path.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        columns = list(rows.fieldnames or ())
        chosen = column or next((name for name in PATHS if name in columns), None)
        if chosen not in columns:
            wanted = repr(column) if column else " or ".join(map(repr, PATHS))
            raise ValueError(f"Expected {str(path)!r} to have a column {wanted} of paths, it has {columns}.")
        known(target, columns, repr(str(path)))
        listed = [(row[chosen], row[target] if target else "") for row in rows]
    found = [one for one, _ in listed]
    if not found:
        raise ValueError(f"Expected {str(path)!r} to have one row or more.")
    if len(set(found)) < len(found):
        twice = next(one for number, one in enumerate(found) if one in found[:number])
        raise ValueError(f"Expected each path once in {str(path)!r}; {twice!r} is there twice.")
    return found, [own or "" for _, own in listed] if target else None
