"""HSIC: on whose presence the score depends, in whatever way."""

from __future__ import annotations

from typing import Unpack

import tensorflow as tf

from tfxai.checks import positive
from tfxai.coalitions.game import Game
from tfxai.coalitions.method import CoalitionMethod, Grouping
from tfxai.facts import Facts
from tfxai.imputation import Fill
from tfxai.loops import Seeded
from tfxai.options import ModelOptions
from tfxai.types import Background, Model


class HSICAttribution(CoalitionMethod, Seeded):
    """The dependence of the score on whether a player is there, over random coalitions.

    Novello et al. (2022): the Hilbert-Schmidt independence criterion tr(K H L H) / (m - 1)^2 of m coalitions, with
    K = 1/2 - (z - z')^2 of a player's presence z, and a Gaussian kernel L of the scores. Its width is the median of
    their distances, so that values stay as they are when a number is added to the score, or it is scaled.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    groups, fill, background, input
        As for `KernelSHAP`; default "auto" is 8 patches along the longest axis of images (paper).
    budget : int
        How many coalitions, in which each player is present with even chances. Default 500 (Xplique).
    seed : int
        The same seed gives the same coalitions.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For groups or fills that do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.HSICAttribution(tfxai.datasets.flowers.load_model(), budget=50)(images).values.shape
    (2, 112, 112)
    """

    additive = shared = False
    grid = 8
    facts = Facts.of("hsic")

    def __init__(
        self,
        model: Model,
        *,
        groups: Grouping = "auto",
        fill: Fill = 0.0,
        background: Background | None = None,
        budget: int = 500,
        input: str | None = None,
        seed: int = 0,
        **options: Unpack[ModelOptions],
    ):
        CoalitionMethod.__init__(self, model, groups=groups, fill=fill, background=background, input=input, **options)
        Seeded.__init__(self, seed)
        self.budget = positive("budget", budget)
        if budget < 2:
            raise ValueError("Expected a budget of 2 coalitions or more, got 1.")

    def shares(self, game: Game) -> tf.Tensor:
        shape = [self.budget, game.count]
        drawn = self.draw_once(lambda seed: tf.random.stateless_uniform(shape, seed))
        coalitions = tf.cast(drawn < 0.5, tf.float32)
        worth = game.worth(coalitions)
        return tf.map_fn(lambda one: dependence(coalitions, one), worth)


def dependence(coalitions: tf.Tensor, worth: tf.Tensor) -> tf.Tensor:
    """(players,) tr(K H L H) / (m - 1)^2 from coalitions (m, players) and their scores (m,).

    H takes rows and columns of L from their means, before which of 1/2 - (z - z')^2 only 2 z z' is left.
    """
    m = coalitions.shape[0]
    apart = tf.abs(worth[:, None] - worth)
    pairs = m * (m - 1) // 2
    ordered = tf.sort(tf.reshape(apart, [-1]))[m:]  # without each with itself, and then each pair twice
    width = (ordered[2 * ((pairs - 1) // 2)] + ordered[2 * (pairs // 2)]) / 2
    width = tf.where(width > 0, width, tf.reduce_mean(apart))  # where most scores are the same
    L = tf.exp(-tf.square(tf.math.divide_no_nan(apart, width)) / 2)
    centred = L - tf.reduce_mean(L, 0) - tf.reduce_mean(L, 1)[:, None] + tf.reduce_mean(L)
    return 2 * tf.reduce_sum(coalitions * tf.matmul(centred, coalitions), 0) / (m - 1) ** 2
