"""Explanations of several batches as one: of arrays, or where inputs differ in size of lists of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.explanation import Explanation, restored


class RaggedExplanation(Explanation):
    """Explanations of inputs that differ in size.

    It is an `Explanation` whose ``values``, ``inputs`` and entries of ``extras`` are lists with an array for each
    input, without a batch axis; so is what `heatmaps` returns. Single ones, ``explanation[2]``, and slices in which all
    inputs have one size, are ordinary explanations with arrays. ``facts`` holds what is true of all of them.

    Parameters
    ----------
    parts : sequence of Explanation
        By one method, each of inputs of one size.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> images = [np.ones((8, 6, 3)), np.ones((5, 9, 3))]
    >>> explanation = tfxai.Occlusion(lambda x: x.mean((1, 2)), window=2)(images, target=0, verbose=0)
    >>> [one.shape for one in explanation.heatmaps()], explanation[1].values.shape
    ([(8, 6), (5, 9)], (1, 5, 9))
    """

    def __init__(self, parts: Sequence[Explanation]):
        first = parts[0]
        super().__init__(
            _rows([part.values for part in parts]),
            first.target if isinstance(first.target, str) else np.concatenate([part.target for part in parts]),
            np.concatenate([part.score for part in parts]),
            _rows([part.inputs for part in parts]),
            first.method,
            first.polarity,
            first.classes,
            _rows([part.extras for part in parts]),
            {name: fact for name, fact in first.facts.items() if all(part.facts.get(name) == fact for part in parts)},
            None,
            _chained(parts, "texts"),
            _chained(parts, "pieces"),
        )
        object.__setattr__(self, "_parts", tuple(parts))  # the class is frozen

    @property
    def parts(self) -> tuple[Explanation, ...]:
        return self._parts  # type: ignore[attr-defined]

    def __getitem__(self, key: Any) -> Explanation:
        if not isinstance(key, int | np.integer):
            return join([self[number] for number in np.arange(len(self))[key]])
        if not -len(self) <= key < len(self):
            raise IndexError(f"There are {len(self)} explanations, so none has the number {key}.")
        rest = int(key) % len(self)
        for part in self.parts:
            if rest < len(part):
                break
            rest -= len(part)
        return part[rest]

    def heatmaps(self, *args: Any, **options: Any) -> list[np.ndarray]:  # type: ignore[override]
        """As `Explanation.heatmaps`, a list of one for each input."""
        return [one for part in self.parts for one in part.heatmaps(*args, **options)]

    def of(self, input: str | None = None) -> tuple[list[np.ndarray], list[np.ndarray]]:  # type: ignore[override]
        """As `Explanation.of`, lists of one for each input."""
        found = [part.of(input) for part in self.parts]
        return _rows([values for values, _ in found]), _rows([shown for _, shown in found])

    def packed(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """As `Explanation.packed`, one part after the other."""
        headers, arrays = zip(*(part.packed() for part in self.parts), strict=True)
        named = {f"{number}/{name}": x for number, own in enumerate(arrays) for name, x in own.items()}
        return {"class": type(self).__name__, "parts": headers}, named

    @classmethod
    def unpacked(cls, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> RaggedExplanation:
        """What `packed` was made of."""
        own: list[dict[str, np.ndarray]] = [{} for _ in header["parts"]]
        for key, x in arrays.items():
            number, name = key.split("/", 1)
            own[int(number)][name] = x
        return cls([restored(*part) for part in zip(header["parts"], own, strict=True)])

    def __repr__(self) -> str:
        return f"RaggedExplanation({self.method}, {len(self)} inputs of different size, target {self.target!r})"


def join(parts: Sequence[Explanation]) -> Explanation:
    """One explanation of all inputs, in their order."""
    runs = [_concatenated(list(run)) for _, run in groupby(parts, _sizes)]
    return runs[0] if len(runs) == 1 else RaggedExplanation(runs)


def side_by_side(explanations: Any) -> tuple[list[Explanation], list[str] | None]:
    """Explanations that are shown side by side, and their titles if these are given, as the keys of a dict."""
    titles = list(map(str, explanations)) if isinstance(explanations, Mapping) else None
    found = list(explanations.values()) if isinstance(explanations, Mapping) else explanations
    found = [found] if isinstance(found, Explanation) else list(found)
    if not found:
        raise ValueError("Expected at least one explanation, got none.")
    wrong = [type(one).__name__ for one in found if not isinstance(one, Explanation)]
    if wrong:
        raise TypeError(f"Expected explanations, got {', '.join(wrong)}.")
    counts = [len(one) for one in found]
    if len(set(counts)) > 1 or not counts[0]:
        raise ValueError(f"Expected explanations of the same inputs, at least one, got {counts} inputs.")
    return found, titles


def method_of(explanation: Explanation) -> str:
    """What an explanation is called: its method, with the one that it wraps."""
    base = explanation.facts.get("base", "saliency")
    method = explanation.method or "explanation"
    return method if base == "saliency" else f"{method} of {base}"


def _sizes(part: Explanation) -> Any:
    """What must be equal in batches that are concatenated."""
    content = (part.values, part.inputs, part.extras)
    return tf.nest.map_structure(lambda x: x.shape[1:], content)


def _concatenated(parts: list[Explanation]) -> Explanation:
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    arrays = {
        name: tf.nest.map_structure(lambda *x: np.concatenate(x), *(getattr(part, name) for part in parts))
        for name in ("values", "score", "inputs", "extras", "target")
        if not isinstance(getattr(first, name), str)
    }
    return replace(first, **arrays, texts=_chained(parts, "texts"), pieces=_chained(parts, "pieces"))


def _chained(parts: Sequence[Explanation], name: str) -> Any:
    """The texts or pieces of all parts, if they have some."""
    found = [getattr(part, name) for part in parts]
    return None if None in found else tuple(chain.from_iterable(found))


def _rows(contents: Sequence[Any]) -> Any:
    """Lists of rows, in the structure of the contents."""
    if isinstance(contents[0], dict):
        return {name: _rows([content[name] for content in contents]) for name in contents[0]}
    return [row for content in contents for row in content]
