"""Shards: Parquet files of explanations that are there whole or not at all, with the same bytes whenever they are made.

A folder of results holds ``manifest.json``, ``shards/00000.parquet`` and so on, and where inputs failed
``failed/00000.jsonl``. What failed is written first, so a shard that is there has all that belongs to it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tfxai.scale.extras import needed
from tfxai.scale.packing import Store
from tfxai.scale.rows import COLUMNS, Found

ROW_GROUP = 8 * 2**20  # bytes of maps between two writings, which bounds the memory
UNFINISHED = ".unfinished"


def arrow(module: str = "pyarrow") -> Any:
    """PyArrow, or a module of it."""
    return needed(module, "Results in shards")


def schema(store: Store, header: dict[str, Any]) -> Any:
    """The columns of a shard, and what holds for all of its explanations."""
    pa = arrow()
    kinds = {
        "id": pa.string(),
        "method": pa.string(),
        "target": pa.int64(),
        "label": pa.string(),
        "score": pa.float32(),
        "map": pa.list_({"float16": pa.float16(), "uint8": pa.uint8(), "float32": pa.float32()}[store]),
        "shape": pa.list_(pa.int32()),
        "scale": pa.float64(),
        "offset": pa.float64(),
        "features": pa.list_(pa.string()),
        "contributions": pa.list_(pa.float32()),
    }
    text = json.dumps(header, sort_keys=True)
    return pa.schema([(name, kinds[name]) for name in COLUMNS], metadata={"tfxai": text})


class Shard:
    """A shard that is being made: explanations of some rows of the source, and what failed there.

    Parameters
    ----------
    folder : path
        Of all results.
    number : int
        Of the shard.
    store : {"float16", "uint8", "float32"}
        As for `tfxai.scale.Explain`.

    Used as a context: at its end the shard is there, unless there was an error.
    """

    def __init__(self, folder: Path, number: int, store: Store):
        self.file, self.failures = shard_file(folder, number), failed_file(folder, number)
        self.store: Store = store
        self.failed: dict[str, str] = {}
        self.headers: dict[str, Any] = {}
        self._waiting: dict[str, list] = {name: [] for name in COLUMNS}
        self._bytes = 0
        self._writer: Any = None
        self._unfinished = self.file.with_name(f"{self.file.name}.{os.getpid()}{UNFINISHED}")

    def __enter__(self) -> Shard:
        for file in (self.file, self.failures):
            file.parent.mkdir(parents=True, exist_ok=True)
        return self

    def add(self, found: Found) -> None:
        """Take the explanations of some inputs."""
        self.failed |= found.failed
        self.headers = self.headers or found.headers
        for name, values in found.columns.items():
            self._waiting[name] += values
        self._bytes += sum(one.nbytes for one in found.columns["map"])
        if self._bytes > ROW_GROUP:
            self._write()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None:
            self._write()
        if self._writer is not None:
            self._writer.close()
        if kind is not None:
            self._unfinished.unlink(missing_ok=True)
            return
        if self.failed:
            lines = [json.dumps({"id": name, "reason": reason}) for name, reason in self.failed.items()]
            write_whole(self.failures, "\n".join([*lines, ""]).encode())
        else:
            self.failures.unlink(missing_ok=True)  # of an attempt that did not come to its end
        put(self._unfinished, self.file)

    def _write(self) -> None:
        pa = arrow()
        if self._writer is None:
            header = {"format": 2, "methods": self.headers}
            self._writer = arrow("pyarrow.parquet").ParquetWriter(
                self._unfinished,
                schema(self.store, header),
                compression="zstd",
                compression_level=1,
                use_dictionary=["method", "label"],
                write_statistics=["id", "target", "score"],
            )
        columns = [_array(name, self._waiting[name], self._writer.schema.field(name).type) for name in COLUMNS]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._writer.schema))
        self._waiting, self._bytes = {name: [] for name in COLUMNS}, 0


def _array(name: str, values: list, kind: Any) -> Any:
    pa = arrow()
    if name not in ("map", "shape"):
        return pa.array(values, kind)
    ends = np.cumsum([0, *map(len, values)], dtype=np.int32)
    flat = np.concatenate(values) if values else np.zeros(0, kind.value_type.to_pandas_dtype())
    return pa.ListArray.from_arrays(ends, pa.array(flat, kind.value_type), type=kind)


def shard_file(folder: Path, number: int) -> Path:
    return folder / "shards" / f"{number:05}.parquet"


def failed_file(folder: Path, number: int) -> Path:
    return folder / "failed" / f"{number:05}.jsonl"


def done(folder: Path) -> list[int]:
    """The numbers of the shards that are there."""
    return sorted(int(file.stem) for file in (folder / "shards").glob("*.parquet"))


def failures(folder: Path, number: int) -> Iterator[tuple[str, str]]:
    """Ids and reasons of what failed in a shard."""
    file = failed_file(folder, number)
    if file.exists():
        with file.open(encoding="utf-8") as lines:
            for line in map(json.loads, lines):
                yield line["id"], line["reason"]


def clear(folder: Path) -> None:
    """Remove what runs that were killed have left."""
    for file in folder.rglob(f"*{UNFINISHED}"):
        file.unlink(missing_ok=True)


def write_whole(file: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}{UNFINISHED}")
    unfinished.write_bytes(content)
    put(unfinished, file)


def put(unfinished: Path, file: Path) -> None:
    """Give a file its name once all of it is on the disk, also if the power fails."""
    _sync(unfinished)
    os.replace(unfinished, file)
    if os.name != "nt":  # which knows no descriptors of folders
        _sync(file.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
