"""What a model ends in: logits, probabilities made of logits, or outputs of which nothing is known.

A softmax can be written in many ways, so it is tried rather than looked up: the end of the model, from some tensor on,
is run on random numbers. If it returns their softmax, this tensor holds the logits.
"""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.ending import Ending
from tfxai.models.operations import PASSING

_ENDS = {"Softmax": ("softmax", False), "LogSoftmax": ("softmax", True), "Sigmoid": ("sigmoid", False)}
_SQUASHING = {"Erf", "Exp", "Sigmoid", "Softmax", "Tanh"}


@dataclass(frozen=True)
class Head:
    """What a model ends in.

    Attributes
    ----------
    outputs : tf.Tensor
        As the model gives them.
    scale : {"logit", "probability", "output"}
        What they are, as far as is known.
    kind : {"softmax", "sigmoid"}, optional
        What makes probabilities of the logits, if there is such an end.
    logits : tf.Tensor, optional
        The logits, of the shape of the outputs, if they can be reached.
    probabilities : tf.Tensor, optional
        The probabilities, if the model computes any.
    """

    outputs: tf.Tensor
    scale: str
    kind: str | None = None
    logits: tf.Tensor | None = None
    probabilities: tf.Tensor | None = None


class Scores(NamedTuple):
    """What classes are scored by.

    Attributes
    ----------
    values : tf.Tensor
        (n, classes), or the outputs in their own shape.
    scale : {"logit", "probability", "output"}
        What they are.
    kind : {"softmax", "sigmoid"}, optional
        As for `Head`.
    doubled : bool
        Whether one output unit was made two classes.
    """

    values: tf.Tensor
    scale: str
    kind: str | None = None
    doubled: bool = False


