"""What the score does while an input is taken apart, or built up, in the order of an explanation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Unpack

import numpy as np
import tensorflow as tf

from tfxai.brief import brief
from tfxai.checks import one_of, positive
from tfxai.explanation import Explanation
from tfxai.imputation import Fill
from tfxai.metrics.hiding import Hide, Hiding
from tfxai.metrics.statistics import bootstrap_interval
from tfxai.options import ModelOptions
from tfxai.players import Parts, Players
from tfxai.run import Run
from tfxai.types import Inputs, Model, Target, Verbose

Order = Literal["most", "least"]


@dataclass(frozen=True)
class Curve:
    """Scores of inputs along the order of their explanations.

    Attributes
    ----------
    shares : ndarray
        (n, points) which share of the parts is exchanged: hidden, or for an insertion shown.
    scores : ndarray
        (n, points) the score of each input then.
    """

    shares: np.ndarray
    scores: np.ndarray

    __repr__ = brief

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def area(self) -> np.ndarray:
        """(n,) the area under the curve of each input, by trapezoids: its mean score."""
        width = self.shares[:, -1] - self.shares[:, 0]
        return np.trapezoid(self.scores, self.shares) / np.where(width > 0, width, 1)

    @property
    def drop(self) -> np.ndarray:
        """(n,) how far the score lies below that of the first point, mean over all (AOPC, Samek et al. 2017)."""
        return (self.scores[:, :1] - self.scores).mean(1)

    def __str__(self) -> str:
        area = self.area
        within = "" if len(self) < 2 else " [{:.3f}, {:.3f}]".format(*bootstrap_interval(area))
        return f"area {area.mean():.3f}{within} of {len(self)} inputs at {self.shares.shape[1]} points"


class Ordered(Hiding):
    """Scores after given shares of the parts are exchanged, from one end of the order to the other."""

    def __init__(
        self,
        model: Model,
        shares: int | Sequence[float],
        *,
        order: Order = "most",
        insert: bool = False,
        fill: Fill = 0.0,
        groups: Parts = None,
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        one_of("order", order, ("most", "least"))
        self.shares = positive("steps", shares) if isinstance(shares, int | np.integer) else _increasing(shares)
        self.order, self.insert = order, insert
        super().__init__(model, fill=fill, groups=groups, input=input, **options)

    def plan(self, run: Run, parts: Players, values: tf.Tensor) -> tuple[int, Hide, dict[str, tf.Tensor]]:
        shares = self.shares
        if isinstance(shares, int):  # no more steps than there are parts
            shares = np.linspace(0, 1, min(shares, parts.count) + 1)
        playing = parts.totals(tf.ones_like(values)) > 0
        total = parts.totals(values)
        ranks = ranked(total if self.order == "most" else -total, playing)
        ranks = run.over(parts.over(ranks[None])[0], run.image)  # at once, and not at each step
        number = tf.reduce_sum(tf.cast(playing, tf.float32), 1)  # (n,)
        counts = tf.round(tf.constant(shares[:, None], tf.float32) * number)  # (points, n)

        def hide(index: tf.Tensor) -> tf.Tensor:
            reached = tf.reshape(tf.gather(counts, index), [-1, run.count, *[1] * (ranks.shape.rank - 1)])
            first = tf.cast(ranks < reached, tf.float32)
            return 1 - first if self.insert else first

        return len(shares), hide, {"shares": tf.transpose(tf.math.divide_no_nan(counts, number))}

    def curve(
        self,
        explanation: Explanation | np.ndarray,
        inputs: Inputs | None,
        target: Target,
        batch_size: int,
        verbose: Verbose,
    ) -> Curve:
        return curve_of(self.judged(explanation, inputs, target, batch_size, verbose))


def curve_of(found: Mapping[str, np.ndarray]) -> Curve:
    """What `Ordered` found, as a curve."""
    return Curve(found["shares"].astype(np.float64), found["scores"].astype(np.float64))


def ranked(values: tf.Tensor, playing: tf.Tensor) -> tf.Tensor:
    """(n, count) the place of each part in the order, the largest first, as float.

    Of equal parts the first in reading order comes first; those that do not play come last.
    """
    order = tf.argsort(tf.where(playing, values, -np.inf), direction="DESCENDING", stable=True)
    before = tf.shape(values)[1] * tf.range(tf.shape(values)[0])[:, None]  # one permutation for all is sorted but once
    places = tf.math.invert_permutation(tf.reshape(order + before, [-1]))
    return tf.cast(tf.reshape(places, tf.shape(values)) - before, tf.float32)


def deletion(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    steps: int = 50,
    fill: Fill = 0.0,
    groups: Parts = None,
    input: str | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> Curve:
    """The score while the most relevant parts are hidden first: it falls at once if the explanation is right.

    Petsiuk et al. (2018). A smaller area is better. Images with holes are off the data: look at `insertion` beside it,
    at another ``fill``, and at the curves of maps that know nothing (`tfxai.trust` does).

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What was explained; it is not changed.
    explanation : Explanation or ndarray
        Values of each input, of its size or its shape; from whatever package.
    inputs : array, tensor, list or dict of them, or dataset, optional
        As `Explainer.explain` takes them. Default: those of the explanation.
    target : None, int, str, sequence, callable or target
        As `Explainer.explain` takes it. Default: the classes of the explanation, or else those predicted.
    steps : int
        The number of equal steps the parts are divided into, at most the number of parts. Default 50 (the paper: 224).
    fill : number, array, function, "mean", "blur", "noise", "interpolate" or "inpaint"
        What hides a part. Default 0 (paper), in the model's own scale. "interpolate": for images, each hidden pixel is
        the mean of its neighbours (the linear imputation of ROAD); "inpaint": OpenCV's after Telea (2004), on the CPU,
        slow. Else as in `tfxai.baselines.references`; for words, the number of the one that stands for none.
    groups : int, str, Segments, array, mapping or sequence, optional
        What is hidden together: patches of this side; regions of like colour, "superpixels" or "slic", "quickshift" and
        "felzenszwalb" of scikit-image (`tfxai.coalitions.Segments`); to which part each position belongs, for
        all inputs or with a row for each; columns of a table as for `tfxai.Occlusion`. Default: each position.
    input : str, optional
        Which of several inputs has parts hidden. Default: the only one with positions.
    batch_size : int
        The number of copies of inputs that pass through the model at once, which bounds the memory.
    verbose : {"auto", 0, 1}
        Progress bar; "auto": if there is more than one batch.
    **options
        As for `Explainer`; ``score`` is "auto" by default: the probability, if the model gives one, else the logit.

    Returns
    -------
    Curve
        Of ``steps`` + 1 points; its ``area`` is the measure.

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> curve = tfxai.metrics.deletion(model, tfxai.GradCAM(model)(images), steps=10)
    >>> curve.scores.shape, curve.area.shape
    ((2, 11), (2,))
    """
    own = {"score": "auto"} | options
    runner = Ordered(model, positive("steps", steps), fill=fill, groups=groups, input=input, **own)
    return runner.curve(explanation, inputs, target, batch_size, verbose)


def insertion(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    steps: int = 50,
    fill: Fill = "blur",
    groups: Parts = None,
    input: str | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> Curve:
    """The score while the most relevant parts are shown first: it rises at once if the explanation is right.

    Petsiuk et al. (2018). A larger area is better. With one ``fill`` it is what remains when the least relevant parts
    are hidden first, read from the other end.

    Parameters
    ----------
    model, explanation, inputs, target, steps, groups, input, batch_size, verbose, **options
        As for `deletion`.
    fill : number, array, function, "mean", "blur", "noise", "interpolate" or "inpaint"
        What the parts that are not shown hold. Default "blur" (paper); tables and words, which have none, need another.

    Returns
    -------
    Curve
        Its ``area`` is the measure.

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> curve = tfxai.metrics.insertion(model, tfxai.GradCAM(model)(images), steps=10)
    >>> curve.area.shape
    (2,)
    """
    own = {"score": "auto"} | options
    runner = Ordered(model, positive("steps", steps), insert=True, fill=fill, groups=groups, input=input, **own)
    return runner.curve(explanation, inputs, target, batch_size, verbose)


def pixel_flipping(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    order: Order = "most",
    steps: int = 100,
    fill: Fill = "noise",
    groups: Parts = None,
    input: str | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> Curve:
    """The score while parts are flipped, the most relevant first (MoRF) or the least (LeRF).

    Bach et al. (2015), and Samek et al. (2017) with regions of 9 pixels,
    ``groups=9``, and uniform noise in their place.

    Parameters
    ----------
    model, explanation, inputs, target, groups, input, batch_size, verbose
        As for `deletion`.
    order : {"most", "least"}
        Which parts come first. From "most" a good explanation has a large `Curve.drop`, from "least" a small one.
    steps : int
        As for `deletion`. Default 100 (Samek et al.).
    fill : number, array, function, "mean", "blur", "noise", "interpolate" or "inpaint"
        As for `deletion`. Default "noise": uniform over the range of each image (Samek et al.), drawn once.
    **options
        As for `Explainer`; the score is the logit by default, where there is one.

    Returns
    -------
    Curve
        Its ``drop`` is the measure (AOPC).

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> curve = tfxai.metrics.pixel_flipping(model, tfxai.GradCAM(model)(images), steps=10, groups=8)
    >>> curve.drop.shape
    (2,)
    """
    steps = positive("steps", steps)
    runner = Ordered(model, steps, order=order, fill=fill, groups=groups, input=input, **options)
    return runner.curve(explanation, inputs, target, batch_size, verbose)


def _increasing(shares: Sequence[float]) -> np.ndarray:
    found = np.asarray(shares, float)
    if found.ndim != 1 or not found.size or found.min() < 0 or found.max() > 1 or (np.diff(found) <= 0).any():
        raise ValueError(f"Expected shares between 0 and 1 that grow, got {shares!r}.")
    return found
