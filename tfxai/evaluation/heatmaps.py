"""Heat-maps of images, stored so that a run that was interrupted goes on: few in batches, many in shards."""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfxai.evaluation import stored
from tfxai.evaluation.image_files import ImageFiles
from tfxai.explainer import Explainer
from tfxai.explanation import Explanation
from tfxai.progress import bar
from tfxai.scale import kept
from tfxai.scale.reader import Results
from tfxai.scale.rows import gathered
from tfxai.scale.shards import Shard, shard_file, write_whole

MANY = 2**27  # bytes of heat-maps from which they are stored in shards
BATCHES = 8  # in a shard


def heatmaps(
    title: str,
    explainer: Explainer,
    images: ImageFiles,
    target: np.ndarray | None,
    folder: Path,
    facts: dict[str, Any],
    batch_size: int,
) -> tuple[np.ndarray, float]:
    """Heat-maps of all images: those that the folder holds, and what is missing made and put there.

    From `MANY` bytes on, and where there is pyarrow, they are in shards, which `tfxai.scale.read` reads. Else they are
    in ``.npz`` files, a batch in each. A folder that holds either kind keeps it. Both give the same numbers, to
    rounding.

    Parameters
    ----------
    title : str
        The method with its options, as it was given.
    explainer : Explainer
        The method.
    target : None or ndarray
        (n,) classes; None for the predicted ones.
    images, folder, facts, batch_size
        As for `stored.batches`.

    Returns
    -------
    tuple
        (n, h, w), and the seconds for an image: those of the batch of median cost.

    Raises
    ------
    ValueError
        As `stored.batches`.
    ImportError
        For shards without pyarrow.
    """

    def explain(inputs: np.ndarray, rows: slice) -> Explanation:
        return explainer.explain(inputs, None if target is None else target[rows], batch_size, 0)

    if _in_shards(folder, images):
        return _sharded(title, explain, images, folder, facts, batch_size)

    def explained(inputs: np.ndarray, rows: slice) -> dict[str, np.ndarray]:
        begin = time.perf_counter()
        found = explain(inputs, rows).heatmaps()
        return {"heatmaps": found, "seconds": np.asarray((time.perf_counter() - begin) / len(inputs))}

    parts = stored.batches(explained, images, folder, facts, batch_size)
    maps = np.concatenate([part["heatmaps"] for part in parts])
    return maps[: len(images)], _typical([float(part["seconds"]) for part in parts])


def _in_shards(folder: Path, images: ImageFiles) -> bool:
    if (folder / "manifest.json").exists():
        return True
    many = len(images) * math.prod(images.size) * 4 >= MANY
    return many and not any(folder.glob("*.npz")) and importlib.util.find_spec("pyarrow") is not None


def _sharded(
    title: str,
    explain: Callable[[np.ndarray, slice], Explanation],
    images: ImageFiles,
    folder: Path,
    facts: dict[str, Any],
    batch_size: int,
) -> tuple[np.ndarray, float]:
    """The same in shards: explanations at the method's own resolution, in float32, of which heat-maps are made."""
    kept.begin(folder, {title: facts}, {"kind": "images of an evaluation"}, "--cache")
    done, missing = _done(folder, images.keys)
    if done:
        print(f"{min(done, len(images))} of {len(images)} images are stored in {folder}")
    progress = bar(len(images) - done, "image")
    for number in itertools.count(missing):
        if done >= len(images):
            break
        last, seconds = min(done + BATCHES * batch_size, len(images)), []
        with Shard(folder, number, "float32") as shard:
            for start in range(done, last, batch_size):
                rows = slice(start, min(start + batch_size, last))
                inputs, begin = images[rows], time.perf_counter()
                explanation = explain(inputs, rows)
                seconds.append((time.perf_counter() - begin) / len(inputs))
                shard.add(gathered([(images.keys[rows], {title: explanation})], "float32", {}))
                progress.add(len(inputs))
            write_whole(_seconds(folder, number), json.dumps(seconds).encode())
        done = last
    found: list[np.ndarray] = []
    for _, explanation in kept.end(folder).explanations():
        found.append(explanation.heatmaps())
        if sum(map(len, found)) >= len(images):
            break
    cost = [each for number in range(len(found)) for each in json.loads(_seconds(folder, number).read_text())]
    return np.concatenate(found)[: len(images)], _typical(cost)


def _done(folder: Path, keys: list[str]) -> tuple[int, int]:
    """How many images the shards hold, and the number of the first that is missing; ValueError for other images."""
    results, done, number = Results(folder), 0, 0
    while done < len(keys) and (file := shard_file(folder, number)).exists():
        try:
            there = results.ids(number)
        except (OSError, ValueError) as error:
            raise ValueError(f"Expected stored results in {str(file)!r}: {error}. Delete it, and run again.") from error
        stored.check([("the image", was, now) for was, now in zip(there, keys[done:], strict=False)], folder)
        done, number = done + len(there), number + 1
    return done, number


def _seconds(folder: Path, number: int) -> Path:
    return folder / "seconds" / f"{number:05}.json"


def _typical(seconds: list[float]) -> float:
    """Seconds of a batch: the lower median, so that the first, which compiles, does not count unless it is alone."""
    return float(np.percentile(seconds, 50, method="lower"))
