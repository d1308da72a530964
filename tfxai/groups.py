"""Columns of a table: what they are called, and which belong together, such as those of one category."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

Groups: TypeAlias = Mapping[str, Sequence[int | str]] | Sequence[Sequence[int | str]]


def partition(groups: Groups | None, features: Sequence[str]) -> list[tuple[str, list[int]]]:
    """The columns of a table, each once: those of a group together, and each other one alone.

    Parameters
    ----------
    groups : mapping or sequence, optional
        Name to columns, by number or by name; or only the columns of each, which are then named after them.
    features : sequence of str
        Names of all columns.

    Returns
    -------
    list of (str, list of int)
        Names and columns, in the order of their first columns.

    Raises
    ------
    ValueError
        For a column that is in no table or in two groups, and for an empty group.

    Examples
    --------
    >>> from tfxai.groups import partition
    >>> partition({"colour": [1, "blue"]}, ["age", "red", "blue", "size"])
    [('age', [0]), ('colour', [1, 2]), ('size', [3])]
    """
    given = (
        groups.items() if isinstance(groups, Mapping) else [(None, one) for one in ([] if groups is None else groups)]
    )
    parts: list[tuple[str, list[int]]] = []
    owner: dict[int, str] = {}
    for label, columns in given:
        called = f"The group {str(columns if label is None else label)!r}"
        if isinstance(columns, str) or not isinstance(columns, Iterable):
            raise ValueError(f"{called} is {columns!r}: expected a list of columns, by number or by name.")
        found = [_column(called, one, features) for one in columns]
        if not found:
            raise ValueError(f"{called} is empty: expected the numbers or names of its columns.")
        name = " + ".join(features[column] for column in found) if label is None else str(label)
        for column in found:
            if column in owner:
                raise ValueError(
                    f"{called} holds the column {column}, {features[column]!r}, which is in {owner[column]!r} already: "
                    "expected each column once, so take it out of one."
                )
            owner[column] = name
        parts.append((name, found))
    parts += [(name, [column]) for column, name in enumerate(features) if column not in owner]
    return sorted(parts, key=lambda part: min(part[1]))


def _column(called: str, one: int | str, features: Sequence[str]) -> int:
    if isinstance(one, str) and one in features:
        return list(features).index(one)
    if isinstance(one, int | np.integer) and not isinstance(one, bool) and 0 <= one < len(features):
        return int(one)
    raise ValueError(
        f"{called} holds {one!r}, which is not a column: expected numbers from 0 to {len(features) - 1}, or names of "
        f"{list(features[:8])}{' and so on' if len(features) > 8 else ''}."
    )


def numbered(count: int) -> list[str]:
    """Names of columns that have none."""
    return [f"feature {number}" for number in range(count)]


def column_names(
    features: Any, parts: Sequence[tuple[str, int]], categories: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> list[str]:
    """Names of all columns of the inputs that are tables.

    Parameters
    ----------
    features : sequence of str or DataFrame, optional
        The names, or a table that has them. Default: those of the inputs, numbered where an input has several columns.
    parts : sequence of (str, int)
        Name and number of columns of each input; the name is empty where there is one input.
    categories : mapping of str to sequence of str, optional
        What the columns of an input stand for.
    """
    if features is None:
        (name, columns), *more = parts
        alone = not more and columns > 1
        if not name or (alone and name not in categories):
            return numbered(columns)
        return [one for name, columns in parts for one in _of_input(name, columns, categories.get(name))]
    if isinstance(features, str):
        raise ValueError(f"Expected features= to be a list of names, got the text {features!r}.")
    names = [str(name) for name in getattr(features, "columns", features)]
    count = sum(columns for _, columns in parts)
    if len(names) != count:
        raise ValueError(
            f"Expected features= to name each of {count} columns, got {len(names)} names. Groups are named by groups=."
        )
    return different(names)


def different(names: Any) -> Any:
    """The same names; ValueError if one occurs twice."""
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise ValueError(f"Expected features and groups to have different names, got {twice} more than once.")
    return names


def _of_input(name: str, columns: int, categories: Sequence[str] | None) -> list[str]:
    if columns == 1:
        return [name]
    if categories is None or len(categories) != columns:
        return [f"{name} {number}" for number in range(columns)]
    return [f"{name}={one}" for one in categories]
