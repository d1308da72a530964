"""What users hand in: arrays, tensors, dicts of them or datasets, checked and brought into the model's types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Arrays = np.ndarray | dict[str, np.ndarray]
Specs = Mapping[str, tf.TensorSpec]


def standardize(data: Any, specs: Specs | None) -> Arrays:
    """Check inputs against what the model takes and convert them where that is safe.

    Parameters
    ----------
    data : array, tensor, or list or dict of them
        A list or dict for models with several inputs.
    specs : mapping or None
        Name to `tf.TensorSpec` of the model's inputs; None if the model does not know them.

    Returns
    -------
    ndarray, or dict of ndarray by input name
        In the model's types (float32 for images given as integers).

    Raises
    ------
    ValueError
        Wrong number of inputs, wrong shape, empty batch, NaN or infinite values.
    TypeError
        Values that are no numbers, or integers too large for float32.
    """
    parts = _by_name(data, specs)
    arrays = {name: _array(name, x, specs[name] if specs else None) for name, x in parts.items()}
    counts = {name: len(x) for name, x in arrays.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"All inputs must have the same number of rows, got {counts}.")
    if 0 in counts.values():
        raise ValueError("The batch is empty: expected at least one input.")
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def count(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())) if isinstance(arrays, dict) else arrays)


def batches(data: Any, specs: Specs | None, batch_size: int) -> tuple[Iterator[Arrays], int | None, int | None]:
    """Batches of checked inputs, the number of batches and the number of inputs (None where a dataset does not tell).

    Arrays are checked as a whole before the first batch; datasets batch by batch. Labels in a dataset are left aside,
    as `keras.Model.predict` does.
    """
    if isinstance(data, tf.data.Dataset):
        steps = int(data.cardinality())
        if steps == tf.data.INFINITE_CARDINALITY:
            raise ValueError("The dataset is infinite; give dataset.take(batches).")
        stream = (standardize(keras.utils.unpack_x_y_sample_weight(batch)[0], specs) for batch in data)
        return stream, steps if steps >= 0 else None, None
    arrays = standardize(data, specs)
    total = count(arrays)
    starts = range(0, total, batch_size)
    stream = (tf.nest.map_structure(lambda x: x[start : start + batch_size], arrays) for start in starts)  # noqa: B023
    return stream, len(starts), total


def _by_name(data: Any, specs: Specs | None) -> dict[str, Any]:
    names = list(specs) if specs else None
    if isinstance(data, Mapping):
        if names is not None and set(data) != set(names):
            raise ValueError(f"Expected the inputs {names}, got {list(data)}.")
        return {name: data[name] for name in names or data}
    if isinstance(data, list | tuple) and ((names and len(names) > 1) or _is_list_of_arrays(data)):
        if names is not None and len(data) != len(names):
            raise ValueError(f"Expected {len(names)} inputs {names}, got a list of {len(data)}.")
        return dict(zip(names or [f"input_{number}" for number in range(len(data))], data, strict=True))
    if names is not None and len(names) > 1:
        raise ValueError(f"The model has {len(names)} inputs; expected a list or a dict with {names}.")
    return {names[0] if names else "input": data}


def _is_list_of_arrays(data: Sequence) -> bool:
    """Whether a list holds batches of different shape, one an input, rather than the rows of one batch."""
    shapes = {tuple(x.shape) for x in data if hasattr(x, "shape")}
    return len(shapes) > 1 and all(hasattr(x, "shape") for x in data)


def _array(name: str, x: Any, spec: tf.TensorSpec | None) -> np.ndarray:
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"The input {name!r} cannot be made one array: {error}") from error
    if spec is not None and spec.dtype == tf.string:
        raise TypeError(
            f"The model takes strings as input {name!r}, which can be neither masked nor differentiated. Choose "
            "another signature=, or explain the part of the model that takes numbers."
        )
    if array.dtype.kind not in "fiub" and str(array.dtype) != "bfloat16":
        raise TypeError(f"Expected numbers as input {name!r}, got an array of type {array.dtype}.")
    if array.ndim < 2:
        raise ValueError(f"Expected a batch as input {name!r}, at least two axes, got shape {array.shape}.")
    if spec is not None:
        _check_shape(name, array.shape, spec)
    array = _cast(name, array, spec)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        rows = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(1))
        raise ValueError(
            f"The input {name!r} holds NaN or infinite values, in rows {rows[:5].tolist()} and possibly more."
        )
    return array


def _check_shape(name: str, shape: tuple[int, ...], spec: tf.TensorSpec) -> None:
    if spec.shape.rank is None:
        return
    wanted = tuple(spec.shape)
    if len(shape) == len(wanted) - 1:
        raise ValueError(
            f"Expected the input {name!r} as a batch of shape {_show(wanted)}, got {shape}. "
            "For one input, add the batch axis: x[None]."
        )
    fits = len(shape) == len(wanted) and all(
        size is None or size == given for size, given in zip(wanted[1:], shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(f"Expected the input {name!r} to have shape {_show(wanted)}, got {shape}.")


def _show(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("n" if axis == 0 else str(size or "any") for axis, size in enumerate(shape)) + ")"


def _cast(name: str, array: np.ndarray, spec: tf.TensorSpec | None) -> np.ndarray:
    """To the model's type, or float32 where that is not known and the values look like pixels."""
    if spec is None:
        return array.astype(np.float32) if array.dtype.kind in "fb" or array.dtype == np.uint8 else array
    if spec.dtype.is_floating:
        if array.dtype.kind in "iu" and array.size and np.abs(array.astype(np.float64)).max() > 2**24:
            raise TypeError(
                f"The integers in input {name!r} are too large to be exact as float32; convert them yourself."
            )
        return array.astype(np.float32)
    if array.dtype.kind == "f" and (array != np.round(array)).any():
        raise TypeError(f"The model takes integers as input {name!r}, got fractions.")
    return array.astype(spec.dtype.as_numpy_dtype)


def with_progress(stream: Iterator[Any], steps: int | None, verbose: str | int) -> Iterator[Any]:
    """The same batches, with a progress bar: never (0), always (1), or if there is not just one step ("auto")."""
    if verbose not in ("auto", 0, 1):
        raise ValueError(f'Expected verbose to be "auto", 0 or 1, got {verbose!r}.')
    show = steps != 1 if verbose == "auto" else bool(verbose)
    return _counted(stream, keras.utils.Progbar(steps, unit_name="batch")) if show else stream


def _counted(stream: Iterator[Any], progress: keras.utils.Progbar) -> Iterator[Any]:
    for batch in stream:
        yield batch
        progress.add(1)
