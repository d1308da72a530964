"""The command ``tfxai``: explain images, evaluate methods, list layers and methods, and a demo without data."""

from __future__ import annotations

import argparse
import csv
import glob
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import matplotlib.pyplot as plt
import tensorflow as tf

from tfxai import api, images
from tfxai._version import __version__
from tfxai.command import MODEL_HELP, add_method_options, add_model_options, chosen_methods, input_shape, predict
from tfxai.evaluation.command import add_parser as add_evaluation
from tfxai.evaluation.stored import file_name
from tfxai.explanation import Explanation
from tfxai.models import open_model
from tfxai.plotting import plot_grid
from tfxai.synthesis import command as synthesis

EXPLAIN_EXAMPLES = """examples:
  tfxai explain model.keras cat.jpg
  tfxai explain saved_model/ cat.jpg --signature serve
  tfxai explain model.keras photos/ --preprocess -1..1 --classes names.txt --output out
  tfxai explain model.keras "photos/*.jpg" --method grad_cam rise:masks=500,cells=9 --layer conv5 --target "tabby cat"

The class that is explained is the predicted one, or --target for all images. Each image gives a figure, each method
a .npz file with the raw values of all images: tfxai.Explanation.load(FILE).

--preprocess is what was done to the pixels, 0 to 255, when the model was trained:
  none    nothing, or the model does it itself      0..1   divided by 255
  -1..1   divided by 127.5, minus 1 (MobileNet)     caffe  BGR, minus the mean of ImageNet (VGG, ResNet of Keras)
  torch   0..1, then normalised by the mean and standard deviation of ImageNet (torchvision, DenseNet)
"""
LAYERS_EXAMPLES = """examples:
  tfxai layers model.keras
  tfxai layers saved_model/ --signature serve

Every name is what --layer takes; the methods of the CAM family need one with spatial output, marked by a star.
"""
METHODS_EXAMPLES = """examples:
  tfxai methods
  tfxai explain model.keras cat.jpg --method occlusion
"""
DEMO_EXAMPLES = """examples:
  tfxai demo
  tfxai demo --set double-12c --images 100 --output out

Needs neither data nor a network connection: a small network that comes with tfxai is explained on painted flowers of
which the part that decides the class is known, and each method is scored by how well its heat-maps hit that part.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; default: those of the process.

    Returns
    -------
    int
        0, or 2 after an error of the user, which is told in one line on stderr; 130 if it was interrupted.

    Examples
    --------
    >>> from tfxai.cli import main
    >>> main(["methods"])  # doctest: +ELLIPSIS
    saliency...
    """
    arguments = _parser().parse_args(_joined(sys.argv[1:] if argv is None else argv))
    matplotlib.use("Agg")  # figures go to files, also on machines without a screen
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our errors say what is wrong with a file
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        print("tfxai: interrupted", file=sys.stderr)
        return 130
    except (ValueError, TypeError, OSError, tf.errors.OpError) as error:
        print(f"tfxai: error: {textwrap.shorten(str(error), 600)}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tfxai",
        description="Explanations for Keras and TensorFlow models.",
        epilog="Start with: tfxai demo. Every command has examples in its own --help.",
    )
    parser.add_argument("--version", action="version", version=f"tfxai {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Any, help: str, epilog: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=help, description=help, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        made.set_defaults(run=run)
        return made

    explain = command("explain", _explain, "Explain a model's predictions for image files.", EXPLAIN_EXAMPLES)
    explain.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    explain.add_argument("images", metavar="IMAGE", nargs="+", help="image files, folders of them, or patterns")
    add_model_options(explain)
    add_method_options(explain)
    explain.add_argument("--target", metavar="CLASS", help="number or name of a class (default: the predicted one)")
    explain.add_argument(
        "--classes", metavar="FILE", help="names of the classes: one a line, or a .csv file with a column 'name'"
    )
    explain.add_argument(
        "--output", metavar="DIR", type=Path, default=Path("tfxai-output"), help="folder (default: %(default)s)"
    )
    explain.add_argument(
        "--top", metavar="N", type=int, default=5, help="how many classes to print (default: %(default)s)"
    )

    evaluation = "Score methods by what is known about images."
    add_evaluation(commands.add_parser("evaluate", help=evaluation, description=evaluation))

    made = "Make images of what a class or a channel looks like to a model."
    synthesis.add_synthesize_options(command("synthesize", _synthesize, made, synthesis.SYNTHESIZE_EXAMPLES))
    amplified = "Amplify in a photograph what a layer sees in it."
    synthesis.add_dream_options(command("dream", synthesis.dream, amplified, synthesis.DREAM_EXAMPLES))

    layers = command("layers", _layers, "List the layers of a model.", LAYERS_EXAMPLES)
    layers.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    add_model_options(layers)

    command("methods", _methods, "List the methods: use, cost, needs and drawback.", METHODS_EXAMPLES)

    demo = command(
        "demo", _demo, "Explain a small network that comes with tfxai, and score the methods.", DEMO_EXAMPLES
    )
    demo.add_argument("--output", metavar="DIR", type=Path, default=Path("tfxai-demo"), help="default: %(default)s")
    demo.add_argument("--images", metavar="N", type=int, default=42, help="images to score by (default: %(default)s)")
    demo.add_argument(
        "--set", choices=["single-6c", "double-12c"], default="single-6c", help="flowers (default: %(default)s)"
    )
    return parser


def _joined(argv: Sequence[str]) -> list[str]:
    """``--preprocess -1..1`` as one word: argparse would take -1..1 for an option."""
    words = list(argv)
    for place in range(len(words) - 1, 0, -1):
        if words[place] == "-1..1":
            words[place - 1 : place + 1] = [f"{words[place - 1]}={words[place]}"]
    return words


def _explain(arguments: argparse.Namespace) -> None:
    methods = chosen_methods(arguments)
    paths = _find(arguments.images)
    names = None if arguments.classes is None else _read_classes(arguments.classes)
    target = _target(arguments.target, names)

    photographs = [images.read(path) for path in paths]
    view = open_model(arguments.model, arguments.model_output, arguments.signature)
    inputs = images.prepare(photographs, *input_shape(view), arguments.preprocess)
    probabilities = predict(view, inputs, arguments.batch_size)
    if names is not None and len(names) != probabilities.shape[1]:
        raise ValueError(f"Expected the names of {probabilities.shape[1]} classes, got {len(names)}.")

    explanations: dict[str, Explanation] = {}
    for name, (cls, options) in methods.items():
        print(f"explaining by {name} ...", flush=True)
        found = cls(view, classes=names, **options).explain(inputs, target, arguments.batch_size)
        explanations[name] = replace(found, facts=found.facts | {"files": [str(path) for path in paths]})

    arguments.output.mkdir(parents=True, exist_ok=True)
    for row, (path, name) in enumerate(zip(paths, _unique([path.stem for path in paths]), strict=True)):
        print(f"\n{path}")
        for number in probabilities[row].argsort()[::-1][: max(1, arguments.top)]:
            print(f"  {probabilities[row, number]:7.2%}  {names[number] if names else f'class {number}'}")
        figure = plot_grid({title: one[row] for title, one in explanations.items()}, [photographs[row]])
        _save(figure, arguments.output / f"{name}.png")
    print()
    for name, explanation in explanations.items():
        file = arguments.output / f"{file_name(name)}.npz"
        explanation.save(file)
        print(f"raw values: {file}")


def _synthesize(arguments: argparse.Namespace) -> None:
    synthesis.synthesize(arguments, None if arguments.classes is None else _read_classes(arguments.classes))


def _layers(arguments: argparse.Namespace) -> None:
    rows = [("layer", "kind", "output shape", "spatial")]
    for layer in open_model(arguments.model, arguments.model_output, arguments.signature).layers():
        shape = ", ".join("any" if size is None else str(size) for size in layer.shape[1:])
        rows.append((layer.name, layer.kind, f"({shape})", "*" if layer.spatial else ""))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]).rstrip())


