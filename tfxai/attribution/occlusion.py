"""Hide parts of the input and watch the score. No gradients, no layers: these work on any model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Unpack

import numpy as np
import tensorflow as tf

from tfxai.attribution.kriging import MOST, first_windows, kriged
from tfxai.baselines import input_references
from tfxai.checks import one_of, positive
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.groups import Groups, numbered, partition
from tfxai.hidden_boxes import IncrementalOption, incremental_passes, scores_behind, scores_hidden
from tfxai.loops import collect, merge, split
from tfxai.maps import outer
from tfxai.models.incremental import Incremental
from tfxai.models.regions import Region
from tfxai.options import ModelOptions
from tfxai.run import Run
from tfxai.types import Baseline, Model


class Occlusion(Explainer):
    """How far the score falls when a window of the input is hidden.

    Zeiler and Fergus (2013). The drop of each window is spread evenly over its pixels' windows: the value of a pixel is
    the mean drop over all windows that cover it. ``extras["drops"]`` has the drop of each window, (n, rows, columns).

    The columns of a table are hidden one by one, or in ``groups``: the drop of a group is shared evenly by its columns,
    whose values sum to it. ``extras["drops"]`` then is (n, groups), in the order of their first columns.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    window : int or sequence of int, optional
        Size of the window along each axis. Default an eighth of the input, and one column of a table. It need not
        divide the input: the last window is cut by the border.
    stride : int or sequence of int, optional
        Step between windows. Default half a window.
    fill : number, "mean", "blur", "noise", function, or array of the shape of one input or of the batch
        What hides the window, in the model's own scale; for words, the number of the one that stands for no word.
        Default 0. See `tfxai.baselines.references`.
    input : str, optional
        Which of several inputs has parts hidden. Default: the only one with positions.
    groups : mapping of str to sequence of int, or sequence of these, optional
        For a table, in place of windows: columns that are hidden together, such as those of one category,
        ``{"colour": [3, 4, 5]}``. Each column in no group is hidden alone.
    incremental : bool or "auto"
        Run only what a window can change, layer by layer, and take the rest from the pass of the whole input: the same
        values, up to rounding, at a fraction of the cost (Nakandala et al. 2019), for the memory of that pass; up to
        eight times as many copies run at a time, no more than take the memory of a batch of full passes. For words in a
        causal model only those from the first hidden one on run again. Default "auto": where it is estimated to save a
        tenth, as for causal models, and for convolutional networks whose layers do not mix all positions early.
        ``facts["incremental"]`` has the estimated cost as a share of full passes, None for these.
    refine : float, optional
        Run only this share of the windows, such as 0.4: every third along each axis at first, then those over pixels of
        which it is least sure whether they are among the 5 % with the largest values. The drops of the others are
        estimated from their neighbours (kriging). ``extras["asked"]`` says which windows ran,
        ``extras["drop_errors"]`` the standard deviation of the estimates. At 0.4 the 5 % of pixels with the largest
        values overlapped by 99 % with those of all windows (SqueezeNet), 99 % (MobileNet 0.25) and 94 % (MobileNetV2),
        at 0.25 by 95, 91 and 82 %, on 50 photographs each; 96 to 99 % of the drops that were not asked lay within two
        standard deviations. Default: all windows run.
    **options
        As for `Explainer`; ``score="probability"`` gives drops of the probability.

    Raises
    ------
    ValueError
        For windows, strides or groups that do not fit, or several inputs of which none is chosen.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.Occlusion(tfxai.datasets.flowers.load_model(), window=28)(images).values.shape
    (2, 112, 112)
    """

    facts = Facts.of("occlusion")
    lowers = True

    def __init__(
        self,
        model: Model,
        *,
        window: int | Sequence[int] | None = None,
        stride: int | Sequence[int] | None = None,
        fill: Baseline = 0.0,
        input: str | None = None,
        groups: Groups | None = None,
        incremental: IncrementalOption = "auto",
        refine: float | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, **options)
        one_of("incremental", incremental, [True, False, "auto"])
        if refine is not None and not 0 < refine < 1:
            raise ValueError(f"Expected refine to be a share of the windows, between 0 and 1, got {refine!r}.")
        self.incremental, self.refine = incremental, refine
        if groups is not None and (window not in (None, 1) or stride not in (None, 1)):
            raise ValueError(f"Expected groups= or windows, got both; leave out window={window!r}, stride={stride!r}.")
        self.input, self.groups = input, groups
        self.window, self.stride, self.reference = window, stride, fill

    def attribute(self, run: Run) -> tf.Tensor:
        run = run.chosen_or_only()
        image, columns = run.image, self._has_columns(run.image)
        if columns and self.refine is not None:
            raise ValueError("refine= is for windows, and the columns of a table have no neighbours. Leave it out.")
        covers = self._columns(image) if columns else self._windows(run.size(image))
        grid = [len(rows) for rows in covers]
        score, absences, room = self._hiding(run, covers)

        def drops_of(window: tf.Tensor) -> tf.Tensor:
            """Of windows (k,), or (k, n) of each input its own: (k, n)."""
            count = window.shape[0]

            def each(index: tf.Tensor) -> tf.Tensor:
                return score(tf.gather(window, index % count), index // count)

            scores = collect(each, count * absences, run.count, run.batch_size * room)
            return run.score - tf.reduce_mean(tf.reshape(tf.transpose(scores), [absences, count, run.count]), 0)

        if self.refine is None:
            drops = tf.transpose(drops_of(tf.range(math.prod(grid))))
        else:
            overlapping = [float(cover.sum() / cover.shape[1]) for cover in covers]
            field = kriged(drops_of, overlapping, [_parts(c) for c in covers], self._passes(grid), run.count)
            drops = field.drops
            run.extras["asked"] = tf.reshape(field.asked > 0, [-1, *grid])
            run.extras["drop_errors"] = tf.reshape(field.errors, [-1, *grid])
        drops = tf.reshape(drops, [-1, *grid])
        run.extras["drops"] = drops
        if columns:
            drops /= covers[0].sum(1)
        return run.unpadded(_spread(drops, covers) / _spread(tf.ones([1, *grid]), covers))

    def _hiding(self, run: Run, covers: Sequence[np.ndarray]) -> tuple[Callable[..., tf.Tensor], int, int]:
        """From windows (k,) or (k, n) and numbers (k,) of fills to scores (k, n); how many fills; copies for one."""
        image, x, fills = run.image, run.pixels, input_references(run, run.image)
        grid = [len(rows) for rows in covers]
        places = np.unravel_index(np.arange(math.prod(grid)), grid)  # of each window, along each axis
        region = _boxes(covers, places)
        passes = incremental_passes(run, region, self.incremental, self.jit_compile)
        within = _within(covers, places, region)

        def hiding(window: tf.Tensor) -> tf.Tensor:
            return outer([tf.gather(axis, window) for axis in within])

        def score(window: tf.Tensor, fill: tf.Tensor) -> tf.Tensor:
            if isinstance(passes, Incremental):
                return scores_hidden(run, passes, window, hiding, fills, fill)
            flat = tf.reshape(window, [-1])
            hidden = outer([tf.gather(c, tf.gather(i, flat)) for c, i in zip(covers, places, strict=True)])
            hidden = run.over(tf.reshape(hidden, [tf.size(fill), -1, *hidden.shape[1:]]), image)
            filling = fills if fills.shape[0] == 1 else tf.gather(fills, fill)
            occluded = x * (1 - hidden) + filling * hidden  # hidden is 0 or 1, so the sum is a choice
            if passes is not None:
                return scores_behind(run, passes, merge(occluded), tf.size(fill))
            copies = run.with_image(merge(occluded), tf.size(fill))
            return split(self.rerun(run, copies, tf.size(fill)).score, run.count)

        return score, fills.shape[0] or 1, passes.room if passes else 1

    def _passes(self, grid: Sequence[int]) -> int:
        """How many windows are asked."""
        windows, first = math.prod(grid), len(first_windows(grid))
        asked = math.floor((self.refine or 1) * windows)
        if asked < first:
            raise ValueError(
                f"Expected refine to leave at least the {first} of {windows} windows that are asked at first, a share "
                f"of {math.ceil(100 * first / windows) / 100}, got {self.refine}."
            )
        if windows > MOST:
            raise ValueError(f"refine= takes at most {MOST} windows, and there are {windows}. Use a larger stride=.")
        return asked

    def _has_columns(self, x: tf.Tensor) -> bool:
        """Whether columns are hidden, whose neighbours mean nothing, and not windows."""
        if self.groups is not None and x.shape.rank != 2:
            raise ValueError(f"Expected groups= of a table, (n, features), got inputs of shape {x.shape}. Use window=.")
        alone = x.shape.rank == 2 and x.dtype.is_floating and self.window is None and self.stride is None
        return alone or self.groups is not None

    def _columns(self, x: tf.Tensor) -> list[np.ndarray]:
        """[(groups, columns)] 1 where a column is hidden."""
        parts = partition(self.groups, numbered(x.shape[1]))
        return [np.stack([np.isin(np.arange(x.shape[1]), columns) for _, columns in parts]).astype(np.float32)]

    def _windows(self, size: Sequence[int]) -> list[np.ndarray]:
        """(windows, positions) of each axis, 1 where a window lies."""
        window = _per_axis("window", self.window, [max(1, length // 8) for length in size])
        stride = _per_axis("stride", self.stride, [max(1, length // 2) for length in window])
        if any(step > length for step, length in zip(stride, window, strict=True)):
            raise ValueError(
                f"Expected stride to be no longer than window, since parts between windows would stay "
                f"uncovered; got {tuple(stride)} and {tuple(window)}."
            )
        return [cover(*axis) for axis in zip(size, window, stride, strict=True)]


def _boxes(covers: Sequence[np.ndarray], places: Sequence[np.ndarray]) -> Region:
    """Boxes of the size of a window, which hold what is left of those that are cut by the border."""
    sizes = [int(cover.sum(1).max()) for cover in covers]
    first = [np.minimum(c.argmax(1), c.shape[1] - size) for c, size in zip(covers, sizes, strict=True)]
    return Region(np.stack([f[i] for f, i in zip(first, places, strict=True)], 1), tuple(sizes))


def _within(covers: Sequence[np.ndarray], places: Sequence[np.ndarray], region: Region) -> list[np.ndarray]:
    """(windows, size) of each axis, 1 where a window lies within its box."""
    at = [region.starts[:, axis, None] + np.arange(size) for axis, size in enumerate(region.sizes)]
    return [cover[i[:, None], where] for cover, i, where in zip(covers, places, at, strict=True)]


def cover(length: int, window: int, stride: int) -> np.ndarray:
    """(windows, length) 1 where a window lies; the last window reaches the border and may be cut by it."""
    windows = -(-max(0, length - window) // stride) + 1
    starts = np.arange(windows)[:, None] * stride
    positions = np.arange(length)
    return ((positions >= starts) & (positions < starts + window)).astype(np.float32)


def _parts(cover: np.ndarray) -> np.ndarray:
    """(parts, windows) weights of windows in the values at positions that are a stride apart."""
    starts = cover.argmax(1)
    parts = cover[:, :: starts[1] if len(starts) > 1 else None].T
    return parts / parts.sum(1, keepdims=True)


def _spread(values: tf.Tensor, covers: Sequence[np.ndarray]) -> tf.Tensor:
    """Sum of window values (n, rows, columns) over the windows that cover each position."""
    for rows in covers:  # each turn consumes the first window axis and appends its positions
        values = tf.tensordot(values, tf.constant(rows), [[1], [0]])
    return values


def _per_axis(name: str, value: int | Sequence[int] | None, default: list[int]) -> list[int]:
    if value is None:
        return default
    sizes = np.atleast_1d(value).tolist() * (len(default) if np.ndim(value) == 0 else 1)
    if len(sizes) != len(default):
        raise ValueError(f"Expected {name} to be a number or {len(default)} numbers, got {value!r}.")
    return [positive(name, size) for size in sizes]
