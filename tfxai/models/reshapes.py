"""Which axes of a tensor become which, where it gets another shape."""

from __future__ import annotations

from collections.abc import Sequence


def known(sizes: Sequence[int | None]) -> list[int] | None:
    """Sizes, if all of them are known."""
    known = [size for size in sizes if size is not None]
    return known if len(known) == len(sizes) else None


def groups(old: Sequence[int | None], new: Sequence[int | None]) -> list[tuple[list[int], list[int]]]:
    """Which axes became which: the smallest groups of neighbours with equal numbers of values."""
    before, after = known(old), known(new)
    if before is not None and after is not None:
        return _grouped(before, after)
    shorter = min(len(old), len(new))
    first = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    last = 0
    while last < shorter - first and old[-1 - last] == new[-1 - last]:
        last += 1
    if first and shorter == first + last < max(len(old), len(new)):  # the rest was merged with the axis before it
        first -= 1
    front = [([n], [n]) for n in range(first)]
    back = [([len(old) - n], [len(new) - n]) for n in range(last, 0, -1)]
    return [*front, (list(range(first, len(old) - last)), list(range(first, len(new) - last))), *back]


def _grouped(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    groups = []
    olds: list[int] = []
    news: list[int] = []
    left, right = 1, 1
    waiting, coming = list(range(len(old))), list(range(len(new)))
    while waiting or coming:
        if waiting and (left <= right or not coming):
            olds.append(waiting.pop(0))
            left *= old[olds[-1]]
        else:
            news.append(coming.pop(0))
            right *= new[news[-1]]
        if left == right and olds and news:
            groups.append((olds, news))
            olds, news, left, right = [], [], 1, 1
    return [*groups, (olds, news)]
