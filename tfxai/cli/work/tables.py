"""``tfxai explain MODEL --table FILE``: rows of a table in, features with their numbers out."""

from __future__ import annotations

import argparse
import csv
import inspect
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.api import Named
from tfxai.cli.options import DEFAULT_METHODS
from tfxai.cli.work import files
from tfxai.cli.work.given import check_folder, chosen_methods, opened
from tfxai.cli.work.rows import explain_rows
from tfxai.evaluation.stored import file_name
from tfxai.explanation import Explanation
from tfxai.groups import different, partition
from tfxai.models import ModelView
from tfxai.models.view import cut
from tfxai.tables import MAX_ROWS, Table

Columns = dict[str, list[str]]  # of a table: what stands in each, by its name


def explain_table(arguments: argparse.Namespace) -> int:
    """Explain the rows of a table, and draw the first of them and all at a glance."""
    methods = chosen_methods(arguments, DEFAULT_METHODS[1:])
    columns = _read(arguments.table, arguments.without)
    groups = dict(map(_group, arguments.groups)) or None
    check_folder(arguments.output)
    view = opened(arguments)
    inputs = _inputs(columns, view, arguments.table)
    features = None if isinstance(inputs, dict) else list(columns)
    if features and groups:
        together = {name: own for name, own in partition(groups, features) if name in groups}
        methods = {title: _grouped(method, together) for title, method in methods.items()}
    rows = len(next(iter(columns.values())))
    print(f"explaining {rows} rows by {', '.join(methods)} ...", flush=True)
    titles = [f"row {number}" for number in range(rows)]
    batches = cut((np.array(titles), inputs), arguments.batch_size)

    def read(one: Explanation) -> list[tuple[str, float]]:
        return Table(one, features, groups).told(0, max(1, arguments.top))

    for method, explanation in explain_rows(arguments, view, methods, batches, read, "bars").items():
        table, file = Table(explanation, features, groups), arguments.output / file_name(method)
        _write(table, Path(f"{file}.csv"))
        files.save(table.plot_bars(range(min(rows, MAX_ROWS))), Path(f"{file}-rows.png"))
        files.save(table.plot_beeswarm(), Path(f"{file}-all.png"))
    return 0


def _read(file: str, without: Sequence[str]) -> Columns:
    """The columns of a table, but for those that are left out."""
    if file != "-" and not Path(file).is_file():
        raise ValueError(f"There is no file {file!r} with a table.")
    text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    names, *rows = [row for row in csv.reader(io.StringIO(text, newline="")) if row] or [[]]
    if not rows:
        raise ValueError(f"Expected a line with the names of columns and rows below it in {file!r}.")
    different(names)
    wrong = next((number for number, row in enumerate(rows, 2) if len(row) != len(names)), None)
    if wrong is not None:
        raise ValueError(
            f"Expected {len(names)} columns in each row of {file!r}, got {len(rows[wrong - 2])} in row {wrong}."
        )
    unknown = [name for name in without if name not in names]
    if unknown:
        raise ValueError(f"Expected --without to name columns of {file!r}, {names[:20]}, got {unknown}.")
    return {name: list(own) for name, own in zip(names, zip(*rows, strict=True), strict=True) if name not in without}


def _inputs(columns: Columns, view: ModelView, file: str) -> Any:
    """The columns as the model takes them: by name where it has several inputs, or side by side."""
    takes = (view.takes if view.columns is None else view.columns.takes) or {}
    if view.columns is not None or len(takes) > 1:
        return {name: _column(name, own, file, takes.get(name)) for name, own in columns.items()}
    width = next((spec.shape[-1] for spec in takes.values() if spec is not None and spec.shape.rank == 2), None)
    if width is not None and width != len(columns):
        raise ValueError(
            f"The model takes {width} columns, and {file!r} has {len(columns)}: {list(columns)[:20]}. Name those that "
            "it does not take, such as labels, by --without."
        )
    return np.stack([_numbers(name, own, file) for name, own in columns.items()], 1)


def _column(name: str, column: Sequence[str], file: str, spec: tf.TensorSpec | None) -> np.ndarray:
    return np.array(column) if spec is not None and spec.dtype == tf.string else _numbers(name, column, file)


def _numbers(name: str, column: Sequence[str], file: str) -> np.ndarray:
    try:
        return np.array(column, np.float32)
    except ValueError as error:
        raise ValueError(
            f"Expected numbers in the column {name!r} of {file!r}: {error}. Strings need a model with an input of "
            "strings of this name; what the model does not take is left out by --without."
        ) from error


def _group(given: str) -> tuple[str, list[str]]:
    name, equals, columns = given.partition("=")
    if not (name and equals and columns):
        raise ValueError(f"Expected --groups as NAME=COLUMN,COLUMN, got {given!r}.")
    return name, columns.split(",")


def _grouped(method: Named, groups: dict[str, list[int]]) -> Named:
    """The method with groups of columns, if it hides columns."""
    takes = inspect.signature(method.innermost.cls).parameters
    return method.preset(groups=groups) if "groups" in takes else method


def _write(table: Table, file: Path) -> None:
    """A line for each row: what was explained, its score, and the value of each feature."""
    found = table.explanation
    with file.open("w", newline="", encoding="utf-8") as lines:
        rows = csv.writer(lines)
        rows.writerow(["explained", "score", *table.features])
        rows.writerows([found.label(row), found.score[row], *table.values[row]] for row in range(len(table)))
    print(f"values by name: {file}")
