"""Explanations that are made elsewhere, in training or an evaluation, kept in shards that the one reader reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfxai.explanation import Explanation
from tfxai.scale import manifest, shards
from tfxai.scale.packing import Store
from tfxai.scale.reader import Results
from tfxai.scale.rows import gathered


def begin(folder: Path, methods: Mapping[str, Any], source: dict[str, Any], choose: str) -> None:
    """Begin a folder of shards, or go on with one; ValueError if it holds something else.

    Parameters
    ----------
    folder : Path
        Of the results.
    methods : mapping
        The methods, by title, and what their explanations depend on.
    source : dict
        What tells the inputs from others.
    choose : str
        How users choose another folder.
    """
    shards.arrow()
    facts = {"format": manifest.FORMAT, "methods": methods, "options": {"target": None}, "source": source}
    where = {"model_path": None, "source_path": None}
    manifest.begin(folder, json.loads(json.dumps(facts, default=str)), where, choose)


def keep(folder: Path, number: int, ids: Sequence[str], explanations: Mapping[str, Explanation], store: Store) -> None:
    """Write a shard of explanations of the same inputs by several methods."""
    with shards.Shard(folder, number, store) as shard:
        shard.add(gathered([(ids, explanations)], store, {}))


def end(folder: Path) -> Results:
    """What is there is all that there is to be, until more is kept."""
    shards.clear(folder)
    results = Results(folder)
    if results.rows != results.seen:
        results.manifest["rows"] = results.seen
        manifest.write(folder, results.manifest)
    return results
