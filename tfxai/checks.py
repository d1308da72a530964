"""Checks that many parameters need: errors said once."""

from __future__ import annotations

from typing import Any

import numpy as np


def positive(name: str, value: Any) -> int:
    """``value`` if it is a positive integer, else an error."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"Expected {name} to be a positive integer, got {value!r}.")
    return int(value)
