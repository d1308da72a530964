"""Batches of inputs with their labels, and labels as rows of zeros and ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tfxai import inputs as given
from tfxai import streams
from tfxai.models import ModelView


def batches(
    images: Any, labels: Any, view: ModelView, batch_size: int
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
        stream, steps, _ = given.batches(images, view.takes, batch_size)
        return ((batch, None) for batch in stream), steps
    if labels is not None:
        stream, steps, total = given.batches(images, view.takes, batch_size)
        labels = np.asarray(labels)
        if labels.ndim == 0 or (total is not None and len(labels) != total):
            raise ValueError(f"Expected labels for {total or 'all'} images, got an array of shape {labels.shape}.")
        return _paired(stream, labels), steps
    if not streams.is_stream(images):
        raise ValueError('The labels are missing: give labels=, "predicted" for those that the model predicts.')
    opened, steps = streams.opened(images)
    return _unpacked(opened, view), steps


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


def _paired(stream: Iterator[Any], labels: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    done = 0
    for batch in stream:
        start, done = done, done + given.count(batch)
        if done > len(labels):
            raise ValueError(f"Expected one label for each image, got {len(labels)} for at least {done}.")
        yield batch, labels[start:done]
    if done != len(labels):
        raise ValueError(f"Expected one label for each of {done} images, got {len(labels)}.")


def _unpacked(stream: Iterator[tuple[Any, Any]], view: ModelView) -> Iterator[tuple[Any, np.ndarray]]:
    for x, labels in stream:
        if labels is None:
            raise ValueError('The dataset has no labels: give batches (images, labels), labels= or labels="predicted".')
        yield from _paired(iter(given.runs(x, view.takes)), np.atleast_1d(labels))
