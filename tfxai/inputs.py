"""What users hand in: arrays, tensors, tables, dicts of them or batches, checked and brought into the model's types."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai import progress, streams
from tfxai.models.view import cut
from tfxai.progress import Bar
from tfxai.streams import described
from tfxai.text import strings

Arrays = np.ndarray | dict[str, np.ndarray]
Specs = Mapping[str, tf.TensorSpec | None]
Read = Callable[[Any], Any]


def _as_it_is(data: Any) -> Any:
    return data


def standardize(data: Any, specs: Specs | None) -> Arrays:
    """Check inputs of one size against what the model takes and convert them where that is safe.

    Parameters
    ----------
    data : array, tensor, table, or list or dict of them
        A list or dict for models with several inputs; of a table with named columns, these may be the inputs.
    specs : mapping or None
        Name to `tf.TensorSpec` of the model's inputs, None for a spec that is not known; None if nothing is known.

    Returns
    -------
    ndarray, or dict of ndarray by input name
        In the model's types (float32 for images given as integers).

    Raises
    ------
    ValueError
        Wrong number of inputs, wrong shape, empty batch, NaN or infinite values.
    TypeError
        Values that are not numbers, or integers too large for float32.
    """
    return _checked(_by_name(data, specs), specs)


def runs(data: Any, specs: Specs | None) -> list[Arrays]:
    """Inputs as `standardize` gives them: one batch, or where sizes differ one for each run of inputs of one size."""
    parts = {name: _rows_apart(x) for name, x in _by_name(data, specs).items()}
    if not any(isinstance(x, list) and len(set(map(_shape, x))) > 1 for x in parts.values()):
        return [_checked(parts, specs)]
    _check_counts({name: len(x) for name, x in parts.items()})
    rows = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
    found, done = [], 0
    for _, group in itertools.groupby(rows, lambda row: [_shape(x) for x in row.values()]):
        run = list(group)
        found.append(_checked({name: [row[name] for row in run] for name in parts}, specs, done))
        done += len(run)
    return found


def count(arrays: Arrays) -> int:
    return len(next(iter(arrays.values())) if isinstance(arrays, dict) else arrays)


def batches(
    data: Any, specs: Specs | None, batch_size: int, read: Read = _as_it_is
) -> tuple[Iterator[Arrays], int | None, int | None]:
    """Batches of checked inputs, the number of batches and the number of inputs (None where a stream does not tell).

    Arrays are checked as a whole before the first batch; streams, which are all that `tfxai.streams.is_stream` knows,
    batch by batch. Labels in a stream are left aside, as `keras.Model.predict` does. ``read`` makes inputs of what is
    given, such as strings.
    """
    if streams.is_stream(data):
        opened, steps = streams.opened(data)
        return _not_empty(run for x, _ in opened for run in runs(read(x), specs)), steps, None
    whole = runs(read(data), specs)
    counts = [count(run) for run in whole]
    stream = (part for run in whole for part in cut(run, batch_size))
    return stream, sum(-(-n // batch_size) for n in counts), sum(counts)


def labelled(
    images: Any, labels: Any, specs: Specs | None, batch_size: int, read: Read = _as_it_is
) -> tuple[Iterator[tuple[Any, np.ndarray | None]], int | None]:
    """Checked batches with their labels, None for "predicted", and the number of batches, where it is known.

    Raises
    ------
    ValueError
        If labels are missing, or there are not as many as images.
    """
    if isinstance(labels, str):
        if labels != "predicted":
            raise ValueError(f'Expected labels to be an array or "predicted", got {labels!r}.')
        stream, steps, _ = batches(images, specs, batch_size, read)
        return ((batch, None) for batch in stream), steps
    if labels is not None:
        stream, steps, total = batches(images, specs, batch_size, read)
        labels = np.asarray(labels)
        if labels.ndim == 0 or (total is not None and len(labels) != total):
            raise ValueError(f"Expected labels for {total or 'all'} images, got an array of shape {labels.shape}.")
        return _paired(stream, labels), steps
    if not streams.is_stream(images):
        raise ValueError('The labels are missing: give labels=, "predicted" for those that the model predicts.')
    opened, steps = streams.opened(images)
    return _not_empty(_unpacked(((read(x), y) for x, y in opened), specs)), steps


def one_hot(labels: np.ndarray, count: int, classes: int) -> np.ndarray:
    """(count, classes) float32 of 0 and 1, from classes (count,) or such rows.

    Raises
    ------
    ValueError
        For labels that are neither, out of range, or not ``count`` of them.
    """
    labels = np.asarray(labels)
    if len(labels) != count:
        raise ValueError(f"Expected one label for each image of a batch of {count}, got {len(labels)}.")
    if labels.dtype.kind not in "iufb" or (labels.dtype.kind == "f" and not np.isfinite(labels).all()):
        raise ValueError(f"Expected labels to be finite numbers, got some of type {labels.dtype}.")
    if labels.ndim == 2 and labels.shape[1] == 1 and classes > 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.shape[1] == classes:
        if not np.isin(labels, (0, 1)).all():
            raise ValueError("Expected labels of shape (n, classes) to be 0 or 1.")
        return labels.astype(np.float32)
    if labels.ndim != 1:
        raise ValueError(
            f"The model has {classes} classes: expected labels of shape (n,) or (n, {classes}), got rows of shape "
            f"{labels.shape[1:]}."
        )
    wrong = (labels != np.round(labels)) | (labels < 0) | (labels >= classes)
    if wrong.any():
        raise ValueError(
            f"The model has {classes} classes: expected labels from 0 to {classes - 1}, got {labels[wrong][0]}."
        )
    return np.eye(classes, dtype=np.float32)[labels.astype(int)]


def _by_name(data: Any, specs: Specs | None) -> dict[str, Any]:
    names = list(specs) if specs else None
    if isinstance(data, Mapping):
        return _chosen(data, specs)
    if isinstance(data, streams.LISTS) and ((names and len(names) > 1) or (not names and _are_inputs(data))):
        if names is not None and len(data) != len(names):
            raise ValueError(f"Expected {len(names)} inputs {names}, got {described(data)}.")
        return dict(zip(names or [f"input_{number}" for number in range(len(data))], data, strict=True))
    if names is not None and len(names) > 1:
        if _has_columns(data):
            return _chosen(data, specs)
        raise ValueError(
            f"The model has {len(names)} inputs; expected a list or a dict with {names}, got {described(data)}. In a "
            "pair (a, b) from a dataset, b counts as labels; give ((a, b),)."
        )
    return {names[0]: _alone(data, specs[names[0]])} if names and specs else {"input": data}


def _chosen(data: Any, specs: Specs | None) -> dict[str, Any]:
    """The model's inputs among the entries of a dict or the columns of a table.

    Others are left aside, but of a model that may take more than what is known of it.
    """
    known = list(data.columns) if _has_columns(data) else list(data)
    if specs is None:
        return {str(name): data[name] for name in known}
    # Keras takes the keys of a dict of inputs, or the names of the inputs.
    keys = {name: name if name in known else getattr(spec, "name", name) for name, spec in specs.items()}
    if not set(keys.values()) <= set(known) or (None in specs.values() and len(known) > len(keys)):
        raise ValueError(f"Expected the inputs {list(specs)}, got {known[:20]}.")
    return {name: data[key] for name, key in keys.items()}


def _has_columns(data: Any) -> bool:
    return hasattr(data, "columns") and hasattr(data, "__getitem__")


def _are_inputs(data: Sequence) -> bool:
    """Whether a list holds batches of different shape, one an input, rather than the rows of one batch."""
    if not all(hasattr(x, "shape") for x in data):
        return False
    shapes = {tuple(x.shape) for x in data}
    return len(shapes) > 1 and (len({len(shape) for shape in shapes}) > 1 or len({shape[:1] for shape in shapes}) == 1)


def _alone(data: Any, spec: tf.TensorSpec | None) -> Any:
    """The only input, out of a list of one."""
    if not isinstance(data, list | tuple) or spec is None or not spec.shape.rank:
        return data
    if not all(hasattr(x, "shape") and len(x.shape) == spec.shape.rank for x in data):
        return data
    if len(data) != 1:
        raise ValueError(
            f"Expected one input of shape {_show(tuple(spec.shape))}, got {described(data)}. A list holds the rows of "
            "one batch; if these are batches, give iter(batches)."
        )
    return data[0]


def _rows_apart(x: Any) -> Any:
    """A list of rows, of what may hold rows of different size; else the input as it is."""
    if isinstance(x, tf.RaggedTensor):
        return [_rectangle(row) for row in x]
    if isinstance(x, streams.LISTS) or (isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1):
        return list(x)
    return x


def _rectangle(row: Any) -> tf.Tensor:
    if not isinstance(row, tf.RaggedTensor):
        return row
    dense = row.to_tensor()
    if tf.size(dense) != tf.size(row.flat_values):
        raise ValueError("Expected ragged inputs whose rows are rectangular, such as images of different size.")
    return dense


def _shape(row: Any) -> tuple[int, ...] | None:
    try:
        return tuple(np.shape(row))
    except ValueError:  # a nested list that is no array: `_array` says so
        return None


def _check_counts(counts: Mapping[str, int]) -> None:
    if len(set(counts.values())) > 1:
        raise ValueError(f"All inputs must have the same number of rows, got {dict(counts)}.")


def _checked(parts: Mapping[str, Any], specs: Specs | None, first: int = 0) -> Arrays:
    """Arrays of which the first row is number ``first`` of all."""
    alone = len(parts) == 1 and specs is None
    arrays = {name: _array(name, x, specs[name] if specs else None, alone, first) for name, x in parts.items()}
    counts = {name: len(x) for name, x in arrays.items()}
    _check_counts(counts)
    if 0 in counts.values():
        raise ValueError("The batch is empty: expected at least one input.")
    return arrays if len(arrays) > 1 else next(iter(arrays.values()))


def _array(name: str, x: Any, spec: tf.TensorSpec | None, alone: bool, first: int) -> np.ndarray:
    array = _numbers(name, x)
    if spec is not None and spec.dtype == tf.string:
        raise TypeError(
            f"The model takes strings as input {name!r}, which can be neither masked nor differentiated. Choose "
            "another signature=, or explain the part of the model that takes numbers; preprocessor= may be what makes "
            "these from a list of strings."
        )
    if array.dtype.kind not in "fiub" and str(array.dtype) != "bfloat16":
        hint = " Strings need preprocessor=, a function from a list of strings to the model's inputs."
        hint = "" if strings(array) is None else hint
        raise TypeError(f"Expected numbers as input {name!r}, got an array of type {array.dtype}.{hint}")
    if array.ndim < (2 if alone else 1) and (spec is None or spec.shape.rank is None):
        raise ValueError(f"Expected a batch as input {name!r}, at least two axes, got shape {array.shape}.")
    if spec is not None:
        array = _with_last_axis(array, spec)
        _check_shape(name, array.shape, spec)
    array = _cast(name, array, spec)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        rows = first + np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(1))
        raise ValueError(
            f"The input {name!r} holds NaN or infinite values, in rows {rows[:5].tolist()} and possibly more."
        )
    return array


def _numbers(name: str, x: Any) -> np.ndarray:
    """An input as an array, if it is an array, a table or a list of numbers."""
    if x is None or isinstance(x, str | bytes | set | frozenset | Mapping) or streams.is_stream(x):
        raise TypeError(f"Expected an array as input {name!r}, got {described(x)}.")
    if isinstance(x, tf.SparseTensor):
        x = tf.sparse.to_dense(x)
    elif hasattr(x, "toarray"):  # a sparse matrix of SciPy
        x = x.toarray()
    elif _has_columns(x) and len(set(x.columns)) == len(x.columns):
        x = np.stack([np.asarray(x[column]) for column in x.columns], 1)  # so each column has its type
    try:
        return np.asarray(x)
    except (ValueError, TypeError, RuntimeError) as error:
        hint = "A list holds the rows of one batch; if these are batches, give iter(batches)."
        raise ValueError(
            f"The input {name!r}, {described(x)}, cannot be turned into one array: {str(error)[:200].rstrip('.')}."
            f"{f' {hint}' if isinstance(x, streams.LISTS) else ''}"
        ) from error


def _with_last_axis(array: np.ndarray, spec: tf.TensorSpec) -> np.ndarray:
    """With a last axis of length 1 added or dropped where the model has one more or less, as Keras does.

    (h, w, 1) for a model of (n, any, any, 1) stays an error: it may be one image without its batch axis.
    """
    if spec.shape.rank is None:
        return array
    wanted, given = tuple(spec.shape), array.shape
    if wanted[-1] == 1 and _fits(given, wanted[:-1]) and (len(given) == 1 or not _fits((1, *given), wanted)):
        return array[..., None]
    return array[..., 0] if given[-1:] == (1,) and _fits(given[:-1], wanted) else array


def _fits(given: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(given) == len(wanted) and all(
        size is None or size == own for size, own in zip(wanted[1:], given[1:], strict=True)
    )


def _check_shape(name: str, shape: tuple[int, ...], spec: tf.TensorSpec) -> None:
    if spec.shape.rank is None:
        return
    wanted = tuple(spec.shape)
    if len(shape) == len(wanted) - 1:
        raise ValueError(
            f"Expected the input {name!r} as a batch of shape {_show(wanted)}, got {shape}. "
            "For one input, add the batch axis: x[None]; for a dataset, dataset.batch(32)."
        )
    if not _fits(shape, wanted):
        raise ValueError(f"Expected the input {name!r} to have shape {_show(wanted)}, got {shape}.")


def _show(shape: tuple[int | None, ...]) -> str:
    return "(" + ", ".join("n" if axis == 0 else str(size or "any") for axis, size in enumerate(shape)) + ")"


def _cast(name: str, array: np.ndarray, spec: tf.TensorSpec | None) -> np.ndarray:
    """To the model's type, or float32 where that is not known and the values look like pixels."""
    if spec is None:
        return array.astype(np.float32) if array.dtype.kind in "fb" or array.dtype == np.uint8 else array
    if spec.dtype.is_floating:
        wide = array.dtype.kind in "iu" and array.dtype.itemsize > 2  # integers of 16 bits are exact anyway
        if wide and array.size and np.abs(array.astype(np.float64)).max() > 2**24:
            raise TypeError(
                f"The integers in input {name!r} are too large to be exact as float32; convert them yourself."
            )
        return array.astype(np.float32)
    if array.dtype.kind == "f" and (array != np.round(array)).any():
        raise TypeError(f"The model takes integers as input {name!r}, got fractions.")
    return array.astype(spec.dtype.as_numpy_dtype)


