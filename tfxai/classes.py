"""Names of classes, as users have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

EXPECTED = "Expected classes to be the names of all classes in their order, or a dict of them by number"


def class_names(classes: Any) -> tuple[str, ...] | None:
    """The names of classes in the order of their numbers.

    Parameters
    ----------
    classes : sequence of str, dict or None
        Names in order; names by number, ``{0: "cat", 1: "dog"}``; or numbers by name, as Keras's ``class_indices``.
        Numbers as names are written out.

    Returns
    -------
    tuple of str or None

    Raises
    ------
    TypeError
        If it is none of these, such as one string, or a set, which has no order.
    ValueError
        If there are no names, or numbers are missing.

    Examples
    --------
    >>> from tfxai.classes import class_names
    >>> class_names({"dog": 1, "cat": 0})
    ('cat', 'dog')
    """
    if classes is None:
        return None
    if isinstance(classes, str | bytes | set | frozenset) or not isinstance(classes, Iterable):
        raise TypeError(f"{EXPECTED}, got {classes!r}.")
    names = _by_number(classes) if isinstance(classes, Mapping) and classes else list(classes)
    if not names:
        raise ValueError(f"{EXPECTED}, got none.")
    return tuple(_name(one) for one in names)


def check_count(names: tuple[str, ...] | None, count: int | None) -> None:
    """ValueError unless there is a name for each of the model's classes; None: not known."""
    if names is not None and count is not None and len(names) != count:
        raise ValueError(f"Expected classes to name the model's {count} classes, got {len(names)} names.")


def _by_number(classes: Mapping) -> list[Any]:
    number_first = all(_is_number(key) for key in classes)
    if number_first == all(_is_number(value) for value in classes.values()):
        raise TypeError(f"{EXPECTED}, {{0: name, ...}} or {{name: 0, ...}}, got {classes!r}.")
    by_number = {int(n): name for n, name in (classes if number_first else {v: k for k, v in classes.items()}).items()}
    if sorted(by_number) != list(range(len(classes))):
        raise ValueError(f"Expected a name for each number from 0 to {len(classes) - 1}, got {sorted(by_number)}.")
    return [by_number[number] for number in range(len(by_number))]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _name(name: Any) -> str:
    if hasattr(name, "numpy"):  # a tensor of names
        name = name.numpy()
    if isinstance(name, bytes):
        name = name.decode()
    if not isinstance(name, str) and not _is_number(name):
        raise TypeError(f"Expected the name of a class to be a string, got {name!r}.")
    return str(name)
