"""Explainer: an explanation is asked for, and put together."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfxai import maps, provenance, text
from tfxai.brief import made
from tfxai.explanation import Explanation
from tfxai.facts import Facts
from tfxai.goal import name
from tfxai.joining import RaggedExplanation, join
from tfxai.outcome import Outcome, keeping
from tfxai.run import Run
from tfxai.runner import Runner
from tfxai.types import Inputs, Target, Verbose

SEEN = ("classes", "explain", "facts", "polarity", "score")  # what completion shows of explainers


class Explainer(Runner):
    """Base of all explainers. A subclass writes `attribute`, a pure function in the graph.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; it is never changed. A Keras model, a SavedModel as loaded, a `tf.function`, or the path of
        a ``.keras`` or ``.h5`` file or of a SavedModel. Any other function is called with arrays, as a black box.
    output : str or int, optional
        Which output, if the model has several.
    signature : str, optional
        Which signature of a SavedModel. Default: ``"serving_default"``, else the only one.
    score : {"logit", "probability", "auto"}, optional
        What is explained. Default: for a class the logit, for which a final softmax or sigmoid is stepped over, or the
        output as it is if no logit is known; a function as target is given the outputs as they are. "logit",
        "probability": these, for classes and functions, or an error where they cannot be reached. "auto": for a class
        the probability, if the model gives one. For a Python function it is always the output as it is.
    classes : sequence of str or dict, optional
        Names of the classes, for targets by name and for titles: in order, by number, or numbers by name. Two names
        make two classes of one output unit.
    jit_compile : {"auto", True, False}
        Compile by XLA; "auto": if there is a GPU. On CPUs XLA is many times slower than plain graphs.
    draws : int, optional
        For a model that is random at inference (dropout left on, sampling): explain the mean over this many draws, at
        that many times the cost; the predicted class is that of the first draw. Default: such a model is an error.
    preprocessor : callable, optional
        From a list of strings to what the model takes, an array or a dict, or a tuple that begins with it. It is
        called where the inputs are strings. If it has a ``tokenizer`` or a vocabulary, explanations know the words.
        Default: that of the model, if it has one, as KerasHub tasks do, or begins with a `TextVectorization`.
    precision : {"float32", "bfloat16", "float16"}
        In what type convolutions and products of matrices run in the passes of `Occlusion`, `RISE` and the methods of
        coalitions, which pays off on GPUs; sums, norms, softmaxes and scores stay in float32.
        ``extras["precision_error"]`` has what that does to the score of each input, for scale: drops are differences of
        such scores. Other methods take gradients and raise an error.
    """

    facts: ClassVar[Facts]
    explanation: ClassVar[type[Explanation]] = Explanation  # what it makes
    wraps: ClassVar[bool] = False  # whether another explainer may stand in place of the model
    polarity: str = "positive"
    overflow: str = "Check the model's weights, its precision, and whether its gradient exists everywhere."

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = provenance.recorded(cls.__init__, super(cls, cls).__init__)  # type: ignore[method-assign]

    def __repr__(self) -> str:
        known = inspect.signature(type(self)).parameters
        own = provenance.made_with(self).items()
        chosen = {name: x for name, x in own if name in known and x != provenance.plain(known[name].default)}
        base = self.describe().get("base")
        return made(self, ({"base": base} if base else {}) | chosen)

    def __dir__(self) -> list[str]:
        """What users call; `docs/architecture.md` tells the rest, which is for those who write methods."""
        classes = type(self).__mro__
        own = [name for cls in classes if not cls.__module__.startswith("tfxai.") for name in vars(cls)]
        return sorted({*own, *SEEN})

    def attribute(self, run: Run) -> Any:
        """Attributions of one batch, as tensors: the method itself."""
        raise NotImplementedError

    @property
    def where(self) -> str | None:
        """The layer whose output has the values; None: inputs."""
        return None

    def places(self, run: Run, values: Any) -> dict[str, maps.Place] | None:
        """Where values lie, see `tfxai.maps.of_values`."""
        return maps.of_values(run, self.where, values)

    def describe(self) -> dict[str, Any]:
        """Facts about this explainer that go into its explanations."""
        return {}

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        """The attributions of one pass, and where they lie."""
        facts: dict[str, Any] = {"score": run.scale}
        values = tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), self.attribute(run))
        if run.modified_relus:
            facts["modified_relus"] = run.modified_relus
        if isinstance(values, dict) and len(values) < len(run.inputs):
            facts["without_values"] = sorted(run.inputs.keys() - values)  # integers have no gradient
        facts |= run.facts
        probability = run.probability(len(self.classes) if self.classes else None)
        if probability is not None:
            run.extras["probability"] = probability
        return {"values": values, "extras": run.extras}, {"facts": facts, "places": self.places(run, values)}

    def __call__(
        self, inputs: Inputs, target: Target = None, batch_size: int = 32, verbose: Verbose = "auto"
    ) -> Explanation:
        """Explain the model's output for each input: `explain`."""
        return self.explain(inputs, target, batch_size, verbose)

    def explain(
        self, inputs: Inputs, target: Target = None, batch_size: int = 32, verbose: Verbose = "auto"
    ) -> Explanation:
        """Explain the model's output for each input.

        Parameters
        ----------
        inputs : array, tensor, list or dict of them, table, or dataset, loader or generator of batches
            What `keras.Model.predict` takes: a batch; a list or dict for several inputs, or a table with such columns.
            Batches are streamed, their labels are ignored, and generators are read to their end. A list of images of
            different sizes is explained in runs of one size. Strings go through the ``preprocessor``.
        target : None, int, str, sequence, callable, Rows, Neuron or Channel
            The predicted class (None), a class or output, one for each input, a function from the model's outputs to
            (n,) scores that treats every row alike, with data of each row as `targets.Rows`, or a unit of a layer.
            Several classes for each input, (n, k), make n * k explanations, those of the first input first.
        batch_size : int
            How many inputs, perturbed copies included, pass through the model at once at most, which bounds the memory.
            On a CPU they are fewer where their values would not fit the cache, which is faster.
        verbose : {"auto", 0, 1}
            Progress bar; "auto": if there is more than one batch.

        Returns
        -------
        Explanation
            A `tfxai.joining.RaggedExplanation` if sizes differ.

        Raises
        ------
        ValueError, TypeError
            For inputs or targets that do not fit the model. If it happens after some batches of a stream, the
            error's attribute ``partial`` holds the explanation of these.
        """
        parts: list[Explanation] = []
        with keeping(parts, _joined, "explanations"):
            for outcome in self.outcomes(inputs, target, batch_size, verbose):
                parts.append(self._explanation(outcome))
            return join(parts)

    def _explanation(self, outcome: Outcome) -> Explanation:
        found = outcome.found
        if not all(np.isfinite(x).all() for x in tf.nest.flatten(found["values"])):
            raise self.not_finite("values", self.overflow)
        explanation = self.explanation(
            found["values"],
            found["ids"] if outcome.request.what is None else name(outcome.request.what),
            found["score"],
            outcome.inputs,
            self.facts.name,
            self.polarity,
            self.classes,
            found["extras"],
            provenance.origin(self) | self.describe() | outcome.known["facts"] | {"target": outcome.target},
            outcome.known["places"],
            outcome.texts,
        )
        return text.with_pieces(explanation, self.view.preprocessor)


def _joined(parts: Sequence[Explanation]) -> Explanation:
    """What is done, in any case: side by side, should there be no memory for joining."""
    try:
        return join(parts)
    except Exception:
        return RaggedExplanation(parts)