def one_each(scores: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
    """(n,) of the scores (n, classes) those of one class for each row."""
    rows = tf.range(tf.shape(ids)[0], dtype=ids.dtype)
    # The gradient of tf.gather(..., batch_dims=1) has 80 operations, half of a small network's.
    return tf.gather_nd(scores, tf.stack([rows, ids], 1))


def scores(outputs: tf.Tensor, score: str | None = None, names: int | None = None) -> Scores:
    """Scores of classes.

    Parameters
    ----------
    outputs : tf.Tensor
        Of the model.
    score : {"logit", "probability", "auto"}, optional
        What is requested. "auto": probabilities, if there are any. None: logits, if they can be reached. Both take the
        outputs as they are where this is not so.
    names : int, optional
        How many classes have names. One unit is two classes, with opposite logits, if it is a probability and does not
        have one name; and if it has two.

    Raises
    ------
    ValueError
        If what is requested cannot be reached.
    """
    head = find_head(outputs)
    values, scale = _chosen(head, score)
    one = values.shape.rank == 2 and values.shape[-1] == 1
    if not one or names == 1 or (head.probabilities is None and names != 2):
        return Scores(values, scale, head.kind)
    if scale == "output":
        raise ValueError(
            "Expected one output unit with two named classes to be a logit or a probability, but cannot tell which of "
            "them this one is. Let the model end in a sigmoid or a linear layer, or leave out classes=."
        )
    return Scores(tf.concat([1 - values if scale == "probability" else -values, values], -1), scale, head.kind, True)


def of_targets(outputs: tf.Tensor, score: str | None) -> Scores:
    """The same for numbers that are chosen among the outputs by where they stand: each output is one."""
    head = find_head(outputs)
    return Scores(*_chosen(head, score), head.kind)


def own(outputs: tf.Tensor, score: str | None) -> Scores:
    """What a function of the outputs is given: the outputs themselves, unless logits or probabilities are requested."""
    if score in ("logit", "probability"):
        return of_targets(outputs, score)
    head = find_head(outputs)
    return Scores(outputs, head.scale, head.kind)


def _chosen(head: Head, score: str | None) -> tuple[tf.Tensor, str]:
    if score == "probability" and head.probabilities is None:
        raise ValueError(
            'score="probability" needs a model that ends in a softmax or sigmoid; this one does not. '
            "Leave score= out, or add keras.layers.Softmax()."
        )
    if score in ("probability", "auto") and head.probabilities is not None:
        return head.probabilities, "probability"
    if head.logits is not None:
        return head.logits, "logit"
    if score == "logit":
        raise ValueError(
            'score="logit" needs a model that ends in a linear layer, or in a softmax or sigmoid that can be stepped '
            f"over; this one does not: its outputs are {_CALLED[head.scale]}. Leave score= out to explain these."
        )
    return head.outputs, head.scale


_CALLED = {"probability": "probabilities whose logits are not known", "output": "of an unknown kind"}


def find_head(outputs: tf.Tensor) -> Head:
    """What the model ends in, found in the graph that computes its outputs."""
    written = _written_out(outputs)
    if written is not None:
        return _activated(outputs, *written)
    end = Ending(outputs)
    tried = _tried(end)
    if tried is not None:
        return _activated(outputs, *tried)
    if end.curves & _SQUASHING and _is_probability(end):
        return Head(outputs, "probability", probabilities=outputs)
    return Head(outputs, "logit", logits=outputs) if end.linear else Head(outputs, "output")


def _activated(outputs: tf.Tensor, logits: tf.Tensor, kind: str, log: bool) -> Head:
    return Head(outputs, "output" if log else "probability", kind, logits, tf.exp(outputs) if log else outputs)


def _written_out(outputs: tf.Tensor) -> tuple[tf.Tensor, str, bool] | None:
    """Logits behind softmax or sigmoid operations: several of them, if a layer runs at each step of a series."""
    ends, waiting = [], [outputs]
    while waiting:
        op = waiting.pop().op
        if op.type == "Pack":
            waiting.extend(op.inputs)
        elif op.type in PASSING:
            waiting.append(op.inputs[0])
        elif op.type in _ENDS:
            ends.append(op)
        else:
            return None
    kinds = {_ENDS[op.type] for op in ends}
    if len(kinds) != 1:
        return None
    edits = [(op.outputs[0], lambda _, op=op: op.inputs[0]) for op in dict.fromkeys(ends)]
    return graph.edited(edits, outputs), *kinds.pop()


def _tried(end: Ending) -> tuple[tf.Tensor, str, bool] | None:
    """Logits behind a softmax or sigmoid that is written by hand, or followed by what hardly changes it."""
    if not end.curves & (_SQUASHING | {"Log", "Softplus"}):
        return None
    for cut in reversed(end.cuts):  # the earliest counts: of softmax(z - max z), the logits are z
        z = _random(cut)
        y = None if z is None else end.run({cut.name: z})
        if z is None or y is None or not np.isfinite(y).all():
            continue
        loose = 1e-3 if cut.dtype in (tf.float32, tf.float64) else 3e-2
        for way in _ways(z, y):
            with tf.init_scope():
                logits = way(tf.constant(z, tf.float32)).numpy()
            for kind, log in itertools.product(("sigmoid", "softmax"), (False, True)):
                factor = _factor(logits, y, kind, log, loose)
                if factor is not None:
                    found = tf.reshape(factor * way(tf.cast(cut, tf.float32)), tf.shape(end.outputs))
                    return tf.cast(tf.ensure_shape(found, end.outputs.shape), end.outputs.dtype), kind, log
    return None


def _softmax(z: np.ndarray) -> np.ndarray:
    powers = np.exp(z - z.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def _factor(z: np.ndarray, y: np.ndarray, kind: str, log: bool, loose: float) -> float | None:
    """The s for which y is the softmax or sigmoid of s z, or the logarithm of it; None if there is none."""
    p = np.exp(y) if log else y
    if p.size != z.size or not ((p > 0) & (p < 1)).all():
        return None
    p = p.reshape(z.shape)
    if kind == "softmax":
        odds, logits = (x - x.mean(-1, keepdims=True) for x in (np.log(p), z))
    else:
        odds, logits = np.log(p / (1 - p)), z
    large = np.abs(logits) > 0.1
    if not large.any():
        return None
    factor = float(np.median(odds[large] / logits[large]))
    factor = 1.0 if abs(factor - 1) < loose else factor
    same = np.allclose(_ACTIVATION[kind](factor * z), p, rtol=loose, atol=loose / 100)
    return factor if same and factor else None


def _ways(z: np.ndarray, y: np.ndarray) -> list[Callable[[tf.Tensor], tf.Tensor]]:
    """How logits may be made of a tensor: itself; one unit as two classes; one class of several against the others."""
    column = (lambda x: x[:, None]) if z.ndim == 1 else tf.identity
    if y.size == z.size:
        return [tf.identity]
    if y.size == 2 * z.size:
        return [lambda x: tf.concat([-column(x), column(x)], -1), lambda x: tf.concat([column(x), -column(x)], -1)]
    if z.ndim == 2 and y.size == len(z):
        return [functools.partial(_against_others, number=int(np.abs(_softmax(z) - y.reshape(-1, 1)).mean(0).argmin()))]
    return []


def _against_others(z: tf.Tensor, number: int) -> tf.Tensor:
    """(n, 1) log-odds of one class of a softmax."""
    others = tf.concat([z[:, :number], z[:, number + 1 :]], 1)
    return z[:, number : number + 1] - tf.reduce_logsumexp(others, 1, keepdims=True)


def _is_probability(end: Ending) -> bool:
    """Whether the outputs stay within 0..1 whatever the last layers give, and sum to 1, or reach from end to end."""
    found = []
    for same in (None, 8.0, -8.0):
        drawn = {x.name: _random(x, same) for x in end.sources}
        values = {name: value for name, value in drawn.items() if value is not None}
        y = end.run(values) if len(values) == len(drawn) else None
        if y is None or not ((y > -1e-4) & (y < 1 + 1e-4)).all():
            return False
        found.append(y)
    if found[0].shape[-1] > 1 and all(np.allclose(y.sum(-1), 1, atol=1e-3) for y in found):
        return True
    low, high = sorted(found[1:], key=np.mean)
    return bool((low < 0.1).all() and (high > 0.9).all())


def _random(like: tf.Tensor, same: float | None = None) -> np.ndarray | None:
    """Numbers in the shape of a tensor, normally distributed or all the same; None if it does not hold such numbers."""
    if like.shape.rank is None or not like.dtype.is_floating:
        return None
    shape = [4 if size is None else size for size in like.shape]
    seed = zlib.crc32(like.name.encode())
    values = 1.5 * np.random.default_rng(seed).normal(size=shape) if same is None else np.full(shape, same)
    return values.astype(like.dtype.as_numpy_dtype)


_ACTIVATION = {"softmax": _softmax, "sigmoid": _sigmoid}
