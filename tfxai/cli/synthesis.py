"""What ``tfxai synthesize`` and ``tfxai dream`` share: options, and the files that they write."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from tfxai.cli.options import add_output_option, add_preprocess_option, add_seed_option
from tfxai.synthesis.result import Synthesis


def add_synthesis_options(parser: argparse.ArgumentParser, random: str, folder: str) -> None:
    """What pixels mean, the seed of what is random, and where images go."""
    add_preprocess_option(parser)
    add_seed_option(parser, random)
    add_output_option(parser, folder)


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
