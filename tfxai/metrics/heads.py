"""How much a score needs each head of attention: what it loses without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.brief import brief
from tfxai.metrics.statistics import bootstrap_interval
from tfxai.models.attention import find
from tfxai.models.attention_maps import known
from tfxai.run import Run
from tfxai.runner import Runner
from tfxai.types import Inputs, Model, Target, Verbose


@dataclass(frozen=True)
class HeadReport:
    """What scores lose without heads of attention.

    Attributes
    ----------
    drops : dict
        For each map of attention, as `tfxai.attention` calls it, (n, heads): what the score of each input loses without
        each head.
    layers : dict
        For each map (n,): without all of its heads.
    score : ndarray
        (n,) the scores as they are.
    """

    drops: dict[str, np.ndarray]
    layers: dict[str, np.ndarray]
    score: np.ndarray

    __repr__ = brief

    def table(self) -> list[tuple[str, str, float, tuple[float, float]]]:
        """Map, head ("all" of a map at last), mean drop and its 95 % interval over inputs; the largest drop first."""
        rows = [
            (name, str(head), drops[:, head])
            for name, drops in self.drops.items()
            for head in range(drops.shape[1])
            if drops.shape[1] > 1
        ]
        rows += [(name, "all", drops) for name, drops in self.layers.items()]
        found = [(name, head, float(x.mean()), bootstrap_interval(x)) for name, head, x in rows]
        return sorted(found, key=lambda row: -row[2])

    def __str__(self) -> str:
        rows = self.table()
        width = max(len(name) for name, *_ in rows)
        return "\n".join(
            f"{name:{width}}  {head:>4}  {drop:+.3f}  [{low:+.3f}, {high:+.3f}]"
            for name, head, drop, (low, high) in rows
        )


def head_ablation(
    model: Model,
    inputs: Inputs,
    target: Target = None,
    *,
    output: str | int | None = None,
    at: str | Sequence[str] | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
) -> HeadReport:
    """What the score of each input loses without each head of attention.

    A head is switched off by setting its shares to zero, so that it hands on nothing; what depends on it is computed
    anew (Michel et al. 2019). The cost is a forward pass, and for each head what lies after its layer.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        A model with attention; it is not changed.
    inputs : array, tensor, list or dict of them, or dataset
        As `Explainer.explain` takes them.
    target : None, int, str, sequence, callable or target
        What is scored, as `Explainer.explain` takes it; default: the class that the model predicts with all heads.
    output : str or int, optional
        Which output, if the model has several.
    at : str or sequence of str, optional
        Which inputs of words, if the model has several.
    batch_size : int
        How many inputs at once.
    verbose : {"auto", 0, 1}
        Progress bar; "auto": if there is more than one batch.

    Returns
    -------
    HeadReport

    Raises
    ------
    ValueError
        If the model has no attention.

    Examples
    --------
    >>> import keras, numpy as np, tfxai
    >>> x = given = keras.Input((6, 8))
    >>> x = x + keras.layers.MultiHeadAttention(2, 4, name="look")(x, x)
    >>> model = keras.Model(given, keras.layers.Dense(3)(x[:, 0]))
    >>> report = tfxai.metrics.head_ablation(model, np.ones((4, 6, 8), "float32"), 0)
    >>> report.drops["look"].shape
    (4, 2)
    """
    runner = _WithoutHeads(model, output=output, at=at, jit_compile=False)
    parts = [one.found for one in runner.outcomes(inputs, target, batch_size, verbose)]
    score, *drops = (np.concatenate([part[key] for part in parts]) for key in ("score", *map(str, runner.names)))
    named = dict(zip(runner.names, drops, strict=True))
    return HeadReport({k: x[:, :-1] for k, x in named.items()}, {k: x[:, -1] for k, x in named.items()}, score)


class _WithoutHeads(Runner):
    """For each map (n, heads + 1): what the score loses without each head, and without all."""

    backward = "flat"
    embeds = True
    names: tuple[str, ...] = ()

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        maps = [] if self.view.opaque else find(tf.nest.flatten(run.inputs), run.score)
        if not maps:
            raise ValueError(
                "There is no attention between the inputs and the score: tfxai.attention(model) is empty. Use "
                "tfxai.metrics.ablation, which takes channels of layers."
            )
        self.names = tuple(one.name for one in known(run.view, run.taken).maps[: len(maps)])
        found = {}
        for name, one in zip(self.names, maps, strict=True):
            heads = one.by_head(one.weights).shape[1]

            def lost(keep: tf.Tensor, one: Any = one) -> tf.Tensor:
                return run.score - run.edited(one.weights, lambda A: A * one.over_heads(keep))

            off = tf.concat([1 - tf.eye(heads), tf.zeros([1, heads])], 0)
            found[name] = tf.transpose(tf.map_fn(lost, off, parallel_iterations=1))
        return found, {}
