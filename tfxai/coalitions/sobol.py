"""Sobol indices: whose presence the score's variance is due to."""

from __future__ import annotations

from typing import Unpack

import numpy as np
import tensorflow as tf
from scipy.stats import qmc

from tfxai.coalitions.game import Game
from tfxai.coalitions.method import CoalitionMethod, Grouping, affordable, number_or_budget
from tfxai.facts import Facts
from tfxai.imputation import Fill
from tfxai.loops import Seeded
from tfxai.options import ModelOptions
from tfxai.types import Background, Model

DESIGNS = 32  # as in the paper


class SobolAttribution(CoalitionMethod, Seeded):
    """The share of the score's variance that involves a player, when all are faded at random.

    Fel et al. (2021): total Sobol indices by Jansen's estimator, mean (f(A) - f(A with i of B))^2 / (2 Var f), where
    each row of A and B says for each player how far it is there, from 0 to 1, and comes from a quasi-random
    sequence. Unlike values of players alone, they count what a player does together with others. They are not negative,
    and sum to 1 where players do not interact. Words are not faded, but there or not.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    groups, fill, background, input
        As for `KernelSHAP`; default "auto" is 8 patches along the longest axis of images (paper).
    designs : int, optional
        Rows of A; there are designs * (players + 2) passes. Default 32 (paper).
    budget : int, optional
        Instead of ``designs``: how many coalitions are evaluated at most.
    seed : int
        By which the sequence is rotated.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For both designs and a budget, a budget that is too small, or groups or fills that do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.SobolAttribution(tfxai.datasets.flowers.load_model(), designs=4)(images).values.shape
    (2, 112, 112)
    """

    additive = shared = False
    grid = 8
    facts = Facts.of("sobol")

    def __init__(
        self,
        model: Model,
        *,
        groups: Grouping = "auto",
        fill: Fill = 0.0,
        background: Background | None = None,
        designs: int | None = None,
        budget: int | None = None,
        input: str | None = None,
        seed: int = 0,
        **options: Unpack[ModelOptions],
    ):
        CoalitionMethod.__init__(self, model, groups=groups, fill=fill, background=background, input=input, **options)
        Seeded.__init__(self, seed)
        self.designs, self.budget = number_or_budget("designs", designs, budget, DESIGNS)

    def shares(self, game: Game) -> tf.Tensor:
        players = game.count
        designs = affordable(self.designs, self.budget, players + 2, f"design of {players} players")
        rows = qmc.Sobol(2 * players, scramble=False).random_base2(int(np.ceil(np.log2(designs))))[:designs]
        rotation = self.draw_once(lambda seed: tf.random.stateless_uniform([2 * players], seed))
        both = (tf.constant(rows, tf.float32) + rotation) % 1
        if not game.graded:
            both = tf.cast(both < 0.5, tf.float32)
        A, B = both[:, :players], both[:, players:]

        def coalition(index: tf.Tensor) -> tf.Tensor:
            """Those of A, of B, and of A with each player as in B."""
            kind, row = index // designs, index % designs
            a, b = tf.gather(A, row), tf.gather(B, row)
            other = tf.one_hot(kind - 2, players, dtype=tf.bool, on_value=True, off_value=False)
            return tf.where((kind == 1)[:, None] | other, b, a)[:, None]

        worth = tf.reshape(game.worth(coalition, designs * (players + 2)), [-1, players + 2, designs])
        return total_indices(worth[:, 0], worth[:, 1], worth[:, 2:])


def total_indices(a: tf.Tensor, b: tf.Tensor, exchanged: tf.Tensor) -> tf.Tensor:
    """(n, players) by Jansen, from scores (n, designs) of A and B, and (n, players, designs) of A with B's columns."""
    variance = tf.math.reduce_variance(tf.concat([a, b], 1), 1)[:, None]
    return tf.math.divide_no_nan(tf.reduce_mean(tf.square(a[:, None] - exchanged), 2), 2 * variance)
