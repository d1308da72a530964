"""Objects that users name by their module, as text that a command line and other processes can take."""

from __future__ import annotations

import functools
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def imported(option: str, given: str, example: str) -> Any:
    """What ``module:name`` stands for, or the module alone where there is no name."""
    module_name, _, name = given.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # a program that was installed does not look there
    try:
        module = importlib.import_module(module_name)
        return functools.reduce(getattr, name.split("."), module) if name else module
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ValueError(f"Expected {option} as MODULE:NAME, such as {example}, got {given!r}: {error}.") from error


def custom_objects(given: Sequence[str]) -> dict[str, Any]:
    """What ``module:name`` or ``module`` stand for, by the names under which files may know it."""
    found: dict[str, Any] = {}
    for one in given:
        value = imported("--custom-objects", one, "my_layers:Scale")
        name = one.partition(":")[2]
        if not name:  # importing a module registers what it holds
            continue
        if not isinstance(value, Mapping) and not callable(value):
            raise ValueError(f"Expected {one!r} to be a class, a function or a dict, got {type(value).__name__}.")
        found |= value if isinstance(value, Mapping) else {name: value, getattr(value, "__name__", name): value}
    return found
