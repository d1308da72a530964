"""Runner: what is computed of passes of a model, compiled for each kind of batch, and run over any number of inputs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias, get_args

import numpy as np
import tensorflow as tf

from tfxai import baselines, provenance, steadiness, text
from tfxai import inputs as given
from tfxai.checks import one_of, positive
from tfxai.classes import check_count, class_names
from tfxai.goal import Goal, check_rows, errors_explained, meaning
from tfxai.models import ModelView, head, open_model, rewriting
from tfxai.models.cache import rows_at_once
from tfxai.models.embedded import EmbeddedModel
from tfxai.models.embeddings import may_be_words
from tfxai.models.overrides import Backward, relu_gradient
from tfxai.models.precision import lowered
from tfxai.models.rows import independent_rows
from tfxai.models.view import Forward, by_name, cut, padded
from tfxai.options import by_xla
from tfxai.outcome import NoSuchClass, NotFinite, Outcome
from tfxai.output_target import Kind, OutputTarget
from tfxai.run import Run, check_floating, on_this_device, tiled
from tfxai.targets import Channel, Neuron, Request, check_one_hot, parse
from tfxai.types import Classes, Inputs, JitCompile, Labels, Model, Precision, Preprocessor, Score, Target, Verbose

MOST_TRACES = 32  # kept by one runner; the oldest goes

Beside: TypeAlias = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]  # rows of baselines by input, and of the rest


class Runner:
    """Batches, padding, compilation and progress, for all that is computed of a model's passes.

    A subclass writes `compute`. The parameters are those of `tfxai.Explainer`.
    """

    backward: Backward | None = None  # how gradients are modified, see `ModelView.forward`
    reads: tuple[str, ...] = ()  # layers that `compute` looks at
    input: str | None = None  # which of several inputs is masked or drawn on; None: the only one with positions
    lowers: bool = False  # whether its passes may run in fewer bits, as those of methods without gradients may
    embeds: bool = False  # whether it looks at numbers, so that words are taken where they have become such
    without_relus: str = "Use Saliency or IntegratedGradients."  # where there is no ReLU whose gradient it modifies
    reference: Any = None  # what inputs are compared with or hidden by, see `tfxai.baselines`
    beside: Mapping[str, np.ndarray] = {}  # what else `compute` looks at, with a row for each input: `Run.beside`

    @provenance.recorded
    def __init__(
        self,
        model: Model,
        *,
        output: str | int | None = None,
        signature: str | None = None,
        score: Score | None = None,
        classes: Classes | None = None,
        jit_compile: JitCompile = "auto",
        draws: int | None = None,
        preprocessor: Preprocessor | None = None,
        precision: Precision = "float32",
        at: str | Sequence[str] | None = None,
    ):
        if score not in (None, "logit", "probability", "auto"):
            raise ValueError(f'Expected score to be "logit", "probability" or "auto", got {score!r}.')
        compiled = by_xla(jit_compile)
        self.view: ModelView = open_model(model, output, signature)
        if jit_compile is True and self.view.opaque:
            raise ValueError("A Python function cannot be compiled by XLA; leave jit_compile out.")
        one_of("precision", precision, get_args(Precision))
        self.precision: Precision = precision
        if precision != "float32" and (not self.lowers or self.view.opaque):
            of = "a Python function" if self.view.opaque else type(self).__name__
            raise ValueError(
                f"precision={precision!r} is for Occlusion, RISE and the methods of coalitions, such as KernelSHAP, of "
                f"models in TensorFlow; {of} runs in the model's own types. Leave precision= out, or build the model "
                "with keras.mixed_precision."
            )
        self.score: Score | None = score
        self.classes = class_names(classes)
        self.of_classes = len(self.classes or ()) > 1  # whether a number as target is known to be a class
        self.jit_compile = compiled and not self.view.opaque
        self.draws = None if draws is None else positive("draws", draws)
        if draws is not None and self.view.draw is None:
            self.view.draw = tf.Variable(0, trainable=False, dtype=tf.int64)
        if preprocessor is not None:
            if not callable(preprocessor):
                raise TypeError(
                    f"Expected preprocessor to be a function of a list of strings, got {type(preprocessor)}."
                )
            self.view.preprocessor = preprocessor
        if at is not None and not self.embeds:
            raise TypeError(f"{type(self).__name__} looks at no embeddings, so it takes no at=.")
        self.at = (at,) if isinstance(at, str) else None if at is None else tuple(at)
        self._traces: dict[Any, _Trace] = {}
        self._embeddings: dict[Any, EmbeddedModel | None] = {}
        self._steady: set[Any] = set()  # kinds of batches for which the model was seen to be no random one
        self._tracing = threading.RLock()  # threads that share a runner trace it once

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is computed of one pass: tensors by name, and what is known once the graph is traced."""
        raise NotImplementedError

    def adapt(self, inputs: Any) -> None:
        """Decide, before the first trace, what only the data tell, such as the last layer of an unbuilt model."""

    def run(self, inputs: Any, goal: Goal, batch_size: int, numbers: Mapping[str, tf.Tensor] | None = None) -> Run:
        """Pass inputs through the model, as it is needed here (layers that are read, modified gradients).

        ``numbers``: what the embeddings of words are to be, by the names of inputs.
        """
        reads = tuple(dict.fromkeys([*self.reads, *goal.reads, *self._layers_at(inputs)]))
        model, forward = self._embedded(inputs, reads)
        integers: dict[str, Any] = {}
        if model is None and self.at:
            raise ValueError(
                f"at={list(self.at)} says where integers are embedded, but the model takes none. For relevance at a "
                "layer, use LRP(model, at=layer); for maps of a layer, a CAM method with layer=."
            )
        if model is not None:
            forward, values = model.forward(inputs, self.backward, numbers)
            integers = {name: by_name(inputs)[name] for name in values}
            inputs = inputs | values if isinstance(inputs, dict) else values["input"]
        elif forward is None:
            forward = self.view.forward(inputs, reads, self.backward)
        if relu_gradient(self.backward) and not forward.modified_relus:
            check_floating(inputs)  # what is advised needs numbers
            raise ValueError(
                f"{type(self).__name__} needs ReLUs whose gradient it modifies, and the model has none, so its result "
                f"would be the plain gradient. {self.without_relus}"
            )
        found = self._scores(forward.outputs, goal.what)
        outputs, read = self._lowered(inputs, found.values, forward.read)
        score, goal = goal.score(outputs, read, found.doubled)
        run = Run(inputs, score, goal, outputs, read, batch_size, found.scale, found.kind)
        if self.precision != "float32":
            exact, _ = goal.score(found.values, forward.read, found.doubled)
            run.extras["precision_error"] = tf.abs(score - exact)
            run.facts["precision"] = self.precision
        run = replace(run, doubled=found.doubled, modified_relus=forward.modified_relus, masks=forward.masks)
        return replace(run, view=self.view, chosen=self.input, integers=integers, embedding=model)

    def _lowered(
        self, inputs: Any, outputs: tf.Tensor, read: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Outputs and layers by a pass in the type that is wanted."""
        if self.precision == "float32":
            return outputs, read
        ends, dtype = [outputs, *read.values()], tf.as_dtype(self.precision)
        outputs, *rest = lowered(tf.nest.flatten(inputs), ends, dtype, self.jit_compile)
        return outputs, dict(zip(read, rest, strict=True))

    def _layers_at(self, inputs: Any) -> list[str]:
        """Of the places at which the model is looked at, those that are layers."""
        return [self.view.find(name) for name in self.at or () if name not in by_name(inputs)]

    def _embedded(self, inputs: Any, reads: tuple[str, ...]) -> tuple[EmbeddedModel | None, Forward | None]:
        """The model as a function of the embeddings of its words, if it has such; and a pass, if one was made to see.

        A model of tables is traced once: in its pass one sees that numbers are no words.
        """
        if not self.embeds or self.view.opaque:
            return None, None
        flat, forward = tf.nest.flatten(inputs), None
        specs = self.view.specs_like(inputs)
        key = tuple(tf.nest.flatten(specs)), tuple(by_name(inputs)), reads
        if key not in self._embeddings:
            words = any(x.dtype.is_integer for x in flat)
            if not words and any(x.shape.rank == 2 for x in flat):  # Keras has floats as inputs of embeddings too
                others = {op.name for x in flat for op in x.consumers()}
                forward = self.view.forward(inputs, reads, self.backward)
                words = any(may_be_words(x, others) for x in flat)
            found = EmbeddedModel(self.view, inputs, reads, self.at) if words else None
            self._embeddings[key] = found if found and found.embedded else None
        return self._embeddings[key], forward

    def _scores(self, outputs: tf.Tensor, what: Any) -> head.Scores:
        if isinstance(what, Neuron | Channel):
            return head.Scores(outputs, "activation")
        if self.view.opaque:
            if what is None and outputs.shape.rank == 2 and outputs.shape[1] == 1 and len(self.classes or ()) == 2:
                raise ValueError("Expected a function to return two outputs for its two classes, got one.")
            return head.Scores(outputs, "output")
        if isinstance(what, Kind):
            return head.of_targets(outputs, self.score)
        if what is not None:
            return head.own(outputs, self.score)
        return head.scores(outputs, self.score, len(self.classes) if self.classes else None)

    def rerun(self, run: Run, inputs: Any, repeats: tf.Tensor | int = 1) -> Run:
        """The same goal for other inputs: ``repeats`` copies of the batch, one after the other."""
        numbers = None
        if run.integers:
            numbers = {name: by_name(inputs)[name] for name in run.integers}
            integers = {name: tiled(x, repeats) for name, x in run.integers.items()}
            inputs = inputs | integers if isinstance(inputs, dict) else integers["input"]
        again = self.run(inputs, run.goal.repeat(repeats), run.batch_size, numbers)
        rows = {name: tiled(x, repeats) if tf.is_tensor(x) else x for name, x in run.baselines.items()}
        return replace(again, baselines=rows)

    def outcomes(
        self,
        inputs: Inputs,
        target: Target = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        rows: int | None = None,
    ) -> Iterator[Outcome]:
        """What is computed of any number of inputs, batch by batch; parameters as for `tfxai.Explainer.explain`.

        ``rows`` is how many inputs are taken at a time, if not as many as pass through the model at once.
        """
        request, fixed = parse(target, self.classes), self.view.batch_size
        batch_size = fixed or positive("batch_size", batch_size)
        at_once = fixed or rows
        size, reader = max(1, (at_once or batch_size) // request.repeats), text.Reader(self.view)
        stream, steps, total = given.batches(inputs, self.view.takes, size, reader)
        if total is not None and request.count not in (None, total):
            raise ValueError(f"Expected one target for each of the {total} inputs, got {request.count}.")
        done = 0
        for batch in given.with_progress(stream, steps, verbose, rows=total):
            end = done + given.count(batch)
            if request.count is not None and end > request.count:
                raise ValueError(f"Expected one target for each input, got {request.count} for at least {end}.")
            beside = self._rows_beside(batch, done, total)
            wanted, rows_read = request.rows(done, end), (batch, beside, reader.texts(end - done))
            if request.repeats > 1:
                rows_read = tf.nest.map_structure(lambda x: np.repeat(x, request.repeats, 0), rows_read)
            for (part, its, texts), asked in cut((rows_read, wanted), at_once):
                repeats = 1 if at_once else request.repeats
                found = self._outcome(part, its, asked, request, batch_size, repeats, end)
                yield found._replace(texts=tuple(texts) or None)
            done = end
        if request.count not in (None, done):
            raise ValueError(f"Expected one target for each of the {done} inputs, got {request.count}.")

    def labelled(
        self, inputs: Inputs, labels: Labels | None, batch_size: int, verbose: Verbose
    ) -> Iterator[tuple[Any, np.ndarray | None]]:
        """Batches of inputs with their labels, see `tfxai.inputs.labelled`, none longer than the model takes."""
        size = self.view.batch_size or positive("batch_size", batch_size)
        reader = text.Reader(self.view)
        stream = given.with_progress(*given.labelled(inputs, labels, self.view.takes, size, reader), verbose)
        for batch, own in stream:
            rows = (batch,) if own is None else (batch, own)
            yield from ((*part, None)[:2] for part in cut(rows, self.view.batch_size))

    def outcome(self, batch: Any, target: Target = None, batch_size: int = 32) -> Outcome:
        """What is computed of one batch, which `tfxai.inputs` has checked."""
        request, n = parse(target, self.classes), given.count(batch)
        beside = self._rows_beside(batch, 0, n)
        size = self.view.batch_size or positive("batch_size", batch_size)
        return self._outcome(batch, beside, request.rows(0, n), request, size, 1, n)

    def _rows_beside(self, batch: Any, start: int, total: int | None) -> Beside:
        """Of baselines, and of what else stands beside the inputs: the rows of a batch, with ``start`` before it."""
        named = self._named(batch)
        own = self.alongside(named, start, start + given.count(batch), total)
        return baselines.rows(self.reference, named, start, total, self.embeds), own

    def alongside(self, batch: dict[str, Any], start: int, end: int, total: int | None) -> dict[str, np.ndarray]:
        """What else `compute` looks at: for these inputs, by name, the rows from ``start`` to ``end`` of ``total``."""
        for name, rows in self.beside.items():
            if len(rows) != total and (total is not None or len(rows) < end):
                raise ValueError(
                    f"Expected {name} with a row for each of {total or f'at least {end}'} inputs, got {len(rows)}."
                )
        return {name: rows[start:end] for name, rows in self.beside.items()}

    def _named(self, batch: Any) -> dict[str, Any]:
        return batch if isinstance(batch, dict) else {next(iter(self.view.inputs or ["input"])): batch}

    def _outcome(
        self,
        batch: Any,
        beside: Beside,
        wanted: list[np.ndarray],
        request: Request,
        batch_size: int,
        repeats: int,
        seen: int,
    ) -> Outcome:
        """``seen``: how many inputs there have been, these included."""
        rows = batch, beside, wanted
        if self.view.batch_size:
            rows = padded(rows, self.view.batch_size)
        with on_this_device():
            trace = self._trace(rows, request.kind, batch_size, repeats)
            if trace.classes is not None and wanted[0].max() >= trace.classes:
                raise NoSuchClass(
                    f"The class {wanted[0].max()} is out of range: the model has {trace.classes} classes, "
                    f"0 to {trace.classes - 1}."
                )
            check_count(self.classes, trace.classes)
            check_one_hot(request.ids, trace.classes)
            check_rows(request.what, trace.rows, seen)
            if isinstance(request.what, OutputTarget):
                request.what.check(trace.outputs)
            target = meaning(request.what, trace.of_classes, trace.doubled, self.of_classes, request.ids)
            with self.view.running(), errors_explained(request.what):
                parts = [self._averaged(trace, *part) for part in cut(rows, trace.at_once)]
        n = given.count(batch)
        found = tf.nest.map_structure(lambda *x: np.concatenate(x)[:n] if len(x) > 1 else x[0].numpy()[:n], *parts)
        if not np.isfinite(found["score"]).all():
            first = "Check where the target function divides or takes a logarithm. " if target == "function" else ""
            first = _all_hidden(batch, found["score"]) or first
            raise self.not_finite("score", f"{first}Check the model's weights and its precision.")
        return Outcome(batch, found, trace.known, request, target)

    def not_finite(self, what: str, advice: str) -> NotFinite:
        """The error for numbers that ought to be finite."""
        return NotFinite(f"{type(self).__name__} found NaN or infinite {what} for finite inputs. {advice}")

    def _averaged(self, trace: _Trace, batch: Any, beside: Beside, wanted: list[np.ndarray]) -> Any:
        """The result for a batch; of a random model, the mean over its draws."""
        draw = self.view.draw
        if self.draws is None or draw is None:
            return trace(batch, beside, wanted)
        results = []
        for number in range(self.draws):
            draw.assign(number)
            results.append(trace(batch, beside, wanted))
            wanted = [results[0]["ids"], *wanted[1:]]
        return tf.nest.map_structure(lambda *x: tf.add_n(x) / len(x) if x[0].dtype.is_floating else x[0], *results)

    def _trace(self, rows: tuple[Any, ...], what: Any, batch_size: int, repeats: int) -> _Trace:
        """What is computed of this kind of batch; class ids, seeds and the number of rows do not matter.

        ``rows`` are the inputs, what stands beside them, and what is wanted of them, with a row for each input.
        """
        specs = self.view.specs_like(rows)
        batch, beside, _ = rows
        with self._tracing:
            self.view.prepare(batch)
            self.adapt(batch)
            key = ((*tf.nest.flatten(specs), batch_size), *beside[0], what, repeats, self.reads, self.of_classes)
            if key not in self._traces:
                if len(self._traces) >= MOST_TRACES:  # a new function as target in each call must not fill the memory
                    del self._traces[next(iter(self._traces))]
                compared = baselines.by_input(self.reference, list(self._named(batch)))
                trace = _Trace(self, specs, compared, what, batch_size, repeats)
                if key[0] not in self._steady and not trace.steady:
                    fixed = bool(self.view.batch_size)
                    steadiness.check(self.view, batch, batch_size, fixed, self.draws, self.jit_compile is True)
                    self._steady.add(key[0])
                self._traces[key] = trace
            return self._traces[key]


def _all_hidden(batch: Any, score: np.ndarray) -> str:
    """What is to be said of a row without a score, if an input holds nothing but zeros there, as a mask may."""
    row = int(np.flatnonzero(~np.isfinite(score))[0])
    names = [name for name, x in by_name(batch).items() if x.dtype.kind in "biu" and x.ndim == 2 and not x[row].any()]
    if not names:
        return ""
    return (
        f"The input {names[0]!r} of row {row} is nothing but zeros: if it is a mask, it hides everything. Leave the "
        "row out, or keep at least one step of it. "
    )


class _Trace:
    """What a runner computes, traced for one kind of batch."""

    def __init__(self, runner: Runner, specs: Any, compared: dict[str, Any], what: Any, batch_size: int, repeats: int):
        self.classes: int | None = None
        self.at_once: int | None = None

        def step(inputs: Any, beside: Any, wanted: list[tf.Tensor]) -> dict[str, Any]:
            ids, *rows = wanted
            run = runner.run(inputs, Goal(ids, what, tuple(rows), runner.of_classes), batch_size)
            self.steady = runner.view.in_graph and independent_rows(tf.nest.flatten(inputs), run.outputs)
            run.repeats, run.baselines, run.beside = repeats, compared | beside[0], beside[1]
            fits = rows_at_once(runner.view, run.score.graph)
            self.at_once = fits and max(1, fits // repeats) * repeats  # the classes of an input stay together
            run.batch_size = min(batch_size, fits or batch_size)
            if what is None:
                self.classes = run.outputs.shape[-1]
            self.of_classes = run.head is not None or run.scale == "probability" or runner.of_classes
            self.doubled, self.outputs = run.doubled, run.outputs.shape
            # how many scores a target function returns, if always as many
            self.rows = run.score.shape[0] if run.outputs.shape.rank and run.outputs.shape[0] is None else None
            found, self.known = runner.compute(run)
            return {"ids": run.goal.ids, "score": run.score} | found

        function = tf.function(step, autograph=False, jit_compile=runner.jit_compile or None)
        self._step = function.get_concrete_function(*specs)

    def __call__(self, *rows: Any) -> dict[str, Any]:
        with rewriting.briefly():
            return self._step(*tf.nest.map_structure(tf.convert_to_tensor, rows))
