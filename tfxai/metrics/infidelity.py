"""Whether attributions tell how the score responds to small changes of the input."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from tfxai.baselines import limits
from tfxai.checks import at_least, positive
from tfxai.explanation import Explanation
from tfxai.loops import Seeded, collect, merge, split
from tfxai.metrics.given import maps_of, of_all
from tfxai.metrics.hiding import VALUES
from tfxai.options import InputOptions
from tfxai.run import Run
from tfxai.runner import Runner
from tfxai.types import Inputs, Model, Target, Verbose


def infidelity(
    model: Model,
    explanation: Explanation | np.ndarray,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    samples: int = 100,
    noise: float | np.ndarray = 0.1,
    scaled: bool = False,
    input: str | None = None,
    seed: int = 0,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[InputOptions],
) -> np.ndarray:
    """How far attributions are from telling what random changes of the input do to the score.

    Yeh et al. (2019): the mean over changes I of (I . phi - (f(x) - f(x - I)))^2. 0 is best, and the gradient of a
    linear model has it. It asks for attributions that are multiplied by the change, as gradients are; values that
    already hold the input, such as gradient x input, answer another question: judge these by `mu_fidelity`.

    Parameters
    ----------
    model, explanation, inputs, target, batch_size, verbose
        As for `deletion`; values have the shape of the input, and for words that of their embeddings.
    samples : int
        How many changes. Default 100.
    noise : float or ndarray
        Changes are normal with this standard deviation, as a share of each input's range; or these themselves,
        (samples, ...), the same for all inputs. Default 0.1.
    scaled : bool
        Whether values are multiplied by the number that suits them best, for each input, as the paper does to compare
        methods whose values have no scale. Default false.
    input : str, optional
        Which of several inputs is changed. Default: the only one with positions.
    seed : int
        Seed of the changes.
    **options
        As for `Explainer`; the score is the logit by default, where there is one.

    Returns
    -------
    ndarray
        (n,).

    Raises
    ------
    ValueError, TypeError
        If values, inputs or options do not fit.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> tfxai.metrics.infidelity(model, tfxai.Saliency(model)(images), samples=10).shape
    (2,)
    """
    runner = Changes(model, samples, noise, seed=seed, input=input, **options)
    found = runner.judged(explanation, inputs, target, batch_size, verbose)
    mass, drops = found["mass"].astype(np.float64), found["drops"].astype(np.float64)
    if scaled:
        square = (mass * mass).mean(1, keepdims=True)
        mass *= np.divide((mass * drops).mean(1, keepdims=True), square, out=np.zeros_like(square), where=square > 0)
    return np.square(mass - drops).mean(1)


class Changes(Runner, Seeded):
    """``mass`` (n, samples): what attributions say of random changes; ``drops``: what the score does."""

    embeds = True

    def __init__(
        self,
        model: Model,
        samples: int,
        noise: float | np.ndarray,
        *,
        seed: int = 0,
        input: str | None = None,
        **options: Unpack[InputOptions],
    ):
        Runner.__init__(self, model, **options)
        Seeded.__init__(self, seed)
        self.given, self.noise, self.input = None, 0.0, input
        if isinstance(noise, int | float):
            at_least(0, noise=noise)
            self.noise, self.samples = noise, positive("samples", samples)
        else:
            self.given = np.asarray(noise, np.float32)
            self.samples = len(self.given)

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        run = run.chosen_or_only()
        x, phi = run.image, run.beside[VALUES]
        if phi.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"Expected values of the input's shape {tuple(x.shape[1:])}, got {tuple(phi.shape[1:])}: infidelity "
                "multiplies them by changes of the input. Use tfxai.metrics.mu_fidelity, which takes any map."
            )
        if not x.dtype.is_floating:
            raise ValueError("Infidelity changes numbers a little, and the model takes integers. Use mu_fidelity.")
        low, high = limits(x, run.kept(x))

        def changes(index: tf.Tensor) -> tf.Tensor:
            """(k, n, ...), of which padding has none."""
            if self.given is not None:
                change = tf.gather(tf.constant(self.given), index)[:, None]
            else:
                normal = self.draw(index, lambda seed: tf.random.stateless_normal(x.shape[1:], seed))
                change = self.noise * (high - low) * normal[:, None]
            return run.with_padding(tf.broadcast_to(change, tf.concat([[tf.size(index)], tf.shape(x)], 0)), 0 * x)

        def mass(index: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(changes(index) * phi, list(range(2, x.shape.rank + 1)))

        def score(index: tf.Tensor) -> tf.Tensor:
            copies = run.with_image(merge(x - changes(index)), tf.size(index))
            return split(self.rerun(run, copies, tf.size(index)).score, run.count)

        def both(body: Any) -> tf.Tensor:
            return collect(body, self.samples, run.count, run.batch_size)

        return {"mass": both(mass), "drops": run.score[:, None] - both(score)}, {}

    def judged(
        self,
        explanation: Explanation | np.ndarray,
        inputs: Inputs | None,
        target: Target,
        batch_size: int,
        verbose: Verbose,
    ) -> dict[str, np.ndarray]:
        """What is found for all inputs, with a row for each."""
        values = explanation.of(self.input)[0] if isinstance(explanation, Explanation) else maps_of(explanation)
        self.beside = {VALUES: values}
        return of_all(self, explanation, inputs, target, batch_size, verbose)
