"""Methods by name."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, cast

import keras

from tfxai import attribution, coalitions, inversion, neurons, relevance, resampling, synthesis
from tfxai.explainer import Explainer
from tfxai.explanation import Explanation
from tfxai.facts import Facts, Kind
from tfxai.naming import spelled
from tfxai.neurons.prediction import PredictionByFeatures
from tfxai.neurons.relevant import RelevantFeatures
from tfxai.options import InputOptions
from tfxai.types import Inputs, Model, Target, Verbose

ROOMS = (attribution, coalitions, relevance, inversion, synthesis, neurons, resampling)
ELSEWHERE = ("output", "signature", "classes")  # said of the model, and not in the text that names a method


def methods(kind: Kind | None = None) -> dict[str, type[Any]]:
    """Every method by its name.

    Parameters
    ----------
    kind : {"decision", "model", "neurons"}, optional
        Which methods: those that say why the model gives this output for this input, which `explain` takes by name;
        what a concept looks like to a model; which of its channels matter. Default: all.

    Returns
    -------
    dict
        Name to class; the class's ``facts`` list kind, use, cost in model passes, needs, drawback and reference.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.methods()["grad_cam"].facts.reference
    'Selvaraju et al. 2017'
    """
    exported = [getattr(room, name) for room in ROOMS for name in room.__all__]
    found = {one.facts.name: one for one in exported if isinstance(getattr(one, "facts", None), Facts)}
    return {name: cls for name, cls in found.items() if kind in (None, cls.facts.kind)}


def by_name(name: str) -> type[Explainer]:
    """The class of a method that explains decisions; ValueError with close matches if there is none."""
    known: dict[str, type[Explainer]] = methods("decision") | {PredictionByFeatures.facts.name: PredictionByFeatures}
    plain = {cls.__name__.lower(): short for short, cls in known.items()}  # "GradCAM", "gradcam++" serve too
    wanted = str(name).lower().replace("++", "_plus_plus")
    chosen = name if name in known else plain.get(wanted.replace("-", "").replace("_", ""))
    if chosen is None:
        other = methods().get(name)
        if other is not None:
            raise ValueError(f"The method {name} does not explain predictions. Use it as tfxai.{other.__name__}.")
        within = [one for one in known if wanted in one.split("_")]  # "shap" is the end of several
        close = list(dict.fromkeys([*within, *difflib.get_close_matches(wanted, known, n=3)])) or list(known)
        raise ValueError(f"Unknown method {name!r}. Expected one of {close}.")
    return known[chosen]


@dataclass(frozen=True)
class Named:
    """A method as a text names it.

    Attributes
    ----------
    title : str
        The text, with the method's own name.
    cls : type of Explainer
        Its class.
    options : dict
        For the constructor.
    inside : Named, optional
        The method that it gets in place of the model.
    """

    title: str
    cls: type[Explainer]
    options: dict[str, Any]
    inside: Named | None = None

    @property
    def innermost(self) -> Named:
        """The method that gets the model."""
        return self if self.inside is None else self.inside.innermost

    def takes(self, option: str) -> bool:
        """Whether the innermost method has such an option of its own."""
        return option in inspect.signature(self.innermost.cls).parameters

    def preset(self, **options: Any) -> Named:
        """The same method with options of the innermost, unless the text has them."""
        if self.inside is not None:
            return replace(self, inside=self.inside.preset(**options))
        return replace(self, options=options | self.options)

    def described(self) -> dict[str, Any]:
        """The method and its options, in words and numbers."""
        inside = {} if self.inside is None else {"inside": self.inside.described()}
        return {"method": self.cls.facts.name, "options": self.options, **inside}

    def make(self, model: Model, **options: Any) -> Explainer:
        """The explainer of a model, with more options; those of the model go to the innermost method."""
        options = self.options | options
        if self.inside is not None:
            of_model = _of_model(options)
            own = {name: value for name, value in options.items() if name not in of_model}
            return self.cls(self.inside.make(model, **of_model), **own)
        return _by_features(model, **options) if self.cls is PredictionByFeatures else self.cls(model, **options)


def named(text: str) -> Named:
    """The method that a text names, such as ``occlusion:window=16`` or ``smooth_grad(guided_backprop):samples=10``.

    Raises
    ------
    ValueError
        For a text that is not of this form, unknown methods or options, or a method in one that takes none.
    TypeError
        If it is not a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"Expected the name of a method, such as 'grad_cam', got an object of type {type(text)}.")
    found = spelled(text)
    cls = by_name(found.name)
    title = cls.facts.name
    known = [name for name in inspect.signature(cls).parameters if name not in ("model", *ELSEWHERE)]
    for option in found.options:
        if option not in known:
            expected = difflib.get_close_matches(option, known, n=3) or known
            raise ValueError(f"The method {title} has no option {option!r}. Expected one of {expected}.")
    inside = None
    if found.inside is not None:
        inside = named(found.inside)
        if not cls.wraps:
            wrapping = [name for name, one in methods("decision").items() if one.wraps]
            raise ValueError(
                f"The method {title} does not wrap another method. Those that do are {', '.join(wrapping)}."
            )
        title += f"({inside.title})"
    return Named(f"{title}:{found.given}" if found.given else title, cls, found.options, inside)


