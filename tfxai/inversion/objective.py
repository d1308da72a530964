"""What is sought of an image: the class, the lack of it, or the features of another image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import tensorflow as tf

from tfxai.descent import State
from tfxai.run import Run

LEAST = -1e30  # a logit that takes part in no sum
LEAST_P = 1e-30  # of which there is a logarithm

Objective: TypeAlias = Literal["probability", "log_probability", "cross_entropy", "logit"]
Head: TypeAlias = Literal["softmax", "sigmoid"]


def distance(found: tf.Tensor, wanted: tf.Tensor, relative: bool = True) -> tf.Tensor:
    """(n,) float32 squared distance of features; relative: as a share of the squared norm of those that are wanted."""
    wanted = tf.cast(wanted, tf.float32)
    error = energy(tf.cast(found, tf.float32) - wanted)
    return tf.math.divide_no_nan(error, energy(wanted)) if relative else error


def energy(x: tf.Tensor) -> tf.Tensor:
    """(n,) sum of squares."""
    return tf.reduce_sum(tf.square(x), list(range(1, x.shape.rank)))


def losses(run: Run, objective: Objective, head: Head | None = None) -> tuple[tf.Tensor, tf.Tensor]:
    """What falls as the score rises, and what falls as it vanishes.

    Parameters
    ----------
    run : Run
        A pass whose outputs are logits, or probabilities of which no logits are known.
    objective : {"probability", "log_probability", "cross_entropy", "logit"}
        With p the probability of the class: (-p, p); (-log p, log p); (-log p, -log(1 - p)); or the logit z as (-z, z).
        A target that is not a class, or the output of a model that has one only, counts as z does.
    head : {"softmax", "sigmoid"}, optional
        What makes probabilities of logits; default: what the model ends in, else a softmax.

    Returns
    -------
    tuple of tf.Tensor
        Both (n,) float32.

    Raises
    ------
    ValueError
        If it is not known what the outputs are, nor said by ``head``.
    """
    logit = run.score
    if objective == "logit" or run.goal.what is not None or run.outputs.shape[-1] == 1:
        return -logit, logit
    if run.scale == "output" and head is None:
        raise ValueError(
            "The outputs of the model do not seem to be logits or probabilities. Say with head= what "
            'turns them into probabilities, or give objective="logit" for the output as it is.'
        )
    if run.scale == "probability":
        log_p, log_rest = (tf.math.log(tf.maximum(p, LEAST_P)) for p in (logit, 1 - logit))
    elif (head or run.head) == "sigmoid":
        log_p, log_rest = tf.math.log_sigmoid(logit), tf.math.log_sigmoid(-logit)
    else:
        logits = tf.cast(run.outputs, tf.float32)
        every = tf.reduce_logsumexp(logits, 1)
        own = tf.one_hot(run.goal.ids, logits.shape[-1], on_value=True, off_value=False)
        log_p, log_rest = logit - every, tf.reduce_logsumexp(tf.where(own, LEAST, logits), 1) - every
    p = tf.exp(log_p)
    return {
        "probability": (-p, p),
        "log_probability": (-log_p, log_p),
        "cross_entropy": (-log_p, -log_rest),
    }[objective]


def reported(state: State, history: tf.Tensor, terms: Sequence[str], stage: str = "") -> dict[str, tf.Tensor]:
    """What a descent leaves for the user: each term of the loss at each step, their sum, and how many steps it took."""
    found = {f"{stage}history/{term}": history[..., number] for number, term in enumerate(terms)}
    return found | {f"{stage}history/total": tf.reduce_sum(history, 2), f"{stage}steps": state.steps}
