"""The command ``tfxai evaluate faithfulness``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tfxai._version import __version__
from tfxai.cli import files
from tfxai.cli.explaining import add_image_options, add_target_options, chosen_target, class_names
from tfxai.cli.options import (
    add_csv_option,
    add_method_options,
    add_model_options,
    add_seed_option,
    check_file,
    check_folder,
    chosen_methods,
    facts_of,
    opened,
)
from tfxai.evaluation.faithfulness import evaluate_faithfulness
from tfxai.evaluation.image_files import ImageFiles
from tfxai.evaluation.stored import digest
from tfxai.metrics.judge import MEASURES, Judge, Setting
from tfxai.metrics.trust import BLIND
from tfxai.models.predict import input_shape
from tfxai.pages.trust import trusted

NAME = "faithfulness"
HELP = "Score methods by what the model does when they are believed: no masks or boxes are needed."
EXAMPLES = """examples:
  tfxai evaluate faithfulness model.keras photos/ --method grad_cam lrp --preprocess -1..1
  tfxai evaluate faithfulness model.keras photos/ --method saliency lrp --steps 25 --csv trust.csv --html trust.html

Parts of each image are hidden or shown in the order of its heat-map, and the score is watched; see `tfxai.trust`. Maps
that know nothing of the model stand beside the methods: one that is no better tells nothing of the model. Intervals are
those of the bootstrap over images.

What is found is stored batch by batch. The same command continues a run that was interrupted, and recomputes nothing.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai evaluate faithfulness`` to its parser."""
    add_model_options(parser)
    add_image_options(parser)
    add_method_options(parser)
    add_target_options(parser)
    parser.add_argument(
        "--measure", metavar="NAME", nargs="+", choices=list(MEASURES), default=list(MEASURES), help=_measures()
    )
    parser.add_argument(
        "--steps", metavar="N", type=int, default=50, help="of each curve (default: %(default)s, and as many passes)"
    )
    parser.add_argument(
        "--fill",
        metavar="FILL",
        help="what hides a part: a number in the model's own scale, mean, blur, noise, interpolate or inpaint "
        "(default: 0 where parts are hidden, blur where they are shown)",
    )
    parser.add_argument(
        "--groups",
        metavar="GROUPS",
        help="what is hidden together: superpixels, or the side of patches (default: pixels)",
    )
    add_seed_option(parser, "random maps and subsets")
    parser.add_argument("--limit", metavar="N", type=int, help="take the first N images only")
    add_csv_option(parser)
    parser.add_argument("--figure", metavar="FILE", type=Path, help="write the curves to this picture")
    parser.add_argument("--html", metavar="FILE", type=Path, help="write curves, tables and verdict to this page")
    parser.add_argument(
        "--cache",
        metavar="DIR",
        type=Path,
        default=Path("tfxai-trust"),
        help="where results are stored (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Explain the images, measure the explanations, and print tables and verdict."""
    methods = chosen_methods(arguments)
    if arguments.limit is not None and arguments.limit < 2:
        raise ValueError(f"Expected --limit to be 2 images or more, got {arguments.limit}.")
    paths = files.find(arguments.images)[: arguments.limit]
    if len(paths) < 2:
        raise ValueError("Expected two images or more: a single one does not tell luck from knowledge.")
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
    given = ImageFiles(paths, *input_shape(view), arguments.preprocess)
    facts = {
        "tfxai": __version__,
        "model": digest(arguments.model),
        **{name: getattr(arguments, name) for name in ("model_output", "signature", "preprocess", "target", "score")},
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


def _measures() -> str:
    return "; ".join(f"{name}: {one.what}" for name, one in MEASURES.items()) + " (default: all)"


def _number(given: str | None) -> Any:
    """A number as such, a whole one as int."""
    try:
        return None if given is None else int(given) if given.lstrip("-").isdigit() else float(given)
    except ValueError:
        return given
