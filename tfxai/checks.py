"""Checks that many parameters need: errors said once."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Any

import numpy as np


def positive(name: str, value: Any) -> int:
    """``value`` if it is a positive integer, else an error."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"Expected {name} to be a positive integer, got {value!r}.")
    return int(value)


def one_of(name: str, value: Any, known: Collection[Any]) -> None:
    """ValueError unless ``value`` is among those that are known."""
    if not (isinstance(value, Hashable) and value in known):
        raise ValueError(f"Expected {name} to be one of {list(known)}, got {value!r}.")


def above(low: float, **numbers: float) -> None:
    """ValueError unless all numbers are greater than ``low``."""
    for name, value in numbers.items():
        if not value > low:
            raise ValueError(f"Expected {name} to be greater than {low}, got {value!r}.")


def at_least(low: float, **numbers: float) -> None:
    """ValueError unless no number is smaller than ``low``."""
    for name, value in numbers.items():
        if not value >= low:
            raise ValueError(f"Expected {name} to be {low} or more, got {value!r}.")
