"""Scores of inputs of which boxes are hidden, by passes that run no more than a box can change."""

from __future__ import annotations

from typing import Literal, TypeAlias

import tensorflow as tf

from tfxai.loops import merge, split
from tfxai.models import graph
from tfxai.models.incremental import Incremental, cut
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
    run: Run, passes: Incremental, index: tf.Tensor, hidden: tf.Tensor, fills: tf.Tensor, fill: tf.Tensor
) -> tf.Tensor:
    """(k, n) scores of copies of which parts of boxes are hidden.

    Parameters
    ----------
    run : Run
        The pass of the whole inputs.
    passes : Incremental
        From `incremental_passes`.
    index : tf.Tensor
        (k,) in which of the boxes something is hidden.
    hidden : tf.Tensor
        (k, *sizes) 1 where it is.
    fills : tf.Tensor
        (b, n, ...) what hides it.
    fill : tf.Tensor
        (k,) which of the fills does.
    """
    hidden = tf.repeat(hidden, run.count, 0)[..., None]
    before = cut(run.pixels, passes.region, index)
    filling = cut(merge(fills), passes.region, index, fill, fills.shape[0])
    values = cast(before * (1 - hidden) + filling * hidden, run.image.dtype)
    return split(run.score_of(passes(values, index), tf.size(index)), run.count)
