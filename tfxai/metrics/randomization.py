"""Whether maps depend on what a model has learnt: they must change when its weights, its labels or the class do."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from matplotlib.figure import Figure

from tfxai import api
from tfxai import inputs as given
from tfxai.brief import brief
from tfxai.checks import one_of
from tfxai.explainer import Explainer
from tfxai.explanation import Explanation
from tfxai.metrics.given import explained, maps_of
from tfxai.metrics.similarity import MapSimilarity, map_similarity, said
from tfxai.models import ModelView, open_model
from tfxai.models.detached import Weight, detached
from tfxai.models.head import scores
from tfxai.models.view import traced
from tfxai.plotting import plot_grid
from tfxai.types import Inputs, Model, Target, Verbose

Order = Literal["cascading", "independent"]
# From the name of a weight and its values, to those that stand in their place.
Draw: TypeAlias = Callable[[str, np.ndarray, np.random.Generator], np.ndarray]
How: TypeAlias = Literal["permute", "initialize"] | Draw
# The name of a method, a class of explainers, or a function from a model to an explainer.
Method: TypeAlias = str | Callable[..., Explainer]

COLUMNS = 6  # stages of a figure


@dataclass(frozen=True)
class RandomizationReport:
    """How similar the maps of a method stay while the weights of a model are lost.

    Attributes
    ----------
    stages : tuple of str
        What is randomised, one stage after the other; of several layers the last.
    spearman, spearman_absolute : ndarray
        (stages, n) rank correlation with the map of the model as it is, of the values and of their magnitudes.
    ssim : ndarray or None
        (stages, n) structural similarity of the magnitudes; None for maps that are not pictures. See `map_similarity`.
    empty : ndarray
        (stages, n) whether a map is the same everywhere, with or without the model's own weights: then its correlations
        are 0, and say nothing.
    kept : dict
        "original" and each stage to the explanation of the inputs that were kept.
    """

    stages: tuple[str, ...]
    spearman: np.ndarray
    spearman_absolute: np.ndarray
    ssim: np.ndarray | None
    empty: np.ndarray
    kept: dict[str, Explanation] = field(default_factory=dict)

    __repr__ = brief

    def __str__(self) -> str:
        measures = {"Spearman": self.spearman, "of magnitudes": self.spearman_absolute, "SSIM": self.ssim}
        columns = {name: x for name, x in measures.items() if x is not None}
        rows = [("stage", *columns, "empty")]
        for number, stage in enumerate(self.stages):
            share = f"{self.empty[number].mean():.0%}"
            rows.append((stage, *(said(x[number]) for x in columns.values()), share))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def plot(self, stages: Sequence[str] | None = None, **options: Any) -> Figure:
        """The maps of the inputs that were kept: a row for each, a column for each stage.

        Parameters
        ----------
        stages : sequence of str, optional
            Which; default: six, from the first to the last.
        **options
            As for `tfxai.plot_grid`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If no inputs were kept, or there is no such stage.
        """
        if not self.kept:
            raise ValueError("No maps were kept. Give model_randomization keep=4 to keep those of the first 4 inputs.")
        if stages is None:
            some = np.linspace(0, len(self.stages) - 1, min(COLUMNS, len(self.stages)))
            stages = [self.stages[n] for n in some.round().astype(int)]
        for stage in stages:
            one_of("stages", stage, self.stages)
        return plot_grid({name: self.kept[name] for name in ("original", *stages)}, **options)


def model_randomization(
    model: Model,
    inputs: Inputs,
    method: Method,
    target: Target = None,
    *,
    order: Order = "cascading",
    how: How = "permute",
    layers: Sequence[str | Sequence[str]] | None = None,
    seed: int = 0,
    keep: int = 0,
    input: str | None = None,
    output: str | int | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Any,
) -> RandomizationReport:
    """How similar the maps of a method stay while the weights of the model are replaced by random ones.

    The test of Adebayo et al. (2018): a method that explains what the model has learnt gives a different map once that
    is lost. One whose maps stay the same merely redraws the input, as an edge detector does. Layers are randomised from
    the one nearest to the output on, those of nested models and blocks one by one, statistics of batch normalisation
    too. The target stays what it was; for the predicted class, it is the class that the model predicts with its own
    weights.

    The model is never changed: it is read with weights that stand in the place of its own. The explainer is traced
    once, so a stage costs one explanation of the inputs.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function or path
        In a SavedModel a layer is what the names of its variables have in common before the last "/".
    inputs : array, tensor, list or dict of them, or dataset
        As `Explainer.explain` takes them.
    method : str, class or callable
        As `tfxai.explain` takes it, ``"smooth_grad(saliency)"``; or a class of explainers, or a function from the model
        to an explainer.
    target : None, int, str, sequence, callable or target
        As `Explainer.explain` takes it.
    order : {"cascading", "independent"}
        Each stage randomises one more layer (default), or one layer alone.
    how : {"permute", "initialize"} or callable
        All entries of each weight are permuted (default), which keeps their distribution, so that signals neither die
        nor explode; or drawn as the layer initialises them (the paper), or permuted where it does not tell how (no
        SavedModel does). A
        function gets the name of a weight, ``"block/conv/kernel"``, its values and a random generator, and returns what
        stands in their place.
    layers : sequence, optional
        What is randomised, stage by stage: names of layers, or several of them for one stage. The name of a nested
        model or block stands for all that is in it. Default: every layer with weights.
    seed : int
        Seed of the random weights; each has random numbers of its own, in whatever stage it is replaced.
    keep : int
        For how many of the first inputs the maps of all stages are kept, for figures. Default none.
    input : str, optional
        Whose maps are compared, if the model has several inputs.
    output : str or int, optional
        Which output, if the model has several.
    batch_size : int
        How many inputs at once.
    verbose : {"auto", 0, 1}
        Progress bar; "auto": if there is more than one stage.
    **options
        Of the method.

    Returns
    -------
    RandomizationReport
        Print it for a table.

    Raises
    ------
    ValueError
        For a model without weights that can be replaced, unknown layers, or random weights with which the model's
        outputs are no longer finite.
    TypeError
        If the method does not make an explainer.

    Notes
    -----
    Magnitudes of maps that are multiplied by the input stay alike because the input does; look at the signed
    correlation too. A low similarity does not make a method right: noise passes as well, and so does a map that is
    empty because no signal comes through the random layers; the report counts these.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> layers = ["logits", "block3_conv"]
    >>> report = tfxai.metrics.model_randomization(model, images, "saliency", layers=layers, verbose=0)
    >>> report.stages, report.ssim.shape
    (('logits', 'block3_conv'), (2, 2))
    """
    one_of("order", order, get_args(Order))
    if not callable(how):
        one_of("how", how, ("permute", "initialize"))
    view = detached(open_model(model, output))
    explainer = _made(method, view, options)
    if explainer.view is not view:
        raise ValueError(
            "Expected method to make an explainer of the model that it is given, but it made one of another."
        )
    original = explainer.explain(inputs, target, batch_size, verbose=0)
    inputs, target = explained(original, None, target)
    weights = view.layer_weights(original.parts[0].inputs)
    stages = _stages(weights, layers)
    every = [one for part in weights.values() for one in part]
    seeds = {one.name: number for number, one in enumerate(every)}

    kept = {"original": original[:keep]} if keep else {}
    found: list[MapSimilarity] = []
    empty: list[np.ndarray] = []
    for stage, replaced in given.with_progress(iter(stages.items()), len(stages), verbose, "stage"):
        if order == "independent":
            for one in every:
                one.restore()
        for one in replaced:
            one.value.assign(_drawn(one, how, np.random.default_rng((seed, seeds[one.name]))))
        try:
            now = explainer.explain(inputs, target, batch_size, verbose=0)
        except ValueError as error:
            error.add_note(f"This happens with random weights of {stage!r}; try how='permute', or another seed.")
            raise
        found.append(map_similarity(original, now, input=input))
        empty.append(_constant(original, input) | _constant(now, input))
        if keep:
            kept[stage] = now[:keep]
    spearman, absolute, pictures = zip(*found, strict=True)
    structure = None if pictures[0] is None else np.stack(pictures)
    return RandomizationReport(tuple(stages), np.stack(spearman), np.stack(absolute), structure, np.stack(empty), kept)


def random_logit(
    explainer: Explainer,
    inputs: Inputs,
    target: Target = None,
    *,
    other: Sequence[int] | np.ndarray | None = None,
    seed: int = 0,
    input: str | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
) -> MapSimilarity:
    """How similar the map of a class is to that of another one, drawn at random.

    After Sixt et al. (2020): an explanation of a class that looks like that of any other does not explain the class.

    Parameters
    ----------
    explainer : Explainer
        Of a classifier.
    inputs : array, tensor, list or dict of them, or dataset
        As `Explainer.explain` takes them.
    target : None, int or sequence of int
        The classes that are explained; default: those that the model predicts.
    other : sequence of int, optional
        (n,) the classes that they are compared with. Default: for each input one of all others.
    seed : int
        Of these.
    input : str, optional
        Whose maps are compared, if the model has several inputs.
    batch_size, verbose
        As for `Explainer.explain`.

    Returns
    -------
    MapSimilarity
        See `map_similarity`.

    Raises
    ------
    ValueError
        If targets are not classes, or there is only one.

    Examples
    --------
    >>> import tfxai
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=2)
    >>> explainer = tfxai.GradCAM(tfxai.datasets.flowers.load_model())
    >>> tfxai.metrics.random_logit(explainer, images, labels).spearman.shape
    (2,)
    """
    first = explainer.explain(inputs, target, batch_size, verbose)
    if isinstance(first.target, str):
        raise ValueError(f"Expected classes as target, got {first.target!r}: there is no other to compare it with.")
    if other is None:
        count = _classes(explainer.view, first.parts[0].inputs)
        if count < 2:
            raise ValueError("The model has one output, so there is no other class to compare it with.")
        step = np.random.default_rng(seed).integers(1, count, len(first))
        other = (first.target + step) % count
    return map_similarity(first, explainer.explain(first.inputs, other, batch_size, verbose), input=input)


def data_randomization(
    model: Model,
    random_model: Model,
    inputs: Inputs,
    method: Method,
    target: Target = None,
    *,
    input: str | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Any,
) -> MapSimilarity:
    """How similar the maps of a model are to those of one that was trained on random labels.

    After Adebayo et al. (2018): a model that had to learn its labels by heart knows nothing of what is in the images,
    so maps that tell what a model knows must differ.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        Trained on the labels.
    random_model : keras.Model, SavedModel, callable or path
        Trained in the same way on the same inputs, with their labels permuted.
    inputs : array, tensor, list or dict of them, or dataset
        As `Explainer.explain` takes them.
    method : str, class or callable
        As `model_randomization` takes it.
    target : None, int, str, sequence, callable or target
        What is explained of both; default: the class that ``model`` predicts.
    input : str, optional
        Whose maps are compared, if the models have several inputs.
    batch_size, verbose
        As for `Explainer.explain`.
    **options
        Of the method.

    Returns
    -------
    MapSimilarity
        See `map_similarity`.

    Raises
    ------
    ValueError, TypeError
        As `Explainer.explain`.

    Examples
    --------
    >>> import tfxai
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> tfxai.metrics.data_randomization(model, model, images, "grad_cam").spearman.round(6)
    array([1., 1.])
    """
    first = _made(method, model, options).explain(inputs, target, batch_size, verbose)
    second = _made(method, random_model, options).explain(*explained(first, None, target), batch_size, verbose)
    return map_similarity(first, second, input=input)


def _made(method: Method, model: Model, options: dict[str, Any]) -> Explainer:
    """The explainer of a model."""
    if isinstance(method, Explainer) or not (isinstance(method, str) or callable(method)):
        raise TypeError(
            "Expected method to be a name such as 'grad_cam', a class of explainers or a function from the model to an "
            f"explainer, got an object of type {type(method).__name__}."
        )
    found = api.named(method).make(model, **options) if isinstance(method, str) else method(model, **options)
    if not isinstance(found, Explainer):
        raise TypeError(f"Expected method to make an Explainer, it made an object of type {type(found).__name__}.")
    return found


def _stages(weights: dict[str, list[Weight]], layers: Sequence[str | Sequence[str]] | None) -> dict[str, list[Weight]]:
    """What each stage replaces."""
    if not weights:
        raise ValueError("The model has no weights that could be random.")
    if layers is None:
        return weights
    stages: dict[str, list[Weight]] = {}
    for stage in [layers] if isinstance(layers, str) else layers:
        names = [stage] if isinstance(stage, str) else list(stage)
        stages[names[-1]] = []
        for name in names:
            own = [one for path, part in weights.items() if path == name or path.startswith(f"{name}/") for one in part]
            if not own:
                close = difflib.get_close_matches(name, weights, n=4, cutoff=0.3) or list(weights)
                raise ValueError(f"Expected layers to be names of layers with weights, such as {close}, got {name!r}.")
            stages[names[-1]] += own
    return stages


def _drawn(weight: Weight, how: How, random: np.random.Generator) -> np.ndarray:
    """Random values of a weight."""
    values = weight.original.numpy()
    if callable(how):
        return np.asarray(how(weight.name, values, random)).reshape(values.shape)
    drawn = weight.initialized(random) if how == "initialize" else None
    return random.permutation(values.ravel()).reshape(values.shape) if drawn is None else drawn


def _constant(explanation: Explanation, input: str | None) -> np.ndarray:
    """(n,) whether a map is the same everywhere."""
    return np.array([np.ptp(one) == 0 for part in explanation.parts for one in maps_of(part, input)])


def _classes(view: ModelView, batch: Any) -> int:
    """How many classes a model tells apart."""
    return traced(view, [], batch, lambda _, run: scores(run.outputs, None).values.shape[-1]) or 0
