"""What the commands that explain image files share: the way from files to pictures and values."""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from tfxai._version import __version__
from tfxai.archive import digest
from tfxai.cli.options import PAGE
from tfxai.cli.work import files
from tfxai.cli.work.given import check_batch_size, check_folder, opened, read_classes
from tfxai.explainer import Explainer
from tfxai.models import ModelView
from tfxai.models.predict import Predicted, predictor
from tfxai.pages.explained import ExplainedPage, detail_for
from tfxai.progress import duration
from tfxai.synthesis.box import box
from tfxai.targets import class_id

Draw = Callable[[dict[str, Any], Any], Figure]  # from explanations of one image, and the image, to a figure


def page_of(arguments: argparse.Namespace, maps: int, pixels: Callable | None = None) -> ExplainedPage:
    """The page of ``--html``, which gets so many maps; it lies beside the other results unless its file is named."""
    file = arguments.html if isinstance(arguments.html, Path) else arguments.output / PAGE
    if file.is_dir():
        raise ValueError(f"Expected --html to name a file, but {str(file)!r} is a folder.")
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
    methods: Mapping[str, Mapping[str, Any]],
    make: Callable[[ModelView, list[str] | None], Sequence[Explainer]],
    draw: Draw,
) -> int:
    """Explain image files, and write a figure for each and the values of each method as the work goes on.

    Parameters
    ----------
    arguments : argparse.Namespace
        Of the command, with all options of this module.
    methods : mapping of str to mapping
        What the methods are called, and what is to be known of each besides the arguments, as JSON can hold it.
    make : callable
        From the model and the names of its classes to the explainers.
    draw : callable
        From the explanations of one image by method, and the image, to its figure.

    Returns
    -------
    int
        The exit status: 1 if some of the files were not images, else 0.
    """
    check_batch_size(arguments)
    paths = files.find(arguments.images)
    names = class_names(arguments)
    target = chosen_target(arguments.target, names)
    check_folder(arguments.output)
    view = opened(arguments)
    given = files.Images(paths, view, arguments.preprocess, min(files.GROUP, arguments.batch_size), arguments.crop)
    explainers = dict(zip(methods, make(view, names), strict=True))
    predict = predictor(view, arguments.batch_size, len(names) if names else None)

    page = page_of(arguments, len(paths) * len(methods), box(arguments.preprocess).pixels)
    titles = files.titles(paths)
    common = _common(arguments, names)
    written = files.Values(arguments.output, {title: {**common, **own} for title, own in methods.items()})
    steps = Steps(len(given) * len(methods))
    print(f"explaining {len(paths)} images by {', '.join(methods)} ...", flush=True)
    finished = False
    try:
        for group in given:
            predicted = predict(group.inputs)
            check_names(names, predicted)
            said = [told(predicted, row, names, arguments.top) for row in range(len(group.paths))]
            for path, lines in zip(group.paths, said, strict=True):
                print("\n".join([f"\n{path}", *lines]), flush=True)
            print()
            found = {}
            for name, explainer in explainers.items():
                steps.begin(name)
                make_it = functools.partial(explainer.explain, group.inputs, target, arguments.batch_size, verbose=0)
                found[name], made = written.take(name, group, make_it)
                steps.end(made)
            for row, path in enumerate(group.paths):
                own = {name: one[row] for name, one in found.items()}
                files.save(draw(own, group.photographs[row]), arguments.output / f"{titles[path]}.png")
                if arguments.html:
                    page.add(
                        "standard input" if path == files.PIPED else path.name,
                        group.photographs[row],
                        said[row],
                        own,
                        predicted.probabilities(row),
                    )
        finished = True
    finally:
        written.join(finished)
    if arguments.html:
        print(f"page: {page.path}")
    return given.status("explained")


def _common(arguments: argparse.Namespace, names: Sequence[str] | None) -> dict[str, Any]:
    """What the values of all methods depend on beside the images."""
    own = ("layer", "score", "target", "preprocess", "crop", "signature", "model_output", "base_layer", "preset")
    more = ("inversion_steps", "target_steps", "strongest", "relus")
    options = {name: getattr(arguments, name) for name in (*own, *more) if hasattr(arguments, name)}
    for name in {"model", "features"} & vars(arguments).keys():
        options[name] = digest(getattr(arguments, name))
    return {"tfxai": __version__, "classes": names} | options


class Steps:
    """What is said while some images after others are explained by each method: which, how long, and what is left."""

    def __init__(self, count: int):
        self.count, self.done, self.made, self.spent = count, 0, 0, 0.0

    def begin(self, method: str) -> None:
        """A method begins, which may take minutes."""
        self.method, self.since = method, time.monotonic()

    def end(self, made: bool) -> None:
        """It is done, unless an earlier run had done it."""
        self.done += 1
        took = time.monotonic() - self.since
        self.made, self.spent = self.made + made, self.spent + made * took
        said = f"took {duration(took)}" if made else "was done by an earlier run"
        left = (self.count - self.done) * self.spent / max(1, self.made)
        rest = f", about {duration(left)} left" if self.done < self.count and self.made else ""
        print(f"  {self.done} of {self.count}: {self.method} {said}{rest}", flush=True)


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
