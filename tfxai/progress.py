"""How far the work is: Keras's bar where a line can be written over, and plain lines elsewhere, such as in logs."""

from __future__ import annotations

import sys
import time
from typing import Protocol

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


class Lines:
    """A line every ten seconds, and one at the end.

    Examples
    --------
    >>> from tfxai.progress import Lines
    >>> Lines(2, "input").line(1, 5)
    '1 of 2 inputs, 5 s left'
    """

    def __init__(self, total: int | None, unit: str):
        self.total, self.unit, self.done = total, unit, 0
        self.begin = self.said = time.monotonic()

    def add(self, n: int) -> None:
        """So many more are done."""
        self.done += n
        now = time.monotonic()
        if self.done == self.total or now - self.said >= EVERY:
            self.said = now
            print(self.line(self.done, now - self.begin), flush=True)

    def line(self, done: int, seconds: float) -> str:
        """What is told when so many are done after so many seconds."""
        of = "" if self.total is None else f" of {self.total}"
        plural = "" if (self.total or done) == 1 else "es" if self.unit == "batch" else "s"
        if self.total is None or done >= self.total:
            return f"{done}{of} {self.unit}{plural} in {duration(seconds)}"
        return f"{done}{of} {self.unit}{plural}, {duration(seconds / done * (self.total - done))} left"


def duration(seconds: float) -> str:
    """A time in the unit that one thinks of it in."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
