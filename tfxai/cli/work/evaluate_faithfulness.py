"""The command ``tfxai evaluate faithfulness``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tfxai._version import __version__
from tfxai.archive import digest
from tfxai.cli.work import files
from tfxai.cli.work.explaining import chosen_target, class_names
from tfxai.cli.work.given import check_file, check_folder, chosen_methods, facts_of, opened
from tfxai.evaluation.faithfulness import evaluate_faithfulness
from tfxai.evaluation.image_files import ImageFiles
from tfxai.metrics.judge import Judge, Setting
from tfxai.metrics.trust import BLIND
from tfxai.models.predict import input_shape
from tfxai.pages.trust import trusted


def run(arguments: argparse.Namespace) -> None:
    """Explain the images, measure the explanations, and print tables and verdict."""
    methods = chosen_methods(arguments)
    if arguments.limit is not None and arguments.limit < 2:
        raise ValueError(f"Expected --limit to be 2 images or more, got {arguments.limit}.")
    paths = files.find(arguments.images)[: arguments.limit]
    if len(paths) < 2:
        raise ValueError("Expected two images or more: a single one cannot tell skill from luck.")
    names = class_names(arguments)
    target = chosen_target(arguments.target, names)
    check_folder(arguments.cache)
    for file in (arguments.csv, arguments.figure, arguments.html):
        check_file(file)
    view = opened(arguments)
    options = {"score": arguments.score} if arguments.score else {}
    setting = Setting(
        arguments.steps, _number(arguments.fill), _number(arguments.groups), seed=arguments.seed, options=options
    )
    judge = Judge(view, arguments.measure, setting)
    given = ImageFiles(paths, *input_shape(view), arguments.preprocess, arguments.crop)
    facts = {
        "tfxai": __version__,
        "model": digest(arguments.model),
        **{
            name: getattr(arguments, name)
            for name in ("model_output", "signature", "preprocess", "crop", "target", "score")
        },
        **{name: getattr(arguments, name) for name in ("measure", "steps", "fill", "groups", "seed")},
        "size": given.size,
    }
    found = evaluate_faithfulness(
        {name: method.make(view, classes=names) for name, method in methods.items()},
        given,
        target,
        arguments.cache,
        dict.fromkeys(BLIND, facts) | {name: facts | facts_of(method) for name, method in methods.items()},
        judge,
        batch_size=arguments.batch_size,
    )
    print(f"\n{found}")
    if arguments.csv is not None:
        found.write_csv(arguments.csv)
    figure = arguments.figure or (arguments.html and arguments.html.with_suffix(".png"))
    if figure is not None and found.curves:
        files.save(found.plot(), figure)
    if arguments.html is not None:
        picture = figure.read_bytes() if found.curves else None
        arguments.html.parent.mkdir(parents=True, exist_ok=True)
        arguments.html.write_text(trusted(found, Path(arguments.model).name, picture), encoding="utf-8")
        print(f"  {arguments.html}")


def _number(given: str | None) -> Any:
    """A number as such, a whole one as int."""
    try:
        return None if given is None else int(given) if given.lstrip("-").isdigit() else float(given)
    except ValueError:
        return given
