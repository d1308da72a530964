"""ActivationMaximization: the image that excites a class, a channel or any other part of a model most."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from tfxai.brief import made
from tfxai.checks import positive
from tfxai.descent import State, begin
from tfxai.facts import Facts
from tfxai.inputs import with_progress
from tfxai.loops import Seeded
from tfxai.models import ModelView, open_model
from tfxai.models.view import traced
from tfxai.options import by_xla
from tfxai.synthesis.ascent import PIECE, Ascent
from tfxai.synthesis.box import Box, Preprocess, Way, box
from tfxai.synthesis.canvas import Canvas, Drawn, Generated, GeneratorRange
from tfxai.synthesis.objective import Numbers, Objective, Seen
from tfxai.synthesis.objectives import Sought, as_objective
from tfxai.synthesis.parameterization import KINDS, Fourier
from tfxai.synthesis.result import Synthesis
from tfxai.synthesis.total import Expert, Prior, Total
from tfxai.synthesis.transforms import Transform, compose, robust
from tfxai.types import Array, JitCompile, Model, Verbose

CODE_DECAY = 5e-3  # of codes: the weight decay of Aleksandrov and Hsu


class ActivationMaximization(Seeded):
    """Images that excite a part of the model most: what a class, a channel or a neuron looks like to it.

    Each image x maximises ``objective(x) - priors(x) + expert_weight * log p(x)`` by Adam. In the *general* form
    (Simonyan et al. 2014) x itself is sought and there is no p; *with an expert*, p is a density of the data; *in code
    space* (Nguyen et al. 2016), codes z are sought, from which a generator makes the images. All steps run in one
    compiled loop, for all images at once.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function or path
        Any model of one input that can be differentiated; it is never changed.
    objective : Objective, int, sequence of int or callable
        What is to rise: made of `tfxai.objectives`, a class or one for each image, or a function of the outputs.
    preprocess : str or (low, high), optional
        Which numbers are pixels, so that images stay within: a mode of `tfxai.images.prepare` such as ``"caffe"``, or
        the bounds, each a number or one for each channel. None: no bounds.
    boxed : {"sigmoid", "clip"}
        How images stay within: by a sigmoid, or clipped after each step.
    parameterization : {"fourier", "pixel"}, optional
        What is sought: the frequencies of decorrelated colours (Olah et al. 2017), or the pixels. Default: frequencies
        for images, pixels for anything else.
    start : "noise" or array
        Noise, an image or several, such as the mean of a class; in code space the codes.
    noise : float
        Standard deviation of the noise around the middle of the bounds, about as a share of the way to them; for codes
        it is 1. Default 0.3 (ours): a ReLU that nothing excites at the start has no gradient, and stays silent.
    priors : callable or sequence of callables
        Costs of images: those of `tfxai.priors`, or any function from images to (n,) costs. Default: none.
    weight_decay : float, optional
        Cost ``weight_decay * ||z||^2`` of the numbers z that are sought. Default 0, for codes 0.005. The decay of
        PyTorch's Adam is half of it.
    transforms : callable or sequence of callables, optional
        How images are moved before the model sees them, see `tfxai.transforms`. Default: `tfxai.transforms.robust` for
        frequencies, else none.
    expert : object, optional
        In TensorFlow operations, ``log_prob(x)``, (n,) log-densities of images, or ``score(x)``, their gradient.
    expert_weight : float
        Its weight. Default 1.
    generator : keras.Model or path, optional
        Makes images from codes.
    generator_range : (low, high) or "input"
        What the generator's outputs lie between, to be rescaled to the bounds of ``preprocess``; "input": they are
        inputs of the model as they are. Must be given with a generator.
    steps : int
        Steps of Adam. Default 256.
    learning_rate : float
        Learning rate of Adam. Default 0.05 (lucid).
    threshold : float, optional
        An image stops when the probability of its class reaches this.
    keep : {"best", "last"}, optional
        Whether to return what had the highest total, or what came last. Default: the best, unless transforms make
        totals of steps differ by luck, or the expert has no log-density.
    frames : int
        Keep an image every this many steps. Default 0: none.
    seed : int
        Seed of noise and transforms.
    shape : tuple of int, optional
        Of one image, where the model does not say it.
    output, signature, jit_compile
        As for `Explainer`.

    Raises
    ------
    ValueError, TypeError
        For layers, channels or classes that do not exist, options out of range, and models that cannot be
        differentiated or have several inputs.

    Examples
    --------
    >>> import tfxai
    >>> model = tfxai.datasets.flowers.load_model()
    >>> objective = tfxai.objectives.class_score(3)
    >>> maximization = tfxai.ActivationMaximization(model, objective, preprocess="none", steps=5, shape=(64, 64, 3))
    >>> maximization().images.shape
    (1, 64, 64, 3)
    >>> maximization(objective=[0, 1, 2]).labels
    ['class 0', 'class 1', 'class 2']
    """

    facts = Facts.of("activation_maximization")

    def __init__(
        self,
        model: Model,
        objective: Sought,
        *,
        preprocess: Preprocess = None,
        boxed: Way = "sigmoid",
        parameterization: Literal["fourier", "pixel"] | None = None,
        start: Literal["noise"] | Array = "noise",
        noise: float = 0.3,
        priors: Prior | Sequence[Prior] = (),
        weight_decay: float | None = None,
        transforms: Transform | Sequence[Transform] | None = None,
        expert: Expert | None = None,
        expert_weight: float = 1.0,
        generator: Model | None = None,
        generator_range: GeneratorRange = None,
        steps: int = 256,
        learning_rate: float = 0.05,
        threshold: float | None = None,
        keep: Literal["best", "last"] | None = None,
        frames: int = 0,
        seed: int = 0,
        shape: Sequence[int] | None = None,
        output: str | int | None = None,
        signature: str | None = None,
        jit_compile: JitCompile = "auto",
    ):
        super().__init__(seed)
        for name, value in {"learning_rate": learning_rate, "noise": noise, "weight_decay": weight_decay or 0}.items():
            if not value >= 0:
                raise ValueError(f"Expected {name} to be 0 or more, got {value!r}.")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"Expected threshold to be a probability, got {threshold!r}.")
        if keep not in (None, "best", "last"):
            raise ValueError(f'Expected keep to be "best" or "last", got {keep!r}.')
        if generator is not None and parameterization is not None:
            raise ValueError("Expected no parameterization together with a generator, whose codes are optimised.")
        if expert is not None and not (hasattr(expert, "log_prob") or hasattr(expert, "score")):
            raise TypeError(f"Expected an expert with log_prob(x) or score(x), got {type(expert).__name__}.")
        self.view = open_model(model, output, signature)
        self.spec = _image_spec(self.view, shape)
        self.start, self.steps, self.learning_rate = start, positive("steps", steps), learning_rate
        self.frames = positive("frames", frames) if frames else 0
        self.threshold, self.jit_compile = threshold, by_xla(jit_compile)

        image = tuple(self.spec.shape[1:])
        self.box = box(preprocess, image[-1], boxed)
        self.canvas: Canvas
        if generator is None:
            self.canvas = _drawn(image, parameterization, self.box, noise)
        else:
            self.canvas = Generated(generator, generator_range, self.box, image, 1.0)
            weight_decay = CODE_DECAY if weight_decay is None else weight_decay
        transform: Transform | None
        if transforms is None:
            frequencies = isinstance(self.canvas, Drawn) and isinstance(self.canvas.parameterization, Fourier)
            transform = robust() if frequencies else None
        else:
            moves = (transforms,) if callable(transforms) else tuple(transforms)
            transform = compose(*moves) if moves else None
        comparable = transform is None and (expert is None or hasattr(expert, "log_prob"))
        self.keep: Literal["best", "last"] = keep or ("best" if comparable else "last")

        self._shapes: dict[Hashable, Any] = {}
        self.objective = self._checked(objective)
        self._total = Total(
            self.view,
            self.spec,
            self.objective,
            self.canvas,
            _named((priors,) if callable(priors) else tuple(priors)),
            weight_decay or 0.0,
            expert,
            expert_weight,
            transform,
            self._seed,
        )
        self._ascents: dict[Hashable, Ascent] = {}

    def __repr__(self) -> str:
        return made(self, {"steps": self.steps, "seed": self.seed})

    def __call__(
        self,
        n: int | None = None,
        *,
        objective: Sought | None = None,
        start: Literal["noise"] | Array | None = None,
        verbose: Verbose = "auto",
    ) -> Synthesis:
        """Make images.

        Parameters
        ----------
        n : int, optional
            How many. Default: one, or one for each class or channel of the objective, or for each start.
        objective : Objective, int, sequence of int or callable, optional
            In place of the constructor's. Another class, channel or factor is the same compiled graph.
        start : "noise" or array, optional
            In place of the constructor's.
        verbose : {"auto", 0, 1}
            Progress bar; "auto": for more than 25 steps.

        Returns
        -------
        Synthesis

        Raises
        ------
        ValueError
            If n, the objective and the start are for different numbers of images, or the score is not finite.
        """
        sought = self.objective if objective is None else self._checked(objective)
        numbers = self._numbers(n, sought, self.start if start is None else start)
        count = int(numbers.shape[0])
        if self.spec.shape[0] not in (None, count):
            raise ValueError(f"The model takes batches of {self.spec.shape[0]}, got n={count}.")
        values = [tf.constant(value) for value in sought.spread(count)]
        ascent = self._ascent(sought)

        state = begin(numbers, len(ascent.total.names))
        history, frames = [], [(0, ascent.images(numbers).numpy())] if self.frames else []
        piece = self.frames or min(self.steps, PIECE)
        stops = range(piece, self.steps + piece, piece)
        rate = tf.constant(self.learning_rate, tf.float32)
        try:
            for stop in with_progress(iter(stops), len(stops), verbose, "part"):
                before = int(state.number)
                state, terms = ascent.ascend(state, values, tf.constant(min(stop, self.steps)), rate)
                history.append(terms.numpy()[:, : int(state.number) - before])
                if self.frames:
                    frames.append((int(state.number), ascent.images(state.values).numpy()))
                if not tf.reduce_any(state.active):
                    break
        except KeyboardInterrupt as error:
            error.partial = self._result(ascent, sought, state, values, history, frames)  # type: ignore[attr-defined]
            error.add_note(f"The images after {int(state.number)} steps are in this error's attribute 'partial'.")
            raise
        return self._result(ascent, sought, state, values, history, frames)

    def _result(
        self,
        ascent: Ascent,
        objective: Objective,
        state: State,
        values: Numbers,
        history: list[np.ndarray],
        frames: list[tuple[int, np.ndarray]],
    ) -> Synthesis:
        numbers, images, terms, probability = ascent.finish(state, values)
        if not np.isfinite(terms).all():
            raise ValueError(
                "The total of objective and priors is not finite. Check the weights of the model and of priors, and "
                "the start."
            )
        steps = np.concatenate(history, 1) if history else np.zeros((*terms.shape[:1], 0, *terms.shape[1:]), np.float32)
        found = {name: steps[..., place] for place, name in enumerate(ascent.total.names)}
        return Synthesis(
            images=images.numpy(),
            score=terms.numpy()[:, 0],
            labels=[objective.text(row) for row in range(len(images))],
            probability=None if probability is None else probability.numpy(),
            codes=numbers.numpy() if isinstance(self.canvas, Generated) else None,
            history=found | {"total": steps.sum(2)},
            steps=state.steps.numpy() - state.reached.numpy(),  # those that were enough were not moved
            frames=np.stack([image for _, image in frames]) if frames else None,
            frame_steps=[number for number, _ in frames],
            box=self.box,
        )

    def _checked(self, given: Sought) -> Objective:
        """The objective, if the model has what it asks for."""
        objective = as_objective(given)
        names = objective.reads(self.view)
        if names not in self._shapes:
            self._shapes[names] = traced(self.view, names, self.spec, lambda _, seen: Seen(self.view, seen).shapes)
        objective.check(self._shapes[names], self.view.find)
        if self.threshold is not None and objective.probability is None:
            raise ValueError("Expected threshold= only for objectives with a class_score, of which there is none.")
        return objective

    def _numbers(self, n: int | None, objective: Objective, start: str | Array) -> tf.Tensor:
        """What to start from, a row for each image."""
        if isinstance(start, str):
            if start != "noise":
                raise ValueError(f'Expected start to be "noise" or an array, got {start!r}.')
            rows = positive("n", objective.rows if n is None else n)

            def sample(seed: tf.Tensor) -> tf.Tensor:
                return self.canvas.noise * tf.random.stateless_normal(self.canvas.shape, seed)

            return self.draw(-1 - tf.range(rows), sample)  # the numbers of steps are those of the transforms
        wanted = self.canvas.shape if isinstance(self.canvas, Generated) else tuple(self.spec.shape[1:])
        array = np.asarray(start, np.float32)
        array = array[None] if array.ndim == len(wanted) else array
        if array.shape[1:] != wanted or not len(array) or not np.isfinite(array).all():
            raise ValueError(f"Expected a finite start of shape {wanted}, or several of them, got {np.shape(start)}.")
        rows = n or max(len(array), objective.rows)
        if len(array) not in (1, rows):
            raise ValueError(f"Expected one start, or one for each of {rows} images, got {len(array)}.")
        return self.canvas.begin(np.broadcast_to(array, (rows, *wanted)))

    def _ascent(self, objective: Objective) -> Ascent:
        if objective.kind not in self._ascents:
            self._ascents[objective.kind] = Ascent(
                replace(self._total, objective=objective),
                self.frames or min(self.steps, PIECE),
                keep=self.keep,
                threshold=self.threshold,
                jit_compile=self.jit_compile,
            )
        return self._ascents[objective.kind]


def _drawn(image: tuple[int, ...], parameterization: str | None, box: Box, noise: float) -> Drawn:
    """Images of frequencies or pixels; by default frequencies where there are any."""
    kind = parameterization or ("fourier" if len(image) == 3 and min(image[:2]) > 1 else "pixel")
    if kind not in KINDS:
        raise ValueError(f"Expected parameterization to be one of {list(KINDS)}, got {parameterization!r}.")
    return Drawn(KINDS[kind](image), box, noise)


def _named(priors: Sequence[Prior]) -> dict[str, Prior]:
    """Priors by name: that of the function, or of the class in words; namesakes are numbered."""
    found: dict[str, Prior] = {}
    for prior in priors:
        if not callable(prior):
            raise TypeError(f"Expected priors to be functions of images, got {type(prior).__name__}.")
        name = getattr(prior, "__name__", None) or _words(type(prior).__name__)
        same = sum(known == name or known.startswith(f"{name} ") for known in found)
        found[f"{name} {same + 1}" if same else name] = prior
    return found


def _words(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")


def _image_spec(view: ModelView, shape: Sequence[int] | None) -> tf.TensorSpec:
    """What the one input of a model is; ValueError if it has several, or its shape is not known."""
    if view.opaque:
        raise ValueError(
            "Images are made by gradients, and a Python function has none. If it is made of TensorFlow operations, "
            "give tf.function(f)."
        )
    if view.inputs is None:
        if shape is None:
            raise ValueError("Expected shape=, that of one image, since the model leaves it open.")
        return tf.TensorSpec([None, *shape], tf.float32)
    if len(view.inputs) != 1:
        raise ValueError(f"Expected a model of one input, this one has {list(view.inputs)}.")
    (spec,) = view.inputs.values()
    if not spec.dtype.is_floating:
        raise ValueError("The model takes integers, which have no gradient. Give the part of it after the embedding.")
    own = spec.shape[1:] if shape is None else tuple(shape)
    if spec.shape.rank is None or not spec.shape[1:].is_compatible_with(own):
        raise ValueError(f"The model takes inputs of shape {tuple(spec.shape[1:])}, got shape={shape!r}.")
    if None in tuple(own):
        raise ValueError(f"The model takes inputs of shape {tuple(own)}; expected shape=, that of one image.")
    return tf.TensorSpec([spec.shape[0], *own], spec.dtype)
