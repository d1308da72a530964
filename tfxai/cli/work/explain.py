"""The command ``tfxai explain``."""

from __future__ import annotations

import argparse

from tfxai.cli.work.explaining import explain_files
from tfxai.cli.work.given import chosen_methods, facts_of, look
from tfxai.cli.work.tables import explain_table
from tfxai.cli.work.texts import explain_texts
from tfxai.plotting import plot_grid


def run(arguments: argparse.Namespace) -> int:
    """Explain what is given; 1 if some of several images were none, else 0."""
    given = [bool(arguments.images), arguments.text is not None, arguments.table is not None]
    if sum(given) != 1:
        raise ValueError("Expected one of these: image files, --text FILE, or --table FILE.")
    drawn = look(arguments)
    if arguments.text is not None:
        return explain_texts(arguments)
    if arguments.table is not None:
        return explain_table(arguments)
    methods = chosen_methods(arguments)
    return explain_files(
        arguments,
        {title: facts_of(method) for title, method in methods.items()},
        lambda view, names: [method.make(view, classes=names) for method in methods.values()],
        lambda found, photograph: plot_grid(found, [photograph], **drawn),
    )
