"""tfxai: explanations for Keras and TensorFlow models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfxai._version import __version__ as __version__

if TYPE_CHECKING:
    from tfxai.public import *  # noqa: F403
    from tfxai.public import __all__ as __all__


def __getattr__(name: str) -> Any:
    """A public name. All are imported with the first, as TensorFlow is, which takes seconds to start."""
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    public = importlib.import_module("tfxai.public")
    try:
        return getattr(public, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted(importlib.import_module("tfxai.public").__all__)