def _methods(arguments: argparse.Namespace) -> None:
    known = api.methods()
    indent = max(map(len, known)) + 2
    width = min(shutil.get_terminal_size().columns, 120)
    for name, cls in known.items():
        facts = cls.facts
        text = f"{facts.use}. Cost: {facts.cost}. Needs: {facts.needs}. Drawback: {facts.drawback}. {facts.reference}."
        print(textwrap.fill(text, width, initial_indent=name.ljust(indent), subsequent_indent=" " * indent))


def _demo(arguments: argparse.Namespace) -> None:
    from tfxai import demo

    demo.run(arguments.output, arguments.images, arguments.set)


def _find(given: Sequence[str]) -> list[Path]:
    """Files that arguments name: themselves, the images in a folder, or what fits a pattern."""
    found: list[Path] = []
    for one in given:
        path = Path(one)
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in images.SUFFIXES)
        elif not path.exists() and glob.has_magic(one):
            files = [Path(file) for file in sorted(glob.glob(one, recursive=True))]
        else:
            files = [path]
        if not files:
            raise ValueError(f"There are no images in {one!r}.")
        found += files
    return list(dict.fromkeys(found))


def _read_classes(file: str) -> list[str]:
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"There is no file {file!r} with names of classes.")
    with path.open(newline="", encoding="utf-8-sig") as lines:
        if path.suffix.lower() == ".csv":
            rows = csv.DictReader(lines)
            if "name" not in (rows.fieldnames or ()):
                raise ValueError(f"Expected {file!r} to have a column 'name', got {', '.join(rows.fieldnames or ())}.")
            return [row["name"] for row in rows]
        return [line.strip() for line in lines if line.strip()]


def _target(given: str | None, names: Sequence[str] | None) -> int | str | None:
    if given is None or given.lstrip("-").isdigit():
        return None if given is None else int(given)
    if names is None:
        raise ValueError(f"Expected --classes with the names of all classes, as --target {given!r} is a name.")
    return given


def _unique(names: Sequence[str]) -> list[str]:
    """The names, with numbers behind those that have occurred before."""
    taken: dict[str, None] = {}
    for name in names:
        number, chosen = 1, name
        while chosen in taken:
            number += 1
            chosen = f"{name}-{number}"
        taken[chosen] = None
    return list(taken)


def _save(figure: Any, file: Path) -> None:
    figure.savefig(file, dpi=150)
    plt.close(figure)
    print(f"  {file}")
