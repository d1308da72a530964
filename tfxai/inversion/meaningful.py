"""Meaningful perturbation: the least that must go for the class to go."""

from __future__ import annotations

from typing import Literal, TypeAlias, Unpack, get_args

import tensorflow as tf

from tfxai.checks import above, at_least, one_of, positive
from tfxai.descent import Evaluated, Schedule, begin, descend
from tfxai.facts import Facts
from tfxai.inversion.background import background, differs
from tfxai.inversion.contrast import Contrast
from tfxai.inversion.jitter import check_jitter, jitter
from tfxai.inversion.mask import Enlarged, blend
from tfxai.inversion.objective import Head, Objective, reported
from tfxai.loops import Seeded, not_inlined, where_rows
from tfxai.options import ModelOptions
from tfxai.regularizers import alpha_norm, total_variation
from tfxai.run import Run, check_places
from tfxai.types import Baseline, Model

Game: TypeAlias = Literal["delete", "preserve", "hybrid"]
# What foreground and background count.
GAMES: dict[Game, tuple[float, float]] = {"delete": (0.0, 1.0), "preserve": (1.0, 0.0), "hybrid": (1.0, 1.0)}
BLUR, SMOOTH = 10 / 224, 5 / 224  # sigmas of the background and of the mask, as shares of the shorter side (paper)
JITTER = 4 / 224  # of the shorter side (paper)
TOLERANCE = 1e-3  # by which share of itself a loss must fall to count
NO_GAIN, NO_CONTRAST, BROKEN = 1, 2, 3  # kinds of degenerate cases


