"""explain_dataset: a whole data set explained, in shards, by one process or many, and again where it stopped."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Generator, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
import tensorflow as tf

from tfxai import progress
from tfxai.archive import digest
from tfxai.checks import one_of, positive
from tfxai.scale import manifest, shards
from tfxai.scale.engines import in_processes, on_ray
from tfxai.scale.explain import Explain, ExplainOptions
from tfxai.scale.reader import Results
from tfxai.scale.sources import Source, open_source
from tfxai.scale.wanted import is_name
from tfxai.scale.work import Done, Job, work
from tfxai.types import Verbose


def explain_dataset(
    model_path: str | PathLike[str],
    source: str | PathLike[str] | np.ndarray | tf.data.Dataset,
    methods: str | Sequence[str] = "grad_cam",
    output: str | PathLike[str] = "tfxai-results",
    *,
    column: str | None = None,
    shard_rows: int = 1024,
    max_failures: float | int = 0.01,
    engine: Literal["local", "ray"] = "local",
    workers: int | None = None,
    cpus_per_worker: int = 1,
    gpus_per_worker: int | None = None,
    address: str | None = None,
    verbose: Verbose = "auto",
    **options: Unpack[ExplainOptions],
) -> Results:
    """Explain a whole data set; called again, a run that was killed resumes where it stopped.

    Results are Parquet files of ``shard_rows`` inputs each, which appear complete or not at all. Inputs that cannot be
    explained are listed alongside, with the reason.

    Parameters
    ----------
    model_path : path
        A .keras or .h5 file, or the folder of a SavedModel.
    source : path, ndarray or tf.data.Dataset
        A folder tree of images, or a folder of Parquet or TFRecord files; one such file, a ``.csv`` file of paths, or a
        ``.npy`` file of inputs; an array; or a dataset of batches that gives the same rows each time it is read.
    methods : str or sequence of str
        As for `tfxai.explain`, with options if needed: ``["grad_cam", "rise:masks=500"]``.
    output : path
        The folder of results.
    column : str, optional
        The column of a table, or the feature of TFRecords, that holds images or paths. Default: the only one that
        qualifies.
    shard_rows : int
        Inputs in a shard. When a run is killed, each worker loses one shard at most. Default 1024.
    max_failures : float or int
        How many inputs may fail; beyond that the work stops with an error. An int is a number, a float a share of all
        inputs, or of those read so far where a dataset does not know its length. Default 0.01.
    engine : {"local", "ray"}
        This machine, or the workers of a Ray cluster.
    workers : int, optional
        How many processes. Default: with "local" this process alone; with "ray" as many as the cluster has room for. A
        script that starts several needs ``if __name__ == "__main__":``, as for `multiprocessing`.
    cpus_per_worker : int
        CPUs for each worker of "ray". Default 1.
    gpus_per_worker : int, optional
        GPUs for each worker. Default: with "ray" none; with "local" all there are.
    address : str, optional
        Address of the Ray cluster. Default: the one that this process belongs to, or a new one on this machine.
    verbose : {"auto", 0, 1}
        Whether to report progress on stderr.
    **options
        ``target``: None for the predicted class; one class for all inputs; or ``"column:label"`` for the class that
        each row gives, by number or by name, in a column of a table or a feature of TFRecords. For a folder tree it is
        ``"column:folder"``, for a dataset of pairs ``"column:label"``.
        ``classes``, ``layer``, ``score``, ``preprocess``, ``crop``, ``size``, ``batch_size``,
        ``store``, ``model_output``, ``signature``, ``custom_objects``: as for `tfxai.scale.Explain`.

    Returns
    -------
    tfxai.scale.Results
        What `tfxai.scale.read` gives.

    Raises
    ------
    ValueError
        For a source that cannot be read; a folder of results of another model, source, method or option; or more
        failures than allowed. What is done is kept.
    ImportError
        Without pyarrow, or Ray where it is asked for.

    Examples
    --------
    >>> import tempfile, numpy as np, keras, tfxai
    >>> pooled = keras.layers.GlobalAveragePooling2D()
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), pooled, keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.keras")
    ...     images = np.random.default_rng(0).uniform(size=(10, 8, 8, 3))
    ...     results = tfxai.explain_dataset(f"{folder}/model.keras", images, "grad_cam", f"{folder}/out", verbose=0)
    ...     [(len(ids), one.heatmaps().shape) for ids, one in results.explanations()]
    [(10, (10, 8, 8))]
    """
    one_of("engine", engine, ("local", "ray"))
    progress.check(verbose)
    explain = Explain(model_path, methods, **options)
    shards.arrow()
    folder, shard_rows = Path(output), positive("shard_rows", shard_rows)
    allowed = Allowed(max_failures)
    if not os.path.exists(explain.path):
        raise ValueError(f"There is no model file {explain.path!r}.")
    opened = open_source(source, column, explain.column)
    if opened.raw and (explain.options["preprocess"] != "none" or explain.options["size"] or explain.options["crop"]):
        raise ValueError(
            "The source holds numbers, which the model takes as they are: leave out preprocess= (--preprocess), "
            "crop= (--crop) and size= (--size), which are for images."
        )
    if explain.column and explain.options["classes"] is None:
        for first in opened.read(0, 1):
            if is_name(first.target):
                explain.wanted(first.target)  # names without classes are an error of all inputs, which is said at once
    elsewhere = engine == "ray" or (workers or 1) > 1
    if elsewhere and not isinstance(source, str | PathLike):
        raise ValueError(
            "Workers open the source themselves, so it must be a path: save an array with numpy.save, or a dataset as "
            "TFRecord or Parquet files."
        )
    facts = manifest.described(explain, opened, shard_rows)
    where = {"model_path": explain.path, "source_path": str(source) if isinstance(source, str | PathLike) else None}
    if not elsewhere:
        explain.open(images=not opened.raw)  # what is wrong with model or method is said before anything is written
    manifest.begin(folder, facts, where)

    results = Results(folder)
    missing = _missing(opened, results, shard_rows)
    lines = progress.Lines(opened.rows, "input", done=results.seen, stream=sys.stderr, rate=True, shown=bool(verbose))
    allowed.add(sum(1 for _ in results.failures()), results.seen, opened.rows, [])

    def shards_done() -> Generator[Done]:
        if not elsewhere:
            yield from work(explain, opened, folder, shard_rows, missing)
        elif numbers := list(missing):
            model, data, place = (str(Path(one).absolute()) for one in (explain.path, str(source), folder))
            own = Explain(model, methods, **options)
            job = Job(own, data, column, place, shard_rows, digest(model), opened.facts)
            if engine == "ray":
                yield from on_ray(job, numbers, workers, cpus_per_worker, gpus_per_worker, address)
            else:
                yield from in_processes(job, numbers, workers or 1, gpus_per_worker)

    with contextlib.closing(shards_done()) as stream:  # whatever happens, no worker is left
        for done in stream:
            lines.add(done.rows, done.failed)
            allowed.add(done.failed, done.rows, opened.rows, done.reasons)
    shards.clear(folder)
    if results.rows is None:  # a dataset that did not know its length has come to its end
        results.manifest["rows"] = results.seen
        manifest.write(folder, results.manifest)
    return results


def _missing(source: Source, results: Results, shard_rows: int) -> Iterator[int]:
    """The numbers of shards that are not there; of a source that does not know its length without an end."""
    there = set(results.shards)
    numbers = itertools.count() if results.rows is None else iter(range(-(-results.rows // shard_rows)))
    return (number for number in numbers if number not in there)


class Allowed:
    """How many inputs may fail; see `explain_dataset`."""

    def __init__(self, most: float | int):
        if isinstance(most, bool) or not isinstance(most, int | float) or most < 0:
            raise ValueError(f"Expected max_failures to be a share, such as 0.01, or a number of inputs, got {most!r}.")
        if isinstance(most, float) and most > 1:
            raise ValueError(
                f"Expected max_failures as a float to be a share from 0 to 1, got {most}. For a number of "
                "inputs, give an int."
            )
        self.most, self.failed, self.seen = most, 0, 0
        self.reasons: list[str] = []

    def add(self, failed: int, seen: int, rows: int | None, reasons: Sequence[str]) -> None:
        """Count some more; ValueError if they are too many."""
        self.failed, self.seen = self.failed + failed, self.seen + seen
        self.reasons += reasons[: 3 - len(self.reasons)]
        most = self.most if isinstance(self.most, int) else self.most * (self.seen if rows is None else rows)
        if self.failed > most:
            why = f" The first: {'; '.join(self.reasons)}" if self.reasons else ""
            raise ValueError(
                f"{self.failed} of {self.seen} inputs failed, and max_failures={self.most} (--max-failures) allows "
                f"{int(most)}.{why} All are listed in the folder 'failed' of the results. Results so far are kept; "
                "to go on without the inputs that failed, allow more."
            )
