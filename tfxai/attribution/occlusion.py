"""Hide parts of the input and watch the score. No gradients, no layers: these work on any model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import tensorflow as tf

from tfxai.baselines import input_references
from tfxai.checks import positive
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.groups import Groups, numbered, partition
from tfxai.loops import collect, merge, split
from tfxai.maps import outer
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
        What hides the window, in the model's own scale; of words, the number of the one that stands for none. Default
        0. See `tfxai.baselines.references`.
    input : str, optional
        Which of several inputs is hidden in parts. Default: the only one with positions.
    groups : mapping of str to sequence of int, or sequence of such, optional
        Of a table, in place of windows: columns that are hidden together, such as those of one category,
        ``{"colour": [3, 4, 5]}``. Each column in no group is hidden alone.
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

    facts = Facts(
        "occlusion",
        use="parts of the input that the decision rests on",
        cost="1 forward pass for each window (225 by default)",
        needs="any model",
        drawback="slow; the fill is off the data; sees no interplay of distant parts",
        reference="Zeiler and Fergus 2013",
    )

    def __init__(
        self,
        model: Model,
        *,
        window: int | Sequence[int] | None = None,
        stride: int | Sequence[int] | None = None,
        fill: Baseline = 0.0,
        input: str | None = None,
        groups: Groups | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, **options)
        if groups is not None and (window not in (None, 1) or stride not in (None, 1)):
            raise ValueError(f"Expected groups= or windows, got both; leave out window={window!r}, stride={stride!r}.")
        self.input, self.groups = input, groups
        self.window, self.stride, self.reference = window, stride, fill

    def attribute(self, run: Run) -> tf.Tensor:
        run = run.chosen_or_only()
        image, x = run.image, run.pixels
        covers = self._columns(image) if self._has_columns(image) else self._windows(run.size(image))
        grid = [len(rows) for rows in covers]
        fills = input_references(run, run.image)
        windows = int(np.prod(grid))
        places = np.unravel_index(np.arange(windows), grid)  # of each window, along each axis

        def score(index: tf.Tensor) -> tf.Tensor:
            sides = [tf.gather(c, tf.gather(i, index % windows)) for c, i in zip(covers, places, strict=True)]
            hidden = run.over(outer(sides), image)[:, None]  # 0 or 1, so the sum is a choice
            fill = fills if fills.shape[0] == 1 else tf.gather(fills, index // windows)
            occluded = x * (1 - hidden) + fill * hidden
            copies = run.with_image(merge(occluded), tf.size(index))
            return split(self.rerun(run, copies, tf.size(index)).score, run.count)

        scores = collect(score, windows * fills.shape[0], run.count, run.batch_size)
        scores = tf.reduce_mean(tf.reshape(scores, [-1, fills.shape[0], windows]), 1)
        drops = tf.reshape(run.score[:, None] - scores, [-1, *grid])
        run.extras["drops"] = drops
        if self._has_columns(image):
            drops /= covers[0].sum(1)
        return run.unpadded(_spread(drops, covers) / _spread(tf.ones([1, *grid]), covers))

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
                f"Expected stride to be no longer than window, or places between stay uncovered; got {tuple(stride)} "
                f"and {tuple(window)}."
            )
        return [cover(*axis) for axis in zip(size, window, stride, strict=True)]


def cover(length: int, window: int, stride: int) -> np.ndarray:
    """(windows, length) 1 where a window lies; the last window reaches the border and may be cut by it."""
    windows = -(-max(0, length - window) // stride) + 1
    starts = np.arange(windows)[:, None] * stride
    positions = np.arange(length)
    return ((positions >= starts) & (positions < starts + window)).astype(np.float32)


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
