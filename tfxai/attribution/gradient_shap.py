"""Gradients between random baselines and the input."""

from __future__ import annotations

from typing import Unpack

import tensorflow as tf

from tfxai.attribution.paths import mean_score, shares
from tfxai.attribution.sampled import Sampled
from tfxai.baselines import compared, run_references
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.loops import apart, shuffled
from tfxai.options import InputOptions
from tfxai.run import Run, totals
from tfxai.types import Background, Baseline, Model, Tensors

GOLDEN = (5**0.5 - 1) / 2  # no multiple of it comes near a whole number, for its size


class GradientSHAP(Sampled):
    """Integrated gradients over a whole background, by random points on the paths: expected gradients.

    Lundberg and Lee (2017), Erion et al. (2021): the mean over baselines b of the background and a from [0, 1] of
    (x - b) * dS(b + a (x - b))/dx. Its values sum to S(x) minus the mean score of the background, as well as the number
    of samples allows; what is missing is reported as ``extras["completeness_gap"]``. All baselines take their turn
    before one does so again, and the points of each are spread evenly over [0, 1].

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    baseline : number, array, "mean", "blur", "noise", function, or dict of these by input
        What the input is compared with, if no background is given. Default 0. See `tfxai.baselines.references`.
    background : array or list of baselines, or dict of these by input, optional
        Several baselines for every input, (b, ...), such as rows of the training data.
    samples : int
        Points for each input, of all baselines together. Default 50.
    noise : float
        Standard deviation of noise that each sample adds to the input, as a share of the input's range. Default 0.
    seed : int
        The same seed gives the same samples, for every input and in every batch.
    uncertainty : bool
        Also estimate the standard error of every value, `Explanation.uncertainty`, at the memory cost of a second value
        each. It treats samples as independent, so it is too large where an even spread makes the mean steadier.
    until : float, optional
        Stop once the map is steady: when, for each input separately, the estimated noise is this share of what the map
        shows, such as 0.05 (standard deviations; see `tfxai.loops.steady`). ``samples`` is the upper limit;
        ``extras["samples"]`` holds the number used. Implies ``uncertainty``.
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For numbers out of range, baselines that do not fit, or both a baseline and a background.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=4)
    >>> explainer = tfxai.GradientSHAP(tfxai.datasets.flowers.load_model(), background=images[2:], samples=10)
    >>> explainer(images[:2]).values.shape
    (2, 112, 112, 3)
    """

    embeds = True
    facts = Facts.of("gradient_shap")

    def __init__(
        self,
        model: Model,
        *,
        baseline: Baseline = 0.0,
        background: Background | None = None,
        samples: int = 50,
        noise: float = 0.0,
        seed: int = 0,
        uncertainty: bool = False,
        until: float | None = None,
        **options: Unpack[InputOptions],
    ):
        Explainer.__init__(self, model, **options)
        self.reference = compared(baseline, background)
        self.sampled(samples, noise, seed, uncertainty, until)

    def attribute(self, run: Run) -> Tensors:
        x, each = run.floating, tf.nest.map_structure
        starts = run_references(run)
        count = tf.nest.flatten(starts)[0].shape[0]

        def values(index: tf.Tensor) -> Tensors:
            which, t = self.points(index, count)
            start = each(lambda starts: tf.gather(starts, which), starts)
            ends = self.noisy(run, index) if self.noise else x
            return shares(self, run, start, each(tf.subtract, ends, start), t)

        found = self.over_samples(run, values, each(tf.zeros_like, x))
        run.extras["completeness_gap"] = totals(found) - (run.score - mean_score(self, run, starts))
        return found

    def points(self, index: tf.Tensor, count: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Of (k,) samples: which of so many baselines each has, and where on the path from it.

        Samples come in rounds, in each of which all baselines take their turn, in another order; so any number of first
        samples is a fair choice. In the first, each has a part of [0, 1] of its own, and from round to round all move
        on by the golden section, which spreads the points of each baseline evenly, however many they are.
        """
        places = min(count, self.samples)
        rounds = self.draw(index // places, lambda seed: shuffled(places, seed))
        place = tf.gather(rounds, index % places, batch_dims=1)
        baselines = self.draw_once(lambda seed: shuffled(count, seed, 1))
        within = self.draw(place, lambda seed: tf.random.stateless_uniform([], apart(seed, 2), dtype=tf.float64))
        first = (tf.cast(place, tf.float64) + within) / places
        t = tf.math.floormod(first + GOLDEN * tf.cast(index // places, tf.float64), 1)
        return tf.gather(baselines, place), tf.cast(t, tf.float32)
