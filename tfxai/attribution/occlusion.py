"""Hide parts of the input and watch the score. No gradients, no layers: these work on any model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, Unpack

import numpy as np
import tensorflow as tf

from tfxai.attribution.kriging import MOST, first_windows, kriged
from tfxai.baselines import input_references
from tfxai.checks import above, one_of, positive
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.groups import Groups, numbered, partition
from tfxai.hidden_boxes import IncrementalOption, incremental_passes, scores_hidden
from tfxai.loops import (
    Seeded,
    accumulate,
    accumulate_until,
    collect,
    column,
    halves,
    merge,
    named_errors,
    split,
    standard_error,
    steady,
)
from tfxai.maps import enlarge, outer
from tfxai.models.regions import Region
from tfxai.options import ModelOptions
from tfxai.run import Run
from tfxai.types import Baseline, Classes, JitCompile, Model, Preprocessor, Score

MaskKind: TypeAlias = Literal["smooth", "words", "columns"]


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
    incremental : bool or "auto"
        Run only what a window can change, layer by layer, and take the rest from the pass of the whole input: the same
        values, up to rounding, at a fraction of the cost (Nakandala et al. 2019), for the memory of that pass. Default
        "auto": where it is estimated to save a tenth, as for convolutional networks whose layers do not mix all
        positions early. ``facts["incremental"]`` has the estimated cost as a share of full passes, None for these.
    refine : float, optional
        Run only this share of the windows, such as 0.4: every third along each axis at first, then those of which it is
        least sure whether they are among the 5 % with the largest drops. The others are estimated from their neighbours
        (kriging). ``extras["asked"]`` tells which windows ran, ``extras["drop_errors"]`` the standard deviation of the
        estimates. At 0.25 the 5 % of pixels with the largest values overlapped by 92 % with those of all windows
        (SqueezeNet), 90 % (MobileNet 0.25) and 81 % (MobileNetV2), at 0.4 by 97, 97 and 86 %, on 24 photographs each;
        97 to 99 % of the drops that were not asked lay within two standard deviations. Default: all windows run.
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
        score, absences = self._hiding(run, covers)

        def drops_of(window: tf.Tensor) -> tf.Tensor:
            """Of windows (k,), or (k, n) of each input its own: (k, n)."""
            count = window.shape[0]

            def each(index: tf.Tensor) -> tf.Tensor:
                return score(tf.gather(window, index % count), index // count)

            scores = collect(each, count * absences, run.count, run.batch_size)
            return run.score - tf.reduce_mean(tf.reshape(tf.transpose(scores), [absences, count, run.count]), 0)

        if self.refine is None:
            drops = tf.transpose(drops_of(tf.range(math.prod(grid))))
        else:
            overlapping = [float(cover.sum() / cover.shape[1]) for cover in covers]
            field = kriged(drops_of, grid, overlapping, self._passes(grid), run.count)
            drops = field.drops
            run.extras["asked"] = tf.reshape(field.asked > 0, [-1, *grid])
            run.extras["drop_errors"] = tf.reshape(field.errors, [-1, *grid])
        drops = tf.reshape(drops, [-1, *grid])
        run.extras["drops"] = drops
        if columns:
            drops /= covers[0].sum(1)
        return run.unpadded(_spread(drops, covers) / _spread(tf.ones([1, *grid]), covers))

    def _hiding(self, run: Run, covers: Sequence[np.ndarray]) -> tuple[Callable[..., tf.Tensor], int]:
        """From windows (k,) or (k, n) and the numbers (k,) of fills to scores (k, n); and how many fills there are."""
        image, x, fills = run.image, run.pixels, input_references(run, run.image)
        grid = [len(rows) for rows in covers]
        places = np.unravel_index(np.arange(math.prod(grid)), grid)  # of each window, along each axis
        region = _boxes(covers, places)
        passes, within = incremental_passes(run, region, self.incremental), _within(covers, places, region)

        def hiding(window: tf.Tensor) -> tf.Tensor:
            return outer([tf.gather(axis, window) for axis in within])

        def score(window: tf.Tensor, fill: tf.Tensor) -> tf.Tensor:
            if passes is not None:
                return scores_hidden(run, passes, window, hiding, fills, fill)
            flat = tf.reshape(window, [-1])
            hidden = outer([tf.gather(c, tf.gather(i, flat)) for c, i in zip(covers, places, strict=True)])
            hidden = run.over(tf.reshape(hidden, [tf.size(fill), -1, *hidden.shape[1:]]), image)
            filling = fills if fills.shape[0] == 1 else tf.gather(fills, fill)
            occluded = x * (1 - hidden) + filling * hidden  # hidden is 0 or 1, so the sum is a choice
            copies = run.with_image(merge(occluded), tf.size(fill))
            return split(self.rerun(run, copies, tf.size(fill)).score, run.count)

        return score, fills.shape[0] or 1

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
                f"Expected stride to be no longer than window, or places between stay uncovered; got {tuple(stride)} "
                f"and {tuple(window)}."
            )
        return [cover(*axis) for axis in zip(size, window, stride, strict=True)]


class RISE(Explainer, Seeded):
    """Mean score over random masks, at each pixel over the masks that leave it visible.

    Petsiuk et al. (2018), eq. 6: (1 / (N p)) * sum of S(x * m) m, with masks m drawn on a coarse grid with probability
    p, enlarged and shifted at random. The same masks serve all inputs.

    Masks of words are 0 or 1, for a number between that of a word and that of the fill is another word. So are masks of
    tables, in which each column is drawn alone.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    masks : int or array
        How many masks, or masks (N, h, w) in [0, 1] of the input's size; of words, of 0 and 1. Default 1000 (the
        paper: 4000 to 8000); the noise of the map falls with the root of it.
    cells : int
        Cells of the grid along each axis. Default 7 (paper). Of a table, each column is one.
    probability : float
        Share of cells that stay visible. Default 0.5 (paper).
    fill : number, "mean", "blur", "noise", array or function
        What hides the rest. Default 0 (paper).
    input : str, optional
        Which of several inputs is hidden in parts. Default: the only one with positions.
    seed : int
        The same seed gives the same masks.
    uncertainty : bool
        Also find the standard error of every value, `Explanation.uncertainty`, for the memory of one more map.
    until : float, optional
        Draw masks only until the map is steady: until, for each input on its own, noise is estimated to be this
        share of what the map shows, such as 0.05 (standard deviations; see `tfxai.loops.steady`).
        ``masks`` is the most; ``extras["samples"]`` has how many it took. Includes
        ``uncertainty``.
    score : {"auto", "probability", "logit"}, optional
        Default "auto": the probability, as in the paper, if the model gives one, else the logit.
    output, signature, classes, jit_compile, draws, preprocessor
        As for `Explainer`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.RISE(tfxai.datasets.flowers.load_model(), masks=20)(images).values.shape
    (2, 112, 112)
    """

    facts = Facts(
        "rise",
        use="parts of the input that the decision rests on",
        cost="1 forward pass for each mask (1000 by default)",
        needs="any model",
        drawback="slow; grainy with few masks",
        reference="Petsiuk et al. 2018",
    )

    def __init__(
        self,
        model: Model,
        *,
        masks: int | np.ndarray = 1000,
        cells: int = 7,
        probability: float = 0.5,
        fill: Baseline = 0.0,
        input: str | None = None,
        seed: int = 0,
        uncertainty: bool = False,
        until: float | None = None,
        output: str | int | None = None,
        signature: str | None = None,
        score: Score | None = "auto",
        classes: Classes | None = None,
        jit_compile: JitCompile = "auto",
        draws: int | None = None,
        preprocessor: Preprocessor | None = None,
    ):
        Explainer.__init__(
            self,
            model,
            output=output,
            signature=signature,
            score=score,
            classes=classes,
            jit_compile=jit_compile,
            draws=draws,
            preprocessor=preprocessor,
        )
        self.input = input
        Seeded.__init__(self, seed)
        self.given = None if np.ndim(masks) == 0 else np.asarray(masks, np.float32)
        if self.given is not None and (self.given.ndim < 2 or not len(self.given)):
            raise ValueError(f"Expected masks to be a number or an array (N, h, w), got shape {self.given.shape}.")
        self.masks = positive("masks", masks) if self.given is None else len(self.given)
        self.cells = positive("cells", cells)
        if not 0 < probability < 1:
            raise ValueError(f"Expected probability to lie between 0 and 1, got {probability!r}.")
        self.probability, self.reference = probability, fill
        self.uncertainty, self.until = uncertainty or until is not None, until
        if until is not None:
            above(0, until=until)
        if self.uncertainty and self.masks < 2:
            raise ValueError(f"Expected 2 masks or more for uncertainty=True or until=, got {self.masks}.")

    def mask(self, size: Sequence[int], seed: tf.Tensor, kind: MaskKind = "smooth") -> tf.Tensor:
        """One random mask (h, w), or with more or fewer axes."""
        if kind == "columns":
            return tf.cast(tf.random.stateless_uniform(size, seed) < self.probability, tf.float32)
        cell = [-(-length // self.cells) for length in size]
        grid = tf.random.stateless_uniform([self.cells] * len(size), seed) < self.probability
        large = [(self.cells + 1) * length for length in cell]
        enlarged = enlarge(tf.cast(grid, tf.float32)[None], large, "linear" if kind == "smooth" else "nearest")[0]
        share = tf.random.stateless_uniform([len(size)], seed + tf.constant([1, 0], seed.dtype))
        shift = tf.cast(share * cell, tf.int32)
        return tf.slice(enlarged, shift, size)

    def attribute(self, run: Run) -> tf.Tensor:
        run = run.chosen_or_only()
        image, x = run.image, run.pixels
        size = run.size(image)
        kind: MaskKind = "smooth"
        if image.shape.rank == 2:
            kind = "columns" if image.dtype.is_floating else "words"
        if kind == "words" and self.given is not None and not np.isin(self.given, (0, 1)).all():
            raise ValueError(
                "Expected masks of 0 and 1 for integers, such as words: what lies between is another word."
            )
        if self.given is not None and list(self.given.shape[1:]) != size:
            raise ValueError(f"Expected masks of the size of the inputs, {tuple(size)}, got {self.given.shape[1:]}.")
        fill = input_references(run, run.image)[0]

        def masked(index: tf.Tensor, active: tf.Tensor) -> list[tf.Tensor]:
            if self.given is None:
                masks = self.draw(index, lambda seed: self.mask(size, seed, kind))
            else:
                masks = tf.gather(tf.constant(self.given), index)
            shown = run.over(masks, image)[:, None]
            copies = run.with_image(merge(x * shown + fill * (1 - shown)), tf.size(index))  # of 0 and 1, a choice
            scores = split(self.rerun(run, copies, tf.size(index)).score, run.count)
            weights = [active] if self.until is None else halves(index, active)
            totals = [tf.tensordot(scores * w[:, None], masks, [[0], [0]]) for w in weights]
            if not self.uncertainty:
                return totals
            return [*totals, tf.tensordot(tf.square(scores) * active[:, None], tf.square(masks), [[0], [0]])]

        zeros = [tf.zeros([run.count, *size])] * (1 + self.uncertainty + (self.until is not None))
        given = masked, zeros, self.masks, run.count, run.batch_size

        if self.until is None:
            (total, *squares), used = accumulate(*given), tf.fill([run.count], float(self.masks))
        else:
            until = self.until
            (even, odd, *squares), used = accumulate_until(*given, lambda sums, _: steady(sums[0], sums[1], until))
            total, run.extras["samples"] = even + odd, used
        count = column(used, total)
        mean = total / (count * self.probability)
        if self.uncertainty:
            errors = standard_error(mean, squares[0] / (count * self.probability**2), count)
            run.extras |= named_errors(run.unpadded(errors))
        return run.unpadded(mean)


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
