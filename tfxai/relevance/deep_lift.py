"""DeepLIFT: how the difference from a baseline, in every layer, makes the difference of the score."""

from __future__ import annotations

from functools import partial
from typing import Literal, TypeAlias, Unpack, get_args

import tensorflow as tf

from tfxai.baselines import compared, run_references
from tfxai.checks import one_of
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.loops import accumulate, merge, split
from tfxai.options import InputOptions
from tfxai.relevance.multipliers import Passes, rescale
from tfxai.relevance.reveal_cancel import RevealCancel
from tfxai.run import Run, tiled, totals
from tfxai.types import Background, Baseline, Model, Tensors

ActivationRule: TypeAlias = Literal["rescale", "reveal_cancel", "genomics"]


class DeepLift(Explainer):
    """DeepLIFT: the difference of the score from that of a baseline, handed back to the differences of the inputs.

    Shrikumar et al. (2017). Two passes are compared operation by operation; a unit that is saturated in both has no
    gradient, but it has a difference. The values sum to S(x) - S(x0), exactly but for rounding; what is missing is
    reported as ``extras["completeness_gap"]``. For a background, the mean (Lundberg and Lee 2017: DeepSHAP).

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    baseline : number, array, "mean", "blur", "noise", function, or dict of these by input
        What the input is compared with; an array of the batch's shape has one for each input. Default 0, in the model's
        own scale. See `tfxai.baselines.references`.
    background : array or list of baselines, or dict of these by input, optional
        Several baselines for every input, (b, ...), instead of one: the values are averaged over them.
    rule : {"rescale", "reveal_cancel", "genomics"}
        For activations. "rescale" (default): the slope between both passes. "reveal_cancel": what raises and what
        lowers the argument is followed apart, so that causes which cancel, as in min(a, b), are seen.
        "genomics": the second for dense layers, the first where there are positions (the paper's section 4.2).
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For an operation for which no multiplier is known; it is never treated as a gradient.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explainer = tfxai.DeepLift(tfxai.datasets.flowers.load_model(), baseline="blur")
    >>> explainer(images).values.shape
    (2, 112, 112, 3)
    """

    embeds = True
    facts = Facts.of("deep_lift")
    backward = "flat"

    def __init__(
        self,
        model: Model,
        *,
        baseline: Baseline = 0.0,
        background: Background | None = None,
        rule: ActivationRule = "rescale",
        **options: Unpack[InputOptions],
    ):
        super().__init__(model, **options)
        one_of("rule", rule, get_args(ActivationRule))
        self.reference, self.activations = compared(baseline, background), rule

    def attribute(self, run: Run) -> Tensors:
        each, x = tf.nest.map_structure, run.floating
        baselines = run_references(run)
        count = tf.nest.flatten(baselines)[0].shape[0]
        if count == 1:
            values, start = self._between(run, each(lambda x0: x0[0], baselines), 1)
        else:

            def compare(index: tf.Tensor, active: tf.Tensor) -> tuple:
                points = each(lambda x0: merge(tf.gather(x0, index)), baselines)
                repeats = tf.size(index)
                copies = each(lambda x: tiled(x, repeats), run.inputs)
                values, start = self._between(self.rerun(run, copies, repeats), points, repeats)
                mean = active / count
                return each(lambda v: tf.tensordot(mean, split(v, run.count), 1), values), tf.tensordot(
                    mean, split(start, run.count), 1
                )

            zeros = each(lambda x: tf.zeros_like(x, tf.float32), x), tf.zeros_like(run.score)
            values, start = accumulate(compare, zeros, count, run.count, run.batch_size)
        run.extras["completeness_gap"] = totals(values) - (run.score - start)
        return values

    def _between(self, run: Run, baseline: Tensors, repeats: tf.Tensor | int) -> tuple[Tensors, tf.Tensor]:
        """Values for one baseline of each input, and the score of the baseline."""
        other = self.rerun(run, run.among(baseline))
        score, _ = run.goal.score(run.outputs, run.read)  # the class is decided: both scores are the same function
        xs, x0s = tf.nest.flatten(run.floating), tf.nest.flatten(baseline)
        passes = Passes(xs, score, x0s, other.score)
        if self.activations == "rescale":
            m = passes.network.walk_back(tf.ones_like(score), partial(rescale, passes=passes))
            values = [m.get(x.name, tf.zeros([])) * passes.change(x) for x in xs]
        else:
            values = RevealCancel(passes, dense_only=self.activations == "genomics").contributions(xs)
        return tf.nest.pack_sequence_as(run.floating, values), other.score
