"""Scores of inputs in which boxes or words are hidden, by passes that run no more than these can change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import tensorflow as tf

from tfxai.loops import merge, split
from tfxai.models import graph
from tfxai.models.attention import find
from tfxai.models.attention_maps import causal
from tfxai.models.embeddings import embedding
from tfxai.models.incremental import Copies, Incremental
from tfxai.models.regions import Region
from tfxai.models.suffix import Suffix
from tfxai.run import Run, cast

IncrementalOption: TypeAlias = bool | Literal["auto"]
WORTH = 0.9  # of a full pass: what is estimated to cost more is not worth the memory


def incremental_passes(
    run: Run, region: Region, wanted: IncrementalOption = "auto", compiled: bool = False
) -> Incremental | Suffix | None:
    """Passes of what boxes in the image of a run can change, or words of a causal model; None if full ones are as good.

    ``wanted``: False for full passes in any case. ``compiled``: whether XLA compiles what is run, for which sizes must
    be known.

    Raises
    ------
    ValueError
        If they are insisted on, and cannot be.
    """
    if not wanted:
        return None
    passes: Incremental | Suffix | None = None
    reason, most = _reason(run), WORTH if wanted == "auto" else 0.99
    if reason is None:
        passes = Incremental(run.image, run.scored, region)
        reason = "a window changes nearly all that the model computes"
    if _is_sequence(run) and not compiled and (passes is None or passes.share > most):
        passes = _suffix(run, region, most) or passes
        reason = "a word changes nearly all that the model computes, as it does unless attention is causal"
    if passes is not None and passes.share > most:
        passes = None
    if passes is None and wanted != "auto":
        raise ValueError(f"incremental=True saves nothing here: {reason}. Leave it out.")
    run.facts["incremental"] = None if passes is None else round(passes.share, 3)
    return passes


def _reason(run: Run) -> str | None:
    """Why no boxes of an image can run alone."""
    image = run.image
    boxed = image.shape.rank >= 3 and image.shape[1:].is_fully_defined()
    if run.view.opaque or not boxed or run.positions(image) != tuple(range(1, image.shape.rank - 1)):
        return "it needs a model in TensorFlow, of images, series or volumes of known size with channels last"
    if image.shape[0] is not None:
        return "the model takes batches of one size only"
    if graph.bypassed(image, run.scored, [x for x in tf.nest.flatten(run.inputs) if x is not image]):
        return "the model has another input"
    return None


def _is_sequence(run: Run) -> bool:
    """Whether what is hidden are words, or steps of a series, in the only input."""
    image = run.image
    if run.view.opaque or image.shape.rank not in (2, 3) or image.shape[0] is not None or image.shape[1] in (None, 1):
        return False
    words = embedding(image) is not None if image.shape.rank == 2 else run.positions(image) == (1,)
    return words and image.shape[1:].is_fully_defined() and len(tf.nest.flatten(run.inputs)) == 1


def _suffix(run: Run, region: Region, most: float) -> Suffix | None:
    """Passes of what stands after the first change, if attention is causal and they are worth it."""
    image, end = run.image, run.scored
    kept, maps = float(1 - (region.starts / image.shape[1]).mean()), find([image], end)
    passes = Suffix(image, end, maps, kept)
    if passes.share > most:  # even if all of these were causal, which takes a pass to see
        return None
    known = [one for one, seen in zip(maps, causal(run.view, run.inputs), strict=False) if seen]
    return passes if len(known) == len(maps) else Suffix(image, end, known, kept)


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


def scores_behind(run: Run, passes: Suffix, copies: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """(times, n) scores of copies of sequences, (times * n, ...), one after the other."""
    return split(run.score_of(passes(cast(copies, run.image.dtype), times), times), run.count)
