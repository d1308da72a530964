"""What the commands that explain image files share: the way from files to pictures and values."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tfxai.cli.options import PAGE
from tfxai.cli.work import files
from tfxai.cli.work.given import check_batch_size, check_folder, opened, read_classes
from tfxai.explainer import Explainer
from tfxai.models import ModelView
from tfxai.models.predict import Predicted, predictor
from tfxai.pages.explained import ExplainedPage, detail_for
from tfxai.synthesis.box import box
from tfxai.targets import class_id

Draw = Callable[[dict[str, Any], Any], Figure]  # from explanations of one image, and the image, to a figure


def page_of(arguments: argparse.Namespace, maps: int, pixels: Callable | None = None) -> ExplainedPage:
    """The page of ``--html``, which gets so many maps; it lies beside the other results unless its file is named."""
    file = arguments.html if isinstance(arguments.html, Path) else arguments.output / PAGE
    if file.is_dir():
        raise ValueError(f"Expected --html to name a file, and {str(file)!r} is a folder.")
    return ExplainedPage(file, f"What does {Path(arguments.model).name} look at?", pixels, detail_for(maps))


def class_names(arguments: argparse.Namespace) -> list[str] | None:
    """The names in the file of ``--classes``."""
    return None if arguments.classes is None else read_classes(arguments.classes)


def chosen_target(given: str | None, names: Sequence[str] | None) -> int | str | None:
    """The class that ``--target`` names."""
    if given is None or given.lstrip("-").isdigit():
        return None if given is None else int(given)
    if names is None:
        raise ValueError(f"Expected --classes with the names of all classes, as --target {given!r} is a name.")
    class_id(given, names)
    return given


def explain_files(
    arguments: argparse.Namespace,
    methods: Sequence[str],
    make: Callable[[ModelView, list[str] | None], Sequence[Explainer]],
    draw: Draw,
) -> int:
    """Explain image files, and write a figure for each and the values of each method as the work goes on.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command, with all options of this module.
    methods : sequence of str
        What the methods are called.
    make : callable
        From the model and the names of its classes to the explainers.
    draw : callable
        From the explanations of one image by method, and the image, to its figure.

    Returns
    -------
    int
        The exit status: 1 if some of the files were no images, else 0.
    """
    check_batch_size(arguments)
    paths = files.find(arguments.images)
    names = class_names(arguments)
    target = chosen_target(arguments.target, names)
    check_folder(arguments.output)
    view = opened(arguments)
    given = files.Images(paths, view, arguments.preprocess, min(files.GROUP, arguments.batch_size))
    explainers = dict(zip(methods, make(view, names), strict=True))
    predict = predictor(view, arguments.batch_size, len(names) if names else None)

    page = page_of(arguments, len(paths) * len(methods), box(arguments.preprocess).pixels)
    titles, written = files.titles(paths), files.Values(arguments.output, methods)
    print(f"explaining {len(paths)} images by {', '.join(methods)} ...", flush=True)
    try:
        for group, photographs, inputs in given:
            predicted = predict(inputs)
            check_names(names, predicted)
            found = {
                name: explainer.explain(inputs, target, arguments.batch_size, verbose=0)
                for name, explainer in explainers.items()
            }
            written.add(found, group)
            for row, path in enumerate(group):
                said = told(predicted, row, names, arguments.top)
                print("\n".join([f"\n{path}", *said]))
                own = {name: one[row] for name, one in found.items()}
                files.save(draw(own, photographs[row]), arguments.output / f"{titles[path]}.png")
                if arguments.html:
                    page.add(path.name, photographs[row], said, own, predicted.probabilities(row))
    finally:
        written.join()
    if arguments.html:
        print(f"page: {page.path}")
    return given.status("explained")


def check_names(names: Sequence[str] | None, predicted: Predicted) -> None:
    """ValueError if there are more or fewer names than classes."""
    if names is not None and len(names) != predicted.values.shape[1]:
        raise ValueError(f"Expected the names of {predicted.values.shape[1]} classes, got {len(names)}.")


def told(predicted: Predicted, row: int, names: Sequence[str] | None, top: int) -> list[str]:
    """What the model says of an input, a line for each of the classes or outputs with the largest values."""
    values = predicted.values[row]
    kind, form = ("class", "7.2%") if predicted.probable else ("output", "7.4g")
    return [
        f"  {values[number]:{form}}  {names[number] if names else f'{kind} {number}'}"
        for number in values.argsort()[::-1][: max(1, top)]
    ]
