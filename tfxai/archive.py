"""Results in files: arrays, and what else is known of them, in one ``.npz`` without pickles; what tells files apart."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np


def write(path: str | PathLike, header: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write arrays by name, compressed, and a header that JSON can hold."""
    np.savez_compressed(_npz(path), header=np.array(json.dumps(header)), **arrays)


def read(path: str | PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and arrays; OSError, ValueError or KeyError if the file is missing or holds none."""
    with np.load(_npz(path), allow_pickle=False) as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("header"))), arrays


def concatenate(path: str | PathLike, header: dict[str, Any], parts: Sequence[str | PathLike]) -> None:
    """Write the arrays of several files one after the other as one file, with one array of one part in memory.

    The file appears only once it is complete.
    """
    whole, partial = _npz(path), Path(f"{path}.partial")
    with np.load(_npz(parts[0]), allow_pickle=False) as first:
        names = [name for name in first.files if name != "header"]
    rows = sum(len(_array(part, names[0])) for part in parts)
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                for number, part in enumerate(parts):
                    x = _array(part, name)
                    if number == 0:
                        about = {"descr": x.dtype.str, "fortran_order": False, "shape": (rows, *x.shape[1:])}
                        np.lib.format.write_array_header_1_0(entry, about)
                    entry.write(x.tobytes())
        with file.open("header.npy", "w") as entry:
            np.lib.format.write_array(entry, np.array(json.dumps(header)), allow_pickle=False)
    partial.replace(whole)


def digest(path: str | PathLike) -> str:
    """Of the content of a file, or of all files in a folder: so another model under the same name is recognised."""
    path = Path(path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    found = hashlib.sha256()
    for file in files:
        found.update(str(file.relative_to(path)).encode())
        with open(file, "rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()[:16]


def _array(path: str | PathLike, name: str) -> np.ndarray:
    with np.load(_npz(path), allow_pickle=False) as file:
        return file[name]


def _npz(path: str | PathLike) -> Path:
    return Path(path) if Path(path).suffix == ".npz" else Path(f"{path}.npz")
