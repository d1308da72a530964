"""Whether a row of a batch gets the same outputs twice, alone and in company: what all explanations rest on."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.models import ModelView

PAIR, COMPANY = 1e-3, 2e-2  # shares of the largest output that are rounding: in one pass, and in passes of other sizes


def check(view: ModelView, batch: Any, rows: int, fixed: bool, draws: int | None, compiled: bool = False) -> None:
    """Pass a row of a batch through the model, alone and beside a copy of itself and another row.

    Parameters
    ----------
    view : ModelView
        The model.
    batch : array or dict of arrays
        Inputs.
    rows : int
        How many rows a pass may have.
    fixed : bool
        Whether it must have so many.
    draws : int, optional
        Over how many draws of a random model the user wants the mean.
    compiled : bool
        Whether the model is compiled by XLA.

    Raises
    ------
    ValueError
        For a model whose outputs are random, or whose rows depend on each other.
    """
    arrays = tf.nest.flatten(batch)
    nonzero = np.any([x.reshape(len(x), -1).any(1) for x in arrays], 0)
    one = tf.nest.map_structure(lambda x: x[int(nonzero.argmax())][None], batch)
    other = tf.nest.map_structure(lambda x: _other(x, view.opaque), one)

    def stacked(size: int, copies: int) -> Any:
        return tf.nest.map_structure(lambda x, y: np.concatenate([x] * copies + [y] * (size - copies)), one, other)

    size = rows if fixed else min(rows, 3)
    alone = view.probe(stacked(size, size) if fixed else one, 0, compiled)
    pair = view.probe(stacked(size, min(size, 2)), 1, compiled)[:2]
    if not (np.isfinite(alone).all() and np.isfinite(pair[0]).all()):
        return  # a fault of another kind, which is told elsewhere
    largest = max(np.abs(alone).max(initial=0), np.abs(pair).max(initial=0))
    within, between = np.ptp(pair, 0).max(initial=0), np.abs(pair[0] - alone[0]).max(initial=0)
    if within <= PAIR * largest and between <= COMPANY * largest:
        return
    again = view.probe(stacked(size, size) if fixed else one, 1, compiled)
    across = np.abs(again[0] - alone[0]).max(initial=0)
    if within <= PAIR * largest and across <= PAIR * largest:
        # Where the number of rows is known, Keras broadcasts some sums by it; look again as explanations see the model.
        alone = view.probe(stacked(size, size) if fixed else one, 0, compiled, traced=True)
        pair = view.probe(stacked(size, min(size, 2)), 1, compiled, traced=True)
        between = np.abs(pair[0] - alone[0]).max(initial=0)
        if between <= COMPANY * largest:
            return
        raise ValueError(
            "The rows of a batch depend on each other: beside another row, a row gets outputs that differ by "
            f"{between:.2g}, where the largest is {largest:.2g}, so its explanation would depend on its batch. Let the "
            "model normalise by moving statistics, as with training=False, or give batch_size=1."
        )
    if draws is None:
        raise ValueError(
            f"The model is random in inference: the same input gets outputs that differ by {max(within, across):.2g}, "
            f"where the largest is {largest:.2g}, so an explanation would be noise. Call dropout, noise and "
            "augmentation with training=False, or give the explainer draws=50 for the mean over so many draws."
        )
    if across <= PAIR * largest:
        raise ValueError(
            "draws= needs a model that draws again in each pass; the seeds of this one are fixed, so all draws would "
            "be the same. Call dropout, noise and augmentation with training=False."
        )


def _other(x: np.ndarray, careful: bool) -> np.ndarray:
    """A row that differs from one everywhere, and lies beyond it on both sides where any number will do."""
    whole = x.ndim == 2 and (x == np.round(x)).all()  # may be words, which Keras takes as floats too
    if careful or whole or x.dtype.kind != "f":
        return (x == 0).astype(x.dtype)
    signs = np.resize(np.array([1, -1], x.dtype), x.shape)
    return np.where(x == 0, 1, 3 * x) * signs
