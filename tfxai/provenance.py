"""Where an explanation comes from: what is needed to make it again, in numbers and words that JSON can hold."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, Unpack, get_args, get_origin, get_type_hints

import keras
import numpy as np
import tensorflow as tf

from tfxai._version import __version__
from tfxai.loops import Seeded
from tfxai.options import InputOptions

CHANGING = ("seed", "output", "signature")
KEYWORD_ONLY, REST = inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD


class Elsewhere:
    """The default of an option that something else decides, such as a preset."""

    def __repr__(self) -> str:
        return "..."


ELSEWHERE = Elsewhere()
Constructor = TypeVar("Constructor", bound=Callable[..., None])


def recorded(constructor: Constructor, base: Callable | None = None) -> Constructor:
    """A `strict` ``__init__`` of an explainer, which also notes what it is called with."""
    constructor = strict(constructor, base)
    signature = inspect.signature(constructor)

    @functools.wraps(constructor)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        if "_made_with" not in vars(self):  # else it is called by the constructor of a subclass
            self._made_with = _arguments(signature, args, options)
        constructor(self, *args, **options)

    return __init__  # type: ignore[return-value]


def strict(constructor: Constructor, base: Callable | None = None) -> Constructor:
    """An ``__init__`` whose signature says what its ``**options`` stand for, and which takes no others.

    Parameters
    ----------
    constructor : callable
        The ``__init__`` of a class.
    base : callable, optional
        That of the class to which the options go, which has their defaults.

    Raises
    ------
    TypeError
        In a call, for options that neither of them has, with close matches.
    """
    signature = spelled_out(constructor, base)
    complete = all(one.kind is not REST for one in signature.parameters.values())

    @functools.wraps(constructor)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        unknown = options.keys() - signature.parameters.keys()
        if complete and unknown:
            raise TypeError(_no_parameter(type(self), sorted(unknown)[0], list(signature.parameters)[1:]))
        constructor(self, *args, **options)

    __init__.__signature__ = signature  # type: ignore[attr-defined]
    return __init__  # type: ignore[return-value]


def spelled_out(constructor: Callable, base: Callable | None = None) -> inspect.Signature:
    """The signature of a constructor with the parameters that its ``**options`` stand for.

    If these are annotated as ``Unpack[ModelOptions]``, or another `TypedDict`, they are its keys, with the defaults of
    the base class's constructor, or `ELSEWHERE`. Without annotation, as users write it, `InputOptions` are among them.
    """
    signature = inspect.signature(constructor)
    *own, last = signature.parameters.values()
    if last.kind is not REST:
        return signature
    hint = last.annotation
    if isinstance(hint, str) and "Unpack[" in hint:
        hint = get_type_hints(constructor)[last.name]
    unpacked = get_origin(hint) is Unpack
    kinds = get_args(hint)[0].__annotations__ if unpacked else InputOptions.__annotations__
    known = inspect.signature(base).parameters if base else {}
    options = [
        known[name].replace(kind=KEYWORD_ONLY)
        if name in known
        else inspect.Parameter(name, KEYWORD_ONLY, default=ELSEWHERE, annotation=getattr(kind, "__forward_arg__", kind))
        for name, kind in kinds.items()
        if name not in signature.parameters
    ]
    return signature.replace(parameters=[*own, *options, *([] if unpacked else [last])])


def _no_parameter(cls: type, name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3) or list(known)
    return f"{cls.__name__} has no parameter {name!r}. Expected one of {close}."


def _arguments(signature: inspect.Signature, args: tuple, options: Mapping) -> dict[str, Any]:
    """Arguments by name, defaults included, but for the model and the names of classes."""
    try:
        bound = signature.bind(None, *args, **options)
    except TypeError:  # the call itself will tell
        return {}
    bound.apply_defaults()
    _, model, *names = signature.parameters
    wraps = hasattr(bound.arguments[model], "_made_with")  # an explainer, which has the options of the model
    apart = {"classes", *(InputOptions.__annotations__ if wraps else ())}
    found: dict[str, Any] = {}
    for name in names:
        value = bound.arguments[name]
        found |= value if signature.parameters[name].kind is REST else {name: value}
    return {name: plain(value) for name, value in found.items() if value is not ELSEWHERE and name not in apart}


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
