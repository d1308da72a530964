"""Games: the score of an input as a function of which of its parts, the players, are there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import tensorflow as tf

from tfxai.baselines import input_references
from tfxai.hidden_boxes import incremental_passes, scores_behind, scores_hidden
from tfxai.imputation import Around
from tfxai.layer_edits import masked_scores
from tfxai.loops import BLOCK, accumulate_until, collect, merge, split
from tfxai.models import graph
from tfxai.models.incremental import Copies
from tfxai.models.suffix import Suffix
from tfxai.models.view import by_name
from tfxai.players import Parts, players
from tfxai.run import Run, cast
from tfxai.types import Layer

Rerun = Callable[[Run, Any, tf.Tensor], Run]
# (count, players), the same for all inputs; or from numbers (k,) of coalitions to (k, 1 or n, players)
Coalitions: TypeAlias = tf.Tensor | Callable[[tf.Tensor], tf.Tensor]


@dataclass
class Game:
    """The score of each input as a function of coalitions of its players.

    Attributes
    ----------
    run : Run
        One pass of the inputs, in which all players take part.
    count : int
        How many players there are.
    absences : int
        How many ways there are to be absent, to be averaged over: one, or each input of a background.
    score : callable
        From coalitions (k, 1 or n, count), 1 where a player takes part, and the numbers (k,) of the ways in which the
        others are absent, to scores (k, n).
    spread : callable
        From values of players, (n, count), to values that lie where they do; and whether these have the same sum, or
        each the value of its player.
    playing : tf.Tensor
        (1 or n, count) False where there is no such player: padding, or a region without pixels.
    player_of : tf.Tensor, optional
        (1 or n, ...) which player each position of an input belongs to, if not each is one.
    cells : list of int, optional
        How many players there are along each axis, if they are cells of a grid.
    graded : bool
        Whether a player may take part by half.
    lacking : callable, optional
        Where there is a shorter way than ``score``: makes a function from the numbers (k,) of players and of the ways
        to be absent, to scores (k, n) of all but that player, and tells how many of its copies take the memory of one;
        or gives None.
    """

    run: Run
    count: int
    absences: int
    score: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    spread: Callable[[tf.Tensor, bool], Any]
    playing: tf.Tensor
    player_of: tf.Tensor | None = None
    cells: list[int] | None = None
    graded: bool = True
    lacking: Callable[[], tuple[Callable[[tf.Tensor, tf.Tensor], tf.Tensor], int] | None] | None = None

    def worth_without_each(self) -> tf.Tensor:
        """(n, count) scores of all players but one."""
        shorter, count = self.lacking and self.lacking(), self.count
        if not shorter:
            return self.worth(lambda index: 1 - tf.one_hot(index, count)[:, None], count)
        lacking, room = shorter
        return self._mean_over_absences(lambda index: lacking(index % count, index // count), count, room)

    def worth(self, coalitions: Coalitions, count: int | tf.Tensor | None = None) -> tf.Tensor:
        """(n, count) scores of coalitions, a batch of copies at a time; ``count`` if a function makes them."""
        taking, number = _numbered(coalitions, count)

        def score(index: tf.Tensor) -> tf.Tensor:
            return self.score(taking(index % number), index // number)

        return self._mean_over_absences(score, number)

    def _mean_over_absences(
        self, score: Callable[[tf.Tensor], tf.Tensor], number: int | tf.Tensor, room: int = 1
    ) -> tf.Tensor:
        run = self.run
        scores = collect(score, number * self.absences, run.count, run.batch_size * room)
        return tf.reduce_mean(tf.reshape(scores, [-1, self.absences, number]), 1)

    def worth_until(
        self,
        done: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        coalitions: Coalitions,
        count: int | None = None,
        block: int = BLOCK,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The same, for each input only until it is done.

        Parameters
        ----------
        done : callable
            From scores (n, count), 0 where they were not asked yet, and (n,) how many were, to (n,) bool.
        coalitions, count
            As for `worth`.
        block : int
            After how many coalitions one asks again whether it is.

        Returns
        -------
        tuple of tf.Tensor
            The scores, and (n,) how many of them were asked.
        """
        taking, number = _numbered(coalitions, count)
        absences, run = self.absences, self.run

        def body(index: tf.Tensor, active: tf.Tensor) -> tf.Tensor:
            absence = tf.tile(tf.range(absences), tf.shape(index))
            scores = self.score(tf.repeat(taking(index), absences, 0), absence)
            scores = tf.reduce_mean(tf.reshape(scores, [-1, absences, run.count]), 1)
            return tf.matmul(scores * active[:, None], tf.one_hot(index, number), transpose_a=True)

        zeros = tf.zeros([run.count, number])
        batch_size = max(1, run.batch_size // absences)
        return accumulate_until(body, zeros, number, run.count, batch_size, done, block)

    @cached_property
    def empty(self) -> tf.Tensor:
        """(n,) the score if nobody takes part."""
        return self.worth(tf.zeros([1, self.count]))[:, 0]

    def only_playing(self, values: tf.Tensor) -> tf.Tensor:
        """(n, count) values, 0 of those who are no players."""
        return tf.where(self.playing, values, 0)


def of_positions(run: Run, rerun: Rerun, groups: Parts, around: Around | None = None, compiled: bool = False) -> Game:
    """The parts of one of the inputs are the players; who is absent is replaced by what inputs are compared with.

    ``around``: or by what this finds in the surroundings. ``compiled``: whether XLA compiles what is run.
    """
    run = run.chosen_or_only()
    image, x = run.image, run.pixels
    parts, fills = players(run, image, groups), input_references(run, image)
    sizes = parts.totals(tf.ones([1 if parts.alike else run.count, *parts.size]))

    def copies_of(coalition: tf.Tensor, absence: tf.Tensor) -> tf.Tensor:
        there = run.over(parts.over(coalition), image)
        if around is not None:
            fill = around(x, 1 - there)
        else:
            fill = fills if fills.shape[0] == 1 else tf.gather(fills, absence)
        return merge(run.with_padding(x * there + fill * (1 - there), image))

    def score(coalition: tf.Tensor, absence: tf.Tensor) -> tf.Tensor:
        times = tf.size(absence)
        return split(rerun(run, run.with_image(copies_of(coalition, absence), times), times).score, run.count)

    def spread(values: tf.Tensor, shared: bool) -> tf.Tensor:
        each = tf.math.divide_no_nan(values, sizes) if shared else values
        return run.unpadded(parts.over(each[None])[0])

    def lacking() -> tuple[Callable[[tf.Tensor, tf.Tensor], tf.Tensor], int] | None:
        pixels = parts.labels is None and len(parts.size) > 1
        boxes = None if around is not None or pixels else parts.boxes()
        passes = None if boxes is None else incremental_passes(run, boxes, compiled=compiled)
        if isinstance(passes, Suffix):

            def behind(player: tf.Tensor, absence: tf.Tensor) -> tf.Tensor:
                copies = copies_of(1 - tf.one_hot(player, parts.count)[:, None], absence)
                return scores_behind(run, passes, copies, tf.size(absence))

            return behind, passes.room
        if passes is None or parts.kept is not None:
            run.facts["incremental"] = None
            return None
        labels = tf.range(parts.count) if parts.labels is None else parts.labels
        labels = tf.reshape(labels, [1, *parts.size, 1])

        def hiding(player: tf.Tensor) -> tf.Tensor:
            own = Copies(player, tf.zeros_like(player)).before(labels, passes.region)[..., 0]
            return tf.cast(own == tf.reshape(player, [-1, *[1] * len(parts.size)]), tf.float32)

        return lambda player, absence: scores_hidden(run, passes, player, hiding, fills, absence), passes.room

    graded = image.dtype.is_floating and around is None
    player_of = None if parts.labels is None else tf.reshape(parts.labels, [-1, *parts.size])
    playing = sizes > 0
    return Game(run, parts.count, fills.shape[0] or 1, score, spread, playing, player_of, parts.cells, graded, lacking)


def of_inputs(run: Run, rerun: Rerun) -> Game:
    """Each of several inputs is a player."""
    inputs = by_name(run.inputs)
    if len(inputs) < 2:
        raise ValueError('Expected groups="inputs" for a model with several inputs; this one has one.')
    fills = {name: input_references(run, x) for name, x in inputs.items()}
    absences = max(one.shape[0] or 1 for one in fills.values())
    if not {one.shape[0] for one in fills.values()} <= {1, absences}:
        counts = {name: one.shape[0] for name, one in fills.items()}
        raise ValueError(f"Expected as many baselines of one input as of the others, got {counts}.")

    def score(coalition: tf.Tensor, absence: tf.Tensor) -> tf.Tensor:
        times = tf.size(absence)
        mixed = {}
        for number, (name, x) in enumerate(inputs.items()):
            fill = fills[name] if fills[name].shape[0] == 1 else tf.gather(fills[name], absence)
            there = tf.reshape(coalition[..., number], [times, -1, *[1] * (x.shape.rank - 1)])
            mixed[name] = cast(merge(tf.cast(x, fill.dtype) * there + fill * (1 - there)), x.dtype)
        return split(rerun(run, mixed, times).score, run.count)

    def spread(values: tf.Tensor, shared: bool) -> dict[str, tf.Tensor]:
        shares = {}
        for number, (name, x) in enumerate(inputs.items()):
            parts = tf.reduce_prod(tf.shape(x)[1:]) if shared else 1
            each = values[:, number] / tf.cast(parts, tf.float32)
            shares[name] = tf.zeros(tf.shape(x)) + tf.reshape(each, [-1, *[1] * (x.shape.rank - 1)])
        return shares

    return Game(run, len(inputs), absences, score, spread, tf.ones([1, len(inputs)], tf.bool))


@dataclass(frozen=True)
class Channels:
    """The channels of a layer as players, for ``groups=``; those that are absent are 0.

    Only the part of the model above the layer runs again for each coalition. The value of a channel is shared among its
    units by their magnitude, so that a map shows where channels that count are active.

    Parameters
    ----------
    layer : str or keras layer
        Which layer.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=1)
    >>> channels = tfxai.coalitions.Channels("block5_relu")
    >>> explainer = tfxai.KernelSHAP(tfxai.datasets.flowers.load_model(), groups=channels, budget=200)
    >>> explainer(images).extras["players"].shape
    (1, 64)
    """

    layer: Layer


def of_channels(run: Run, layer: tf.Tensor, compiled: bool) -> Game:
    """The channels of a layer are the players, and absent ones are 0."""
    axis = graph.channel_axis(layer)
    count, magnitude = layer.shape[axis], tf.abs(tf.cast(layer, tf.float32))
    along = [count if other == axis else 1 for other in range(1, layer.shape.rank)]
    others = [other for other in range(1, layer.shape.rank) if other != axis]
    masked, batch_size = masked_scores(run, layer, compiled)

    def score(coalition: tf.Tensor, absence: tf.Tensor) -> tf.Tensor:
        return masked(tf.reshape(coalition, [tf.size(absence), -1, *along]))

    def spread(values: tf.Tensor, shared: bool) -> tf.Tensor:
        each = tf.math.divide_no_nan(magnitude, tf.reduce_sum(magnitude, others, keepdims=True))
        return tf.reshape(values, [-1, *along]) * (each if shared else tf.ones_like(magnitude))

    return Game(replace(run, batch_size=batch_size), count, 1, score, spread, tf.ones([1, count], tf.bool))


def _numbered(
    coalitions: Coalitions, count: int | tf.Tensor | None
) -> tuple[Callable[[tf.Tensor], tf.Tensor], int | tf.Tensor]:
    """Coalitions by their numbers, and how many there are."""
    if callable(coalitions):
        return coalitions, 0 if count is None else count
    return (lambda index: tf.gather(coalitions, index)[:, None]), coalitions.shape[0]
