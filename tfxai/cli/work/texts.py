"""``tfxai explain MODEL --text FILE``: lines in, words with their numbers out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfxai.cli.options import DEFAULT_METHODS
from tfxai.cli.work import files
from tfxai.cli.work.given import check_folder, chosen_methods, opened
from tfxai.cli.work.rows import Found, explain_rows
from tfxai.custom import imported
from tfxai.plotting import plot_grid


def explain_texts(arguments: argparse.Namespace) -> int:
    """Explain the lines of a file, and draw each."""
    methods = chosen_methods(arguments, DEFAULT_METHODS[1:])
    texts = _read(arguments.text)
    check_folder(arguments.output)
    view = opened(arguments)
    if arguments.preprocessor is not None:
        view.preprocessor = imported("--preprocessor", arguments.preprocessor, "my_words:numbers")
    if view.preprocessor is None:
        raise ValueError(
            "The model has nothing that turns strings into numbers. Give --preprocessor MODULE:NAME, a function from "
            "a list of strings to its inputs, or a model that begins with a TextVectorization into integers."
        )
    print(f"explaining {len(texts)} texts by {', '.join(methods)} ...", flush=True)
    batches = ((part, part) for part in _parts(texts, arguments.batch_size))

    def draw(number: int, own: Found) -> None:
        files.save(plot_grid(own), arguments.output / f"text-{number + 1}.png")

    explain_rows(arguments, view, methods, batches, lambda one: one.words(0), "words", draw)
    return 0


def _read(given: str) -> list[str]:
    """The lines of a file, without those that are empty."""
    if given == "-":
        lines = sys.stdin.read().splitlines()
    elif Path(given).is_file():
        lines = Path(given).read_text(encoding="utf-8-sig").splitlines()
    else:
        raise ValueError(f"There is no file {given!r} with texts.")
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise ValueError(f"There are no texts in {'the standard input' if given == '-' else repr(given)}.")
    return texts


def _parts(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    return (list(texts[start : start + size]) for start in range(0, len(texts), size))
