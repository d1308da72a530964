"""The command ``tfxai explain``: images in files, a few at a time; what is done is written before the next begin."""

from __future__ import annotations

import argparse
import glob
import itertools
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from tfxai import archive, images
from tfxai.cli.options import (
    add_method_options,
    add_model_options,
    add_output_option,
    check_folder,
    chosen_methods,
    opened,
    read_classes,
)
from tfxai.evaluation.stored import file_name
from tfxai.explanation import Explanation
from tfxai.models.predict import input_shape, predictor
from tfxai.plotting import plot_grid
from tfxai.targets import class_id

NAME = "explain"
HELP = "Explain a model's predictions for image files."
EXAMPLES = """examples:
  tfxai explain model.keras cat.jpg
  tfxai explain saved_model/ cat.jpg --signature serve
  tfxai explain model.keras photos/ --preprocess -1..1 --classes names.txt --output out
  tfxai explain model.keras "photos/*.jpg" --method grad_cam rise:masks=500,cells=9 --layer conv5 --target "tabby cat"
  tfxai explain model.keras cat.jpg --method "smooth_grad(guided_backprop):samples=20" relevant_features:features=f.npz
  tfxai explain model.keras cat.jpg --custom-objects my_layers:Scale

The class that is explained is the predicted one, or --target for all images. Each image gives a figure, each method
a .npz file with the raw values of all images: tfxai.Explanation.load(FILE). Both are written as the work goes on. A
file that cannot be read is reported and left out, and the exit status is then 1.

--preprocess is what was done to the pixels, 0 to 255, when the model was trained:
  none    nothing, or the model does it itself      0..1   divided by 255
  -1..1   divided by 127.5, minus 1 (MobileNet)     caffe  BGR, minus the mean of ImageNet (VGG, ResNet of Keras)
  torch   0..1, then normalised by the mean and standard deviation of ImageNet (torchvision, DenseNet)
"""
GROUP = 8  # images between two writings; the samples of a method fill a batch however few they are


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai explain`` to its parser."""
    add_model_options(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files, folders of them, or patterns")
    add_method_options(parser)
    parser.add_argument("--target", metavar="CLASS", help="number or name of a class (default: the predicted one)")
    parser.add_argument(
        "--classes", metavar="FILE", help="names of the classes: one a line, or a .csv file with a column 'name'"
    )
    add_output_option(parser, "tfxai-output")
    parser.add_argument(
        "--top", metavar="N", type=int, default=5, help="how many classes or outputs to print (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run ``tfxai explain``; 1 if some of the files were no images, else 0."""
    methods = chosen_methods(arguments)
    paths = _find(arguments.images)
    names = None if arguments.classes is None else read_classes(arguments.classes)
    target = _target(arguments.target, names)
    check_folder(arguments.output)
    view = opened(arguments)
    size, channels = input_shape(view)
    explainers = {name: method.make(view, classes=names) for name, method in methods.items()}
    predict = predictor(view, arguments.batch_size, len(names) if names else None)

    titles = dict(zip(paths, _unique([path.stem for path in paths]), strict=True))
    written = _Values(arguments.output, list(methods))
    print(f"explaining {len(paths)} images by {', '.join(methods)} ...", flush=True)
    try:
        for group, photographs in _readable(paths, view.batch_size or min(GROUP, arguments.batch_size)):
            size = size[0] or photographs[0].shape[0], size[1] or photographs[0].shape[1]
            inputs = images.prepare(photographs, size, channels, arguments.preprocess)
            predicted = predict(inputs)
            if names is not None and len(names) != predicted.values.shape[1]:
                raise ValueError(f"Expected the names of {predicted.values.shape[1]} classes, got {len(names)}.")
            found = {
                name: explainer.explain(inputs, target, arguments.batch_size, verbose=0)
                for name, explainer in explainers.items()
            }
            written.add(found, group)
            for row, path in enumerate(group):
                print(f"\n{path}")
                for number in predicted.values[row].argsort()[::-1][: max(1, arguments.top)]:
                    value = f"{predicted.values[row, number]:{'7.2%' if predicted.probable else '7.4g'}}"
                    kind = "class" if predicted.probable else "output"
                    print(f"  {value}  {names[number] if names else f'{kind} {number}'}")
                figure = plot_grid({title: one[row] for title, one in found.items()}, [photographs[row]])
                _save(figure, arguments.output / f"{titles[path]}.png")
    finally:
        written.join()
    left_out = len(paths) - len(written.paths)
    if left_out:
        print(f"tfxai: {len(written.paths)} of {len(paths)} images explained", file=sys.stderr)
    return 1 if left_out else 0


class _Values:
    """The raw values of each method: a file for each group of images, and at the end one for all.

    So memory is that of a group, and what is done survives whatever happens.
    """

    def __init__(self, folder: Path, methods: Sequence[str]):
        self.folder = folder
        self.parts = {method: folder / f"{file_name(method)}.parts" for method in methods}
        self.paths: list[Path] = []
        self.groups = 0

    def add(self, found: dict[str, Explanation], group: Sequence[Path]) -> None:
        for method, parts in self.parts.items():
            if not self.groups:
                shutil.rmtree(parts, ignore_errors=True)  # of a run that was killed
            parts.mkdir(parents=True, exist_ok=True)
            found[method].save(self._file(method, self.groups))
        self.groups += 1
        self.paths += group

    def join(self) -> None:
        if not self.groups:
            return
        print()
        for method, parts in self.parts.items():
            files = [self._file(method, number) for number in range(self.groups)]
            header, _ = archive.read(files[0])
            header["facts"]["files"] = [str(path) for path in self.paths]
            whole = self.folder / f"{file_name(method)}.npz"
            archive.concatenate(whole, header, files)
            shutil.rmtree(parts)
            print(f"raw values: {whole}")

    def _file(self, method: str, number: int) -> Path:
        return self.parts[method] / f"{number:06}.npz"


def _readable(paths: Sequence[Path], count: int) -> Iterator[tuple[list[Path], list[np.ndarray]]]:
    """Groups of so many images; files that are none are told on stderr."""
    errors: list[str] = []

    def read() -> Iterator[tuple[Path, np.ndarray]]:
        for path in paths:
            try:
                photograph = images.read(path)
            except (ValueError, OSError) as error:
                errors.append(str(error))
                if len(paths) > 1:
                    print(f"tfxai: left out: {error}", file=sys.stderr)
                continue
            yield path, photograph

    stream = read()
    while group := list(itertools.islice(stream, count)):
        yield [path for path, _ in group], [photograph for _, photograph in group]
    if len(errors) == len(paths):
        raise ValueError(errors[0] if len(errors) == 1 else f"None of {len(paths)} files is an image.")


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


def _target(given: str | None, names: Sequence[str] | None) -> int | str | None:
    if given is None or given.lstrip("-").isdigit():
        return None if given is None else int(given)
    if names is None:
        raise ValueError(f"Expected --classes with the names of all classes, as --target {given!r} is a name.")
    class_id(given, names)
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


def _save(figure: plt.Figure, file: Path) -> None:
    figure.savefig(file, dpi=150)
    plt.close(figure)
    print(f"  {file}", flush=True)