def _of_model(options: dict[str, Any]) -> InputOptions:
    """Of some options those that say how a model is looked at."""
    return cast(InputOptions, {name: one for name, one in options.items() if name in InputOptions.__annotations__})


def _by_features(model: Model, features: Any = None, **options: Any) -> PredictionByFeatures:
    """The explainer by features that were fitted to the model, or that a file holds."""
    if features is None:
        raise ValueError(
            "The method relevant_features needs features=, which are fitted first: features = "
            "tfxai.RelevantFeatures(model).fit(images, labels). The file written by features.save(file) works too."
        )
    if isinstance(features, str | PathLike):
        features = RelevantFeatures.load(features, model, **_of_model(options))  # type: ignore[misc]
    elif not isinstance(features, RelevantFeatures):
        raise TypeError(f"Expected features= to be RelevantFeatures or their file, got {type(features).__name__}.")
    elif isinstance(model, keras.Model) and getattr(features.view, "model", model) is not model:
        raise ValueError(
            "The features were fitted to another model. If it has the same layers, save them, and give the file as "
            "features=: it is then loaded for this model."
        )
    return PredictionByFeatures(features, **(features.options | options))


def explain(
    model: Model,
    images: Inputs,
    method: str = "grad_cam",
    target: Target = None,
    *,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Any,
) -> Explanation:
    """Explain a model's outputs by a method given by name.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; see `Explainer`.
    images : array, tensor, list or dict of them, or tf.data.Dataset
        Inputs as the model takes them, or strings, which go through ``preprocessor=``.
    method : str
        One of `methods`; or one of the methods that smooth another, around it: ``"smooth_grad(guided_backprop)"``. With
        options, if needed: ``"smooth_grad(occlusion:window=16):samples=10"``. ``"relevant_features"`` needs
        ``features=``, which are fitted `RelevantFeatures` or the path of their file.
    target : None, int, str, sequence, callable, Neuron or Channel
        As for `Explainer.explain`; None explains the predicted class.
    batch_size, verbose
        As for `Explainer.explain`.
    **options
        For the constructor of the method, such as ``layer=`` or ``steps=``. For a method around another, those of the
        model, such as ``score=``, go to the one inside.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError
        For an unknown method, an option that is given twice, or inputs that do not fit the model.
    TypeError
        For an option that the method does not have.

    Examples
    --------
    >>> import tfxai
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.explain(tfxai.datasets.flowers.load_model(), images, "grad_cam", target=labels).heatmaps().shape
    (2, 112, 112)
    """
    chosen = named(method)
    twice = sorted(chosen.options.keys() & options)
    if twice:
        raise ValueError(f"The option {twice[0]} is given twice: in {method!r} and as {twice[0]}=.")
    return chosen.make(model, **options).explain(images, target, batch_size, verbose)
