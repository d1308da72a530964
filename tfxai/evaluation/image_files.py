"""Image files, read in batches as a network takes them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfxai import images


class ImageFiles:
    """Image files, checked, and read in batches as a network takes them.

    Parameters
    ----------
    files : sequence of path
        The files.
    size, channels, mode
        As for `tfxai.images.prepare`.
    crop : float, optional
        Which share of each image is taken, as for `tfxai.images.centre`. Default: all of it.

    Attributes
    ----------
    keys : list of str
        What distinguishes an image from others, its pixels included.
    size : tuple of int
        Height and width of the network's input.

    Raises
    ------
    ValueError
        If a file is missing or damaged.
    """

    def __init__(
        self,
        files: Sequence[Path],
        size: tuple[int | None, int | None],
        channels: int = 3,
        mode: str = "none",
        crop: float | None = None,
    ):
        self._files, self._channels, self._mode = list(files), channels, mode
        self._upright, self._crop = True, crop
        self.keys: list[str] = []
        for file in files:
            pixels = images.read(file)
            if not self.keys:
                self.size = size[0] or pixels.shape[0], size[1] or pixels.shape[1]
            self.keys.append(f"{file.name} {checksum(pixels)}")

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Inputs of the network."""
        pixels = [images.read(file, upright=self._upright) for file in self._files[rows]]
        if self._crop is not None:
            pixels = [images.centre(one, self._crop, self.size) for one in pixels]
        return images.prepare(pixels, self.size, self._channels, self._mode)


def checksum(pixels: np.ndarray) -> str:
    """By which an image is known again."""
    return f"{zlib.crc32(pixels.tobytes()):08x}"
