"""Shapley values by regression on coalitions of which some are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Unpack

import numpy as np
import tensorflow as tf

from tfxai.checks import above, positive
from tfxai.coalitions.game import Game
from tfxai.coalitions.method import CoalitionMethod, Grouping
from tfxai.coalitions.regression import constrained, deviations, moments
from tfxai.facts import Facts
from tfxai.imputation import Fill
from tfxai.loops import Seeded, steady
from tfxai.options import ModelOptions
from tfxai.types import Background, Model

SCARCE = 4  # evaluations for each player, below which each is asked alone and left out
GOLDEN = (5**0.5 - 1) / 2
USUAL = 2048  # evaluations beside two for each player, as in SHAP


@dataclass(frozen=True)
class Plan:
    """Which coalitions are evaluated: all of some sizes, and randomly drawn pairs of the others.

    Attributes
    ----------
    fixed : ndarray
        (k, players) coalitions that are enumerated, of the smallest and largest sizes.
    weights : ndarray
        (k,) what each of them weighs.
    pairs : int
        How many pairs, of a coalition and of all others, are drawn.
    sizes : ndarray
        Of what sizes the smaller of a pair may be.
    chances : ndarray
        How likely each of these is.
    masses : ndarray
        What all coalitions of these sizes weigh; the weights of all there are sum to 1.
    """

    fixed: np.ndarray
    weights: np.ndarray
    pairs: int
    sizes: np.ndarray
    chances: np.ndarray
    masses: np.ndarray

    @classmethod
    def of(cls, players: int, budget: int) -> Plan:
        """All sizes are as likely, so a size is enumerated if that costs no more than what would be drawn of it."""
        half = np.arange(1, players // 2 + 1)
        both = np.where(2 * half == players, 1, 2)  # sizes: that of the smaller and of the larger of a pair
        masses = both / (half * (players - half))
        masses /= masses.sum()
        rows: list[np.ndarray] = []
        weights: list[float] = []
        place = 0
        for size in half:
            number, left = comb(players, int(size)) * int(both[place]), budget - len(weights)
            scarce = size == 1 and budget < SCARCE * players  # a regression needs each player now and then
            if number > left or (not scarce and number > left * both[place] / both[place:].sum()):
                break
            chosen = np.array(list(combinations(range(players), int(size))))
            few = np.zeros((len(chosen), players), np.float32)
            np.put_along_axis(few, chosen, 1, 1)
            rows += [few] if both[place] == 1 else [few, 1 - few]
            weights += [masses[place] / number] * number
            place += 1
        fixed = np.concatenate([np.zeros((0, players), np.float32), *rows])
        pairs = (budget - len(weights)) // 2 if place < len(half) else 0
        return cls(fixed, np.array(weights), pairs, half[place:], both[place:] / both[place:].sum(), masses[place:])


class KernelSHAP(CoalitionMethod, Seeded):
    """Shapley values, estimated by a weighted regression of the score on which players are there.

    Lundberg and Lee (2017): values that sum to v(all) - v(none) and are, with weights (M - 1) / (C(M, k) k (M - k)) for
    coalitions of k of M players, closest to the score over all coalitions, are the Shapley values. Pairs of a coalition
    and its complement are drawn, all sizes equally often (Musco and Witter 2025; benchmark: a sixth less error than
    with sizes as often as they weigh), and sizes with few coalitions are evaluated completely. Where the budget
    suffices for all coalitions, values are exact. No player is left out of the regression.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    groups : str, int, array, mapping, sequence, Segments, Channels or None
        Who the players are. "superpixels": 49 regions of like colour; "slic", "quickshift" or "felzenszwalb": such
        regions by scikit-image, or `tfxai.coalitions.Segments` to say how many; "patches": 9 patches along the longest
        axis, or their side as a number; "words": all tokens of each word, where a preprocessor knows words; "inputs":
        each of several inputs as a whole; an array with the number of a player for each position, of the size of one
        input, or with a row for each; columns of a table that belong together, ``{"colour": [3, 4, 5]}``; the
        `tfxai.coalitions.Channels` of a layer; None: each position. Default "auto": super-pixels of images, each column
        or word, else patches.
    fill : number, "mean", "blur", "noise", "interpolate", "inpaint", function, or array
        What replaces absent players, in the model's own scale; for words, the number of the one that stands for no
        word; an array has the shape of one input or of the batch. "interpolate": what the surroundings say, by the
        linear system of ROAD; "inpaint": OpenCV's, after Telea (2004). Default 0. See `tfxai.baselines.references`.
    background : array or list, or dict of these by input, optional
        Several inputs or fills, (b, ...), instead of one: scores are averaged over them, at b times the cost.
    budget : int, optional
        How many coalitions to evaluate besides those of all and of none: at least two for each player, fewer if there
        are no more. Default 2048 plus two for each player (SHAP).
    uncertainty : bool
        Also estimate the standard error of every value, `Explanation.uncertainty`.
    until : float, optional
        Stop once the values are steady: when, for each input separately, the estimated noise is this share of what they
        show, such as 0.05 (standard deviations; see `tfxai.loops.steady`). ``budget`` is the upper limit;
        ``extras["samples"]`` holds the number of coalitions used.
    input : str, optional
        Which of several inputs is divided into players. Default: the only one with positions.
    seed : int
        The same seed gives the same coalitions.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For a budget that is too small, or groups or fills that do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.KernelSHAP(tfxai.datasets.flowers.load_model(), budget=200)(images)
    >>> explanation.values.shape, explanation.extras["players"].shape
    ((2, 112, 112), (2, 49))
    """

    facts = Facts.of("kernel_shap")

    def __init__(
        self,
        model: Model,
        *,
        groups: Grouping = "auto",
        fill: Fill = 0.0,
        background: Background | None = None,
        budget: int | None = None,
        uncertainty: bool = False,
        until: float | None = None,
        input: str | None = None,
        seed: int = 0,
        **options: Unpack[ModelOptions],
    ):
        CoalitionMethod.__init__(self, model, groups=groups, fill=fill, background=background, input=input, **options)
        Seeded.__init__(self, seed)
        self.budget = None if budget is None else positive("budget", budget)
        self.uncertainty, self.until = uncertainty, until
        if until is not None:
            above(0, until=until)

    def plan(self, players: int) -> Plan:
        budget = 2 * players + USUAL if self.budget is None else self.budget
        if budget < 2 * players and budget < 2**players - 2:
            raise ValueError(
                f"Expected a budget of at least two coalitions for each of {players} players, got {budget}. Merge "
                "players with groups=, or raise budget=."
            )
        return Plan.of(players, budget)

    def drawn(self, plan: Plan, players: int) -> tuple[tf.Tensor, tf.Tensor]:
        """(2 * pairs, players) coalitions, each before its complement, and what each of them stands for, in the mean.

        Sizes follow the fractions of multiples of the golden ratio, so that those of the first few, and of every second
        pair, are spread as evenly as those of all.
        """
        bounds = tf.constant(np.cumsum(plan.chances)[:-1], tf.float32)
        steps = tf.constant(np.arange(plan.pairs) * GOLDEN % 1, tf.float32)

        def sample(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            place = tf.searchsorted(bounds, (tf.random.stateless_uniform([], seed) + steps) % 1, "right")
            order = tf.argsort(tf.random.stateless_uniform([plan.pairs, players], seed + 1))
            size = tf.gather(tf.constant(plan.sizes, tf.int32), place)
            return tf.cast(tf.argsort(order) < size[:, None], tf.float32), place

        first, place = self.draw_once(sample)
        weights = tf.gather(tf.constant(plan.masses / plan.chances), place)
        return tf.reshape(tf.stack([first, 1 - first], 1), [-1, players]), tf.repeat(weights, 2)

    def shares(self, game: Game) -> tf.Tensor:
        run, players = game.run, game.count
        total = run.score - game.empty
        plan = self.plan(players)
        if self.uncertainty:
            run.extras["player_errors"] = tf.zeros([run.count, players])  # of what is asked whole
        if self.until is not None:
            run.extras["samples"] = tf.fill([run.count], float(len(plan.fixed)))
        if players == 1:
            return total[:, None]
        fixed, weights = tf.constant(plan.fixed), tf.constant(plan.weights)
        worth = game.worth(fixed) if len(plan.fixed) else tf.zeros([run.count, 0])
        A_fixed, b_fixed = moments(fixed, weights[None], worth - game.empty[:, None])
        if not plan.pairs:
            return constrained(A_fixed, b_fixed, total, game.playing)
        drawn, standing_for = self.drawn(plan, players)
        number = tf.range(2 * plan.pairs)

        def equations(worth: tf.Tensor, counted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            """Normal equations from those of the drawn coalitions that are counted, (1 or n, m), and their weights."""
            weight = tf.cast(counted, tf.float64)
            weight *= standing_for / tf.maximum(tf.reduce_sum(weight, 1, keepdims=True), 1)
            A, b = moments(drawn, weight, worth - game.empty[:, None])
            return A_fixed + A, b_fixed + b, weight

        if self.until is None:
            worth, used = game.worth(drawn), tf.constant([2.0 * plan.pairs])
        else:
            until = self.until

            def done(worth: tf.Tensor, used: tf.Tensor) -> tf.Tensor:
                asked = number[None] < tf.cast(tf.reduce_max(used), tf.int32)  # of those who are not done, all as many
                halves = [equations(worth, asked & (number // 2 % 2 == half)[None])[:2] for half in range(2)]
                even, odd = (constrained(A, b, total, game.playing) for A, b in halves)
                return steady(even, odd, until)

            worth, used = game.worth_until(done, drawn, block=SCARCE * players)  # fewer tell nothing of all players
            run.extras["samples"] += used
        A, b, weight = equations(worth, number[None] < tf.cast(used, tf.int32)[:, None])
        values = constrained(A, b, total, game.playing)
        if self.uncertainty:
            residual = worth - game.empty[:, None] - tf.matmul(values, drawn, transpose_b=True)
            parts = tf.cast(drawn, tf.float64) * (weight * tf.cast(residual, tf.float64))[..., None]
            parts = tf.reduce_sum(tf.reshape(parts, [-1, plan.pairs, 2, players]), 2)  # those of a pair are not apart
            squares = tf.reduce_sum(tf.square(deviations(A, parts, game.playing)), 1)
            run.extras["player_errors"] = tf.cast(tf.sqrt(squares), tf.float32)
        return values
