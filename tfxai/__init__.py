"""tfxai: explanations for Keras and TensorFlow models."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from tfxai._version import __version__ as __version__

if TYPE_CHECKING:
    from tfxai.public import *  # noqa: F403
    from tfxai.public import __all__ as __all__


def __getattr__(name: str) -> Any:
    """A module of the package, or a public name. All of these are imported with the first, as TensorFlow is."""
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if importlib.util.find_spec(f"{__name__}.{name}") is not None:
        return importlib.import_module(f"{__name__}.{name}")  # without the others: these may be what is asking for it
    public = importlib.import_module("tfxai.public")
    try:
        return getattr(public, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted(importlib.import_module("tfxai.public").__all__)
