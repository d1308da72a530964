"""Where inputs come from: a number of rows, each with an id, which can be read from any of them on."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import tensorflow as tf

from tfxai import images
from tfxai.scale.records import Parquet, TFRecords, fingerprint
from tfxai.streams import described, unpacked

PATHS = ("path", "file", "image")  # columns of a .csv file that may hold paths
Row: TypeAlias = tuple[str, Any]  # the id, and what `Explain.prepare` takes: an array, bytes, a path, or an error


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


def open_source(given: Any, column: str | None = None) -> Source:
    """What is in a folder, a file, an array or a dataset.

    Parameters
    ----------
    given : path, ndarray or tf.data.Dataset
        A folder tree of images, or a folder of Parquet or TFRecord files; one such file, or a ``.csv`` of paths; a
        ``.npy`` file or an array of inputs; a dataset of batches, which gives the same rows each time it is read.
    column : str, optional
        Of a table the column, or of TFRecords the feature, that holds images or paths. Default: the one that can be
        meant.

    Raises
    ------
    ValueError, TypeError
        If it is none of these, or empty.
    """
    if isinstance(given, tf.data.Dataset):
        return Stream(given)
    if isinstance(given, np.ndarray):
        return Array(given)
    if not isinstance(given, str | PathLike):
        raise TypeError(
            "Expected the source to be a folder, a file, an array or a tf.data.Dataset of batches, got "
            f"{described(given)}. Of other data make one: tf.data.Dataset.from_generator."
        )
    path = Path(given)
    if not path.exists():
        raise ValueError(f"There is no source {str(path)!r}.")
    if path.is_dir():
        return _folder(path, column)
    if path.suffix == ".csv":
        return Files(path.parent, _listed(path, column), "csv")
    if path.suffix == ".npy":
        return Array(np.load(path, mmap_mode="r", allow_pickle=False), path)
    if path.suffix in (".parquet", ".pq"):
        return Parquet([path], column)
    if ".tfrecord" in path.name:
        return TFRecords([path], column)
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
    kind : str
        Where the paths come from.
    """

    raw = False

    def __init__(self, root: Path, paths: Sequence[str], kind: str):
        self.root, self.paths, self.rows = root, paths, len(paths)
        found = hashlib.sha256()
        for path in paths:
            try:
                size = os.stat(root / path).st_size
            except OSError:  # it will fail when it is read
                size = -1
            found.update(f"{path}\0{size}\n".encode())
        self.facts = {"kind": kind, "rows": self.rows, "digest": found.hexdigest()[:16]}

    def read(self, first: int, last: int) -> Iterator[Row]:
        return ((path, self.root / path) for path in self.paths[first:last])


class Array:
    """Rows of an array in memory, or of a ``.npy`` file that is read as far as it is asked for."""

    raw = True

    def __init__(self, values: np.ndarray, path: Path | None = None):
        if values.ndim < 2 or not len(values):
            raise ValueError(f"Expected an array of one or more inputs, (n, ...), got shape {values.shape}.")
        self.values, self.rows = values, len(values)
        digest = fingerprint([path]) if path else hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()[:16]
        self.facts = {"kind": "array", "rows": self.rows, "type": str(values.dtype), "digest": digest}

    def read(self, first: int, last: int) -> Iterator[Row]:
        return ((str(row), np.array(self.values[row])) for row in range(first, min(last, self.rows)))


class Stream:
    """The rows of a dataset of batches, one after the other; what is not asked for is read and left aside."""

    raw = True

    def __init__(self, dataset: tf.data.Dataset):
        if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise ValueError("The dataset is infinite. Take a part of it, such as dataset.take(batches).")
        self.dataset, self.rows = dataset, None
        first = next(iter(self._rows()), None)
        if first is None:
            raise ValueError("The dataset is empty: expected at least one batch.")
        # The first row tells whether the order is another one, as that of a dataset that is shuffled again.
        digest = hashlib.sha256(np.ascontiguousarray(first).tobytes()).hexdigest()[:16]
        self.facts = {"kind": "dataset", "first row": digest, "shape": list(first.shape)}
        self._open: Iterator[np.ndarray] | None = None
        self._next = 0

    def read(self, first: int, last: int) -> Iterator[Row]:
        if self._open is None or first < self._next:
            self._open, self._next = self._rows(), 0
        for row in self._open:
            self._next += 1
            if self._next > first:
                yield str(self._next - 1), row
            if self._next >= last:
                return

    def _rows(self) -> Iterator[np.ndarray]:
        for batch in self.dataset:
            x, _ = unpacked(batch)
            if isinstance(x, dict | list | tuple):
                raise TypeError(f"Expected a dataset of batches of one input, got {described(x)}.")
            if not x.shape.rank:
                raise ValueError("Expected a dataset of batches, got single numbers: dataset.batch(32).")
            yield from x.numpy()


def _folder(path: Path, column: str | None) -> Source:
    """The images below a folder, or the Parquet files or TFRecords where there are no images."""
    found: dict[str, list[str]] = {"images": [], "Parquet files": [], "TFRecords": []}
    for folder, _, files in os.walk(path):
        relative = Path(folder).relative_to(path).as_posix()
        for name in files:
            if kind := _kind(name):
                found[kind].append(name if relative == "." else f"{relative}/{name}")
    if found["images"]:
        return Files(path, sorted(found["images"]), "folder")
    there = [kind for kind, names in found.items() if names]
    if len(there) != 1:
        what = f"both {' and '.join(there)}" if there else "none of them"
        raise ValueError(f"Expected a folder of images, Parquet files or TFRecords; {str(path)!r} has {what}.")
    paths = [path / name for name in sorted(found[there[0]])]
    return Parquet(paths, column) if there == ["Parquet files"] else TFRecords(paths, column)


def _kind(name: str) -> str | None:
    if name.lower().endswith(images.SUFFIXES):
        return "images"
    if name.endswith((".parquet", ".pq")):
        return "Parquet files"
    return "TFRecords" if ".tfrecord" in name else None


def _listed(path: Path, column: str | None) -> list[str]:
    """The paths in a ``.csv`` file."""
    with path.open(newline="", encoding="utf-8-sig") as lines:
        rows = csv.DictReader(lines)
        columns = list(rows.fieldnames or ())
        chosen = column or next((name for name in PATHS if name in columns), None)
        if chosen not in columns:
            wanted = repr(column) if column else " or ".join(map(repr, PATHS))
            raise ValueError(f"Expected {str(path)!r} to have a column {wanted} of paths, it has {columns}.")
        found = [row[chosen] for row in rows]
    if not found:
        raise ValueError(f"Expected {str(path)!r} to have one row or more.")
    if len(set(found)) < len(found):
        twice = next(one for number, one in enumerate(found) if one in found[:number])
        raise ValueError(f"Expected each path once in {str(path)!r}, {twice!r} is there twice.")
    return found
