"""ActivationMaximization: the image that excites a class, a channel or any other part of a model most."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.checks import positive
from tfxai.descent import State, begin
from tfxai.facts import Facts
from tfxai.inputs import with_progress
from tfxai.loops import Seeded
from tfxai.models import open_model
from tfxai.models.view import traced
from tfxai.synthesis.box import box
from tfxai.synthesis.canvas import Canvas, Drawn, Generated
from tfxai.synthesis.compiled import PIECE, Compiled, image_spec
from tfxai.synthesis.objective import Numbers, Objective, Seen
from tfxai.synthesis.objectives import as_objective
from tfxai.synthesis.parameterization import KINDS
from tfxai.synthesis.result import Synthesis
from tfxai.synthesis.transforms import Transform, compose, robust

CODE_DECAY = 5e-3  # of codes: the weight decay of Aleksandrov and Hsu


class ActivationMaximization(Seeded):
    """Images that excite a part of the model most: what a class, a channel or a neuron looks like to it.

    Each image x maximises ``objective(x) - priors(x) + expert_weight * log p(x)`` by Adam. In the *general* form
    (Simonyan et al. 2014) x itself is sought and there is no p; *with an expert*, p is a density of the data; *in code
    space* (Nguyen et al. 2016), codes z are sought of which a generator makes the images. All steps run in one compiled
    loop, for all images at once.

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
        Standard deviation of the noise around the middle of the bounds, about as a share of the way to them; of codes
        it is 1. Default 0.3 (ours): a ReLU that nothing excites at the start has no gradient, and stays silent.
    priors : callable or sequence of callables
        Costs of images: those of `tfxai.priors`, or any function from images to (n,) costs. Default: none.
    weight_decay : float, optional
        Cost ``weight_decay * ||z||^2`` of the numbers z that are sought. Default 0, of codes 0.005. The decay of
        PyTorch's Adam is half of it.
    transforms : callable or sequence of callables, optional
        How images are moved before the model sees them, see `tfxai.transforms`. Default: `tfxai.transforms.robust` for
        frequencies, else none.
    expert : object, optional
        In TensorFlow operations, ``log_prob(x)``, (n,) log-densities of images, or ``score(x)``, their gradient.
    expert_weight : float
        What it counts. Default 1.
    generator : keras.Model or path, optional
        Makes images of codes.
    generator_range : (low, high) or "input"
        What the generator's outputs lie between, to be rescaled to the bounds of ``preprocess``; "input": they are
        inputs of the model as they are. Must be given with a generator.
    steps : int
        Of Adam. Default 256.
    learning_rate : float
        Of Adam. Default 0.05 (lucid).
    threshold : float, optional
        An image stops when the probability of its class is so high.
    keep : {"best", "last"}, optional
        Whether to return what had the highest total, or what came last. Default: the best, unless transforms make
        totals of steps differ by luck, or the expert has no log-density.
    frames : int
        Keep an image every so many steps. Default 0: none.
    seed : int
        Of noise and transforms.
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
    >>> maximization = tfxai.ActivationMaximization(model, objective, "none", steps=5, shape=(64, 64, 3))
    >>> maximization().images.shape
    (1, 64, 64, 3)
    >>> maximization(objective=[0, 1, 2]).labels
    ['class 0', 'class 1', 'class 2']
    """

    facts = Facts(
        "activation_maximization",
        use="what a class, a channel or a neuron looks like to the model",
        cost="1 gradient pass a step",
        needs="a model of images that can be differentiated",
        drawback="shows one way to excite the model, not what decides on real images",
        reference="Simonyan et al. 2013, Nguyen et al. 2016",
        kind="model",
    )

    def __init__(
        self,
        model: Any,
        objective: Any,
        preprocess: Any = None,
        *,
        boxed: str = "sigmoid",
        parameterization: str | None = None,
        start: Any = "noise",
        noise: float = 0.3,
        priors: Any = (),
        weight_decay: float | None = None,
        transforms: Any = None,
        expert: Any = None,
        expert_weight: float = 1.0,
        generator: Any = None,
        generator_range: Any = None,
        steps: int = 256,
        learning_rate: float = 0.05,
        threshold: float | None = None,
        keep: str | None = None,
        frames: int = 0,
        seed: int = 0,
        shape: Sequence[int] | None = None,
        output: str | int | None = None,
        signature: str | None = None,
        jit_compile: bool | str = "auto",
    ):
        super().__init__(seed)
        self.view = open_model(model, output, signature)
        self.spec = image_spec(self.view, shape)
        self.steps, self.learning_rate = positive("steps", steps), learning_rate
        self.frames = positive("frames", frames) if frames else 0
        for name, value in {"learning_rate": learning_rate, "noise": noise, "weight_decay": weight_decay or 0}.items():
            if not value >= 0:
                raise ValueError(f"Expected {name} to be 0 or more, got {value!r}.")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"Expected threshold to be a probability, got {threshold!r}.")
        if keep not in (None, "best", "last"):
            raise ValueError(f'Expected keep to be "best" or "last", got {keep!r}.')
        if jit_compile not in ("auto", True, False):
            raise ValueError(f'Expected jit_compile to be "auto", True or False, got {jit_compile!r}.')
        self.threshold = threshold
        self.jit_compile = bool(tf.config.list_physical_devices("GPU")) if jit_compile == "auto" else jit_compile

        image = tuple(self.spec.shape[1:])
        self.box = box(preprocess, image[-1], boxed)
        self.canvas: Canvas
        if generator is None:
            kind = parameterization or ("fourier" if len(image) == 3 and min(image[:2]) > 1 else "pixel")
            if kind not in KINDS:
                raise ValueError(f"Expected parameterization to be one of {list(KINDS)}, got {parameterization!r}.")
            self.canvas = Drawn(KINDS[kind](image), self.box, noise)
        else:
            if parameterization is not None:
                raise ValueError("Expected no parameterization along with a generator, whose codes are sought.")
            kind = "code"
            self.canvas = Generated(generator, generator_range, self.box, image, 1.0)
        decay = CODE_DECAY if generator is not None else 0.0
        self.weight_decay = decay if weight_decay is None else weight_decay
        self.transform: Transform | None = robust() if transforms is None and kind == "fourier" else None
        if transforms is not None:
            several = (transforms,) if callable(transforms) else tuple(transforms)
            self.transform = compose(*several) if several else None
        self.priors = _named((priors,) if callable(priors) else tuple(priors))
        if expert is not None and not (hasattr(expert, "log_prob") or hasattr(expert, "score")):
            raise TypeError(f"Expected an expert with log_prob(x) or score(x), got {type(expert).__name__}.")
        self.expert, self.expert_weight = expert, expert_weight
        whole = self.transform is None and (expert is None or hasattr(expert, "log_prob"))
        self.keep = keep or ("best" if whole else "last")
        self.start = start
        self._shapes: dict[Hashable, Any] = {}
        self._compiled: dict[Hashable, Compiled] = {}
        self.objective = self._checked(objective)

    def __call__(
        self, n: int | None = None, objective: Any = None, start: Any = None, verbose: str | int = "auto"
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
        compiled = self._compile(sought)

        state = begin(numbers, len(compiled.terms))
        history, frames = [], [(0, compiled.images(numbers).numpy())] if self.frames else []
        piece = self.frames or min(self.steps, PIECE)
        stops = range(piece, self.steps + piece, piece)
        rate = tf.constant(self.learning_rate, tf.float32)
        try:
            for stop in with_progress(iter(stops), len(stops), verbose):
                before = int(state.number)
                state, terms = compiled.ascend(state, values, tf.constant(min(stop, self.steps)), rate)
                history.append(terms.numpy()[:, : int(state.number) - before])
                if self.frames:
                    frames.append((int(state.number), compiled.images(state.values).numpy()))
                if not tf.reduce_any(state.active):
                    break
        except KeyboardInterrupt as error:
            error.partial = self._result(compiled, sought, state, values, history, frames)  # type: ignore[attr-defined]
            error.add_note(f"The images after {int(state.number)} steps are in this error's attribute 'partial'.")
            raise
        return self._result(compiled, sought, state, values, history, frames)

    def _result(
        self,
        compiled: Compiled,
        objective: Objective,
        state: State,
        values: Numbers,
        history: list[np.ndarray],
        frames: list[tuple[int, np.ndarray]],
    ) -> Synthesis:
        numbers, images, terms, probability = compiled.finish(state, values)
        if not np.isfinite(terms).all():
            raise ValueError(
                "The total of objective and priors is not finite. Check the weights of the model and of priors, and "
                "the start."
            )
        steps = np.concatenate(history, 1) if history else np.zeros((len(images), 0, len(compiled.terms)), np.float32)
        found = {name: steps[..., place] for place, name in enumerate(compiled.terms)}
        return Synthesis(
            images=images.numpy(),
            score=terms.numpy()[:, 0],
            labels=[objective.text(row) for row in range(len(images))],
            probability=probability.numpy() if compiled.has_probability else None,
            codes=numbers.numpy() if isinstance(self.canvas, Generated) else None,
            history=found | {"total": steps.sum(2)},
            steps=state.steps.numpy() - state.reached.numpy(),  # those that were enough were not moved
            frames=np.stack([image for _, image in frames]) if frames else None,
            frame_steps=[number for number, _ in frames],
            box=self.box,
        )

    def _checked(self, given: Any) -> Objective:
        """The objective, if the model has what it asks for."""
        objective = as_objective(given)
        names = tuple(dict.fromkeys(self.view.find(one) for one in objective.layers))
        if names not in self._shapes:
            self._shapes[names] = traced(self.view, names, self.spec, lambda _, seen: Seen(self.view, seen).shapes)
        objective.check(self._shapes[names], self.view.find)
        if self.threshold is not None and objective.probability is None:
            raise ValueError("Expected threshold= only for objectives with a class_score, of which there is none.")
        return objective

    def _numbers(self, n: int | None, objective: Objective, start: Any) -> tf.Tensor:
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

    def _compile(self, objective: Objective) -> Compiled:
        if objective.kind not in self._compiled:
            self._compiled[objective.kind] = Compiled(self, objective)
        return self._compiled[objective.kind]


def _named(priors: Sequence[Callable]) -> dict[str, Callable]:
    """Priors by name: that of the function, or of the class in words; namesakes are numbered."""
    found: dict[str, Callable] = {}
    for prior in priors:
        if not callable(prior):
            raise TypeError(f"Expected priors to be functions of images, got {type(prior).__name__}.")
        name = getattr(prior, "__name__", None) or _words(type(prior).__name__)
        same = sum(known == name or known.startswith(f"{name} ") for known in found)
        found[f"{name} {same + 1}" if same else name] = prior
    return found


def _words(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).strip("_")
