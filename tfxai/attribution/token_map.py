"""Maps made of tokens: which attention, which of its rows count, and where tokens lie in the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import tensorflow as tf

from tfxai.explainer import Explainer
from tfxai.maps import Place, of_grid
from tfxai.models.attention import Attention, find, last_tokens
from tfxai.models.attention_maps import AttentionMap, Known, known
from tfxai.models.token_places import Grid, evenly
from tfxai.models.view import by_name
from tfxai.options import InputOptions
from tfxai.run import Run, gradients
from tfxai.types import Model, Tensors


class TokenMap(Explainer):
    """Base of the methods that make maps of a model's attention. A subclass writes `of_tokens`.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    query : int, optional
        Which token's row is shown. Default: the mean over the tokens that the score is read from: the class token, the
        last token of a language model, or all tokens that are averaged.
    grid : (int, int), optional
        Rows and columns of the tokens that stand for places (the last ones), if the graph does not tell.
    **options
        As for `Explainer`.
    """

    backward = "flat"
    embeds = True
    one_sequence: str = ""  # what the method does within one sequence, if it has no rule for several

    def __init__(
        self,
        model: Model,
        *,
        query: int | None = None,
        grid: Sequence[int] | None = None,
        **options: Unpack[InputOptions],
    ):
        super().__init__(model, **options)
        if query is not None and (not isinstance(query, int) or isinstance(query, bool)):
            raise TypeError(f"Expected query to be the number of a token, got {query!r}.")
        if self.view.opaque:
            raise ValueError(
                f"{type(self).__name__} reads attention in the graph of a model, and a Python function cannot be "
                "inspected. Give the model itself, or use Occlusion."
            )
        self.query = query
        self.grid = None if grid is None else tuple(grid)

    def of_tokens(self, run: Run, maps: list[Attention]) -> dict[int, tf.Tensor]:
        """(n, tokens) for each sequence of tokens, by its number."""
        raise NotImplementedError

    def attribute(self, run: Run) -> Tensors:
        maps = find(tf.nest.flatten(run.inputs), run.score)
        if not maps:
            raise ValueError(
                f"{type(self).__name__} needs attention, and there is none between the inputs and the score: "
                "tfxai.attention(model) is empty. Use IntegratedGradients."
            )
        self.check(known(run.view, run.taken).maps, maps)
        values = self.laid(run, self.of_tokens(run, maps))
        return values if isinstance(run.inputs, dict) else next(iter(values.values()))

    def laid(self, run: Run, tokens: dict[int, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Numbers (n, ..., tokens) of sequences, where the tokens lie in each input: (n, ..., *positions)."""
        values = {}
        for name, (stream, grid) in self._grids(run).items():
            if stream in tokens:
                own = tf.gather(tokens[stream], grid.tokens.ravel(), axis=-1)
                values[name] = tf.reshape(own, [-1, *own.shape[1:-1], *grid.tokens.shape])
        return values

    def check(self, described: Sequence[AttentionMap], maps: Sequence[Attention]) -> None:
        """ValueError for attention that the method has no formula for."""
        if self.one_sequence and any(one.stream != one.source for one in maps):
            raise ValueError(
                f"{type(self).__name__} {self.one_sequence}, and the model attends from one sequence to another. Use "
                "TransformerAttribution, which has a rule for that."
            )
        windows = next((one for one in described if one.windows > 1), None)
        counts = {(one.stream, facts.queries) for one, facts in zip(maps, described, strict=False)}
        if windows is None and len(counts) == len({stream for stream, _ in counts}):
            return
        what, more = (
            "tokens that are merged on the way, and this model merges some",
            ", or AttentionGradient of one map",
        )
        if windows is not None:
            what, more = f"windows, and {windows.name!r} has {windows.windows} of them", ""
        raise ValueError(
            f"{type(self).__name__} follows tokens from layer to layer, which is not defined across {what}. Use LRP, "
            f"or GradCAM, which takes the tokens of a layer{more}."
        )

    def places(self, run: Run, values: Any) -> dict[str, Place] | None:
        names = values if isinstance(values, dict) else ["input"]
        return {
            name: of_grid(grid, run.given(name).shape, self._axes(run, name))
            for name, (_, grid) in self._grids(run).items()
            if name in names
        }

    def _grids(self, run: Run) -> dict[str, tuple[int, Grid]]:
        """For each input that is explained, the sequence of its tokens, and where they lie."""
        facts = known(run.view, run.taken)
        names = list(run.integers) or [name for name, x in by_name(run.inputs).items() if x.dtype.is_floating]
        shown = self.shown(facts)
        keys = facts.maps[shown[-1]].keys
        if self.grid is not None and len(names) == 1:
            sizes = [run.given(names[0]).shape[axis] for axis in self._axes(run, names[0])]
            return {names[0]: (facts.sequences[shown[-1]][1], evenly(self.grid, sizes, keys))}
        found: dict[str, tuple[int, Grid]] = {}
        for number in shown:
            for name, grid in facts.grids[number].items():
                if name in names:
                    found.setdefault(name, (facts.sequences[number][1], grid))
        if not found:
            raise ValueError(
                f"Which parts of the input the model's {keys or 'tokens'} tokens stand for cannot be derived from its "
                "graph. Say how many rows and columns of them there are, such as grid=(14, 14); they are the last ones."
            )
        return found

    def shown(self, facts: Known) -> Sequence[int]:
        """Numbers of the maps whose keys are shown."""
        return range(len(facts.maps))

    def _axes(self, run: Run, name: str) -> Sequence[int]:
        """Axes of an input that are positions."""
        if name in run.integers:
            return range(1, run.integers[name].shape.rank)
        return run.positions(run.given(name))

    def rows(self, run: Run, maps: Sequence[Attention]) -> dict[int, tf.Tensor]:
        """(n, queries) which tokens the score is read from, adding up to 1, for each sequence that it is read from.

        These are the tokens after the last map on which the score depends; what follows it mixes none.
        """
        asked = {one.source for one in maps if one.source != one.stream}
        streams = {one.stream for one in maps}
        last = {one.stream: one for one in maps if one.stream in (streams - asked or streams)}
        found = {}
        for stream, one in last.items():
            if self.query is not None:
                found[stream] = tf.tile(_one_of(self.query, one), [run.count, 1])
                continue
            tokens = last_tokens(tf.nest.flatten(run.inputs), run.score, one)
            if tokens is one.weights:
                depends = tf.reduce_any(one.by_head(gradients(run.score, tokens)) != 0, [1, 3])
            else:
                depends = tf.reduce_any(gradients(run.score, tokens) != 0, 2)
            read = tf.cast(depends, tf.float32)
            found[stream] = tf.math.divide_no_nan(read, tf.reduce_sum(read, 1, keepdims=True))
        return found


def _one_of(query: int, one: Attention) -> tf.Tensor:
    """(1, queries) 1 for one of the queries of a map, counted from the end if it is negative."""
    shares = one.by_head(one.weights)
    known, count = shares.shape[2], tf.shape(shares)[2]
    if known is not None and not -known <= query < known:
        raise ValueError(f"Expected query to be the number of one of {known} tokens, got {query}.")
    return tf.one_hot([query % count], count)
