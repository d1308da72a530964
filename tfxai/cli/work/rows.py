"""What is explained row by row, texts and tables: a batch at a time, each row told in numbers, and all values kept."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tfxai.api import Named
from tfxai.cli.work.explaining import check_names, chosen_target, class_names, page_of, told
from tfxai.evaluation.stored import file_name
from tfxai.explanation import Explanation
from tfxai.joining import join
from tfxai.models import ModelView
from tfxai.models.predict import predictor
from tfxai.pages.entries import Told

LETTERS = 100  # in a line of the terminal
Found: TypeAlias = dict[str, Explanation]  # by the titles of methods


def explain_rows(
    arguments: argparse.Namespace,
    view: ModelView,
    methods: Mapping[str, Named],
    batches: Iterable[tuple[Sequence[str], Any]],
    read: Callable[[Explanation], Told],
    kind: str,
    draw: Callable[[int, Found], None] | None = None,
) -> Found:
    """Explain batches by all methods, tell of each row, and write the values of each method, whatever ends the work.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command.
    view : ModelView
        The model.
    methods : mapping of str to Named
        The methods by their titles.
    batches : iterable of (sequence of str, inputs)
        What the rows are called, and what explainers take.
    read : callable
        What the explanation of a row tells in words and numbers.
    kind : {"words", "bars"}
        How a page shows it.
    draw : callable, optional
        Draws a row, from its number and its explanations.

    Returns
    -------
    dict of str to Explanation
        Of all rows.
    """
    names = class_names(arguments)
    target = chosen_target(arguments.target, names)
    explainers = {title: method.make(view, classes=names) for title, method in methods.items()}
    predict = predictor(view, arguments.batch_size, len(names) if names else None)
    page = page_of(arguments, 0)
    kept: dict[str, list[Explanation]] = {title: [] for title in explainers}
    whole: Found = {}
    done = 0
    try:
        for titles, inputs in batches:
            batch = {title: one.explain(inputs, target, arguments.batch_size, 0) for title, one in explainers.items()}
            for title, one in batch.items():
                kept[title].append(one)
            said: list[list[str]] = []
            chances: list[np.ndarray | None] = []
            for part in next(iter(batch.values())).parts:
                predicted = predict(part.inputs)
                check_names(names, predicted)
                said += [told(predicted, row, names, arguments.top) for row in range(len(part))]
                chances += [predicted.probabilities(row) for row in range(len(part))]
            for row, title in enumerate(titles):
                own = {method: one[row] for method, one in batch.items()}
                values = {method: read(one) for method, one in own.items()}
                print("\n".join([f"\n{title}", *said[row], *_lines(own, values)]), flush=True)
                if draw is not None:
                    draw(done + row, own)
                if arguments.html:
                    page.add_told(title, said[row], own, values, kind, chances[row])
            done += len(titles)
    finally:
        for method, parts in kept.items():
            if parts:
                whole[method] = join(parts)
                _save(whole[method], arguments.output / f"{file_name(method)}.npz")
    if arguments.html:
        print(f"page: {page.path}")
    return whole


def _save(explanation: Explanation, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    explanation.save(file)
    print(f"raw values: {file}")


def _lines(own: Found, values: Mapping[str, Told]) -> list[str]:
    """What each method tells of a row, in lines of the terminal; a word and its number stay together."""
    lines = []
    for method, one in own.items():
        words = "  ".join(f"{word} {value:+.3g}".replace(" ", "\N{NO-BREAK SPACE}") for word, value in values[method])
        wrapped = textwrap.wrap(words, LETTERS - 4, break_long_words=False, break_on_hyphens=False)
        lines += [f"  {method}, for {one.label(0)}:", *(f"    {line}" for line in wrapped)]
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]
