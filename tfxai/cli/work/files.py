"""Image files in, pictures and values out: a few images at a time, each written before the next begin."""

from __future__ import annotations

import glob
import itertools
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np

from tfxai import archive, images
from tfxai.evaluation.stored import file_name
from tfxai.explanation import Explanation
from tfxai.models import ModelView
from tfxai.models.predict import input_shape

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
    """A name for each file, its own without suffix, with a number behind it if another has the same."""
    taken: dict[str, Path] = {}
    for path in paths:
        number, chosen = 1, path.stem
        while chosen in taken:
            number += 1
            chosen = f"{path.stem}-{number}"
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
    """Image files as a model takes them, group by group; files that are none are told on stderr and left out.

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
    """

    def __init__(self, paths: Sequence[Path], view: ModelView, mode: images.Mode, at_once: int):
        self.paths, self.mode = paths, mode
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
        """The exit status, 1 if files were left out, which is told in one line."""
        if self.errors:
            left = len(self.paths) - len(self.errors)
            print(f"tfxai: {left} of {len(self.paths)} images {done}", file=sys.stderr)
        return 1 if self.errors else 0

    def _readable(self) -> Iterator[tuple[Path, np.ndarray]]:
        for path in self.paths:
            if path in self.errors:  # they are read a second time
                continue
            try:
                photograph = images.read(path)
            except (ValueError, OSError) as error:
                self.errors[path] = str(error)
                if len(self.paths) > 1:
                    print(f"tfxai: left out: {error}", file=sys.stderr)
                continue
            yield path, photograph


class Values:
    """The raw values of each method: a file for each group of images, and at the end one for all.

    So memory is that of a group, and what is done survives whatever happens.
    """

    def __init__(self, folder: Path, methods: Sequence[str]):
        self.folder = folder
        self.parts = {method: folder / f"{file_name(method)}.parts" for method in methods}
        self.paths: list[Path] = []
        self.groups = 0

    def add(self, found: dict[str, Explanation], group: Sequence[Path]) -> None:
        for method, parts in self.parts.items():
            if not self.groups:
                shutil.rmtree(parts, ignore_errors=True)  # of a run that was killed
            parts.mkdir(parents=True, exist_ok=True)
            found[method].save(self._file(method, self.groups))
        self.groups += 1
        self.paths += group

    def join(self) -> None:
        if not self.groups:
            return
        print()
        for method, parts in self.parts.items():
            files = [self._file(method, number) for number in range(self.groups)]
            header, _ = archive.read(files[0])
            header["facts"]["files"] = [str(path) for path in self.paths]
            whole = self.folder / f"{file_name(method)}.npz"
            archive.concatenate(whole, header, files)
            shutil.rmtree(parts)
            print(f"raw values: {whole}")

    def _file(self, method: str, number: int) -> Path:
        return self.parts[method] / f"{number:06}.npz"
