"""Methods by name."""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from typing import Any

from tfxai import attribution, inversion, neurons, relevance, resampling, synthesis
from tfxai.explainer import Explainer
from tfxai.explanation import Explanation
from tfxai.facts import Facts, Kind
from tfxai.types import Inputs, Model, Target, Verbose

ROOMS = (attribution, relevance, inversion, synthesis, neurons, resampling)


def methods(kind: Kind | None = None) -> dict[str, type[Any]]:
    """Every method by its name.

    Parameters
    ----------
    kind : {"decision", "model", "neurons"}, optional
        Which methods: those that tell why this output for this input, which `explain` takes by name; what a concept
        looks like to a model; which of its channels matter. Default: all.

    Returns
    -------
    dict
        Name to class; the class's ``facts`` tell kind, use, cost in model passes, needs, drawback and reference.

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
    known = methods("decision")
    plain = {cls.__name__.lower(): short for short, cls in known.items()}  # "GradCAM" is understood too
    chosen = name if name in known else plain.get(str(name).lower().replace("-", "").replace("_", ""))
    if chosen is None:
        other = methods().get(name)
        if other is not None:
            raise ValueError(f"The method {name} explains no single decisions. Use it as tfxai.{other.__name__}.")
        close = difflib.get_close_matches(str(name), known, n=3) or list(known)
        raise ValueError(f"Unknown method {name!r}. Expected one of {close}.")
    return known[chosen]


def with_options(text: str) -> tuple[type[Explainer], dict[str, Any]]:
    """The class and the options of a method given as one word, such as ``occlusion:window=16,fill=mean``.

    Values are Python literals, or else strings.
    """
    name, _, given = text.partition(":")
    cls = by_name(name)
    known = _options(cls)
    options: dict[str, Any] = {}
    for part in re.split(r",(?=\w+=)", given) if given else []:
        option, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"Expected options as NAME:OPTION=VALUE,OPTION=VALUE, got {text!r}.")
        if option not in known:
            raise ValueError(f"The method {cls.facts.name} has no option {option!r}. Expected one of {known}.")
        try:
            options[option] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[option] = value
    return cls, options


def _options(cls: type[Explainer]) -> list[str]:
    """What a method's constructor takes beside the model, its outputs and the names of their classes."""
    others = ("model", "output", "signature", "classes")
    return [name for name in inspect.signature(cls).parameters if name not in others]


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
        What is explained, as for `Explainer`.
    images : array, tensor, list or dict of them, or tf.data.Dataset
        Inputs as the model takes them.
    method : str
        One of `methods`.
    target : None, int, str, sequence, callable, Neuron or Channel
        As for `Explainer.explain`; None explains the predicted class.
    batch_size, verbose
        As for `Explainer.explain`.
    **options
        For the constructor of the method, such as ``layer=`` or ``steps=``.

    Returns
    -------
    Explanation

    Raises
    ------
    ValueError
        For an unknown method, or inputs that do not fit the model.
    TypeError
        For an option that the method does not have.

    Examples
    --------
    >>> import tfxai
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.explain(tfxai.datasets.flowers.load_model(), images, "grad_cam", target=labels).heatmaps().shape
    (2, 112, 112)
    """
    cls = by_name(method)
    return cls(model, **options).explain(images, target, batch_size, verbose)
