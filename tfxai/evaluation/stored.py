"""Heat-maps that are stored batch by batch, so that a run that was interrupted goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from tfxai.evaluation.boxed_images import BoxedImages
from tfxai.explainer import Explainer


def heatmaps(
    explainer: Explainer,
    images: BoxedImages,
    target: np.ndarray | None,
    folder: Path,
    facts: dict[str, Any],
    batch_size: int,
) -> tuple[np.ndarray, float]:
    """Heat-maps of all images: what the folder holds as it is, and what is missing made and put there.

    Each file of the folder is a batch, and its name the number of the first image in it.

    Parameters
    ----------
    explainer : Explainer
        The method.
    images : BoxedImages
        What is explained; more or fewer of the same images than before, if need be.
    target : None or ndarray
        (n,) classes; None for the predicted ones.
    folder : path
        Made if need be.
    facts : dict
        Everything that heat-maps depend on beside the images, as JSON can tell it.
    batch_size : int
        As for `Explainer.explain`.

    Returns
    -------
    tuple
        (n, h, w), and the seconds for an image: the lower median over batches, so that the first, which compiles, does
        not count unless it is alone.

    Raises
    ------
    ValueError
        If the folder holds heat-maps of other settings or images, or a damaged file.
    """
    facts = json.loads(json.dumps(facts, default=str))
    made: list[np.ndarray] = []
    seconds: list[float] = []
    done = 0
    while done < len(images) and (file := _file(folder, done)).exists():
        content = _load(file)
        _check(content, facts, images.keys[done:], file)
        made.append(content["heatmaps"])
        seconds.append(float(content["seconds"]))
        done += len(made[-1])
    if done:
        print(f"{min(done, len(images))} of {len(images)} images are stored in {folder}")
    starts = range(done, len(images), batch_size)
    progress = keras.utils.Progbar(len(starts), unit_name="batch")
    for start in starts:
        rows = slice(start, start + batch_size)
        inputs = images[rows]
        begin = time.perf_counter()
        made.append(explainer.explain(inputs, None if target is None else target[rows], batch_size, 0).heatmaps())
        seconds.append((time.perf_counter() - begin) / len(inputs))
        _save(_file(folder, start), made[-1], seconds[-1], images.keys[rows], facts)
        progress.add(1)
    return np.concatenate(made)[: len(images)], float(np.percentile(seconds, 50, method="lower"))


def file_name(method: str) -> str:
    """A method with its options as the name of a file or folder on any system."""
    return re.sub(r"[^\w.,=+-]+", "_", method)


def digest(path: str | PathLike) -> str:
    """Of the content of a file, or of all files in a folder: another model under the same name is told by it."""
    path = Path(path)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    found = hashlib.sha256()
    for file in files:
        found.update(str(file.relative_to(path)).encode())
        with open(file, "rb") as stream:
            found.update(hashlib.file_digest(stream, "sha256").digest())
    return found.hexdigest()[:16]


def _file(folder: Path, start: int) -> Path:
    return folder / f"{start:07d}.npz"


def _save(file: Path, heatmaps: np.ndarray, seconds: float, keys: Sequence[str], facts: dict[str, Any]) -> None:
    """Under another name first: a file that has its name is complete."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    with open(unfinished, "wb") as stream:
        np.savez(stream, heatmaps=heatmaps, seconds=seconds, images=np.array(keys), facts=json.dumps(facts))
    os.replace(unfinished, file)


def _load(file: Path) -> dict[str, np.ndarray]:
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as content:
            return {name: content[name] for name in ("heatmaps", "seconds", "images", "facts")}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"Expected heat-maps in {str(file)!r}: {error}. Delete it, and run again.") from error


def _check(content: dict[str, np.ndarray], facts: dict[str, Any], keys: Sequence[str], file: Path) -> None:
    """ValueError if heat-maps were made under other settings, or of other images."""
    before = json.loads(str(content["facts"]))
    changes = [(name, before.get(name), facts.get(name)) for name in {**before, **facts}]
    changes += [("the image", was, now) for was, now in zip(content["images"].tolist(), keys, strict=False)]
    other = [f"{name} was {was!r} and is {now!r}" for name, was, now in changes if was != now]
    if other:
        raise ValueError(
            f"{str(file.parent)!r} holds heat-maps of another run: {'; '.join(other[:5])}. "
            "Choose another folder by --cache, or delete this one."
        )
