"""Explainer: targets, batches, compilation and progress, once for all methods."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from tfxai import baselines, maps, provenance, steadiness
from tfxai import inputs as given
from tfxai.checks import positive
from tfxai.classes import check_count, class_names
from tfxai.explanation import Explanation
from tfxai.facts import Facts
from tfxai.joining import RaggedExplanation, join
from tfxai.maps import Place
from tfxai.models import ModelView, open_model
from tfxai.models.head import Scores, own, scores
from tfxai.models.overrides import Backward, relu_gradient
from tfxai.run import Run, check_floating, on_this_device, tiled
from tfxai.targets import Channel, Goal, Neuron, Rows, check_one_hot, check_rows, errors_explained, meaning, name, parse

MOST_TRACES = 32  # kept by one explainer; the oldest goes


class Explainer:
    """Base of all explainers. A subclass writes `attribute`, a pure function in the graph.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; it is never changed. A Keras model, a SavedModel as loaded, a `tf.function`, or the path of
        a ``.keras`` or ``.h5`` file or of a SavedModel. Any other function is called with arrays and not looked into.
    output : str or int, optional
        Which output, if the model has several.
    signature : str, optional
        Which signature of a SavedModel. Default: ``"serving_default"``, else the only one.
    score : {"logit", "probability", "auto"}, optional
        What is explained. Default: of a class the logit, for which a final softmax or sigmoid is stepped over, or the
        output as it is where no logit is known; a function as target is given the outputs as they are. "logit",
        "probability": these, for classes and functions, or an error where they cannot be reached. "auto": of a class
        the probability if the model gives one. Of a Python function it is always the output as it is.
    classes : sequence of str or dict, optional
        Names of the classes, for targets by name and for titles: in order, by number, or numbers by name. Two names
        make two classes of one output unit.
    jit_compile : {"auto", True, False}
        Compile by XLA; "auto": if there is a GPU. On CPUs XLA is many times slower than plain graphs.
    draws : int, optional
        Of a model that is random in inference (dropout left on, sampling), explain the mean over so many draws, at as
        many times the cost; the predicted class is that of the first. Default: such a model is an error.
    """

    facts: ClassVar[Facts]
    options_of: ClassVar[tuple[type, ...]] = ()  # whose parameters ``**options`` may name, beside those of base classes
    polarity: str = "positive"
    backward: Backward | None = None  # how its gradients are modified, see `ModelView.forward`
    reads: tuple[str, ...] = ()  # layers that `attribute` looks at
    overflow: str = "Check the model's weights, its precision, and whether its gradient exists everywhere."
    input: str | None = None  # which of several inputs is masked or drawn on; None: the only one with positions
    reference: Any = None  # what inputs are compared with or hidden by, see `tfxai.baselines`

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = provenance.recorded(cls.__init__, Explainer.__init__)  # type: ignore[method-assign]

    @provenance.recorded
    def __init__(
        self,
        model: Any,
        *,
        output: str | int | None = None,
        signature: str | None = None,
        score: str | None = None,
        classes: Sequence[str] | Mapping | None = None,
        jit_compile: bool | str = "auto",
        draws: int | None = None,
    ):
        if score not in (None, "logit", "probability", "auto"):
            raise ValueError(f'Expected score to be "logit", "probability" or "auto", got {score!r}.')
        if jit_compile not in ("auto", True, False):
            raise ValueError(f'Expected jit_compile to be "auto", True or False, got {jit_compile!r}.')
        self.view: ModelView = open_model(model, output, signature)
        if jit_compile is True and self.view.opaque:
            raise ValueError("A Python function cannot be compiled by XLA; leave jit_compile out.")
        self.score = score
        self.classes = class_names(classes)
        self.of_classes = len(self.classes or ()) > 1  # whether a number as target is known to be a class
        on_gpu = bool(tf.config.list_physical_devices("GPU")) and not self.view.opaque
        self.jit_compile = on_gpu if jit_compile == "auto" else jit_compile
        self.draws = None if draws is None else positive("draws", draws)
        if draws is not None and self.view.draw is None:
            self.view.draw = tf.Variable(0, trainable=False, dtype=tf.int64)
        self._compiled: dict[Any, _Compiled] = {}
        self._steady: set[Any] = set()  # kinds of batches for which the model was seen to be no random one
        self._compiling = threading.RLock()  # threads that share an explainer trace it once

    def attribute(self, run: Run) -> Any:
        """Attributions of one batch, as tensors: the method itself."""
        raise NotImplementedError

    def adapt(self, inputs: Any) -> None:
        """Decide, before the first trace, what only the data tell, such as the last layer of an unbuilt model."""

    @property
    def where(self) -> str | None:
        """The layer whose output has the values; None: inputs."""
        return None

    def describe(self) -> dict[str, Any]:
        """Facts about this explainer that go into its explanations."""
        return {}

    def run(self, inputs: Any, goal: Goal, batch_size: int) -> Run:
        """Pass inputs through the model, as this explainer wants it passed (reads, modified gradients)."""
        forward = self.view.forward(inputs, tuple(dict.fromkeys([*self.reads, *goal.reads])), self.backward)
        if relu_gradient(self.backward) and not forward.modified_relus:
            check_floating(inputs)  # what is advised needs numbers
            raise ValueError(
                f"{type(self).__name__} needs ReLUs whose gradient it modifies, and the model has none, so its result "
                "would be the plain gradient. Use Saliency or IntegratedGradients."
            )
        found = self._scores(forward.outputs, goal.what)
        score, goal = goal.score(found.values, forward.read, found.doubled)
        run = Run(inputs, score, goal, found.values, forward.read, batch_size, found.scale, found.kind)
        run = replace(run, doubled=found.doubled, modified_relus=forward.modified_relus, masks=forward.masks)
        return replace(run, view=self.view, chosen=self.input)

    def _scores(self, outputs: tf.Tensor, what: Any) -> Scores:
        if isinstance(what, Neuron | Channel):
            return Scores(outputs, "activation")
        if self.view.opaque:
            if what is None and outputs.shape.rank == 2 and outputs.shape[1] == 1 and len(self.classes or ()) == 2:
                raise ValueError("Expected a function to return two outputs for its two classes, got one.")
            return Scores(outputs, "output")
        if what is not None:
            return own(outputs, self.score)
        return scores(outputs, self.score, len(self.classes) if self.classes else None)

    def rerun(self, run: Run, inputs: Any, repeats: tf.Tensor | int = 1) -> Run:
        """The same goal for other inputs: ``repeats`` copies of the batch, one behind the other."""
        again = self.run(inputs, run.goal.repeat(repeats), run.batch_size)
        rows = {name: tiled(x, repeats) if tf.is_tensor(x) else x for name, x in run.baselines.items()}
        return replace(again, baselines=rows)

    def __call__(
        self, inputs: Any, target: Any = None, batch_size: int = 32, verbose: str | int = "auto"
    ) -> Explanation:
        return self.explain(inputs, target, batch_size, verbose)

    def explain(
        self, inputs: Any, target: Any = None, batch_size: int = 32, verbose: str | int = "auto"
    ) -> Explanation:
        """Explain the model's output for each input.

        Parameters
        ----------
        inputs : array, tensor, list or dict of them, table, or dataset, loader or generator of batches
            What `keras.Model.predict` takes: a batch; a list or dict for several inputs, or a table with such columns.
            Batches are streamed, their labels left aside, and generators read to their end. A list of images of
            different size is explained in runs of one size.
        target : None, int, str, sequence, callable, Rows, Neuron or Channel
            The predicted class (None), a class or output, one for each input, a function from the model's outputs to
            (n,) scores that treats every row alike, with data of each row as `targets.Rows`, or a unit of a layer.
            Several classes for each input, (n, k), make n * k explanations, those of the first input first.
        batch_size : int
            How many inputs, perturbed copies included, pass through the model at once: bounds the memory.
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
        ids, what = parse(target, self.classes)
        fixed = self._fixed_batch()
        batch_size = fixed or positive("batch_size", batch_size)
        repeats = ids.shape[1] if np.ndim(ids) == 2 else 1
        stream, steps, total = given.batches(inputs, self.view.takes, max(1, batch_size // repeats))
        asked = len(what) if isinstance(what, Rows) else len(ids) if np.ndim(ids) else None
        if total is not None and asked not in (None, total):
            raise ValueError(f"Expected one target for each of the {total} inputs, got {asked}.")

        parts: list[Explanation] = []
        done = 0
        try:
            for batch in given.with_progress(stream, steps, verbose):
                n = given.count(batch)
                if asked is not None and done + n > asked:
                    raise ValueError(f"Expected one target for each input, got {asked} for at least {done + n}.")
                beside = self._beside(batch, done, total)
                if repeats > 1:
                    batch, beside = tf.nest.map_structure(lambda x: np.repeat(x, repeats, 0), (batch, beside))
                with on_this_device():
                    parts.append(self._explain_batch(batch, beside, ids, what, batch_size, fixed, done))
                done += n
            if asked not in (None, done):
                raise ValueError(f"Expected one target for each of the {done} inputs, got {asked}.")
            if not parts:
                raise ValueError("The dataset is empty: expected at least one batch.")
            return join(parts)
        except BaseException as error:
            if parts:
                error.partial = _joined(parts)  # type: ignore[attr-defined]
                error.add_note(f"The explanation of the first {done} inputs is in this error's attribute 'partial'.")
            raise

    def _beside(self, batch: Any, start: int, total: int | None) -> dict[str, np.ndarray]:
        """Baselines that have a row for each input of the batch."""
        return baselines.rows(self.reference, self._named(batch), start, total)

    def _named(self, batch: Any) -> dict[str, Any]:
        return batch if isinstance(batch, dict) else {next(iter(self.view.inputs or ["input"])): batch}

    def _explain_batch(
        self,
        batch: Any,
        beside: dict[str, np.ndarray],
        ids: Any,
        what: Any,
        batch_size: int,
        fixed: int | None,
        done: int,
    ) -> Explanation:
        n = given.count(batch)
        repeats = ids.shape[1] if np.ndim(ids) == 2 else 1
        padded, wanted = batch, _rows(ids, what, done, n // repeats)
        if fixed and n > fixed:
            raise ValueError(
                f"The model takes batches of {fixed}, got one of {n}. Give such, for example dataset.rebatch({fixed})."
            )
        if fixed and n < fixed:
            short = fixed - n
            padded, beside, wanted = tf.nest.map_structure(
                lambda x: np.concatenate([x, np.repeat(x[-1:], short, 0)]), (batch, beside, wanted)
            )
        repeats = 1 if fixed else repeats  # padding is no repetition
        compiled = self._compile((padded, beside, wanted), what, batch_size, fixed, repeats)
        if compiled.classes is not None and wanted[0].max() >= compiled.classes:
            raise ValueError(
                f"The class {wanted[0].max()} is out of range: the model has {compiled.classes} classes, "
                f"0 to {compiled.classes - 1}."
            )
        check_count(self.classes, compiled.classes)
        check_one_hot(ids, compiled.classes)
        check_rows(what, compiled.rows, done + n)
        means = meaning(what, compiled.known, compiled.doubled, self.of_classes, np.asarray(ids))
        with self.view.running(), errors_explained(what):
            result = self._averaged(compiled, padded, beside, wanted)
        result = tf.nest.map_structure(lambda x: x.numpy()[:n], result)
        for found in ("score", "values"):
            if not all(np.isfinite(x).all() for x in tf.nest.flatten(result[found])):
                first = "Check where the target function divides or takes a logarithm. " if means == "function" else ""
                raise ValueError(
                    f"{type(self).__name__} found NaN or infinite {found} for finite inputs. {first}"
                    + (self.overflow if found == "values" else Explainer.overflow)
                )
        return Explanation(
            result["values"],
            result["ids"] if what is None else name(what),
            result["score"],
            batch,
            self.facts.name,
            self.polarity,
            self.classes,
            result["extras"],
            provenance.origin(self) | self.describe() | compiled.facts | {"target": means},
            compiled.places,
        )

    def _averaged(self, compiled: _Compiled, batch: Any, beside: dict[str, np.ndarray], wanted: list[Any]) -> Any:
        """The result for a batch; of a random model, the mean over its draws."""
        draw = self.view.draw
        if self.draws is None or draw is None:
            return compiled(batch, beside, wanted)
        results = []
        for number in range(self.draws):
            draw.assign(number)
            results.append(compiled(batch, beside, wanted))
            wanted = [results[0]["ids"], *wanted[1:]]
        return tf.nest.map_structure(lambda *x: tf.add_n(x) / len(x) if x[0].dtype.is_floating else x[0], *results)

    def _compile(self, given: Any, what: Any, batch_size: int, fixed: int | None, repeats: int) -> _Compiled:
        """The compiled step for this kind of batch; class ids, seeds and the number of rows do not matter.

        ``given`` are the inputs, what stands beside them, and what is wanted of them, with a row for each input.
        """
        specs = tf.nest.map_structure(lambda x: tf.TensorSpec([fixed, *x.shape[1:]], x.dtype), given)
        batch, beside, _ = given
        what = what.function if isinstance(what, Rows) else what
        with self._compiling:
            self.view.prepare(batch)
            self.adapt(batch)
            key = ((*tf.nest.flatten(specs), batch_size), *beside, what, repeats, self.reads, self.of_classes)
            if key not in self._compiled:
                if len(self._compiled) >= MOST_TRACES:  # a new function as target in each call must not fill the memory
                    del self._compiled[next(iter(self._compiled))]
                compared = baselines.by_input(self.reference, list(self._named(batch)))
                compiled = _Compiled(self, specs, compared, what, batch_size, repeats)
                if key[0] not in self._steady:
                    steadiness.check(self.view, batch, batch_size, bool(fixed), self.draws, self.jit_compile is True)
                    self._steady.add(key[0])
                self._compiled[key] = compiled
            return self._compiled[key]

    def _fixed_batch(self) -> int | None:
        specs = self.view.inputs
        return next(iter(specs.values())).shape[0] if specs else None


class _Compiled:
    """An explainer's `attribute`, traced for one kind of batch."""

    def __init__(
        self, explainer: Explainer, specs: Any, compared: dict[str, Any], what: Any, batch_size: int, repeats: int
    ):
        self.facts: dict[str, Any] = {}
        self.places: dict[str, Place] | None = None
        self.classes: int | None = None
        self.rows: int | None = None  # how many scores a target function returns, if always as many

        def step(inputs: Any, beside: dict[str, tf.Tensor], wanted: list[tf.Tensor]) -> dict[str, Any]:
            ids, *rows = wanted
            run = explainer.run(inputs, Goal(ids, what, tuple(rows), explainer.of_classes), batch_size)
            run.repeats, run.baselines = repeats, compared | beside
            if what is None:
                self.classes = run.outputs.shape[-1]
            self.facts["score"] = run.scale
            self.known = run.head is not None or run.scale == "probability" or explainer.of_classes
            self.doubled = run.doubled
            self.rows = run.score.shape[0] if run.outputs.shape.rank and run.outputs.shape[0] is None else None
            values = explainer.attribute(run)
            if run.modified_relus:
                self.facts["modified_relus"] = run.modified_relus
            values = tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), values)
            self.places = maps.of_values(run, explainer.where, values)
            if isinstance(values, dict) and len(values) < len(inputs):
                self.facts["without_values"] = sorted(inputs.keys() - values)  # integers have no gradient
            return {"values": values, "ids": run.goal.ids, "score": run.score, "extras": run.extras}

        function = tf.function(step, autograph=False, jit_compile=explainer.jit_compile or None)
        self._step = function.get_concrete_function(*specs)

    def __call__(self, *given: Any) -> dict[str, Any]:
        return self._step(*tf.nest.map_structure(tf.convert_to_tensor, given))


def _rows(ids: Any, what: Any, start: int, n: int) -> list[np.ndarray]:
    """What is asked of n inputs: int32 ids, one after the other, and what a target function is given besides."""
    own_ids = np.full(n, ids) if np.ndim(ids) == 0 else ids[start : start + n].reshape(-1)
    return [own_ids.astype(np.int32), *(what[start : start + n].arrays if isinstance(what, Rows) else ())]


def _joined(parts: list[Explanation]) -> Explanation:
    """What is done, in any case: side by side, should there be no memory for joining."""
    try:
        return join(parts)
    except Exception:
        return RaggedExplanation(parts)
