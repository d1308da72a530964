"""Image files in, pictures and values out: a few images at a time, each written before the next begin."""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from tfxai import archive, images
from tfxai.evaluation.image_files import checksum
from tfxai.evaluation.stored import file_name
from tfxai.explanation import Explanation
from tfxai.models import ModelView
from tfxai.models.predict import input_shape

PIPED = Path("-")  # the standard input
GROUP = 8  # images between two writings; the samples of a method fill a batch however few they are


def find(given: Sequence[str]) -> list[Path]:
    """Files that arguments name: themselves, the images in a folder, or what fits a pattern."""
    found: list[Path] = []
    for one in given:
        path = Path(one)
        if path.is_dir():
            files = in_folder(path)
        elif not path.exists() and glob.has_magic(one):
            files = [Path(file) for file in sorted(glob.glob(one, recursive=True))]
        else:
            files = [path]
        if not files:
            raise ValueError(f"There are no images in {one!r}.")
        found += files
    return list(dict.fromkeys(found))


def in_folder(folder: Path) -> list[Path]:
    """The image files that lie in a folder itself."""
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in images.SUFFIXES)


def titles(paths: Sequence[Path]) -> dict[Path, str]:
    """A name for each file, its own without suffix, with a number after it if another has the same."""
    taken: dict[str, Path] = {}
    for path in paths:
        stem = "stdin" if path == PIPED else path.stem
        number, chosen = 1, stem
        while chosen in taken:
            number += 1
            chosen = f"{stem}-{number}"
        taken[chosen] = path
    return {path: title for title, path in taken.items()}


def save(figure: plt.Figure, file: Path, dpi: int = 150) -> None:
    """Write a figure, and say where it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=dpi)
    plt.close(figure)
    print(f"  {file}", flush=True)


class Group(NamedTuple):
    """Some images: their files, as they are, and as the model takes them."""

    paths: list[Path]
    photographs: list[np.ndarray]
    inputs: np.ndarray


class Images:
    """Image files as a model takes them, group by group; files that are none are reported on stderr and left out.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    view : ModelView
        The model. If it takes images of any size, all get that of the first.
    mode : str
        As for `tfxai.images.prepare`.
    at_once : int
        How many images in a group, if the model does not say.
    crop : float, optional
        Which share of each is taken, as for `tfxai.images.centre`. Default: all of it, in another shape.
    """

    def __init__(self, paths: Sequence[Path], view: ModelView, mode: str, at_once: int, crop: float | None = None):
        self.paths, self.mode, self.crop = paths, mode, crop
        self.piped: bytes | None = None
        self.size, self.channels = input_shape(view)
        self.at_once = view.batch_size or at_once
        self.errors: dict[Path, str] = {}

    def __len__(self) -> int:
        """How many groups there are, if all files are images."""
        return -(-len(self.paths) // self.at_once)

    def __iter__(self) -> Iterator[Group]:
        stream = self._readable()
        while group := list(itertools.islice(stream, self.at_once)):
            paths, photographs = map(list, zip(*group, strict=True))
            height, width = self.size
            self.size = height or photographs[0].shape[0], width or photographs[0].shape[1]
            yield Group(paths, photographs, images.prepare(photographs, self.size, self.channels, self.mode))
        if len(self.errors) == len(self.paths):
            only = next(iter(self.errors.values()))
            raise ValueError(only if len(self.paths) == 1 else f"None of {len(self.paths)} files is an image.")

    def status(self, done: str) -> int:
        """The exit status, 1 if files were left out, which is reported in one line."""
        if self.errors:
            left = len(self.paths) - len(self.errors)
            print(f"tfxai: {left} of {len(self.paths)} images {done}", file=sys.stderr)
        return 1 if self.errors else 0

    def _readable(self) -> Iterator[tuple[Path, np.ndarray]]:
        for path in self.paths:
            if path in self.errors:  # they are read a second time
                continue
            try:
                photograph = self._read(path)
            except (ValueError, OSError) as error:
                self.errors[path] = str(error)
                if len(self.paths) > 1:
                    print(f"tfxai: left out: {error}", file=sys.stderr)
                continue
            yield path, photograph

    def _read(self, path: Path) -> np.ndarray:
        """A photograph, or its middle."""
        if path == PIPED:
            self.piped = sys.stdin.buffer.read() if self.piped is None else self.piped
            photograph = images.decode(self.piped, "'-', the standard input,")
        else:
            photograph = images.read(path)
        return photograph if self.crop is None else images.centre(photograph, self.crop, self.size)


class Values:
    """The raw values of each method: a file for each group of images, and at the end one for all.

    So memory is that of a group, and what is done survives whatever happens. The name of such a file has a digest of
    all that its values depend on, by which the same command takes them again after it was interrupted.

    Parameters
    ----------
    folder : Path
        Of the results.
    facts : dict of str to dict
        For each method, by its title, what its values depend on besides the images.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Mapping[str, Any]]):
        self.folder, self.facts = folder, facts
        self.parts = {method: folder / f"{file_name(method)}.parts" for method in facts}
        self.files: dict[str, list[Path]] = {method: [] for method in facts}
        self.paths: dict[str, list[Path]] = {method: [] for method in facts}

    def take(self, method: str, group: Group, make: Callable[[], Explanation]) -> tuple[Explanation, bool]:
        """The explanation of a group, stored by an earlier run or made and stored now; and whether it was made."""
        known = [self.facts[method], [[str(path), checksum(x)] for path, x in zip(*group[:2], strict=True)]]
        digest = hashlib.sha256(json.dumps(known, default=str).encode()).hexdigest()[:16]
        file = self.parts[method] / f"{len(self.files[method]):06}-{digest}.npz"
        found = _stored(file)
        made = found is None
        if found is None:
            found = make()
            file.parent.mkdir(parents=True, exist_ok=True)
            found.save(file)
        self.files[method].append(file)
        self.paths[method] += group.paths
        return found, made

    def join(self, finished: bool) -> None:
        """Write one file for each method; those of groups are kept for another run, unless this one is finished."""
        done = [method for method, files in self.files.items() if files]
        if done:
            print()
        for method in done:
            header, _ = archive.read(self.files[method][0])
            header["facts"]["files"] = [str(path) for path in self.paths[method]]
            whole = self.folder / f"{file_name(method)}.npz"
            archive.concatenate(whole, header, self.files[method])
            if finished:
                shutil.rmtree(self.parts[method])
            print(f"raw values: {whole}")
        if done and not finished:
            print("the same command resumes from here")


def _stored(file: Path) -> Explanation | None:
    """What an earlier run has written, unless it was killed meanwhile."""
    try:
        return Explanation.load(file)
    except ValueError:
        return None