def _paired(stream: Iterator[Any], labels: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    done = 0
    for batch in stream:
        start, done = done, done + count(batch)
        if done > len(labels):
            raise ValueError(f"Expected one label for each image, got {len(labels)} for at least {done}.")
        yield batch, labels[start:done]
    if done != len(labels):
        raise ValueError(f"Expected one label for each of {done} images, got {len(labels)}.")


def _unpacked(stream: Iterator[tuple[Any, Any]], specs: Specs | None) -> Iterator[tuple[Any, np.ndarray]]:
    for x, labels in stream:
        if labels is None:
            raise ValueError('The dataset has no labels: give batches (images, labels), labels= or labels="predicted".')
        yield from _paired(iter(runs(x, specs)), np.atleast_1d(labels))


def _not_empty(stream: Iterator[Any]) -> Iterator[Any]:
    """The same batches; ValueError if there is none."""
    empty = True
    for batch in stream:
        empty = False
        yield batch
    if empty:
        raise ValueError("The dataset is empty: expected at least one batch.")


def with_progress(
    stream: Iterator[Any], steps: int | None, verbose: str | int, unit: str = "batch", rows: int | None = None
) -> Iterator[Any]:
    """The same batches, with a progress bar: never (0), always (1), or if there is not just one step ("auto").

    Of batches that hold so many ``rows`` in all, inputs are counted.
    """
    progress.check(verbose)
    if not (steps != 1 if verbose == "auto" else verbose):
        return stream
    bar = progress.bar(steps, unit) if rows is None else progress.bar(rows, "input")
    return _counted(stream, bar, (lambda _: 1) if rows is None else count)


def _counted(stream: Iterator[Any], bar: Bar, size: Callable[[Any], int]) -> Iterator[Any]:
    for batch in stream:
        yield batch
        bar.add(size(batch))
