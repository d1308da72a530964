"""Shapley values by orders that are drawn."""

from __future__ import annotations

from typing import Unpack

import tensorflow as tf

from tfxai.checks import above
from tfxai.coalitions.game import Game
from tfxai.coalitions.method import CoalitionMethod, Grouping, affordable, number_or_budget
from tfxai.facts import Facts
from tfxai.imputation import Fill
from tfxai.loops import Seeded
from tfxai.options import ModelOptions
from tfxai.types import Background, Model

ORDERS = 10  # as in SHAP
AT_LEAST = 4  # orders, between two questions whether there are enough


class PermutationSHAP(CoalitionMethod, Seeded):
    """Shapley values, estimated from what players add as they come one after the other, in orders that are drawn.

    Castro et al. (2009): the mean over random orders of v(those before i, and i) - v(those before i). Each order is
    taken forwards and backwards (Mitchell et al. 2022), by which the error of pairs of players that interact cancels
    out. Whatever the number of orders, values sum to v(all) - v(none), and `Explanation.uncertainty` has their standard
    errors.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    groups, fill, background, input
        As for `KernelSHAP`.
    samples : int, optional
        The number of orders, each taken forwards and backwards. Default 10 (SHAP).
    budget : int, optional
        Instead of ``samples``: how many coalitions are evaluated at most, besides those of all and of none; 2 (M - 1)
        for each order of M players.
    until : float, optional
        Stop once the values are steady: when, for each input separately, their standard errors are this share of their
        standard deviation over players, such as 0.05. ``samples`` or ``budget`` is the upper limit;
        ``extras["samples"]`` holds the number used.
    seed : int
        The same seed gives the same orders.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For both samples and a budget, a budget that is too small, or groups or fills that do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.PermutationSHAP(tfxai.datasets.flowers.load_model(), samples=2)(images)
    >>> explanation.values.shape, explanation.uncertainty.shape
    ((2, 112, 112), (2, 112, 112))
    """

    facts = Facts.of("permutation_shap")

    def __init__(
        self,
        model: Model,
        *,
        groups: Grouping = "auto",
        fill: Fill = 0.0,
        background: Background | None = None,
        samples: int | None = None,
        budget: int | None = None,
        until: float | None = None,
        input: str | None = None,
        seed: int = 0,
        **options: Unpack[ModelOptions],
    ):
        CoalitionMethod.__init__(self, model, groups=groups, fill=fill, background=background, input=input, **options)
        Seeded.__init__(self, seed)
        self.samples, self.budget = number_or_budget("samples", samples, budget, ORDERS)
        self.until = until
        if until is not None:
            above(0, until=until)

    def shares(self, game: Game) -> tf.Tensor:
        run, players, empty = game.run, game.count, game.empty
        if players == 1:
            return (run.score - empty)[:, None]
        inner = players - 1  # coalitions of each order that are neither empty nor whole
        samples = affordable(self.samples, self.budget, 2 * inner, f"order of {players} players")
        shuffled = self.draw_once(lambda seed: tf.random.stateless_uniform([samples, players], seed))
        forwards = tf.argsort(tf.argsort(shuffled))  # the place of each player in each order
        places = tf.reshape(tf.stack([forwards, players - 1 - forwards], 1), [-1, players])

        def coalitions(index: tf.Tensor) -> tf.Tensor:
            return tf.cast(tf.gather(places, index // inner) <= (index % inner)[:, None], tf.float32)[:, None]

        def gains(worth: tf.Tensor) -> tf.Tensor:
            """(n, samples, players) what each adds in each order, forwards and backwards in the mean."""
            steps = tf.reshape(worth, [-1, 2 * samples, inner])
            ends = [tf.zeros_like(steps[..., :1]) + x[:, None, None] for x in (empty, run.score)]
            steps = tf.concat([ends[0], steps, ends[1]], 2)
            steps = steps[..., 1:] - steps[..., :-1]
            each = tf.gather(steps, places + tf.zeros_like(steps, tf.int32), batch_dims=2)
            return tf.reduce_mean(tf.reshape(each, [-1, samples, 2, players]), 2)

        def estimate(worth: tf.Tensor, used: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            """The mean over so many orders, (1 or n,), and its standard error."""
            asked = tf.cast(tf.range(samples, dtype=tf.float32)[None] < used[:, None], tf.float32)[..., None]
            each, count = gains(worth), used[:, None]
            mean = tf.reduce_sum(each * asked, 1) / count
            squares = tf.reduce_sum(tf.square(each - mean[:, None]) * asked, 1) / count
            return mean, tf.sqrt(squares / tf.maximum(count - 1, 1))

        steps = 2 * inner  # of each order
        if self.until is None:
            worth, used = game.worth(coalitions, samples * steps), tf.constant([float(samples)])
        else:
            until = self.until

            def done(worth: tf.Tensor, asked: tf.Tensor) -> tf.Tensor:
                mean, error = estimate(worth, asked / steps)
                return tf.reduce_mean(error**2, 1) <= until**2 * tf.math.reduce_variance(mean, 1)

            worth, asked = game.worth_until(done, coalitions, samples * steps, block=AT_LEAST * steps)
            used = run.extras["samples"] = asked / steps
        values, errors = estimate(worth, used)
        if samples > 1:  # one order does not tell how much others would differ
            run.extras["player_errors"] = errors
        return values
