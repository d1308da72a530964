"""LIME: a linear model of the score near an input."""

from __future__ import annotations

import warnings
from typing import Literal, TypeAlias, Unpack, get_args

import numpy as np
import tensorflow as tf

from tfxai.checks import above, one_of, positive
from tfxai.coalitions.exact import all_coalitions
from tfxai.coalitions.game import Game
from tfxai.coalitions.method import CoalitionMethod, Grouping
from tfxai.coalitions.regression import lasso, moments, solved
from tfxai.explanation import Explanation
from tfxai.facts import Facts
from tfxai.imputation import Fill
from tfxai.loops import Seeded
from tfxai.options import ModelOptions
from tfxai.outcome import Outcome
from tfxai.types import Background, Model

Distance: TypeAlias = Literal["cosine", "euclidean"]
Penalty: TypeAlias = Literal["ridge", "lasso"]
ALPHA = {"ridge": 1.0, "lasso": 0.01}  # of lime, and of captum
LOW = 0.5  # of R2, below which a linear model tells less than half of what the score does


class LIME(CoalitionMethod, Seeded):
    """The coefficients of a linear model of the score, fitted to copies of the input in which players are missing.

    Ribeiro et al. (2016): each player is there or not with even chances; a ridge regression or LASSO with a free
    intercept counts copies the more the closer they are to the input, by sqrt(exp(-d^2 / width^2)).
    ``extras["r2"]`` is the share of the scores' weighted variance that the linear model explains; below a half there is
    a warning, because then it does not explain this model. ``extras["intercept"]`` is what it says of none.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    groups, fill, background, input
        As for `KernelSHAP`.
    budget : int
        How many copies; where there are no more coalitions, each of them once. Default 1000 (lime, for images).
    distance : {"cosine", "euclidean"}
        Of coalitions of k of M players: 1 - sqrt(k / M) (default; lime, for images and texts), or sqrt(M - k) (lime,
        for tables).
    width : float, optional
        Of the kernel. Default 0.25, for "euclidean" 0.75 sqrt(M) (lime).
    penalty : {"ridge", "lasso"}
        Of the squares of coefficients (default), or of their magnitudes, which leaves most of them 0.
    alpha : float, optional
        How much of it, as in scikit-learn's `Ridge` and `Lasso`. Default 1 (lime), for "lasso" 0.01 (captum).
    seed : int
        The same seed gives the same copies.
    **options
        As for `Explainer`; ``score="probability"`` is what lime explains.

    Raises
    ------
    ValueError
        For numbers out of range, or groups or fills that do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.LIME(tfxai.datasets.flowers.load_model(), budget=200)(images)
    >>> explanation.values.shape, explanation.extras["r2"].shape
    ((2, 112, 112), (2,))
    """

    additive = False
    facts = Facts.of("lime")

    def __init__(
        self,
        model: Model,
        *,
        groups: Grouping = "auto",
        fill: Fill = 0.0,
        background: Background | None = None,
        budget: int = 1000,
        distance: Distance = "cosine",
        width: float | None = None,
        penalty: Penalty = "ridge",
        alpha: float | None = None,
        input: str | None = None,
        seed: int = 0,
        **options: Unpack[ModelOptions],
    ):
        CoalitionMethod.__init__(self, model, groups=groups, fill=fill, background=background, input=input, **options)
        Seeded.__init__(self, seed)
        one_of("distance", distance, get_args(Distance))
        one_of("penalty", penalty, get_args(Penalty))
        self.budget, self.distance, self.penalty = positive("budget", budget), distance, penalty
        self.width, self.alpha = width, ALPHA[penalty] if alpha is None else alpha
        above(0, alpha=self.alpha, width=1.0 if width is None else width)

    def shares(self, game: Game) -> tf.Tensor:
        players = game.count
        if players < 63 and 2**players <= self.budget:
            coalitions = tf.constant(all_coalitions(players))
        else:
            shape = [self.budget - 1, players]
            drawn = self.draw_once(lambda seed: tf.random.stateless_uniform(shape, seed))
            coalitions = tf.concat([tf.ones([1, players]), tf.cast(drawn < 0.5, tf.float32)], 0)
        worth = tf.cast(game.worth(coalitions), tf.float64)
        coalitions, playing = tf.cast(coalitions, tf.float64), tf.cast(game.playing, tf.float64)
        size = tf.matmul(playing, coalitions, transpose_b=True)
        weights = self.weights(size, tf.reduce_sum(playing, 1, keepdims=True))
        return fitted(game, coalitions, weights, worth, self.penalty, self.alpha)

    def weights(self, size: tf.Tensor, players: tf.Tensor) -> tf.Tensor:
        """(1 or n, m) of coalitions of such sizes, of so many players (1 or n, 1)."""
        if self.distance == "cosine":
            far, width = 1 - tf.sqrt(tf.math.divide_no_nan(size, players)), 0.25
        else:
            far, width = tf.sqrt(players - size), 0.75 * tf.sqrt(players)
        return tf.exp(-(far**2) / (2 * (self.width or width) ** 2))

    def _explanation(self, outcome: Outcome) -> Explanation:
        low = np.flatnonzero(outcome.found["extras"]["r2"] < LOW)
        if len(low):
            warnings.warn(
                f"LIME's linear model explains less than half of the score's variance for {len(low)} of "
                f'{len(outcome.found["score"])} inputs (extras["r2"]): do not trust it there. Raise budget=, merge '
                "players with groups=, or use KernelSHAP, which needs no linear model to hold.",
                stacklevel=2,
            )
        return super()._explanation(outcome)


def fitted(
    game: Game, coalitions: tf.Tensor, weights: tf.Tensor, worth: tf.Tensor, penalty: Penalty, alpha: float
) -> tf.Tensor:
    """(n, players) coefficients of the penalised regression; its R2 and intercept go to the extras.

    ``weights`` of coalitions: (1 or n, m).
    """
    total = tf.reduce_sum(weights, 1, keepdims=True)
    share = weights / total
    centre, level = tf.matmul(share, coalitions), tf.reduce_sum(worth * share, 1, keepdims=True)
    y = worth - level
    playing = tf.cast(game.playing, tf.float64)
    A, b = moments(coalitions, share, y)
    A -= centre[:, :, None] * centre[:, None]  # as if coalitions were centred too
    if penalty == "ridge":
        values = solved(A + alpha / total[..., None] * tf.eye(game.count, dtype=tf.float64), b, playing)
    else:
        values = lasso(A, b * playing, alpha)
    middle = tf.reduce_sum(values * centre, 1, keepdims=True)
    residual = y + middle - tf.matmul(values, coalitions, transpose_b=True)
    variance = tf.reduce_sum(y**2 * share, 1)
    unexplained = tf.math.divide_no_nan(tf.reduce_sum(residual**2 * share, 1), variance)
    game.run.extras["r2"] = tf.cast(1 - unexplained, tf.float32)  # 1 of a score that is constant
    game.run.extras["intercept"] = tf.cast((level - middle)[:, 0], tf.float32)
    return tf.cast(values, tf.float32)