class MeaningfulPerturbation(Contrast, Seeded):
    """The smallest smooth region whose blurring removes the class, or that alone suffices for it.

    Fong and Vedaldi (2017). A map s in [0, 1] of a few cells, enlarged and smoothed, divides the input x from a
    background p. Deleting, it minimises the probability of the class in x (1 - s) + p s; preserving, it maximises that
    of x s + p (1 - s). Each adds ``l1_weight * sum s + tv_weight * sum |d| ** beta``, over the cells and the
    differences d of neighbours. (The paper calls 1 - s the mask.)

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images.
    game : {"delete", "preserve", "hybrid"}
        Default "delete" (paper); "hybrid" is the sum of both.
    cells : int
        Cells of the map along each axis, but no more than there are pixels. Default 28 (paper).
    steps : int
        Steps of Adam. Default 300 (paper).
    learning_rate : float
        Learning rate of Adam. Default 0.1 (paper).
    l1_weight, tv_weight : float
        Factors of area and total variation. Default 1e-4 and 1e-2 (paper). The fewer the cells, the larger the factor
        of their area has to be.
    beta : float
        Power of the total variation, 1 or more. Default 3 (paper).
    fill : number, array, "blur", "mean", "noise" or function
        What replaces what is deleted. ``"blur"``: a Gaussian of 10 pixels for images of 224 (paper), and in proportion;
        the others as in `tfxai.baselines.references`.
    jitter : int, optional
        In each step the input moves under the map by up to this many pixels. Default 4 for images of 224 (paper), and
        in proportion.
    objective : {"probability", "log_probability", "cross_entropy", "logit"}
        What is minimised or maximised. Default the probability (paper). Deleting finds nothing where that is small
        from the beginning. A logarithm or a logit goes on falling with every further pixel and asks for a larger
        l1_weight.
    start : float
        Of every cell, from 0 to 1. Default 0.5 (the paper: a disc that is fitted first). Where the probability of the
        input is so near 1 that it is flat, a descent from 0 would not move.
    patience : int, optional
        An image stops when its loss has not fallen for this many steps. None (paper): never.
    seed : int
        The same seed gives the same jitter.
    head : {"softmax", "sigmoid"}, optional
        What turns the model's logits into probabilities, if not what the model ends in, or a softmax if it ends in
        logits.
    input : str, optional
        Which of several inputs has parts blurred. Default: the only one with positions.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For unknown choices, numbers out of range, models without gradients, and inputs that are not images, series or
        volumes.

    Notes
    -----
    ``values`` are s at the input's size, in [0, 1]. In ``extras``:

    ``mask``
        The cells of s.
    ``foreground``, ``background``
        What is preserved, x s + p (1 - s), and what is left of the input, x (1 - s) + p s.
    ``history/foreground``, ``history/background``, ``history/area``, ``history/variation``, ``history/total``
        The terms of the loss at each step, with their factors; 0 for a side that the game does not have.
    ``steps``
        Steps until the descent of the image stopped.
    ``degenerate``
        0, or 1: no map was found that is better than none, which is what is returned; 2: the input is its own
        background, and the map zero; 3: the loss became infinite, and the best map before that is kept.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.MeaningfulPerturbation(tfxai.datasets.flowers.load_model(), steps=5)(images)
    >>> explanation.values.shape, explanation.extras["mask"].shape
    ((2, 112, 112), (2, 28, 28))
    """

    facts = Facts.of("meaningful_perturbation")

    def __init__(
        self,
        model: Model,
        *,
        game: Game = "delete",
        cells: int = 28,
        steps: int = 300,
        learning_rate: float = 0.1,
        l1_weight: float = 1e-4,
        tv_weight: float = 1e-2,
        beta: float = 3.0,
        fill: Baseline = "blur",
        jitter: int | None = None,
        objective: Objective = "probability",
        start: float = 0.5,
        patience: int | None = None,
        seed: int = 0,
        head: Head | None = None,
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        Contrast.__init__(self, model, head=head, **options)
        self.input = input
        Seeded.__init__(self, seed)
        one_of("game", game, GAMES)
        one_of("objective", objective, get_args(Objective))
        above(0, learning_rate=learning_rate)
        at_least(0, l1_weight=l1_weight, tv_weight=tv_weight)
        at_least(1, beta=beta)
        if not 0 <= start <= 1:
            raise ValueError(f"Expected start to lie in [0, 1], got {start!r}.")
        patience = None if patience is None else positive("patience", patience)
        self.steps, self.schedule = positive("steps", steps), Schedule(learning_rate, None, patience, TOLERANCE)
        self.game, self.cells, self.start = game, positive("cells", cells), start
        self.l1_weight, self.tv_weight, self.beta = l1_weight, tv_weight, beta
        self.reference, self.objective = fill, objective
        self.jitter = None if jitter is None else check_jitter(jitter)

    def attribute(self, run: Run) -> tf.Tensor:
        check_places(run, "MeaningfulPerturbation")
        x = run.pixels
        size, side = x.shape[1:-1], min(x.shape[1:-1])
        p = background(run, BLUR)
        grid = [min(self.cells, length) for length in size]
        enlarged = Enlarged(grid, size, sigma=SMOOTH * side)
        most = round(JITTER * side) if self.jitter is None else self.jitter

        @not_inlined  # and so traced once, for the descent and for what comes after it
        def losses(cells: tf.Tensor, x: tf.Tensor, p: tf.Tensor) -> Evaluated:
            masks = enlarged(cells)
            gradient, sides = self.contrast(run, x, p, masks, GAMES[self.game], self.objective)
            penalties = tf.stack(
                [
                    self.l1_weight * alpha_norm(cells, 1.0),
                    self.tv_weight * total_variation(cells, self.beta, len(grid)),
                ],
                1,
            )
            whole = tf.gradients([masks, penalties], cells, [gradient, tf.ones_like(penalties)])[0]
            return Evaluated(tf.concat([sides, penalties], 1), whole)

        start, contrast = tf.fill([run.count, *grid], float(self.start)), differs(x, p)
        found, history = descend(
            begin(start, 4, contrast),
            lambda cells, step: losses(cells, *jitter(self, step, most, x, p)),
            self.schedule,
            self.steps,
            project=lambda cells: tf.clip_by_value(cells, 0, 1),
        )
        last = found.values if most else found.best  # with jitter, the lowest loss is that of the luckiest move
        none = tf.zeros_like(start)
        loss, loss_of_none = (tf.reduce_sum(losses(cells, x, p).terms, 1) for cells in (last, none))
        gain = contrast & (loss < loss_of_none)
        cells = where_rows(gain, last, none)
        values = tf.minimum(enlarged(cells), 1)
        run.extras |= reported(found, history, ("foreground", "background", "area", "variation")) | {
            "mask": cells,
            "foreground": blend(x, p, values),
            "background": blend(p, x, values),
            "degenerate": tf.where(~contrast, NO_CONTRAST, tf.where(~gain, NO_GAIN, tf.where(found.broken, BROKEN, 0))),
        }
        return values
