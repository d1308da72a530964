"""Outcome: what was computed of some inputs; what may go wrong with it, and what is kept then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from tfxai.targets import Request

Part = TypeVar("Part")


class NotFinite(ValueError):
    """Something that ought to be finite is not, in some row of a batch."""


class NoSuchClass(ValueError):
    """A class that the model does not have is asked for, in some row of a batch."""


class Outcome(NamedTuple):
    """What was computed of some inputs.

    Attributes
    ----------
    inputs : ndarray or dict
        These inputs, as the model takes them.
    found : dict
        Arrays with a row for each input, by name: what `tfxai.runner.Runner.compute` says, and ``ids`` and ``score``.
    known : dict
        What was known of it once its graph was traced.
    request : Request
        What was asked.
    target : str
        What that means, as `tfxai.goal.meaning` has it.
    texts : tuple of str, optional
        What was given, if these were strings.
    """

    inputs: Any
    found: dict[str, Any]
    known: dict[str, Any]
    request: Request
    target: str
    texts: tuple[str, ...] | None = None


@contextlib.contextmanager
def keeping(parts: Sequence[Part], join: Callable[[Sequence[Part]], Any], what: str) -> Iterator[None]:
    """An error keeps what was done before it, joined, as its attribute ``partial``, and says so."""
    try:
        yield
    except BaseException as error:
        if parts:
            done = join(parts)
            error.partial = done  # type: ignore[attr-defined]
            error.add_note(f"What was done before, {len(done)} {what}, is in this error's attribute 'partial'.")
        raise
