"""Shapley values of a hierarchy of players."""

from __future__ import annotations

from typing import NamedTuple, Unpack

import numpy as np
import tensorflow as tf

from tfxai.baselines import Several
from tfxai.checks import positive
from tfxai.coalitions.game import Game
from tfxai.coalitions.method import CoalitionMethod, Grouping
from tfxai.coalitions.trees import checked, clustered, halved, members
from tfxai.facts import Facts
from tfxai.options import ModelOptions
from tfxai.types import Background, Baseline, Model

TINY = 1e-12  # so that halves which cancel out are looked at in the end
AT_ONCE = 4  # splits between two looks at which nodes matter most: no input depends on the size of its batch


class Shares(NamedTuple):
    """What nodes add to coalitions: (q,), or one for each of (q, n) where inputs differ.

    Attributes
    ----------
    node : tf.Tensor
        (q, n) which node.
    others : tf.Tensor
        (q, n, players) who of the others is there.
    without : tf.Tensor
        (q, n) the score without the node.
    together : tf.Tensor
        (q, n) the score with it.
    weight : tf.Tensor
        (q, n) what this counts; 0 once the node has been split.
    """

    node: tf.Tensor
    others: tf.Tensor
    without: tf.Tensor
    together: tf.Tensor
    weight: tf.Tensor


class PartitionSHAP(CoalitionMethod):
    """Shapley values of a hierarchy: a group's value is shared among its parts as between two players, and so on down.

    Owen (1977), of groups within groups, as in the partition explainer of Lundberg: an image is halved along its longer
    side, again and again; a text into spans; columns of a table that go together are taken apart last. Each of two
    halves counts what it adds to the score alone and beside the other half, in the mean, with what lies outside of both
    there or not. Nodes whose value is largest are split first, so coarse parts that do not matter cost nothing, and
    what matters is found finely. Whatever the budget, values sum to v(all) - v(none); a node that was not split is
    shared evenly among its players.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    groups : "auto", int or as for `KernelSHAP`
        Who the players are. Default "auto": 16 patches along the longest axis of images, series and volumes; each word
        or column.
    fill, background, input
        As for `KernelSHAP`.
    tree : array, optional
        Which players belong together, (players - 1, 2 or 4), as `scipy.cluster.hierarchy.linkage` makes it. Default:
        that of their places; of a table that of the correlations in its ``background``.
    budget : int
        How many coalitions are asked, two for each split. Default 500 (SHAP, of images).
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For a tree, groups or fills that do not fit, and players that have no tree of their own.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.PartitionSHAP(tfxai.datasets.flowers.load_model(), budget=100)(images).values.shape
    (2, 112, 112)
    """

    grid = 16
    facts = Facts(
        "partition_shap",
        use="fair shares in the score, fine where it matters",
        cost="500 forward passes (budget)",
        needs="any model",
        drawback="depends on the hierarchy and the fill",
        reference="Owen 1977",
    )

    def __init__(
        self,
        model: Model,
        *,
        groups: Grouping = "auto",
        fill: Baseline = 0.0,
        background: Background | None = None,
        tree: np.ndarray | None = None,
        budget: int = 500,
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, groups=groups, fill=fill, background=background, input=input, **options)
        self.budget, self.tree = positive("budget", budget), tree

    def hierarchy(self, game: Game) -> np.ndarray:
        """(players - 1, 2) which two nodes each inner node joins."""
        if self.tree is not None:
            return checked(self.tree, game.count)
        image = game.run.image
        if image.shape.rank == 2 and image.dtype.is_floating:
            rows = self.reference.given if isinstance(self.reference, Several) else None
            if game.cells is None or not hasattr(rows, "__array__") or len(rows) < 3:
                raise ValueError(
                    "Expected the background= of a table, of three rows or more by whose correlations its columns are "
                    "joined, or a tree= of its columns or groups."
                )
            return clustered(np.asarray(rows, float))
        if game.cells is None:
            raise ValueError(
                f"Expected players with places in a grid, such as patches, or a tree= of them, got groups={self.groups!r}."
            )
        return halved(game.cells)

    def shares(self, game: Game) -> tf.Tensor:
        players, n, empty = game.count, game.run.count, game.empty
        tree = self.hierarchy(game)
        below = tf.constant(members(tree, players))
        parts = tf.constant(np.concatenate([np.zeros((players, 2), int), tree]), tf.int32)  # of leaves, any
        each = min(AT_ONCE, max(1, self.budget // 2))  # splits a turn
        turns = min(self.budget // 2, players * players) // each

        def opened(shares: Shares) -> tf.Tensor:
            """(q, n) what there is to win by splitting."""
            inner = tf.cast(shares.node >= players, tf.float32)
            return inner * shares.weight * (tf.abs(shares.together - shares.without) + TINY)

        def turn(number: tf.Tensor, shares: Shares) -> tuple[tf.Tensor, Shares]:
            worth, chosen = tf.math.top_k(tf.transpose(opened(shares)), each)  # (n, each)
            node, others, without, together, weight = (
                tf.gather(tf.transpose(x, [1, 0, *range(2, x.shape.rank)]), chosen, batch_dims=1) for x in shares
            )
            halves = tf.gather(parts, node)  # (n, each, 2)
            left, right = (tf.gather(below, halves[..., half]) for half in range(2))
            asked = tf.concat([others + left, others + right], 1)
            scores = game.worth(lambda index: tf.gather(tf.transpose(asked, [1, 0, 2]), index), 2 * each)
            by_left, by_right = scores[:, :each], scores[:, each:]
            weight = tf.where(worth > 0, weight / 2, 0)

            def four(*kinds: tf.Tensor) -> tf.Tensor:
                """(4 * each, n, ...)"""
                return tf.transpose(tf.concat(kinds, 1), [1, 0, *range(2, kinds[0].shape.rank)])

            new = Shares(
                four(halves[..., 0], halves[..., 0], halves[..., 1], halves[..., 1]),
                four(others, others + right, others, others + left),
                four(without, by_right, without, by_left),
                four(by_left, together, by_right, together),
                four(weight, weight, weight, weight),
            )
            size = shares.node.shape[0]
            split = tf.reduce_max(tf.one_hot(chosen, size) * tf.cast(worth > 0, tf.float32)[..., None], 1)
            shares = shares._replace(weight=shares.weight * (1 - tf.transpose(split)))
            rows = (1 + number * 4 * each + tf.range(4 * each))[:, None]
            shares = Shares(*(tf.tensor_scatter_nd_update(x, rows, y) for x, y in zip(shares, new, strict=True)))
            return number + 1, shares

        room = 1 + turns * 4 * each
        first = tf.cast(tf.range(room) == 0, tf.float32)[:, None]
        shares = Shares(
            tf.fill([room, n], below.shape[0] - 1),
            tf.zeros([room, n, players]),
            first * empty,
            first * game.run.score,
            first * tf.ones([1, n]),
        )
        _, shares = tf.while_loop(
            lambda number, shares: (number < turns) & tf.reduce_any(opened(shares) > 0),
            turn,
            (0, shares),
            parallel_iterations=1,
        )
        gained = shares.weight * (shares.together - shares.without)
        nodes = tf.reduce_sum(tf.one_hot(shares.node, below.shape[0]) * gained[..., None], 0)
        playing = below * tf.cast(game.playing, tf.float32)[:, None]
        each_share = tf.math.divide_no_nan(playing, tf.reduce_sum(playing, 2, keepdims=True))
        return tf.matmul(nodes[:, None], each_share)[:, 0]
