"""The manifest of a folder of results: all that they depend on, so that a second run adds what is missing only."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfxai import api
from tfxai._version import __version__
from tfxai.archive import digest
from tfxai.scale.explain import Explain
from tfxai.scale.shards import arrow, write_whole
from tfxai.scale.sources import Source

FORMAT = 2


def described(explain: Explain, source: Source, shard_rows: int) -> dict[str, Any]:
    """All that results depend on, as JSON tells it."""
    found = {
        "format": FORMAT,
        "model": digest(explain.path),
        "methods": {title: _method(one) for title, one in explain.named.items()},
        "options": explain.options,
        "source": source.facts,
        "shard_rows": shard_rows,
        "versions": {
            "tfxai": __version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "pyarrow": arrow().__version__,
        },
    }
    return json.loads(json.dumps(found, default=str))


def begin(folder: Path, facts: dict[str, Any], where: dict[str, Any], choose: str = "output= (--output)") -> None:
    """Write the manifest, or hold it against the one that is there.

    Parameters
    ----------
    folder : Path
        Of the results.
    facts : dict
        What they depend on, as `described` has it.
    where : dict
        Where model and source were found, which may move.
    choose : str
        How users choose another folder.

    Raises
    ------
    ValueError
        If the folder holds results that depend on something else.
    """
    file = folder / "manifest.json"
    if not file.exists():
        write(folder, {**where, "rows": facts["source"].get("rows"), "results": facts})
        return
    before = load(folder)["results"]
    changed = [f"{name} was {_short(was)} and is {_short(now)}" for name, was, now in _differences("", before, facts)]
    if changed:
        raise ValueError(
            f"{str(folder)!r} holds results of another run: {'; '.join(changed[:5])}. Choose another folder by "
            f"{choose}, or delete this one."
        )


def load(folder: Path) -> dict[str, Any]:
    """The manifest; ValueError if there is none."""
    file = folder / "manifest.json"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found["results"]["format"] != FORMAT:
            raise ValueError(f"its format is {found['results']['format']}")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"Expected a folder of results with a manifest.json, as tfxai.explain_dataset writes it; {str(folder)!r} "
            f"has none that can be read: {error}."
        ) from error
    return found


def write(folder: Path, manifest: dict[str, Any]) -> None:
    """Write it, whole or not at all."""
    write_whole(folder / "manifest.json", (json.dumps(manifest, indent=1) + "\n").encode())


def _method(method: api.Named) -> dict[str, Any]:
    """A method with its options, its seed if it has one, and what is in the file of features that it may need."""
    found = method.described()
    for one in _nested(method):
        default = inspect.signature(one.cls).parameters.get("seed")
        if default is not None:
            found.setdefault("seed", one.options.get("seed", default.default))
    features = method.innermost.options.get("features")
    return found if features is None else found | {"features": digest(features)}


def _nested(method: api.Named | None) -> list[api.Named]:
    return [] if method is None else [method, *_nested(method.inside)]


def _differences(name: str, before: Any, now: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = {**before, **now}
        return [one for key in keys for one in _differences(f"{name} {key}".strip(), before.get(key), now.get(key))]
    return [] if before == now else [(name, before, now)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."
