"""Results in files: arrays, and what else is known of them, in one ``.npz`` without pickles."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np


def write(path: str | PathLike, header: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write arrays by name, compressed, and a header that JSON can hold."""
    np.savez_compressed(_npz(path), header=np.array(json.dumps(header)), **arrays)


def read(path: str | PathLike) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and arrays; OSError, ValueError or KeyError if the file is missing or holds no such."""
    with np.load(_npz(path), allow_pickle=False) as file:
        arrays = dict(file)
    return json.loads(str(arrays.pop("header"))), arrays


def _npz(path: str | PathLike) -> Path:
    return Path(path) if Path(path).suffix == ".npz" else Path(f"{path}.npz")
