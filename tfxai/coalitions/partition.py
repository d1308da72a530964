"""Shapley values of a hierarchy of players."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, Unpack, get_args

import numpy as np
import tensorflow as tf

from tfxai.baselines import Several
from tfxai.checks import one_of, positive
from tfxai.coalitions.game import Game
from tfxai.coalitions.method import CoalitionMethod, Grouping
from tfxai.coalitions.trees import checked, clustered, halved, spans
from tfxai.facts import Facts
from tfxai.imputation import Fill
from tfxai.options import ModelOptions
from tfxai.types import Background, Model

TINY = 1e-12  # so that halves which cancel out are looked at in the end
FEWEST, MOST = 4, 16  # splits between two looks at which nodes matter most: no input depends on the size of its batch

Contexts: TypeAlias = Literal["all", "ends"]
EITHER, FIRST, LAST = range(3)


class Shares(NamedTuple):
    """What a node adds to those who are there before it, as far as it has not been split.

    Attributes
    ----------
    node : tf.Tensor
        (q, n) which node, of each input.
    others : tf.Tensor
        (q, n, players) who is there before it.
    without : tf.Tensor
        (q, n) the score without the node.
    together : tf.Tensor
        (q, n) the score with it.
    bonus : tf.Tensor
        (q, n) what else it has got of what larger nodes do together.
    weight : tf.Tensor
        (q, n) what this counts; 0 once the node has been split.
    kind : tf.Tensor
        (q, n) whether the smallest of its parts are to come first of all, `FIRST`, last, `LAST`, or either.
    """

    node: tf.Tensor
    others: tf.Tensor
    without: tf.Tensor
    together: tf.Tensor
    bonus: tf.Tensor
    weight: tf.Tensor
    kind: tf.Tensor

    @property
    def gain(self) -> tf.Tensor:
        """(q, n)"""
        return self.together - self.without + self.bonus


class PartitionSHAP(CoalitionMethod):
    """Shapley values of a hierarchy: a group's value is shared among its parts as between two players, and so on down.

    Owen (1977), of groups within groups, as in SHAP's partition explainer: an image is halved along its longer side,
    again and again; a text into spans; columns of a table that correlate are taken apart last. Each of two halves
    counts what it adds to the score alone and beside the other half, on average. Parts whose value is largest are split
    first, so what does not matter costs little. Whatever the budget, values sum to v(all) - v(none); a part that was
    not split is shared evenly among its players.

    Owen values ask for each part beside all combinations of the parts from which it was split, which are twice as many
    each time, so that a budget goes no deeper than some halvings. ``contexts="ends"`` asks only beside none and beside
    all of them, and gives each half half of what is left: for scores to which parts contribute alone or in pairs that
    is the same, and it goes deeper.

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
        that of their places; for a table that of the correlations in its ``background``.
    contexts : {"all", "ends"}
        Beside which of the other parts a part is split, see above. Which is better depends on the measure; see the
        guide to Shapley values. Default "all" (SHAP).
    budget : int
        How many coalitions to evaluate, besides those of all and of none: two for each split. Default 500 (SHAP, for
        images).
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
    facts = Facts.of("partition_shap")

    def __init__(
        self,
        model: Model,
        *,
        groups: Grouping = "auto",
        fill: Fill = 0.0,
        background: Background | None = None,
        tree: np.ndarray | None = None,
        contexts: Contexts = "all",
        budget: int = 500,
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, groups=groups, fill=fill, background=background, input=input, **options)
        one_of("contexts", contexts, get_args(Contexts))
        self.budget, self.tree, self.contexts = positive("budget", budget), tree, contexts

    def hierarchy(self, game: Game) -> np.ndarray:
        """(players - 1, 2) which two nodes each inner node joins."""
        if self.tree is not None:
            return checked(self.tree, game.count)
        image = game.run.image
        if image.shape.rank == 2 and image.dtype.is_floating:
            rows = self.reference.given if isinstance(self.reference, Several) else ()
            if game.cells is None or not hasattr(rows, "__array__") or len(rows) < 3:
                raise ValueError(
                    "Expected background= for a table, three rows or more by whose correlations its columns are "
                    "joined, or a tree= of its columns or groups."
                )
            return clustered(np.asarray(rows, float))
        if game.cells is None:
            raise ValueError(
                "Expected players with places in a grid, such as patches, or a tree= of them; got groups="
                f"{self.groups!r}."
            )
        return halved(game.cells)

    def shares(self, game: Game) -> tf.Tensor:
        players, n, empty = game.count, game.run.count, game.empty
        tree = self.hierarchy(game)
        places, ends = spans(tree, players)
        ends = tf.constant(ends, tf.int32)
        halves_of = tf.constant(np.concatenate([np.zeros((players, 2), int), tree]), tf.int32)  # of leaves, any
        plan = splits_a_turn(max(1, self.budget // 2))
        before = tf.constant(np.cumsum([0, *plan[:-1]]), tf.int32)

        def turn(number: tf.Tensor, shares: Shares) -> tuple[tf.Tensor, Shares]:
            each = tf.gather(plan, number)
            worth, chosen = tf.math.top_k(tf.transpose(_to_win(shares, players)), each)  # (n, each)
            taken = Shares(*(tf.gather(_swapped(x), chosen, batch_dims=1) for x in shares))
            halves = tf.gather(halves_of, taken.node)  # (n, each, 2)
            left, right = (_members(ends, halves[..., half], places) for half in range(2))
            asked = _swapped(tf.concat([taken.others + left, taken.others + right], 1))
            scores = game.worth(lambda index: tf.gather(asked, index), 2 * each)
            new = self.split(taken, halves, (left, right), (scores[:, :each], scores[:, each:]), worth > 0)
            rows = (1 + 4 * tf.gather(before, number) + tf.range(4 * each))[:, None]
            was_split = tf.one_hot(chosen, shares.node.shape[0]) * tf.cast(worth > 0, tf.float32)[..., None]
            shares = shares._replace(weight=shares.weight * (1 - tf.transpose(tf.reduce_sum(was_split, 1))))
            return number + 1, Shares(*map(tf.tensor_scatter_nd_update, shares, [rows] * len(new), new))

        def worth_a_turn(number: tf.Tensor, shares: Shares) -> tf.Tensor:
            return (number < len(plan)) & tf.reduce_any(_to_win(shares, players) > 0)

        room = 1 + 4 * sum(plan)
        first = tf.cast(tf.range(room) == 0, tf.float32)[:, None] * tf.ones([1, n])
        root, nobody = tf.fill([room, n], ends.shape[0] - 1), tf.zeros([room, n, players])
        start = Shares(
            root, nobody, first * empty, first * game.run.score, 0 * first, first, tf.fill([room, n], EITHER)
        )
        _, shares = tf.while_loop(worth_a_turn, turn, (0, start), parallel_iterations=1)
        return _shared_out(shares, ends, places, tf.cast(game.playing, tf.float32))

    def split(
        self,
        taken: Shares,
        halves: tf.Tensor,
        members: tuple[tf.Tensor, tf.Tensor],
        scores: tuple[tf.Tensor, tf.Tensor],
        worth_it: tf.Tensor,
    ) -> Shares:
        """(4 * each, n) what halves add, each without the other half and beside it.

        ``scores``: (n, each) of those before and the left half, or the right one.
        """
        (left, right), (by_left, by_right) = members, scores
        weight, either = tf.where(worth_it, taken.weight, 0.0), taken.kind == EITHER
        pair = taken.together - by_left - by_right + taken.without  # what the halves do together
        if self.contexts == "all":
            alone = beside = weight / 2
            kinds, bonus = (EITHER, EITHER), (0 * pair, 0 * pair)
        else:
            alone = tf.where(either, weight / 2, tf.where(taken.kind == FIRST, weight, 0.0))
            beside = weight - alone
            kinds = (FIRST, LAST)
            bonus = tuple(tf.where(either, 0.0, (taken.bonus + sign * pair) / 2) for sign in (1, -1))

        def four(*parts: tf.Tensor) -> tf.Tensor:
            return _swapped(tf.concat(parts, 1))

        return Shares(
            four(halves[..., 0], halves[..., 0], halves[..., 1], halves[..., 1]),
            four(taken.others, taken.others + right, taken.others, taken.others + left),
            four(taken.without, by_right, taken.without, by_left),
            four(by_left, taken.together, by_right, taken.together),
            four(*bonus, *bonus),
            four(alone, beside, alone, beside),
            four(*(tf.fill(tf.shape(weight), kind) for kind in (*kinds, *kinds))),
        )


def splits_a_turn(splits: int) -> list[int]:
    """How many nodes are split at once, the root, and then at most a quarter of those before.

    The first few alone tell where to go on; turns of many later fill batches.
    """
    plan = [1]
    while (done := sum(plan)) < splits:
        plan.append(min(max(FEWEST, min(done // 4, MOST)), splits - done))
    return plan


def _to_win(shares: Shares, players: int) -> tf.Tensor:
    """(q, n) how much there is to find out by splitting; 0 of players, who are not split."""
    inner = tf.cast(shares.node >= players, tf.float32)
    return inner * shares.weight * (tf.abs(shares.together - shares.without) + TINY)


def _swapped(x: tf.Tensor) -> tf.Tensor:
    """(q, n, ...) to (n, q, ...), and back."""
    return tf.transpose(x, [1, 0, *range(2, x.shape.rank)])


def _members(ends: tf.Tensor, node: tf.Tensor, places: np.ndarray) -> tf.Tensor:
    """(..., players) 1 where a player is below a node."""
    own = tf.gather(ends, node)[..., None, :]
    return tf.cast((places >= own[..., 0]) & (places < own[..., 1]), tf.float32)


def _shared_out(shares: Shares, ends: tf.Tensor, places: np.ndarray, playing: tf.Tensor) -> tf.Tensor:
    """(n, players) what nodes have that were not split, even among those of their players who play."""
    ordered = tf.gather(playing, np.argsort(places), axis=1)
    before = tf.pad(tf.cumsum(ordered, 1), [[0, 0], [1, 0]])  # (1 or n, players + 1) how many play before each place
    before = before + tf.zeros([tf.shape(shares.node)[1], 1])
    own = tf.gather(ends, shares.node)  # (q, n, 2)
    first, last = (tf.transpose(own[..., end]) for end in range(2))
    count = tf.gather(before, last, batch_dims=1) - tf.gather(before, first, batch_dims=1)
    density = tf.math.divide_no_nan(tf.transpose(shares.weight * shares.gain), count)

    def at(place: tf.Tensor) -> tf.Tensor:
        """(n, players + 1) densities, summed up where their nodes begin or end."""
        room, n = before.shape[1], tf.shape(place)[0]
        rows = place + room * tf.range(n)[:, None]
        return tf.reshape(tf.math.unsorted_segment_sum(density, rows, room * n), [n, room])

    return tf.gather(tf.cumsum(at(first) - at(last), 1), places, axis=1)
