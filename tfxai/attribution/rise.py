"""Hide random parts of the input and watch the score: RISE, with masks that are balanced."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import tensorflow as tf

from tfxai.attribution.sampled import told_of
from tfxai.baselines import input_references
from tfxai.checks import positive
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.loops import (
    BLOCK,
    Seeded,
    accumulate,
    accumulate_until,
    apart,
    column,
    halves,
    merge,
    named_errors,
    shuffled,
    split,
    standard_error,
    steady,
)
from tfxai.maps import enlarge
from tfxai.run import Run
from tfxai.types import Baseline, Classes, JitCompile, Model, Precision, Preprocessor, Score

MaskKind: TypeAlias = Literal["smooth", "words", "columns"]


class RISE(Explainer, Seeded):
    """Mean score over random masks, at each pixel over the masks that leave it visible.

    Petsiuk et al. (2018), eq. 6: (1 / (N p)) * sum of S(x * m) m, with masks m drawn on a coarse grid with probability
    p, enlarged and shifted at random. The same masks serve all inputs.

    Each mask is distributed as in the paper, and so is the mean of the map, but masks are balanced: they come in blocks
    of two for each row of a Hadamard matrix with a column for each cell, 128 for 7 x 7 cells, with one shift, random
    columns and random signs. In a block each cell is seen in half of the masks, any two are in a quarter (at p = 0.5),
    and each mask stands beside its complement: what cells add to the score on their own, or in pairs, is then no noise
    for others. For the last block, if it is not whole, this holds in part.

    Masks of words are 0 or 1, because a number between that of a word and that of the fill is another word. So are
    masks of tables, in which each column is drawn alone.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    masks : int or array
        How many masks, or masks (N, h, w) in [0, 1] of the input's size; for words, of 0 and 1. Default 512
        (the paper: 4000 to 8000, drawn alone): on 7 flowers their maps have a rank correlation of .81 with those of
        20,000 masks drawn alone, the maps of 1500 drawn alone one of .57; the paired 95 % interval of the difference is
        .14 to .38. On 15 photographs and a MobileNet it is .91 and .87, .003 to .077 (``benchmarks/rise.py``). The
        noise of the map falls with the root of the number of masks.
    cells : int
        Cells of the grid along each axis. Default 7 (paper). In a table, each column is one.
    probability : float
        Share of cells that stay visible. Default 0.5 (paper).
    balanced : bool
        Whether masks are drawn in balanced blocks, default, or each alone, as in the paper.
    fill : number, "mean", "blur", "noise", array or function
        What hides the rest. Default 0 (paper).
    input : str, optional
        Which of several inputs has parts hidden. Default: the only one with positions.
    seed : int
        The same seed gives the same masks.
    uncertainty : bool
        Also estimate the standard error of every value, `Explanation.uncertainty`, at the memory cost of a few more
        maps. It is that of the blocks' means, so balanced masks have to be at least 2 blocks.
    until : float, optional
        Stop once the map is steady: when, for each input separately, the estimated noise is this share of what the map
        shows, such as 0.05 (standard deviations; see `tfxai.loops.steady`). This is checked after every 2 blocks of
        balanced masks, else after every 10 masks. ``masks`` is the upper limit; ``extras["samples"]`` holds the number
        used. Implies ``uncertainty``.
    score : {"auto", "probability", "logit"}, optional
        Default "auto": the probability, as in the paper, if the model gives one, else the logit.
    output, signature, classes, jit_compile, draws, preprocessor, precision
        As for `Explainer`.

    Raises
    ------
    ValueError
        For masks that do not fit, too few masks for ``uncertainty`` or ``until``, or several inputs of which none is
        chosen.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.RISE(tfxai.datasets.flowers.load_model(), masks=20)(images).values.shape
    (2, 112, 112)
    """

    facts = Facts.of("rise")
    lowers = True

    def __init__(
        self,
        model: Model,
        *,
        masks: int | np.ndarray = 512,
        cells: int = 7,
        probability: float = 0.5,
        balanced: bool = True,
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
        precision: Precision = "float32",
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
            precision=precision,
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
        self.balanced = balanced
        self.uncertainty, self.until = told_of(uncertainty, until, masks=self.masks)

    def mask(self, size: Sequence[int], seed: tf.Tensor, kind: MaskKind = "smooth") -> tf.Tensor:
        """One random mask (h, w), or with more or fewer axes, of ``seed`` and its number."""
        seen, first = self._drawn(size, seed, kind)
        return self._laid(seen[None], first[None], size, kind)[0]

    def _drawn(self, size: Sequence[int], seed: tf.Tensor, kind: MaskKind) -> tuple[tf.Tensor, tf.Tensor]:
        """Which cells a mask leaves visible, and at which pixel of the enlarged cells it begins."""
        cells = [self.cells] * len(size) if kind != "columns" else [*size]
        seen = tf.cast(self._levels(cells, seed) < self.probability, tf.float32)
        one_for = seed // [1, block_of(cells)] if self.balanced else seed
        share = tf.random.stateless_uniform([len(size)], apart(one_for, 1))
        return seen, tf.cast(share * [self._cell(length) for length in size], tf.int32)

    def _cell(self, length: int) -> int:
        """Pixels of a cell along an axis of such a length."""
        return -(-length // self.cells)

    def _laid(self, seen: tf.Tensor, first: tf.Tensor, size: Sequence[int], kind: MaskKind) -> tf.Tensor:
        """(k, h, w) masks of (k, ...) cells enlarged, from (k, axes) the first pixel on."""
        if kind == "columns":
            return seen
        axes = string.ascii_lowercase[: len(size)]
        for axis, length, begin in zip(axes, size, tf.unstack(first, len(size), 1), strict=True):
            large = [(self.cells + 1) * self._cell(length)]
            weights = tf.transpose(enlarge(tf.eye(self.cells), large, "linear" if kind == "smooth" else "nearest"))
            own = tf.gather(weights, begin[:, None] + tf.range(length))  # (k, length, cells): a few products a pixel
            seen = tf.einsum(f"Z{axes},ZY{axis}->Z{axes.replace(axis, 'Y')}", seen, own)
        return seen

    def _levels(self, cells: list[int], seed: tf.Tensor) -> tf.Tensor:
        """Numbers between 0 and 1, each cell seen where its own is low."""
        if not self.balanced:
            return tf.random.stateless_uniform(cells, seed)
        count, block = int(np.prod(cells)), block_of(cells)
        number = seed[1] % block
        upper = balanced(number, count, block, seed // [1, block])
        within = tf.random.stateless_uniform([count], apart(seed // [1, 2], 2))  # the same half of both of a pair
        within = tf.where(number % 2 == 0, within, 1 - within)
        return tf.reshape((upper + within) / 2, cells)

    def attribute(self, run: Run) -> tf.Tensor:
        run = run.chosen_or_only()
        image, x = run.image, run.pixels
        size = run.size(image)
        kind: MaskKind = "smooth"
        if image.shape.rank == 2:
            kind = "columns" if image.dtype.is_floating else "words"
        self._check_given(size, kind)
        block = self._block(size, kind)
        fill = input_references(run, run.image)[0]
        offset = run.score * self.probability  # squares around it lose fewer digits

        def summed(index: tf.Tensor, active: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
            """(k, n, h, w) sums of score times mask over some masks of each block, numbered from its (k,) first."""
            numbers = first[:, None] + index
            active *= tf.cast(numbers < self.masks, tf.float32)
            flat = tf.reshape(tf.minimum(numbers, self.masks - 1), [-1])
            if self.given is None:
                seen, begin = self.draw(flat, lambda seed: self._drawn(size, seed, kind))
                masks = self._laid(seen, begin, size, kind)
            else:
                masks = tf.gather(tf.constant(self.given), flat)
            shown = run.over(masks, image)[:, None]
            copies = run.with_image(merge(x * shown + fill * (1 - shown)), tf.size(flat))  # of 0 and 1, a choice
            scores = split(self.rerun(run, copies, tf.size(flat)).score, run.count)
            scores = tf.reshape(scores, [-1, tf.size(index), run.count]) * active[..., None]
            of_mask = tf.reshape(masks, [-1, tf.size(index), int(np.prod(size))])
            return tf.reshape(tf.einsum("kqn,kqx->knx", scores, of_mask), [-1, run.count, *size])

        def of_blocks(index: tf.Tensor, active: tf.Tensor) -> list[tf.Tensor]:
            first, blocks = index * block, tf.size(index)
            zeros = tf.zeros([blocks, run.count, *size])
            totals = accumulate(lambda i, a: summed(i, a, first), zeros, block, run.count * blocks, run.batch_size)
            weights = [active] if self.until is None else halves(index, active)
            sums = [tf.tensordot(weight, totals, 1) for weight in weights]
            if not self.uncertainty:
                return sums
            sizes = tf.cast(tf.minimum(block, self.masks - first), tf.float32)
            around = totals - column(sizes, totals) * column(offset, totals[0])
            return [*sums, tf.tensordot(active / sizes, tf.square(around), 1)]

        zeros = [tf.zeros([run.count, *size])] * (1 + self.uncertainty + (self.until is not None))
        blocks = -(-self.masks // block)
        given = of_blocks, zeros, blocks, run.count, max(1, run.batch_size // block)
        if self.until is None:
            (total, *squares), used = accumulate(*given), tf.fill([run.count], float(blocks))
        else:
            until = self.until
            (even, odd, *squares), used = accumulate_until(
                *given, lambda sums, _: steady(sums[0], sums[1], until), BLOCK if block == 1 else 2
            )
            total = even + odd
        masks = tf.minimum(used * block, self.masks)
        if self.until is not None:
            run.extras["samples"] = masks
        count = column(masks, total)
        mean = total / (count * self.probability)
        if self.uncertainty:
            errors = standard_error(total / count - column(offset, total), squares[0] / count, column(used, total))
            run.extras |= named_errors(run.unpadded(errors / self.probability))
        return run.unpadded(mean)

    def _check_given(self, size: list[int], kind: MaskKind) -> None:
        if self.given is None:
            return
        if kind == "words" and not np.isin(self.given, (0, 1)).all():
            raise ValueError(
                "Expected masks of 0 and 1 for integers, such as words: what lies between is another word."
            )
        if list(self.given.shape[1:]) != size:
            raise ValueError(f"Expected masks of the size of the inputs, {tuple(size)}, got {self.given.shape[1:]}.")

    def _block(self, size: Sequence[int], kind: MaskKind) -> int:
        """How many masks are summed before their sum is squared: as many as depend on each other."""
        if not self.uncertainty or not self.balanced or self.given is not None:
            return 1
        block = block_of([self.cells] * len(size) if kind != "columns" else size)
        if self.masks < 2 * block:
            raise ValueError(
                f"Expected {2 * block} masks or more, two blocks of {block}, for uncertainty=True or until= of "
                f"balanced masks, got {self.masks}. Raise masks=, or set balanced=False."
            )
        return block


def block_of(cells: Sequence[int]) -> int:
    """How many masks are balanced together: two for each row of a Hadamard matrix with a column for each cell."""
    return 2 << (int(np.prod(cells)) - 1).bit_length()


def balanced(number: tf.Tensor, cells: int, block: int, seed: tf.Tensor) -> tf.Tensor:
    """(cells,) 0 or 1, of one mask of a block, whose ``seed`` all of them share.

    Of any one mask, they are as independent as coins. Over the block each cell is 1 in half of the masks, and any two
    or three cells take each of their combinations equally often. Masks 2 k and 2 k + 1 are complements.

    Parameters
    ----------
    number : tf.Tensor
        () int64, from 0 to ``block`` - 1.
    cells, block : int
        See `block_of`.
    seed : tf.Tensor
        (2,) int64.
    """
    rows = block // 2
    row = shuffled(rows, seed, 3)[number // 2]  # in random order, so that any part of a block is even too
    common = tf.bitwise.bitwise_and(row, shuffled(rows, seed, 4)[:cells])
    digits = tf.bitwise.right_shift(common[:, None], tf.range(max(1, (rows - 1).bit_length())))
    minus = tf.reduce_sum(digits % 2, 1) % 2  # Sylvester's matrix is (-1) to the number of ones that both have
    flipped = tf.cast(tf.random.stateless_uniform([cells], apart(seed, 5)) < 0.5, tf.int32)
    return tf.cast((minus + flipped + tf.cast(number % 2, tf.int32)) % 2, tf.float32)
