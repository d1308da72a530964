"""Banzhaf values: exactly, or from coalitions that are drawn."""

from __future__ import annotations

from typing import Unpack

import tensorflow as tf

from tfxai.checks import above, positive
from tfxai.coalitions.exact import MOST, Exact, marginal
from tfxai.coalitions.game import Game
from tfxai.coalitions.method import CoalitionMethod, Grouping
from tfxai.coalitions.regression import with_errors
from tfxai.facts import Facts
from tfxai.imputation import Fill
from tfxai.loops import Seeded
from tfxai.options import ModelOptions
from tfxai.types import Background, Model

SCARCE = 4  # coalitions for each player, of whom fewer say little
USUAL = 2048  # coalitions beside these


class Banzhaf(Exact, Seeded):
    """What each player adds to the score, averaged over all coalitions of the others.

    Banzhaf (1965): the mean of v(S + i) - v(S) over all 2^(M - 1) coalitions S without i, where v is the score with the
    others absent. Unlike Shapley values they do not sum to the score's gain; ``extras["completeness_gap"]`` has what
    they sum to beyond it. They are the linear model that is closest to the score over all coalitions, and suffer least
    from noise in it (Wang and Jia 2023).

    With more than 14 players, or more than a ``budget`` suffices for, pairs of a coalition and its complement are
    drawn, and that linear model is fitted to the differences of their scores (Liu et al. 2024); each coalition says
    something about all players. `Explanation.uncertainty` has the standard errors, which are 0 if all
    coalitions are evaluated.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    groups, fill, background, input, **options
        As for `ShapleyValues`.
    budget : int, optional
        The maximum number of coalitions to evaluate. Default: all, for up to 14 players; for more, 2048 plus four for
        each player. It must be at least four for each player, or enough for all coalitions.
    until : float, optional
        Stop once the values are steady: when, for each input separately, their standard errors are this share of their
        standard deviation over players, such as 0.05. ``budget`` is the upper limit; ``extras["samples"]`` holds the
        number of coalitions used.
    seed : int
        The same seed gives the same coalitions.

    Raises
    ------
    ValueError
        For a budget that is too small, or groups or fills that do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> tfxai.Banzhaf(model)(images).values.shape
    (2, 112, 112)
    >>> tfxai.Banzhaf(model, groups="superpixels", budget=200)(images).uncertainty.shape
    (2, 112, 112)
    """

    facts = Facts.of("banzhaf")

    def __init__(
        self,
        model: Model,
        *,
        groups: Grouping = "auto",
        fill: Fill = 0.0,
        background: Background | None = None,
        budget: int | None = None,
        until: float | None = None,
        input: str | None = None,
        seed: int = 0,
        **options: Unpack[ModelOptions],
    ):
        CoalitionMethod.__init__(self, model, groups=groups, fill=fill, background=background, input=input, **options)
        Seeded.__init__(self, seed)
        self.budget, self.until = None if budget is None else positive("budget", budget), until
        if until is not None:
            above(0, until=until)

    def shares(self, game: Game) -> tf.Tensor:
        run, players, budget = game.run, game.count, self.budget
        if players <= MOST if budget is None else 2**players <= budget:
            run.extras["player_errors"] = tf.zeros([run.count, players])
            if self.until is not None:
                run.extras["samples"] = tf.fill([run.count], 2.0**players)
            return self.of_all(game)
        return self.of_some(game, SCARCE * players + USUAL if budget is None else budget)

    def weigh(self, game: Game, coalitions: tf.Tensor, worth: tf.Tensor) -> tf.Tensor:
        return marginal(coalitions, worth, [0.5 ** (game.count - 1)] * game.count)

    def of_some(self, game: Game, budget: int) -> tf.Tensor:
        """(n, players) values, as a budget of coalitions tells them."""
        run, players, pairs, until = game.run, game.count, budget // 2, self.until
        least = min(SCARCE * players, 2**players)
        if budget < least:
            raise ValueError(
                f"Expected a budget of at least {least} coalitions for {players} players, got {budget}. Merge players "
                "with groups=, or raise budget=."
            )
        drawn = self.draw_once(lambda seed: tf.random.stateless_uniform([pairs, players], seed))
        there = tf.cast(drawn < 0.5, tf.float32)
        coalitions = tf.reshape(tf.stack([there, 1 - there], 1), [-1, players])

        def estimate(worth: tf.Tensor, asked: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            """Values and their standard errors, from so many coalitions, (1 or n,)."""
            both = tf.reshape(worth, [-1, pairs, 2])
            counted = tf.range(pairs, dtype=tf.float32)[None] < asked[:, None] / 2
            # What a complement does not do is done to it, so signs stand for who is there.
            return with_errors(2 * there - 1, tf.cast(counted, tf.float64), both[..., 0] - both[..., 1], game.playing)

        if until is None:
            worth, asked = game.worth(coalitions), tf.constant([2.0 * pairs])
        else:

            def done(worth: tf.Tensor, asked: tf.Tensor) -> tf.Tensor:
                values, errors = estimate(worth, asked)
                return tf.reduce_mean(errors**2, 1) <= until**2 * tf.math.reduce_variance(values, 1)

            worth, asked = game.worth_until(done, coalitions, block=SCARCE * players)
            run.extras["samples"] = asked
        values, errors = estimate(worth, asked)
        run.extras["player_errors"] = tf.cast(errors, tf.float32)
        return tf.cast(values, tf.float32)
