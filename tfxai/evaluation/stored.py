"""What is computed of images, stored batch by batch, so that a run that was interrupted goes on where it stopped."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np

from tfxai.evaluation.image_files import ImageFiles
from tfxai.progress import bar

Make: TypeAlias = Callable[[np.ndarray, slice], dict[str, np.ndarray]]  # from inputs and their rows to arrays by name


def batches(
    make: Make,
    images: ImageFiles,
    folder: Path,
    facts: dict[str, Any],
    batch_size: int,
) -> list[dict[str, np.ndarray]]:
    """What is computed of each batch of images: what the folder holds as it is, and what is missing made and put there.

    Each file of the folder is a batch, and its name the number of the first image in it.

    Parameters
    ----------
    make : callable
        See `Make`.
    images : ImageFiles
        Of which it is computed; more or fewer of the same images than before, if need be.
    folder : path
        Made if need be.
    facts : dict
        Everything that results depend on besides the images, as JSON can tell it.
    batch_size : int
        How many images are in a batch.

    Returns
    -------
    list of dict
        Arrays by name, of each batch; the last may reach beyond the images, if there were more before.

    Raises
    ------
    ValueError
        If the folder holds results of other settings or images, or a damaged file.
    """
    facts = json.loads(json.dumps(facts, default=str))
    made: list[dict[str, np.ndarray]] = []
    done = 0
    while done < len(images) and (file := _file(folder, done)).exists():
        content = _load(file)
        _check(content, facts, images.keys[done:], file)
        done += len(content["images"])
        made.append({name: x for name, x in content.items() if name not in ("images", "facts")})
    if done:
        print(f"{min(done, len(images))} of {len(images)} images are stored in {folder}")
    starts = range(done, len(images), batch_size)
    progress = bar(len(images) - done, "image")
    for start in starts:
        rows = slice(start, start + batch_size)
        made.append(make(images[rows], rows))
        _save(_file(folder, start), made[-1], images.keys[rows], facts)
        progress.add(len(images.keys[rows]))
    return made


def file_name(method: str) -> str:
    """A method with its options as the name of a file or folder on any system."""
    return re.sub(r"[^\w.,=+-]+", "_", method)


def _file(folder: Path, start: int) -> Path:
    return folder / f"{start:07d}.npz"


def _save(file: Path, content: dict[str, np.ndarray], keys: Sequence[str], facts: dict[str, Any]) -> None:
    """Under another name first: a file that has its name is complete."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    with open(unfinished, "wb") as stream:
        np.savez(stream, images=np.array(keys), facts=json.dumps(facts), **content)  # type: ignore[arg-type]
    os.replace(unfinished, file)


def _load(file: Path) -> dict[str, np.ndarray]:
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as content:
            return {name: content[name] for name in {"images", "facts", *content.files}}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ValueError(f"Expected stored results in {str(file)!r}: {error}. Delete it, and run again.") from error


def _check(content: dict[str, np.ndarray], facts: dict[str, Any], keys: Sequence[str], file: Path) -> None:
    """ValueError if results were made under other settings, or of other images."""
    before = json.loads(str(content["facts"]))
    changes = [(name, before.get(name), facts.get(name)) for name in {**before, **facts}]
    changes += [("the image", was, now) for was, now in zip(content["images"].tolist(), keys, strict=False)]
    check(changes, file.parent)


def check(changes: Iterable[tuple[str, Any, Any]], folder: Path) -> None:
    """ValueError if something was one thing and is another: names, what was, and what is."""
    other = [f"{name} was {was!r} and is {now!r}" for name, was, now in changes if was != now]
    if other:
        raise ValueError(
            f"{str(folder)!r} holds results of another run: {'; '.join(other[:5])}. "
            "Choose another folder by --cache, or delete this one."
        )
