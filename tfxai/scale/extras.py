"""Packages that are installed only where they are needed."""

from __future__ import annotations

import importlib
from typing import Any

EXTRAS = {"pyarrow": "scale", "ray": "ray"}


def needed(module: str, what: str) -> Any:
    """A module of an optional package; ImportError that says how to install it.

    Parameters
    ----------
    module : str
        Its full name.
    what : str
        What needs it, as the sentence begins.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'{what} need {package}: pip install "tfxai[{EXTRAS[package]}]".') from error
