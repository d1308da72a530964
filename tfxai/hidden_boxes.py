"""Scores of inputs of which boxes are hidden, by passes that run no more than a box can change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import tensorflow as tf

from tfxai.loops import merge, split
from tfxai.models import graph
from tfxai.models.incremental import Copies, Incremental
from tfxai.models.regions import Region
from tfxai.run import Run, cast

IncrementalOption: TypeAlias = bool | Literal["auto"]
WORTH = 0.9  # of a full pass: what is estimated to cost more is not worth the memory


def incremental_passes(run: Run, region: Region, wanted: IncrementalOption = "auto") -> Incremental | None:
    """Passes of what boxes in the image of a run can change; None if full passes are wanted, or as good.

    Raises
    ------
    ValueError
        If they are insisted on, and cannot be.
    """
    if not wanted:
        return None
    passes, reason = None, _reason(run)
    if reason is None:
        passes = Incremental(run.image, run.scored, region)
        if passes.share > (WORTH if wanted == "auto" else 0.99):
            passes, reason = None, "a window changes nearly all that the model computes"
    if passes is None and wanted != "auto":
        raise ValueError(f"incremental=True saves nothing here: {reason}. Leave it out.")
    run.facts["incremental"] = None if passes is None else round(passes.share, 3)
    return passes


def _reason(run: Run) -> str | None:
    """Why there are no such passes."""
    image = run.image
    boxed = image.shape.rank >= 3 and image.shape[1:].is_fully_defined()
    if run.view.opaque or not boxed or run.positions(image) != tuple(range(1, image.shape.rank - 1)):
        return "it needs a model in TensorFlow, of images, series or volumes of known size with channels last"
    if image.shape[0] is not None:
        return "the model takes batches of one size only"
    if graph.bypassed(image, run.scored, [x for x in tf.nest.flatten(run.inputs) if x is not image]):
        return "the model has another input"
    return None


def scores_hidden(
    run: Run,
    passes: Incremental,
    windows: tf.Tensor,
    hidden: Callable[[tf.Tensor], tf.Tensor],
    fills: tf.Tensor,
    fill: tf.Tensor,
) -> tf.Tensor:
    """(k, n) scores of copies of which parts of boxes are hidden.

    Parameters
    ----------
    run : Run
        The pass of the whole inputs.
    passes : Incremental
        From `incremental_passes`.
    windows : tf.Tensor
        (k,) or (k, n) in which of the boxes something is hidden.
    hidden : callable
        From windows (copies,) to (copies, *sizes), 1 where it is.
    fills : tf.Tensor
        (b, n, ...) what hides it.
    fill : tf.Tensor
        (k,) which of the fills does.
    """
    turns, each = tf.shape(windows)[0], tf.range(run.count)
    if windows.shape.rank == 1:
        windows = tf.tile(windows[:, None], [1, run.count])
    copies = Copies(tf.reshape(windows, [-1]), tf.tile(each, [turns]))
    filling = Copies(copies.window, tf.reshape(fill[:, None] * run.count + each, [-1]))
    where = hidden(copies.window)[..., None]
    shown = copies.before(run.pixels, passes.region) * (1 - where)
    values = shown + filling.before(merge(fills), passes.region) * where
    return split(run.score_of(passes(cast(values, run.image.dtype), copies), turns), run.count)
