"""Which class of an input is explained, where a column of the source says it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfxai.targets import class_id

PREFIX = "column:"


def column_of(target: int | str | None) -> str | None:
    """The column that a target such as ``"column:label"`` names; None for any other."""
    if not isinstance(target, str) or not target.startswith(PREFIX):
        return None
    if target == PREFIX:
        raise ValueError('Expected the name of a column after "column:", such as target="column:label".')
    return target.removeprefix(PREFIX)


def is_name(said: Any) -> bool:
    """Whether a column says a name, and no number."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return isinstance(text, str) and bool(text) and not text.strip().isdecimal()


def wanted(said: Any, classes: Sequence[str] | None) -> int:
    """The number of the class that a column says, by its number or its name.

    Raises
    ------
    ValueError
        If it says nothing, or no class.

    Examples
    --------
    >>> from tfxai.scale.wanted import wanted
    >>> wanted("3", None), wanted(b"cat", ["dog", "cat"]), wanted(2.0, None)
    (3, 1, 2)
    """
    if isinstance(said, bytes):
        said = said.decode("utf-8", "replace")
    if said is None or said == "":
        raise ValueError("It has no target.")
    if isinstance(said, str):
        return class_id(said, classes) if is_name(said) or said in (classes or ()) else int(said)
    if np.ndim(said) or not np.isreal(said) or said != np.floor(said) or said < 0:
        raise ValueError(f"Expected a class as its target, by number from 0 or by name, got {said!r}.")
    return int(said)
