"""How far the work is: Keras's bar where a line can be written over, and plain lines elsewhere, such as in logs."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol, TextIO

import keras

EVERY = 10  # seconds between two lines


class Bar(Protocol):
    """What tells of progress."""

    def add(self, n: int) -> None:
        """So many more are done."""


def bar(total: int | None, unit: str) -> Bar:
    """A bar for so many units of work; None: it is not known how many there are.

    Keras's own writes escape codes and backspaces into pipes and files too.
    """
    rewritable = sys.stdout.isatty() or "ipykernel" in sys.modules
    return keras.utils.Progbar(total, unit_name=unit) if rewritable else Lines(total, unit)


def check(verbose: Any) -> None:
    """ValueError for a verbosity that does not exist."""
    if verbose not in ("auto", 0, 1):
        raise ValueError(f'Expected verbose to be "auto", 0 or 1, got {verbose!r}.')


class Lines:
    """A line every ten seconds, and one at the end; in a terminal one that is written over, if requested.

    Parameters
    ----------
    total : int or None
        Of all, if it is known.
    unit : str
        Of what.
    done : int
        Of an earlier run.
    stream : file, optional
        Where lines go; in a terminal they are written over. None: to stdout, one below the other.
    rate : bool
        Whether to say how many are done in a second.
    shown : bool
        False: only count.

    Examples
    --------
    >>> from tfxai.progress import Lines
    >>> lines = Lines(2, "input")
    >>> lines.done = 1
    >>> lines.line(5)
    '1 of 2 inputs, 5 s left'
    """

    def __init__(
        self,
        total: int | None,
        unit: str,
        *,
        done: int = 0,
        stream: TextIO | None = None,
        rate: bool = False,
        shown: bool = True,
    ):
        self.total, self.unit, self.before, self.done, self.failed = total, unit, done, done, 0
        self.stream, self.rate, self.shown = stream, rate, shown
        self.begin = self.said = time.monotonic()
        if done and shown:
            print(f"{self._counted()} were done before", file=stream, flush=True)

    def add(self, n: int, failed: int = 0) -> None:
        """So many more are done, of which some failed."""
        self.done, self.failed = self.done + n, self.failed + failed
        now = time.monotonic()
        over = self.stream is not None and self.stream.isatty()
        if self.shown and (over or self.done == self.total or now - self.said >= EVERY):
            self.said = now
            text, rewrite = self.line(now - self.begin), over and self.done != self.total
            print(f"{text:<78}" if over else text, end="\r" if rewrite else "\n", file=self.stream, flush=True)

    def line(self, seconds: float) -> str:
        """What is said after so many seconds."""
        new = self.done - self.before
        left = 0.0 if self.total is None or not new else seconds / new * (self.total - self.done)
        parts = [f"{self._counted()}{'' if left > 0 else f' in {duration(seconds)}'}"]
        if self.rate:
            parts.append(f"{new / max(seconds, 1e-9):,.1f} a second")
        if left > 0:
            parts.append(f"{duration(left)} left")
        return ", ".join([*parts, *([f"{self.failed:,} failed"] if self.failed else [])])

    def _counted(self) -> str:
        of = "" if self.total is None else f" of {self.total:,}"
        plural = "" if (self.total or self.done) == 1 else "es" if self.unit == "batch" else "s"
        return f"{self.done:,}{of} {self.unit}{plural}"


def duration(seconds: float) -> str:
    """A time in the unit that one thinks of it in."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
