"""Feature inversion: an image made from nothing but what a layer says of the input."""

from __future__ import annotations

from typing import Any, Unpack

import tensorflow as tf

from tfxai.baselines import input_references
from tfxai.checks import above, at_least, positive
from tfxai.descent import Evaluated, Schedule, begin, descend
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.inversion.background import differs
from tfxai.inversion.jitter import check_jitter, jitter
from tfxai.inversion.objective import distance, energy, reported
from tfxai.loops import Seeded, repeated, where_rows
from tfxai.options import ModelOptions
from tfxai.regularizers import alpha_norm, total_variation
from tfxai.run import Run, check_images, gradients
from tfxai.token_maps import last_layer
from tfxai.types import Baseline, Layer, Model

NOISE = 0.1  # standard deviation of the noise at the start, as a share of the image's reach
HALVINGS = 4  # of the rate, at equal distances
NO_FEATURES, NO_CONTRAST, BROKEN = 1, 2, 3  # kinds of degenerate cases


class FeatureInversion(Explainer, Seeded):
    """An image that gives a layer the same features as the input, and is otherwise as plain as possible.

    Mahendran and Vedaldi (2015). The reconstruction y of an input x minimises ``||f(y) - f(x)||^2 / ||f(x)||^2``, f the
    features of a layer, plus an alpha-norm, which bounds it, and a total variation, which smooths it. What it shows,
    the layer still holds; what the layer has dropped comes out blank. It explains no class.

    Both norms are means over the numbers z of the image: 0 is the mean colour of the input, and 1 its farthest number
    from there. So one set of factors serves inputs in any scale; mean colour and reach are given to the reconstruction.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images.
    layer : str or keras layer, optional
        Whose features are inverted. Default: the last one with spatial output.
    steps : int
        Steps of Adam. Default 200 (ours; the paper descends with momentum). The rate is halved four times on the way.
    learning_rate : float
        Learning rate of Adam, for z. Default 0.05.
    alpha_weight, tv_weight : float
        Factors of the two norms. Default 1 (paper: what an image costs whose numbers are all at their bounds) and 10
        (ours: weaker, the last layers of a network come out as noise; stronger, the first ones blurred).
    alpha, beta : float
        Powers of the alpha-norm and of the total variation, 1 or more. Default 6 and 2 (paper).
    start : "noise", "mean", "blur", number, array or function
        Where the descent begins. ``"noise"``: around the mean colour, the same for all images; the others as in
        `tfxai.baselines.references`. A blur may tell more of the input than the layer does.
    jitter : int
        The image moves by up to this many pixels in each step. Default 0 (paper).
    seed : int
        The same seed gives the same noise and jitter.
    input : str, optional
        Which of several inputs is reconstructed. Default: the only one with positions.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        For unknown layers, numbers out of range, models without gradients, and inputs that are not images.

    Notes
    -----
    ``values`` are the reconstruction minus the mean colour of the input, in the input's shape and scale: large where
    the layer still asks for something, 0 where it leaves the image blank. In ``extras``:

    ``reconstruction``
        The image itself.
    ``history/error``, ``history/alpha``, ``history/variation``, ``history/total``
        The terms of the loss at each step, with their factors.
    ``steps``
        How many there were.
    ``degenerate``
        0, or 1: the features of the input are all zero; 2: the input has but one colour. Then the reconstruction is the
        mean colour. 3: the loss became infinite, and the best image before that is kept.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.FeatureInversion(tfxai.datasets.flowers.load_model(), steps=5)(images)
    >>> explanation.extras["reconstruction"].shape
    (2, 112, 112, 3)
    """

    facts = Facts.of("feature_inversion")
    polarity = "absolute"

    def __init__(
        self,
        model: Model,
        layer: Layer | None = None,
        *,
        steps: int = 200,
        learning_rate: float = 0.05,
        alpha_weight: float = 1.0,
        tv_weight: float = 10.0,
        alpha: float = 6.0,
        beta: float = 2.0,
        start: Baseline = "noise",
        jitter: int = 0,
        seed: int = 0,
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        Explainer.__init__(self, model, **options)
        self.input = input
        Seeded.__init__(self, seed)
        above(0, learning_rate=learning_rate)
        at_least(0, alpha_weight=alpha_weight, tv_weight=tv_weight)
        at_least(1, alpha=alpha, beta=beta)
        self.steps, self.learning_rate = positive("steps", steps), learning_rate
        self.alpha_weight, self.tv_weight, self.alpha, self.beta = alpha_weight, tv_weight, alpha, beta
        self.reference, self.jitter = start, check_jitter(jitter)
        if layer is not None:
            self.reads = (self.view.find(layer),)
        elif self.view.inputs is not None:
            self.adapt(None)

    def adapt(self, inputs: Any) -> None:
        if not self.reads:
            self.reads = (last_layer(self.view, inputs),)

    def describe(self) -> dict[str, Any]:
        return {"layer": self.reads[0]}

    def attribute(self, run: Run) -> tf.Tensor:
        check_images(run.image, "FeatureInversion")
        once, (layer,) = run.once(), self.reads
        x, features = once.pixels, once.read[layer]
        mean = tf.reduce_mean(x, [1, 2], keepdims=True)
        reach = tf.reduce_max(tf.abs(x - mean), [1, 2, 3], keepdims=True)
        numbers = x.shape[1] * x.shape[2] * x.shape[3]

        def evaluate(z: tf.Tensor, step: tf.Tensor) -> Evaluated:
            (image,) = jitter(self, step, self.jitter, mean + reach * z)
            found = self.view.forward(once.with_image(image, 1), [layer]).read[layer]
            error = distance(found, features)
            bound = self.alpha_weight / numbers * alpha_norm(z, self.alpha)
            variation = self.tv_weight / numbers * total_variation(z, self.beta)
            gradient = gradients(error, z) + tf.gradients(bound + variation, z)[0]
            return Evaluated(tf.stack([error, bound, variation], 1), gradient)

        holds, contrast = energy(tf.cast(features, tf.float32)) > 0, differs(x, mean)
        active = holds & contrast
        schedule = Schedule(self.learning_rate, decay=-(-self.steps // (HALVINGS + 1)))
        found, history = descend(begin(self._start(once, mean, reach), 3, active), evaluate, schedule, self.steps)
        z = found.values if self.jitter else found.best  # with jitter, the lowest loss is that of the luckiest move
        values = where_rows(active, reach * z, tf.zeros_like(x))
        extras = reported(found, history, ("error", "alpha", "variation")) | {
            "reconstruction": mean + values,
            "degenerate": tf.where(
                ~holds, NO_FEATURES, tf.where(~contrast, NO_CONTRAST, tf.where(found.broken, BROKEN, 0))
            ),
        }
        run.extras |= {name: repeated(rows, run.repeats) for name, rows in extras.items()}
        return repeated(values, run.repeats)

    def _start(self, run: Run, mean: tf.Tensor, reach: tf.Tensor) -> tf.Tensor:
        """Numbers z to start from."""
        x = run.pixels
        if isinstance(self.reference, str) and self.reference == "noise":
            noise = self.draw(tf.constant([0]), lambda seed: tf.random.stateless_normal(x.shape[1:], seed))
            return tf.broadcast_to(NOISE * noise, tf.shape(x))
        given = input_references(run, run.image)
        if given.shape[0] != 1:
            raise ValueError(f"Expected one image to start from for each input, got {given.shape[0]}.")
        return tf.math.divide_no_nan(given[0] - mean, reach)
