"""How far the work is, how fast it goes, and how long it will take."""

from __future__ import annotations

import sys
import time

from tfxai.progress import EVERY, duration


class Progress:
    """A line on stderr, written over in a terminal, and every ten seconds elsewhere.

    Parameters
    ----------
    rows : int or None
        Of all, if it is known.
    done : int
        Of earlier runs.
    verbose : {"auto", 0, 1}
        "auto" is 1.
    """

    def __init__(self, rows: int | None, done: int, verbose: str | int):
        if verbose not in ("auto", 0, 1):
            raise ValueError(f'Expected verbose to be "auto", 0 or 1, got {verbose!r}.')
        self.rows, self.before, self.done, self.failed = rows, done, done, 0
        self.show, self.begin, self.said = bool(verbose), time.monotonic(), -1e9
        if done and self.show:
            print(f"{self._of(done)} inputs were explained before", file=sys.stderr)

    def add(self, rows: int, failed: int) -> None:
        """Tell of some more rows."""
        self.done, self.failed = self.done + rows, self.failed + failed
        now = time.monotonic()
        if not self.show or (not sys.stderr.isatty() and now - self.said < EVERY and self.done != self.rows):
            return
        self.said = now
        end = "\r" if sys.stderr.isatty() and self.done != self.rows else "\n"
        print(f"{self.line(now - self.begin):<78}", end=end, file=sys.stderr, flush=True)

    def line(self, seconds: float) -> str:
        """What is told after so many seconds."""
        rate = (self.done - self.before) / max(seconds, 1e-9)
        parts = [f"{self._of(self.done)} inputs", f"{rate:,.1f} a second"]
        if self.rows is not None and self.done < self.rows:
            parts.append(f"{duration((self.rows - self.done) / max(rate, 1e-9))} left")
        return ", ".join([*parts, *([f"{self.failed:,} failed"] if self.failed else [])])

    def _of(self, done: int) -> str:
        return f"{done:,}" if self.rows is None else f"{done:,} of {self.rows:,}"
