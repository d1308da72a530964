"""The command ``tfxai demo``: what the package is for, on a shipped network, as pictures, a table and a page."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfxai.cli.work import files
from tfxai.cli.work.given import check_folder
from tfxai.evaluation.demo import evaluate_demo, table
from tfxai.evaluation.shipped import Shipped
from tfxai.evaluation.showcase import showcase
from tfxai.pages.demo import PART, comparison, opening, shown
from tfxai.plotting import plot_grid


def run(arguments: argparse.Namespace) -> None:
    """Draw the four pictures, compare the methods, and write all of it as it comes, into ``demo.html`` too."""
    folder, name, count = arguments.output, arguments.set, arguments.images
    if count < 1:
        raise ValueError(f"Expected --images to be at least 1, got {count}.")
    check_folder(folder)
    shipped, page = Shipped(name), folder / "demo.html"
    folder.mkdir(parents=True, exist_ok=True)
    page.write_text(opening(shipped.model.name, shipped.classes), encoding="utf-8")
    for picture in showcase(shipped):
        png = folder / f"{picture.name}.png"
        files.save(picture.figure, png)
        _append(page, shown(picture, png.read_bytes()))

    found = evaluate_demo(shipped, count)
    print("\nMean IoU of the heat-maps with the part that decides, over thresholds:\n")
    print("\n".join(table(found.scores)))
    print()
    grid = plot_grid({PART: found.truth} | found.explanations, found.images)
    files.save(grid, folder / "demo.png", dpi=100)  # it is three times as wide as the others
    _append(page, comparison(found))
    print(f"  {page}")


def _append(page: Path, text: str) -> None:
    with page.open("a", encoding="utf-8") as stream:
        stream.write(text)
