"""The base of methods that ask what the score is when only some of an input's parts are there."""

from __future__ import annotations

import warnings
from typing import Any, Literal, TypeAlias, Unpack

import numpy as np
import tensorflow as tf

from tfxai import text
from tfxai.baselines import compared
from tfxai.checks import one_of, positive
from tfxai.coalitions.game import Channels, Game, of_channels, of_inputs, of_positions
from tfxai.explainer import Explainer
from tfxai.explanation import Explanation
from tfxai.imputation import Fill, from_surroundings
from tfxai.loops import named_errors
from tfxai.options import ModelOptions
from tfxai.outcome import Outcome
from tfxai.players import GRID, NAMES, ROWS, Parts, as_parts, segmented
from tfxai.run import Run
from tfxai.segmentations import Segments
from tfxai.types import Background, Model
from tfxai.words import numbers

ROUNDING = 1e-6  # of scores in float32
Grouping: TypeAlias = Parts | Channels | Literal["auto", "inputs"]


class CoalitionMethod(Explainer):
    """Base of the methods of this room. A subclass writes `shares`.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images, series, volumes, numbers of words (n, words), or tables.
    groups : str, int, array, mapping, sequence, Segments, Channels or None
        Who the players are; see `tfxai.KernelSHAP`. Default "auto": super-pixels of images, each column or word, else
        patches.
    fill : number, "mean", "blur", "noise", "interpolate", "inpaint", function, or array
        What replaces absent players; see `tfxai.KernelSHAP`. Default 0.
    background : array or list, or dict of these by input, optional
        Several inputs or fills, (b, ...), instead of one: scores are averaged over them, at b times the cost.
    input : str, optional
        Which of several inputs is divided into players. Default: the only one with positions.
    **options
        As for `Explainer`.
    """

    lowers = True
    additive = True  # whether values are to sum to what the score gains by all players
    shared = True  # whether positions share the value of their player, or each has all of it
    grid: int | None = None  # by how many patches along the longest axis images are divided; None: by super-pixels

    def __init__(
        self,
        model: Model,
        *,
        groups: Grouping = "auto",
        fill: Fill = 0.0,
        background: Background | None = None,
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        self.around = from_surroundings(fill, options)
        super().__init__(model, **options)
        if isinstance(groups, str):
            one_of("groups", groups, ("auto", *NAMES, "inputs"))
        self.groups, self.input = as_parts(groups), input  # type: ignore[arg-type]
        self.reference = compared(0.0 if self.around else fill, background, "fill")
        if isinstance(groups, Channels):
            if self.around or self.reference != 0:
                raise ValueError("Channels that are absent are 0: leave fill= and background= out.")
            self.reads = (self.view.find(groups.layer),)

    @property
    def where(self) -> str | None:
        return self.reads[0] if self.reads else None

    def describe(self) -> dict[str, Any]:
        return {"layer": self.where} if self.where else {}

    def alongside(self, batch: dict[str, Any], start: int, end: int, total: int | None) -> dict[str, np.ndarray]:
        """To which player positions belong, where inputs differ in that."""
        if isinstance(self.groups, Segments):
            return segmented(self.groups, batch, self.input)
        name = next(iter(batch)) if len(batch) == 1 else self.input
        if name is None or name not in batch:
            return {}
        if isinstance(self.groups, str) and self.groups == "words":
            found = text.pieces(batch, batch[name], self.view.preprocessor)
            if found is None:
                raise ValueError(
                    'Expected a preprocessor= whose tokenizer tells where words begin, for groups="words". Without one '
                    "each token is a player: leave groups= out."
                )
            return {ROWS: numbers(found)}
        if isinstance(self.groups, np.ndarray) and self.groups.ndim > max(1, batch[name].ndim - 2):
            self.beside = {ROWS: self.groups}
        return super().alongside(batch, start, end, total)

    def shares(self, game: Game) -> tf.Tensor:
        """(n, players) what each player counts: the method itself."""
        raise NotImplementedError

    def game(self, run: Run) -> Game:
        """What is played for the inputs of one pass."""
        groups = self.groups
        if self.reads:
            return of_channels(run, run.read[self.reads[0]], self.jit_compile)
        if isinstance(groups, str) and groups == "inputs":
            return of_inputs(run, self.rerun)
        if isinstance(groups, str) and groups == "auto":
            groups = self.usual(run)
        return of_positions(run, self.rerun, groups, self.around, self.jit_compile)

    def usual(self, run: Run) -> Parts:
        """What players are if the user does not say."""
        image = run.chosen_or_only().image
        if image.shape.rank == 2:
            return None
        size, grid = run.size(image), self.grid or GRID
        return "superpixels" if len(size) == 2 and self.grid is None else -(-max(size) // grid)

    def attribute(self, run: Run) -> Any:
        game = self.game(run)
        shares = game.only_playing(self.shares(game))
        run.extras["players"] = shares
        if game.player_of is not None:
            run.extras["player_of"] = game.player_of + tf.zeros(
                [run.count, *[1] * (game.player_of.shape.rank - 1)], tf.int32
            )
        if self.additive:
            run.extras["absent"] = game.empty
            run.extras["completeness_gap"] = tf.reduce_sum(shares, 1) - (run.score - game.empty)
        if "player_errors" in run.extras:
            run.extras |= named_errors(game.spread(game.only_playing(run.extras["player_errors"]), self.shared))
        return game.spread(shares, self.shared)

    def _explanation(self, outcome: Outcome) -> Explanation:
        most, score = np.abs(outcome.found["extras"]["players"]).max(1), np.abs(outcome.found["score"])
        constant = int((most <= ROUNDING * score).sum())
        if constant:
            warnings.warn(
                f"All values are 0 for {constant} of {len(outcome.found['score'])} inputs: the players do not change "
                "the score, or their effects cancel out. Check whether fill= equals what the inputs hold already, and "
                "whether the target is the one you mean.",
                stacklevel=2,
            )
        return super()._explanation(outcome)


def number_or_budget(name: str, number: int | None, budget: int | None, usual: int) -> tuple[int, int | None]:
    """Two ways to say how much is asked, of which users give one at most, checked."""
    if number is not None and budget is not None:
        raise ValueError(f"Expected {name}= or budget=, got both.")
    return positive(name, usual if number is None else number), None if budget is None else positive("budget", budget)


def affordable(number: int, budget: int | None, each: int, what: str) -> int:
    """How many are made, if each evaluates so many coalitions: the given number, or as many as a budget is enough
    for.
    """
    if budget is None:
        return number
    if budget < each:
        raise ValueError(
            f"Expected a budget of at least {each} coalitions, for one {what}, got {budget}. Merge players with "
            "groups=, or raise budget=."
        )
    return budget // each
