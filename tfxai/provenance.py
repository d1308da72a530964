"""Where an explanation comes from: what is needed to make it again, in numbers and words that JSON can hold."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfxai._version import __version__
from tfxai.loops import Seeded

CHANGING = ("seed", "output", "signature")


def recorded(constructor: Callable, common: Callable | None = None) -> Callable:
    """An ``__init__`` that notes what it is called with.

    Parameters
    ----------
    constructor : callable
        The ``__init__`` of an explainer.
    common : callable, optional
        That of `Explainer`, to which it hands the options that it does not name.
    """

    @functools.wraps(constructor)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        if "_made_with" not in vars(self):  # else it is called by the constructor of a subclass
            self._made_with = _arguments(constructor, common, args, options)
        constructor(self, *args, **options)

    return __init__


def _arguments(constructor: Callable, common: Callable | None, args: tuple, options: Mapping) -> dict[str, Any]:
    """Arguments by name, defaults included, but for the model and the names of classes."""
    try:
        bound = inspect.signature(constructor).bind(None, *args, **options)
    except TypeError:  # the call itself will tell
        return {}
    bound.apply_defaults()
    kinds = {name: parameter.kind for name, parameter in bound.signature.parameters.items()}
    _, model, *others = kinds
    found: dict[str, Any] = {}
    if common and inspect.Parameter.VAR_KEYWORD in kinds.values() and not hasattr(bound.arguments[model], "_made_with"):
        shared = inspect.signature(common).parameters.values()
        found = {one.name: one.default for one in shared if one.kind is inspect.Parameter.KEYWORD_ONLY}
    for name in others:
        found |= (
            bound.arguments[name] if kinds[name] is inspect.Parameter.VAR_KEYWORD else {name: bound.arguments[name]}
        )
    return {name: plain(value) for name, value in found.items() if name != "classes"}


def origin(explainer: Any) -> dict[str, Any]:
    """The facts that every explanation has: options, seed, model and versions."""
    options, model = made_with(explainer), explainer.view.origin
    seed = {"seed": options["seed"]} if "seed" in options else {}
    versions = {"version": __version__, "tensorflow": tf.__version__, "keras": keras.__version__}
    return {"options": options, **seed, **model, **versions}


def made_with(explainer: Any) -> dict[str, Any]:
    """What an explainer was made with; the seed as it is now, and output and signature as its view has them."""
    now = {**explainer.view.origin, **({"seed": explainer.seed} if isinstance(explainer, Seeded) else {})}
    return {name: now[name] if name in CHANGING and name in now else x for name, x in explainer._made_with.items()}


def plain(value: Any) -> Any:
    """A value as JSON can hold it: of arrays shape, type and a hash, of functions and layers the name."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.ndarray | np.generic | tf.Tensor | tf.Variable):
        array = np.asarray(value)
        return plain(array.item()) if array.ndim == 0 else _digest(array)
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, keras.Layer):
        return value.name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        content = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"class": type(value).__name__, **content}
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))  # an address is of this process only


def _digest(array: np.ndarray) -> dict[str, Any]:
    content = array.astype(str) if array.dtype == object else array
    sha256 = hashlib.sha256(np.ascontiguousarray(content).tobytes()).hexdigest()
    return {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": sha256}
