"""Inputs in containers that many data sets come in: Parquet and TFRecord files."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfxai.scale.extras import needed

ENDS = 2**16  # bytes at either end of a file that tell it from others
IMAGES = ("image", "image/encoded", "image_raw", "img", "path", "file", "input")  # columns that may be meant


class Row(NamedTuple):
    """A row of a source.

    Attributes
    ----------
    id : str
        Its path relative to the source, or its number.
    given : Any
        What `tfxai.scale.Explain.prepare` takes: an array, bytes, a path, or an error.
    target : Any
        What its column of targets says; None where there is none.
    """

    id: str
    given: Any
    target: Any = None


def fingerprint(files: Sequence[Path]) -> str:
    """What tells large files from others without reading all of them: their names, sizes, and both ends."""
    found = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        found.update(f"{file.name}\0{size}\n".encode())
        with file.open("rb") as stream:
            found.update(stream.read(ENDS))
            stream.seek(max(0, size - ENDS))
            found.update(stream.read(ENDS))
    return found.hexdigest()[:16]


def chosen(column: str | None, known: Sequence[str], where: str) -> str:
    """The column that is meant."""
    found = column or next((name for name in IMAGES if name in known), known[0] if len(known) == 1 else None)
    if found is None or found not in known:
        said = f"a column {column!r}" if column else "a column of images; name it by column= (--column)"
        raise ValueError(f"Expected {where} to have {said}. It has {list(known)}.")
    return found


def known(target: str | None, names: Sequence[str], where: str) -> None:
    """ValueError if there is no such column of targets."""
    if target is not None and target not in names:
        raise ValueError(f"Expected {where} to have a column {target!r} of targets. It has {list(names)}.")


class Parquet:
    """A column of Parquet files: images, encoded, or in structs as ``bytes`` or ``path``; paths; or numbers."""

    def __init__(self, files: Sequence[Path], column: str | None, target: str | None = None):
        parquet = needed("pyarrow.parquet", "Parquet files")
        self.files = list(files)
        try:
            opened = [parquet.ParquetFile(file) for file in files]
        except (OSError, ValueError) as error:
            raise ValueError(f"Expected Parquet files: {error}") from error
        schema = opened[0].schema_arrow
        self.column = chosen(column, schema.names, repr(str(files[0])))
        known(target, schema.names, repr(str(files[0])))
        self._columns = [self.column, *([target] if target else [])]
        kind = str(schema.field(self.column).type)
        self.raw = kind.startswith(("list", "fixed_size_list", "large_list", "extension"))
        counts = [one.metadata.row_group(group).num_rows for one in opened for group in range(one.num_row_groups)]
        self._groups = [(file, group) for file, one in enumerate(opened) for group in range(one.num_row_groups)]
        self._starts = np.cumsum([0, *counts])
        self.rows = int(self._starts[-1])
        if not self.rows:
            raise ValueError(f"Expected {str(files[0])!r} to have one row or more.")
        self.facts = {
            "kind": "parquet",
            "rows": self.rows,
            "column": self.column,
            "type": kind,
            "digest": fingerprint(self.files),
        }

    def read(self, first: int, last: int) -> Iterator[Row]:
        parquet = needed("pyarrow.parquet", "Parquet files")
        for group, (file, within) in enumerate(self._groups):
            start, stop = int(self._starts[group]), int(self._starts[group + 1])
            if stop <= first or start >= last:
                continue
            with parquet.ParquetFile(self.files[file]) as opened:
                row = start
                for batch in opened.iter_batches(256, row_groups=[within], columns=self._columns):
                    skip = min(max(0, first - row), len(batch))
                    for number in range(skip, min(len(batch), last - row)):
                        value, *target = (batch[name][number].as_py() for name in self._columns)
                        yield Row(str(row + number), self._value(value, self.files[file].parent), *target)
                    row += len(batch)

    def _value(self, value: Any, folder: Path) -> Any:
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if value is None:
            return ValueError("It is null.")
        return folder / value if isinstance(value, str) else value


class TFRecords:
    """A feature of TFRecord files of `tf.train.Example`: encoded images, or numbers.

    Where each record begins is found by walking over their lengths, so that any of them can be read at once.
    """

    def __init__(self, files: Sequence[Path], feature: str | None, target: str | None = None):
        self.files = list(files)
        self._places = [_starts(file) for file in files]
        self._firsts = np.cumsum([0, *map(len, self._places)])
        self.rows = int(self._firsts[-1])
        if not self.rows:
            raise ValueError(f"Expected {str(files[0])!r} to have one record or more.")
        features = self._example(0).features.feature
        self.feature = chosen(feature, sorted(features), f"the records of {str(files[0])!r}")
        known(target, sorted(features), f"the records of {str(files[0])!r}")
        self.target = target
        self.raw = features[self.feature].WhichOneof("kind") != "bytes_list"
        self.facts = {
            "kind": "tfrecord",
            "rows": self.rows,
            "column": self.feature,
            "digest": fingerprint(self.files),
        }

    def read(self, first: int, last: int) -> Iterator[Row]:
        for row in range(first, min(last, self.rows)):
            try:
                features = self._example(row).features.feature
                found, encoded = _values(features[self.feature])
                if not found:
                    raise ValueError(f"It has no feature {self.feature!r}.")
                target = _values(features[self.target])[0] if self.target else []
                yield Row(str(row), found[0] if encoded else np.array(found), target[0] if len(target) == 1 else None)
            except Exception as error:  # protobuf raises a kind of its own for a damaged record
                yield Row(str(row), ValueError(f"The record is damaged: {error}"))

    def _example(self, row: int) -> tf.train.Example:
        file = int(np.searchsorted(self._firsts, row, "right")) - 1
        with self.files[file].open("rb") as stream:
            stream.seek(self._places[file][row - self._firsts[file]])
            length = struct.unpack("<Q4x", stream.read(12))[0]
            return tf.train.Example.FromString(stream.read(length))


def _values(feature: tf.train.Feature) -> tuple[list[Any], bool]:
    """What a feature holds, and whether that is bytes."""
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else [], kind == "bytes_list"


def _starts(file: Path) -> np.ndarray:
    """Where the records of a file begin: a length in 8 bytes, its checksum in 4, the content, and its checksum."""
    found: list[int] = []
    place, size = 0, file.stat().st_size
    with file.open("rb") as stream:
        while place < size:
            head = stream.read(12)
            length = struct.unpack("<Q4x", head)[0] if len(head) == 12 else size
            if place + 16 + length > size:
                raise ValueError(
                    f"The TFRecord file {str(file)!r} ends within its record {len(found)}, or is compressed. "
                    "Write it again, without compression."
                )
            found.append(place)
            place += 16 + length
            stream.seek(place)
    return np.array(found, np.int64)
