"""Explanations for the metrics of Quantus (Hedström et al. 2023), which call a function for them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxai import api
from tfxai.metrics.given import maps_of
from tfxai.models import open_model
from tfxai.models.view import ModelView
from tfxai.types import Model


def explain_func(
    model: Model, inputs: np.ndarray, targets: np.ndarray, method: str = "saliency", **options: Any
) -> np.ndarray:
    """Explain inputs for a metric of Quantus, which takes this function as its ``explain_func``.

    Quantus holds images with their channels first, hands them to a Keras model's explainer with channels last or, for
    functions, as it holds them, and compares what comes back with the former. Values with channels would not fit, so
    these are maps without: (n, 1, h, w), which Quantus lays over all channels. They have their signs and are not
    normalised; metrics do so by their own ``abs=`` and ``normalise=``. This function needs no Quantus.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    inputs : ndarray
        (n, ...) inputs as the model takes them, or with channels first; where both may be meant, the former. A single
        input may come without its batch axis.
    targets : int or ndarray
        (n,) classes.
    method : str
        As `tfxai.explain` takes it. In Quantus: ``explain_func_kwargs={"method": "grad_cam"}``.
    **options
        For the method; what Quantus adds (``device``) is ignored.

    Returns
    -------
    ndarray
        (n, 1, h, w) one number for each position, as `tfxai.metrics` read explanations; (n, 1, steps) for series,
        (n, features) for tables.

    Raises
    ------
    ValueError
        For an unknown method, or inputs that fit the model in neither order.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> tfxai.quantus.explain_func(model, images.transpose(0, 3, 1, 2), labels, method="grad_cam").shape
    (2, 1, 112, 112)
    """
    options.pop("device", None)
    view = open_model(model)
    given = np.asarray(inputs)
    shape = _shape(view)
    alone = shape is not None and len(shape) == given.ndim + 1
    ours = _as_taken(given[None] if alone else given, shape)
    target = np.broadcast_to(np.asarray(targets), len(ours))
    found = api.explain(view, ours, method, target, verbose=0, **options)
    maps = maps_of(found)
    maps = maps if maps.ndim == 2 and ours.ndim == 2 else maps[:, None]
    return maps[0] if alone else maps


def _shape(view: ModelView) -> tuple[int | None, ...] | None:
    """What the model takes, (n, ...), where it is known."""
    specs = list((view.inputs or {}).values())
    if len(specs) > 1:
        raise ValueError(f"Quantus has metrics of models with one input; this one has {list(view.inputs or {})}.")
    return tuple(specs[0].shape) if specs and specs[0].shape.rank else None


def _as_taken(batch: np.ndarray, shape: tuple[int | None, ...] | None) -> np.ndarray:
    """A batch with its channels where the model takes them."""
    if shape is None or _fits(batch.shape, shape):
        return batch
    turned = np.moveaxis(batch, 1, -1)
    if not _fits(turned.shape, shape):
        raise ValueError(f"Expected inputs {shape}, or these with channels first, got {batch.shape}.")
    return turned


def _fits(given: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(given) == len(shape) and all(b in (None, a) for a, b in zip(given[1:], shape[1:], strict=True))
