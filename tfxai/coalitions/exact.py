"""Values of players that are found exactly, from all coalitions or all but one player."""

from __future__ import annotations

from math import comb

import numpy as np
import tensorflow as tf

from tfxai.coalitions.game import Game
from tfxai.coalitions.method import CoalitionMethod
from tfxai.facts import Facts

MOST = 14  # players, of whom 16384 coalitions are asked


def all_coalitions(players: int) -> np.ndarray:
    """(2 ** players, players) each coalition once; the number of a row has the bits of those who take part."""
    return (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(np.float32)


class Exact(CoalitionMethod):
    """Base of methods that evaluate all coalitions. A subclass writes `weigh`."""

    grid = 3  # for regions of like colour are too many to be enumerated

    def weigh(self, game: Game, coalitions: tf.Tensor, worth: tf.Tensor) -> tf.Tensor:
        """(n, players) from all coalitions, (m, players), and what each of them gains, (n, m)."""
        raise NotImplementedError

    def shares(self, game: Game) -> tf.Tensor:
        if game.count > MOST:
            raise ValueError(
                f"{type(self).__name__} evaluates all coalitions, of at most {MOST} players; got {game.count} "
                f"players, so {2**game.count:,} coalitions. Merge some with groups=, or use KernelSHAP."
            )
        return self.of_all(game)

    def of_all(self, game: Game) -> tf.Tensor:
        """(n, players) from all coalitions, however many."""
        coalitions = tf.constant(all_coalitions(game.count))
        worth = game.worth(coalitions)
        game.empty = worth[:, 0]
        gains = tf.cast(worth - worth[:, :1], tf.float64)  # so that a constant score has exact zeros
        return tf.cast(self.weigh(game, tf.cast(coalitions, tf.float64), gains), tf.float32)


class ShapleyValues(Exact):
    """What each player adds to the score, averaged over all orders in which players may join: exactly.

    Shapley (1953): the sum over coalitions S without i, of s players, of s! (M - s - 1)! / M! times v(S + i) - v(S),
    where v is the score with the others absent. These are the only values that sum to v(all) - v(none), are equal for
    players who do the same, 0 for those who do nothing, and linear in the score. All 2^M coalitions are evaluated, so
    there may be at most 14 players.

    ``extras["interactions"]``, (n, M, M), are Shapley interaction indices (Grabisch and Roubens 1999), from the same
    scores: what two players add together beyond what each adds alone; see `tfxai.plot_interactions`.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    groups : str, int, array, mapping, sequence, Segments, Channels or None
        Who the players are; see `tfxai.KernelSHAP`. Default "auto": each column or word, else three patches along the
        longest axis.
    fill : number, "mean", "blur", "noise", "interpolate", "inpaint", function, or array
        What replaces absent players; see `tfxai.KernelSHAP`. Default 0.
    background : array or list, or dict of these by input, optional
        Several inputs or fills, (b, ...), instead of one: scores are averaged over them, at b times the cost.
    input : str, optional
        Which of several inputs is divided into players. Default: the only one with positions.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For more than 14 players, or groups or fills that do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.ShapleyValues(tfxai.datasets.flowers.load_model())(images)
    >>> explanation.values.shape, explanation.extras["players"].shape
    ((2, 112, 112), (2, 9))
    """

    facts = Facts.of("shapley_values")

    def weigh(self, game: Game, coalitions: tf.Tensor, worth: tf.Tensor) -> tf.Tensor:
        game.run.extras["interactions"] = interactions(coalitions, worth)
        m = game.count
        alone = [1 / (m * comb(m - 1, size)) for size in range(m)]  # of a coalition of such a size, without the player
        return marginal(coalitions, worth, alone)


class FeatureAblation(CoalitionMethod):
    """How far the score falls without each player, all others being there.

    v(all) - v(all but i). Unlike `Occlusion`, whose windows overlap, parts are apart, and may be of any form; a part
    whose work another one can do has no value. Where all inputs have the same parts, such as patches, only what a part
    can change runs again, if that saves something, as described there under ``incremental``.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    groups, fill, background, input, **options
        As for `KernelSHAP`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.FeatureAblation(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 112, 112)
    """

    additive = False
    facts = Facts.of("feature_ablation")

    def shares(self, game: Game) -> tf.Tensor:
        return game.run.score[:, None] - game.worth_without_each()


def marginal(coalitions: tf.Tensor, worth: tf.Tensor, weights: list[float]) -> tf.Tensor:
    """(n, players) sum over coalitions without a player of what it adds, weighted by their size."""
    there, size = coalitions, tf.cast(tf.reduce_sum(coalitions, 1), tf.int32)
    without, together = (tf.gather(tf.constant(w, worth.dtype), size) for w in ([*weights, 0.0], [0.0, *weights]))
    signed = there * together[:, None] - (1 - there) * without[:, None]
    return tf.matmul(worth, signed)


def interactions(coalitions: tf.Tensor, worth: tf.Tensor) -> tf.Tensor:
    """(n, players, players) Shapley interaction indices of pairs; 0 of a player with itself.

    The sum over coalitions S without i and j, of s players, of s! (M - s - 2)! / (M - 1)! times
    v(S + i + j) - v(S + i) - v(S + j) + v(S).
    """
    m = coalitions.shape[1]
    size = tf.cast(tf.reduce_sum(coalitions, 1), tf.int32)
    of_others = [1 / ((m - 1) * comb(m - 2, others)) for others in range(m - 1)]
    padded = [[*[0.0] * n, *of_others, *[0.0] * (2 - n)] for n in range(3)]  # of coalitions with n of the two
    none, one, both = (tf.gather(tf.constant(weights, worth.dtype), size) for weights in padded)
    there, absent = coalitions, 1 - coalitions

    def summed(weights: tf.Tensor, i: tf.Tensor, j: tf.Tensor) -> tf.Tensor:
        return tf.matmul(i * (worth * weights)[..., None], j, transpose_a=True)

    pairs = summed(both, there, there) + summed(none, absent, absent)
    pairs -= summed(one, there, absent) + summed(one, absent, there)
    return tf.cast(tf.linalg.set_diag(pairs, tf.zeros_like(pairs[..., 0])), tf.float32)
