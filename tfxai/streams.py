"""Batches that users hand in one after the other: datasets, loaders, generators."""

from __future__ import annotations

import itertools
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

LISTS = (list, tuple, deque, range)
WHOLE = (Mapping, str, bytes, bytearray, memoryview, array, set, frozenset, *LISTS)
ENDLESS = "Take a part of it, such as dataset.take(batches) or itertools.islice(generator, batches)."


def is_stream(data: Any) -> bool:
    """Whether data come in batches, one after the other, and not as arrays or lists of rows."""
    if isinstance(data, tf.data.Dataset | keras.utils.PyDataset):
        return True
    if isinstance(data, WHOLE) or hasattr(data, "__array__") or hasattr(data, "shape"):
        return False
    return isinstance(data, Iterable) or _is_indexed(data)


def opened(data: Any) -> tuple[Iterator[tuple[Any, Any]], int | None]:
    """Inputs and labels of each batch, and the number of batches, None where that is not known.

    Labels are None where there are none; weights are ignored. What has a length is read once, though it could be
    read for ever, as image generators can; generators are read to their end.

    Raises
    ------
    ValueError
        If there is no end.
    """
    items, steps = _items(data)
    return (unpacked(item) for item in items), steps


def unpacked(batch: Any) -> tuple[Any, Any]:
    """Inputs and labels of what a stream gives: x, (x, y) or (x, y, weights), as `keras.Model.predict` reads it."""
    if not isinstance(batch, list | tuple):
        return batch, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            f"Expected batches as x, (x, y) or (x, y, weights), got {described(batch)}. A batch that is itself a list "
            "goes into a tuple: (x,)."
        )
    return batch[0], batch[1] if len(batch) > 1 else None


def described(data: Any, depth: int = 2) -> str:
    """What was handed in, in words: its type and shape, never its content."""
    if hasattr(data, "columns") and hasattr(data, "shape"):
        return f"a table with the columns {list(data.columns)[:10]}"
    if getattr(data, "shape", None) is not None and hasattr(data, "dtype"):
        return f"an array of shape {tuple(data.shape)}"
    if isinstance(data, Mapping):
        return f"a dict with {list(data)[:10]}"
    if isinstance(data, list | tuple):
        first = f", of which the first is {described(data[0], depth - 1)}" if data and depth > 1 else ""
        return f"a {type(data).__name__} of {len(data)}{first}"
    return f"an object of type {type(data).__name__}"


def _items(data: Any) -> tuple[Iterable[Any], int | None]:
    steps: int | None
    if isinstance(data, tf.data.Dataset):
        steps = int(data.cardinality())
        if steps == tf.data.INFINITE_CARDINALITY:
            raise ValueError(f"The dataset is infinite. {ENDLESS}")
        return data, steps if steps >= 0 else None
    if isinstance(data, keras.utils.PyDataset):
        try:
            steps = data.num_batches
        except NotImplementedError:
            steps = None
        if steps is None:
            name = type(data).__name__
            raise ValueError(
                f"The dataset {name} is infinite, as it has no num_batches. Give it num_batches or a length."
            )
        return (data[number] for number in range(steps)), steps
    if isinstance(data, itertools.cycle | itertools.count) or (
        isinstance(data, itertools.repeat) and not hasattr(data, "__len__") and _hint(data) is None
    ):
        raise ValueError(f"The iterator {type(data).__name__} never ends. {ENDLESS}")
    length = _length(data)
    if length is not None and _is_indexed(data):
        return (data[number] for number in range(length)), length
    return (itertools.islice(data, length) if isinstance(data, Iterator) else data), length


def _is_indexed(data: Any) -> bool:
    return hasattr(data, "__len__") and hasattr(data, "__getitem__")


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except (TypeError, NotImplementedError):  # a loader may have the method and not know
        return None


def _hint(data: Any) -> int | None:
    try:
        return data.__length_hint__()
    except TypeError:
        return None
