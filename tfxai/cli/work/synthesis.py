"""What ``tfxai synthesize`` and ``tfxai dream`` share: the files that they write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from tfxai.synthesis.result import Synthesis


def write(found: Synthesis, folder: Path, name: str, titles: Sequence[str]) -> None:
    """Pictures of all images, a figure if there are several, and everything in numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for title, pixels in zip(titles, found.pixels, strict=True):
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{title}.png")
        print(f"  {folder / f'{title}.png'}")
    if len(found) > 1:
        figure = found.plot()
        figure.savefig(folder / f"{name}.png", dpi=150)
        plt.close(figure)
    found.save(folder / f"{name}.npz")
    print(f"raw values: {folder / f'{name}.npz'}")
