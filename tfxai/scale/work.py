"""The work itself: some shards, one after the other, made from rows that are read ahead."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import tensorflow as tf

from tfxai.archive import digest
from tfxai.scale.explain import Explain
from tfxai.scale.records import Row
from tfxai.scale.rows import Found
from tfxai.scale.shards import Shard
from tfxai.scale.sources import Source, open_source

READERS = min(8, os.cpu_count() or 1)  # threads; images are decoded without the lock of Python
# An input as the model takes it, and the class that is explained.
Given: TypeAlias = tuple[np.ndarray, int | str | None]
Item = TypeVar("Item")
Result = TypeVar("Result")


class Done(NamedTuple):
    """A shard that is there.

    Attributes
    ----------
    number : int
        Of the shard.
    rows : int
        Of the source, in this shard.
    failed : int
        How many of them failed.
    reasons : tuple of str
        Why the first of these did.
    """

    number: int
    rows: int
    failed: int
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Job:
    """What is to be done, in strings and numbers: a worker in another process, or on another machine, does it too.

    Attributes
    ----------
    explain : Explain
        What explains.
    source : str
        The path of the source.
    column : str or None
        See `tfxai.scale.sources.open_source`.
    output : str
        The folder of results.
    shard_rows : int
        Rows of the source in a shard.
    model, data : str, dict
        What the model and the source must be, so that a worker that finds others under the same names says so.
    """

    explain: Explain
    source: str
    column: str | None
    output: str
    shard_rows: int
    model: str
    data: dict[str, Any]


class Worker:
    """Does shards of a job in its own process; model and source are opened with the first."""

    def __init__(self, job: Job, threads: int):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.job = job
        self.source: Source | None = None

    def shard(self, number: int) -> Done:
        """Make one shard."""
        job = self.job
        if self.source is None:
            for gpu in tf.config.list_physical_devices("GPU"):
                tf.config.experimental.set_memory_growth(gpu, True)
            self.source = _same(job, open_source(job.source, job.column, job.explain.column))
        return next(work(job.explain, self.source, Path(job.output), job.shard_rows, [number]))


def _same(job: Job, source: Source) -> Source:
    """The source, if it and the model are those that the job is about."""
    model = digest(job.explain.path)
    for what, path, wanted, found in (
        ("source", job.source, job.data, source.facts),
        ("model", job.explain.path, job.model, model),
    ):
        if wanted != found:
            raise ValueError(
                f"A worker found another {what} under {path!r} than the process that started it: {found} in place of "
                f"{wanted}. All workers must see the same files under the same names."
            )
    return source


def work(explain: Explain, source: Source, folder: Path, shard_rows: int, numbers: Iterable[int]) -> Iterator[Done]:
    """Make shards, and tell of each when it is there.

    No more of the data is in memory than two batches, and what one writing of a shard takes.

    Parameters
    ----------
    explain : Explain
        What explains.
    source : Source
        What is explained. If it does not know its length, its end ends the work.
    folder : Path
        Of the results.
    shard_rows : int
        Rows of the source in a shard.
    numbers : iterable of int
        Which shards, in rising order.
    """
    explain.open(images=not source.raw)

    def prepared(item: tuple[int, Row]) -> tuple[int, str, Given | str]:
        number, row = item
        try:
            return number, row.id, (explain.prepare(row.given), explain.wanted(row.target))
        except (ValueError, TypeError, OSError) as error:
            return number, row.id, str(error)

    def explained(batch: dict[str, Given]) -> Found:
        return explain.explain([*batch], *zip(*batch.values(), strict=True))

    given = _rows(source, shard_rows, numbers)  # numbers need no decoding, and threads would cost more than they save
    rows = map(prepared, given) if source.raw else ahead(prepared, given, 2 * explain.at_once)
    for number, own in itertools.groupby(rows, lambda row: row[0]):
        count = 0
        with Shard(folder, number, explain.options["store"]) as shard:
            batch: dict[str, Given] = {}
            for _, name, found in own:
                count += 1
                if isinstance(found, str):
                    shard.failed[name] = found
                else:
                    batch[name] = found
                if len(batch) == explain.at_once:
                    shard.add(explained(batch))
                    batch = {}
            if batch:
                shard.add(explained(batch))
        first = itertools.islice(shard.failed.items(), 3)
        yield Done(number, count, len(shard.failed), tuple(f"{name!r}: {reason}" for name, reason in first))


def _rows(source: Source, shard_rows: int, numbers: Iterable[int]) -> Iterator[tuple[int, Row]]:
    for number in numbers:
        count = 0
        for row in source.read(number * shard_rows, (number + 1) * shard_rows):
            count += 1
            yield number, row
        if count < shard_rows and source.rows is None:
            return


def ahead(function: Callable[[Item], Result], items: Iterable[Item], most: int) -> Iterator[Result]:
    """What a function makes of items, in their order, by threads that are at most so many items ahead."""
    with ThreadPoolExecutor(READERS) as pool:
        waiting: deque = deque()
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > most:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # nobody waits for the rest, should the reader stop
            for one in waiting:
                one.cancel()
