"""What attention says: A (n, heads, queries, keys) are the shares of a map, and G = dS/dA the gradient of the score.

Each method gives a number to every key. Maps of one sequence follow each other, the first first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack, get_args

import tensorflow as tf

from tfxai.attribution.token_map import TokenMap
from tfxai.checks import one_of
from tfxai.facts import Facts
from tfxai.models.attention import Attention, block_ends
from tfxai.models.attention_maps import AttentionMap, Known, known
from tfxai.options import InputOptions
from tfxai.run import Run, gradients
from tfxai.types import Model

Fusion = Literal["mean", "max", "min"]
Read = Literal["model", "mean"]
Weight = Literal["attention", "gradient", "attention_x_gradient"]
_FUSIONS = {"mean": tf.reduce_mean, "max": tf.reduce_max, "min": tf.reduce_min}


class AttentionRollout(TokenMap):
    """How much each token is attended to, through all layers.

    Abnar and Zuidema (2020): the product of all (A + I) / 2, heads averaged; I stands for the skip connection. It is
    the same for all classes.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    fusion : {"mean", "max", "min"}
        How the heads of a layer are combined; rows are rescaled to sum to 1. Default "mean", as in the paper.
    query : int, optional
        Which token's row is shown. Default: the mean over the tokens that the score is read from: the class token, the
        last token of a language model, or all tokens that are averaged.
    grid : (int, int), optional
        Rows and columns of the tokens that stand for places (the last ones), if the graph does not tell.
    at : str, keras layer or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        If the model has no attention, or attention in windows or between two sequences.

    Examples
    --------
    >>> import keras, numpy as np, tfxai
    >>> words = x = keras.Input((6,), dtype="int32")
    >>> x = keras.layers.Embedding(9, 8)(x)
    >>> x = keras.layers.GlobalAveragePooling1D()(x + keras.layers.MultiHeadAttention(2, 4)(x, x))
    >>> model = keras.Model(words, keras.layers.Dense(2)(x))
    >>> tfxai.AttentionRollout(model)(np.array([[1, 5, 2, 7, 7, 3]])).tokens().shape
    (1, 6)
    """

    facts = Facts.of("attention_rollout")
    one_sequence = "is a product of maps within one sequence"

    def __init__(
        self,
        model: Model,
        *,
        fusion: Fusion = "mean",
        query: int | None = None,
        grid: Sequence[int] | None = None,
        **options: Unpack[InputOptions],
    ):
        super().__init__(model, query=query, grid=grid, **options)
        one_of("fusion", fusion, get_args(Fusion))
        self.fusion = fusion

    def of_tokens(self, run: Run, maps: list[Attention]) -> dict[int, tf.Tensor]:
        found = self.rows(run, maps)
        for one in reversed(maps):
            A = _FUSIONS[self.fusion](one.by_head(one.weights), 1)
            A = tf.math.divide_no_nan(A, tf.reduce_sum(A, -1, keepdims=True))
            if one.stream in found:
                found[one.stream] = (found[one.stream] + _through(found[one.stream], A)) / 2
        return found


class TransformerAttribution(TokenMap):
    """Attention that speaks for the score, through all layers.

    Chefer, Gur and Wolf (2021b): R = I, and for each layer R += mean(relu(A G)) R, over heads. From one sequence to
    another, as in a decoder, by their equations 8 to 11.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    query : int, optional
        Which token's row is shown. Default: the mean over the tokens that the score is read from: the class token, the
        last token of a language model, or all tokens that are averaged.
    grid : (int, int), optional
        Rows and columns of the tokens that stand for places (the last ones), if the graph does not tell.
    at : str, keras layer or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        If the model has no attention, or attention in windows.

    Examples
    --------
    >>> import keras, numpy as np, tfxai
    >>> words = x = keras.Input((6,), dtype="int32")
    >>> x = keras.layers.Embedding(9, 8)(x)
    >>> x = keras.layers.GlobalAveragePooling1D()(x + keras.layers.MultiHeadAttention(2, 4)(x, x))
    >>> model = keras.Model(words, keras.layers.Dense(2)(x))
    >>> tfxai.TransformerAttribution(model)(np.array([[1, 5, 2, 7, 7, 3]])).tokens().shape
    (1, 6)
    """

    facts = Facts.of("transformer_attribution")

    def of_tokens(self, run: Run, maps: list[Attention]) -> dict[int, tf.Tensor]:
        R: dict[tuple[int, int], tf.Tensor] = {}  # from the tokens of one sequence to those of another

        def own(stream: int, tokens: tf.Tensor) -> tf.Tensor:
            return R.setdefault((stream, stream), tf.eye(tokens, batch_shape=[run.count]))

        for one, G in zip(maps, gradients(run.score, [one.weights for one in maps]), strict=True):
            A = one.by_head(one.weights)
            A = tf.reduce_mean(tf.nn.relu(A * one.by_head(G)), 1)
            s, t = one.stream, one.source
            to_own, to_other = own(s, tf.shape(A)[1]), own(t, tf.shape(A)[2])
            if s != t:
                handed = tf.matmul(_normalized(to_own), tf.matmul(A, _normalized(to_other)), transpose_a=True)
                back = A @ R[t, s] if (t, s) in R else 0
                R[s, t] = R.get((s, t), 0) + handed
                R[s, s] += back
                continue
            for (start, end), known_yet in list(R.items()):
                if start == s:
                    R[start, end] = known_yet + A @ known_yet
        found: dict[int, tf.Tensor] = {}
        for stream, rows in self.rows(run, maps).items():
            for (start, end), relevance in R.items():
                if start == stream:
                    found[end] = found.get(end, 0) + _through(rows, relevance)
        return found


class LeGrad(TokenMap):
    """How the score, read after each layer, reacts to what this layer attends to.

    Bousselham et al. (2025): the mean over heads, queries and layers of relu(dS_l / dA_l), where S_l is the score that
    the last part of the model gives to the tokens after layer l. A itself is not multiplied in.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    read : {"model", "mean"}
        Which tokens the score is read from: those that the model reads, such as the class token (default), or their
        mean.
    grid : (int, int), optional
        Rows and columns of the tokens that stand for places (the last ones), if the graph does not tell.
    at : str, keras layer or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        If the model has no attention, attention in windows or between sequences, or blocks that do not follow each
        other.

    Examples
    --------
    >>> import keras, numpy as np, tfxai
    >>> words = x = keras.Input((6,), dtype="int32")
    >>> x = keras.layers.Embedding(9, 8)(x)
    >>> x = keras.layers.GlobalAveragePooling1D()(x + keras.layers.MultiHeadAttention(2, 4)(x, x))
    >>> model = keras.Model(words, keras.layers.Dense(2)(x))
    >>> tfxai.LeGrad(model)(np.array([[1, 5, 2, 7, 7, 3]])).tokens().shape
    (1, 6)
    """

    facts = Facts.of("le_grad")
    one_sequence = "reads the score after each layer of one sequence"

    def __init__(
        self, model: Model, *, read: Read = "model", grid: Sequence[int] | None = None, **options: Unpack[InputOptions]
    ):
        super().__init__(model, grid=grid, **options)
        one_of("read", read, get_args(Read))
        self.read = read

    def of_tokens(self, run: Run, maps: list[Attention]) -> dict[int, tf.Tensor]:
        found = {}
        for name, (stream, _) in self._grids(run).items():
            own = [one for one in maps if one.stream == stream]
            if not own:
                continue
            try:
                ends = block_ends(run.given(name), run.score, own)
            except ValueError as error:
                raise ValueError(
                    f"LeGrad needs to know where blocks end. {error} Use TransformerAttribution."
                ) from error
            last = ends[-1]
            scores = [run.score if x is last and self.read == "model" else self._score(run, last, x) for x in ends]
            reactions = [
                tf.reduce_mean(tf.nn.relu(one.by_head(gradients(S, one.weights))), [1, 2])
                for S, one in zip(scores, own, strict=True)
            ]
            found[stream] = tf.add_n(reactions) / len(reactions)
        return found

    def _score(self, run: Run, last: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """The score if the last tokens were these, or the mean of these."""
        if self.read == "mean":
            x = tf.reduce_mean(x, 1, keepdims=True) + tf.zeros_like(x)
        return run.edited(last, lambda _: x, custom=False)


class AttentionGradient(TokenMap):
    """One attention map, as it is or times its gradient.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    layer : str or int, optional
        Which map, by the name or number that `tfxai.attention` gives it; the end of a name suffices if it is unique.
        Default: the last.
    weight : {"attention_x_gradient", "attention", "gradient"}
        What is shown. Default: A G, what each share adds to the score to first order.
    head : int, optional
        Which head; default: the mean of all. ``extras["heads"]`` has each of them, (n, heads, queries, keys), and
        ``extras["by_head"]`` what is shown of each, (n, heads, ...); `tfxai.plot_attention` draws them.
        ``extras["between"]``, if queries and keys are the same tokens of one input, has what each place gives to each,
        ``(n, *queries, *keys)``, of that head or the mean: on a page, a click shows the row of a patch or word.
    query : int, optional
        Which token's row is shown. Default: the mean over the tokens that the score is read from.
    grid : (int, int), optional
        Rows and columns of the tokens that stand for places (the last ones), if the graph does not tell.
    at : str, keras layer or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        If there is no such map or head, or if it attends within windows.

    Examples
    --------
    >>> import keras, numpy as np, tfxai
    >>> words = x = keras.Input((6,), dtype="int32")
    >>> x = keras.layers.Embedding(9, 8)(x)
    >>> x = keras.layers.GlobalAveragePooling1D()(x + keras.layers.MultiHeadAttention(2, 4)(x, x))
    >>> model = keras.Model(words, keras.layers.Dense(2)(x))
    >>> tfxai.AttentionGradient(model, weight="attention")(np.array([[1, 5, 2, 7, 7, 3]])).extras["heads"].shape
    (1, 2, 6, 6)
    """

    facts = Facts.of("attention_gradient")

    def __init__(
        self,
        model: Model,
        layer: str | int | None = None,
        *,
        weight: Weight = "attention_x_gradient",
        head: int | None = None,
        query: int | None = None,
        grid: Sequence[int] | None = None,
        **options: Unpack[InputOptions],
    ):
        super().__init__(model, query=query, grid=grid, **options)
        one_of("weight", weight, get_args(Weight))
        self.layer, self.weight, self.head = layer, weight, head

    def describe(self) -> dict[str, Any]:
        return {"attention": self.layer, "weight": self.weight, "head": self.head}

    def check(self, described: Sequence[AttentionMap], maps: Sequence[Attention]) -> None:
        number = self._number(described)
        super().check([described[number]], [maps[number]])

    def shown(self, facts: Known) -> Sequence[int]:
        return [self._number(facts.maps)]

    def _number(self, described: Sequence[AttentionMap]) -> int:
        names = [one.name for one in described]
        number: Any = -1 if self.layer is None else self.layer
        if isinstance(number, str):
            ends = [name for name in names if f"/{name}".endswith(f"/{number}")]
            name = number if number in names or len(ends) != 1 else ends[0]
            number = names.index(name) if name in names else name
        if not isinstance(number, int) or not -len(names) <= number < len(names):
            raise ValueError(f"Expected layer to be one of {names}, or the number of one, got {self.layer!r}.")
        heads = described[number].heads
        if self.head is not None and heads is not None and not 0 <= self.head < heads:
            raise ValueError(f"Expected head to be 0 to {heads - 1} in {names[number]!r}, got {self.head}.")
        return number

    def of_tokens(self, run: Run, maps: list[Attention]) -> dict[int, tf.Tensor]:
        one = maps[self._number(known(run.view, run.taken).maps)]
        shown = one.by_head(one.weights)
        if self.weight != "attention":
            G = one.by_head(gradients(run.score, one.weights))
            shown = G if self.weight == "gradient" else shown * G
        run.extras["heads"] = shown
        alike = [other for other in maps if other.stream == one.stream and _queries(other) == _queries(one)]
        by_head = tf.einsum("nq,nhqk->nhk", self.rows(run, alike)[one.stream], shown)
        laid = self.laid(run, {one.source: by_head})
        if len(laid) == 1:
            run.extras["by_head"] = next(iter(laid.values()))
            if one.stream == one.source and shown.shape[2] is not None and shown.shape[2] == shown.shape[3]:
                pairs = tf.reduce_mean(shown, 1) if self.head is None else shown[:, self.head]
                run.extras["between"] = self._laid_twice(run, one.source, pairs)
        return {one.source: tf.reduce_mean(by_head, 1) if self.head is None else by_head[:, self.head]}

    def _laid_twice(self, run: Run, stream: int, pairs: tf.Tensor) -> tf.Tensor:
        """(n, queries, keys), where the queries and where the keys lie in the input: (n, *queries, *keys)."""
        by_query = next(
            iter(self.laid(run, {stream: tf.linalg.matrix_transpose(pairs)}).values())
        )  # (n, keys, *queries)
        axes = range(2, by_query.shape.rank)
        return next(iter(self.laid(run, {stream: tf.transpose(by_query, [0, *axes, 1])}).values()))


def _queries(one: Attention) -> int | None:
    return one.by_head(one.weights).shape[2]


def _through(rows: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
    """(n, keys) of the rows of a matrix, the mean by weights (n, queries)."""
    return tf.einsum("nq,nqk->nk", rows, matrix)


def _normalized(R: tf.Tensor) -> tf.Tensor:
    """Relevance between tokens of one sequence without the identity, rows scaled to 1, and the identity again."""
    identity = tf.eye(tf.shape(R)[-1])
    others = R - identity
    return tf.math.divide_no_nan(others, tf.reduce_sum(others, -1, keepdims=True)) + identity
