"""One reader of results in shards."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Collection, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tfxai import images
from tfxai.checks import one_of
from tfxai.display import composite
from tfxai.explanation import Explanation
from tfxai.scale import manifest, shards
from tfxai.scale.packing import unpack
from tfxai.scale.rows import COLUMNS
from tfxai.scale.sources import Source, open_source
from tfxai.scale.wanted import column_of


class Failure(NamedTuple):
    """An input that could not be explained: its id, and why."""

    id: str
    reason: str


class Results:
    """What `tfxai.explain_dataset` has written to a folder so far.

    Parameters
    ----------
    folder : path
        The folder.

    Attributes
    ----------
    manifest : dict
        Everything that results depend on.
    """

    def __init__(self, folder: str | PathLike[str]):
        self.folder = Path(folder)
        self.manifest = manifest.load(self.folder)

    @property
    def methods(self) -> list[str]:
        """The methods, as they were given."""
        return list(self.manifest["results"]["methods"])

    @property
    def rows(self) -> int | None:
        """How many inputs the source has; None if that is not known before all of it is done."""
        return self.manifest["rows"]

    @property
    def shards(self) -> list[int]:
        """The numbers of the shards that are there."""
        return shards.done(self.folder)

    @property
    def files(self) -> list[Path]:
        """These shards, for pandas, DuckDB, Ray or Spark."""
        return [shards.shard_file(self.folder, number) for number in self.shards]

    @property
    def seen(self) -> int:
        """How many inputs are done, those that failed included."""
        methods = len(self.methods)
        parquet = shards.arrow("pyarrow.parquet")
        rows = sum(parquet.read_metadata(file).num_rows for file in self.files)
        return rows // methods + sum(1 for _ in self.failures())

    @property
    def complete(self) -> bool:
        """Whether all inputs are done."""
        return self.rows == self.seen

    def failures(self) -> Iterator[Failure]:
        """The inputs that could not be explained, and why."""
        for number in self.shards:
            yield from (Failure(*one) for one in shards.failures(self.folder, number))

    def tables(self, method: str | None = None, columns: list[str] | None = None) -> Iterator[Any]:
        """The shards, one after the other.

        Parameters
        ----------
        method : str, optional
            Rows of one method only.
        columns : list of str, optional
            Of ``id``, ``method``, ``target``, ``label``, ``score``, ``map``, ``shape``, ``scale``, ``offset``,
            ``features`` and ``contributions``. Default: all.

        Yields
        ------
        pyarrow.Table
        """
        for name in columns or ():
            one_of("columns", name, COLUMNS)
        filters = None if method is None else [("method", "=", self.named(method))]
        for file in self.files:
            yield shards.arrow("pyarrow.parquet").read_table(file, columns=columns, filters=filters)

    def ids(self, shard: int) -> list[str]:
        """The inputs that are explained in a shard, in their order; OSError or ValueError if it is damaged."""
        file = shards.shard_file(self.folder, shard)
        return shards.arrow("pyarrow.parquet").read_table(file, columns=["id"])["id"].to_pylist()

    def explanations(self, method: str | None = None) -> Iterator[tuple[list[str], Explanation]]:
        """Ids and explanations of a method, a shard at a time.

        What the model saw is not kept: ``inputs`` are zeros. The pictures are where they were, see `source`. Values are
        without channels, as heat-maps read them.

        Parameters
        ----------
        method : str, optional
            One of `methods`; not needed where there is one.

        Yields
        ------
        tuple of list of str and Explanation
        """
        name = self.named(method)
        for table in self.tables(name):
            if len(table):
                header = json.loads(table.schema.metadata[b"tfxai"])["methods"][name]
                yield table["id"].to_pylist(), _explanation(table, header)

    def named(self, method: str | None) -> str:
        """The method that is meant; ValueError if that is not clear."""
        if method is None and len(self.methods) == 1:
            return self.methods[0]
        if method not in self.methods:
            raise ValueError(f"Expected method= to be one of {self.methods}, got {method!r}.")
        return method

    def to_pandas(self, method: str | None = None, columns: list[str] | None = None) -> Any:
        """All rows as a pandas table, without maps unless they are asked for; parameters as for `tables`."""
        try:
            import pandas  # noqa: F401  Arrow's own error does not say how to install it
        except ImportError as error:
            raise ImportError("A table of results needs pandas: pip install pandas. Or use tables().") from error
        columns = columns or [name for name in COLUMNS if name not in ("map", "shape", "scale", "offset")]
        return shards.arrow().concat_tables(self.tables(method, columns)).to_pandas()

    def source(self) -> Source:
        """The source, opened again where it was; ValueError if it is gone or has changed."""
        path, facts = self.manifest["source_path"], self.manifest["results"]["source"]
        if path is None:
            raise ValueError(
                "The source is no longer known: it was in memory, or belonged to a training run or an evaluation."
            )
        found = open_source(path, facts.get("column"), column_of(self.manifest["results"]["options"]["target"]))
        if json.loads(json.dumps(found.facts)) != facts:
            raise ValueError(f"The source {path!r} has changed since it was explained.")
        return found

    def pictures(self, ids: Collection[str]) -> dict[str, np.ndarray]:
        """Inputs as uint8 images, (h, w, 3), by their ids: read again from the `source`, which is passed once.

        What can no longer be read or shown is left out.
        """
        wanted = set(ids)
        found: dict[str, np.ndarray] = {}
        for name, given, _ in self.source().read(0, sys.maxsize):
            if name in wanted:
                wanted.remove(name)
                with contextlib.suppress(ValueError, TypeError, OSError):
                    found[name] = _picture(given)
            if not wanted:
                break
        return found

    def __repr__(self) -> str:
        return f"Results({str(self.folder)!r}, {self.seen} of {self.rows} inputs, {', '.join(self.methods)})"


def _picture(given: Any) -> np.ndarray:
    """What a source gives, as it is shown."""
    if isinstance(given, Exception):
        raise given
    if isinstance(given, bytes):
        return images.decode(given)
    return images.read(given) if isinstance(given, str | PathLike) else composite(np.asarray(given)[None])[0][0]


def read(output: str | PathLike[str]) -> Results:
    """Read what `tfxai.explain_dataset` wrote, also while it is still at work.

    Parameters
    ----------
    output : path
        The folder of results.

    Returns
    -------
    Results

    Raises
    ------
    ValueError
        If the folder holds no results.
    """
    return Results(output)


def maps(table: Any) -> np.ndarray:
    """The maps of rows that are of one shape, float32, (n, ...)."""
    shape = table["shape"][0].as_py()
    flat = np.asarray(table["map"].combine_chunks().flatten())
    return unpack(flat.reshape(len(table), *shape), np.asarray(table["scale"]), np.asarray(table["offset"]))


def _explanation(table: Any, header: dict[str, Any]) -> Explanation:
    arrays = {
        "values": maps(table),
        "score": np.asarray(table["score"], np.float32),
        "inputs": np.broadcast_to(np.float32(0), (len(table), *header["input"])),
    }
    if header["target"] is None:
        arrays["target"] = np.asarray(table["target"])
    return Explanation.unpacked(header, arrays)
