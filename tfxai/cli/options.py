"""Options that several commands take; `tfxai.cli.work.given` says what they mean."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfxai.choices import POLARITIES
from tfxai.cli.commands import InPlaceOf
from tfxai.preprocessing import parse

MODEL_HELP = "a .keras or .h5 file, or the folder of a SavedModel"
OBJECTS_HELP = (
    "a class or function of yours, or a dict of these, that Keras needs to load MODEL; the module may lie in the "
    "current folder; may be given several times"
)
SIGNATURE_HELP = "which signature of a SavedModel (default: serving_default, else the only one)"
OUTPUT_HELP = "which output, if the model has several"
PAGE = "explanations.html"
DEFAULT_METHODS = ("grad_cam", "integrated_gradients")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Which function of which file, and what is needed to read it; MODEL is the next word that the command takes."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--custom-objects", metavar="MODULE:NAME", action="append", default=[], help=OBJECTS_HELP)
    parser.add_argument("--signature", metavar="NAME", help=SIGNATURE_HELP)
    parser.add_argument("--model-output", metavar="NAME", help=OUTPUT_HELP)


def add_method_options(parser: argparse.ArgumentParser) -> None:
    """What explains, and what the model is fed with."""
    parser.add_argument(
        "--method",
        metavar="NAME[:OPTION=VALUE,...]",
        nargs="+",
        action="extend",
        help="one or more methods, as `tfxai methods` lists them, each with options if need be, such as "
        "rise:masks=500,cells=9, or one around another: smooth_grad(guided_backprop) "
        f"(default: {' '.join(DEFAULT_METHODS)}, or for texts and tables {DEFAULT_METHODS[1]})",
    )
    parser.add_argument("--layer", metavar="NAME", help="layer for the methods that take one (default: last spatial)")
    parser.add_argument("--score", choices=["logit", "probability"], help="what a class is scored by (default: logit)")
    add_preprocess_option(parser)
    add_batch_size_option(parser)


def add_preprocess_option(parser: argparse.ArgumentParser) -> None:
    """What pixels become before the model takes them."""
    parser.add_argument(
        "--preprocess",
        type=_preprocessing,
        metavar="HOW",
        help="what was done to pixels, 0 to 255: none, 0..1, -1..1, caffe, torch, or numbers such as 'mean=104,117,123 "
        "scale=0.017 bgr' (default: none, that is nothing)",
    )


def _preprocessing(text: str) -> str:
    try:
        parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def add_look_options(parser: argparse.ArgumentParser) -> None:
    """How heat-maps are drawn."""
    parser.add_argument(
        "--polarity",
        choices=POLARITIES,
        help="what is drawn: evidence for or against the class, both (signed), or influence of either sign (default: "
        "what suits the method)",
    )
    parser.add_argument(
        "--cmap",
        metavar="NAME",
        help="a matplotlib colour map (default: viridis, or from blue to red where values have both signs)",
    )
    parser.add_argument(
        "--alpha",
        metavar="SHARE",
        type=float,
        help="opacity of heat-maps, from 0 to 1 (default: 0.5)",
    )


def add_batch_size_option(parser: argparse.ArgumentParser, what: str = "inputs") -> None:
    """How much passes through the model at once."""
    parser.add_argument(
        "--batch-size", metavar="N", type=int, default=32, help=f"how many {what} at once (default: %(default)s)"
    )


def add_seed_option(parser: argparse.ArgumentParser, what: str) -> None:
    """What random numbers begin with."""
    parser.add_argument("--seed", metavar="N", type=int, default=0, help=f"of {what} (default: %(default)s)")


def add_output_option(parser: argparse.ArgumentParser, folder: str) -> None:
    """Where files go."""
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path(folder), help="folder (default: %(default)s)"
    )


def add_mu_option(parser: argparse.ArgumentParser) -> None:
    """How many features a class may have."""
    what = "bound of the weights of a class in relevant features (default: %(default)s)"
    parser.add_argument("--mu", metavar="NUMBER|auto", default="auto", help=what)


def add_csv_option(parser: argparse.ArgumentParser) -> None:
    """A file for the table that is printed."""
    parser.add_argument("--csv", metavar="FILE", type=Path, help="write the table to this file too")


def add_image_options(parser: argparse.ArgumentParser) -> argparse.Action:
    """Which images, and which part of each; the next words that the command takes."""
    add_crop_option(parser)
    what = "image files, folders of them, or patterns; - reads one from standard input"
    return parser.add_argument("images", metavar="IMAGE", nargs="+", help=what)


def add_crop_option(parser: argparse.ArgumentParser) -> None:
    """Which part of photographs the model gets."""
    parser.add_argument(
        "--crop",
        metavar="SHARE",
        type=_share,
        help="take this share of each photograph, from its middle and in the shape of the model's input: 0.875 is how "
        "most networks of ImageNet were evaluated (default: the whole photograph, squeezed to that shape)",
    )


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"expected a share above 0 and at most 1, got {text!r}")
    return share


def add_target_options(parser: argparse.ArgumentParser) -> None:
    """Which class, and the names of all."""
    parser.add_argument("--target", metavar="CLASS", help="number or name of a class (default: the predicted one)")
    add_classes_option(parser)


def add_classes_option(parser: argparse.ArgumentParser) -> None:
    """What classes are called."""
    parser.add_argument(
        "--classes", metavar="FILE", help="names of the classes: one per line, or a .csv file with a column 'name'"
    )


def add_result_options(parser: argparse.ArgumentParser, folder: str) -> None:
    """What is printed, and where files go."""
    add_output_option(parser, folder)
    parser.add_argument(
        "--top", metavar="N", type=int, default=5, help="how many classes or outputs to print (default: %(default)s)"
    )
    parser.add_argument(
        "--html",
        metavar="FILE",
        nargs="?",
        type=html_file,
        const=True,
        help="also write a page to explore, one file that opens anywhere "
        f"(without a name: {PAGE} in the output folder)",
    )


def html_file(given: str) -> Path:
    """The file of ``--html``: what follows it is no image."""
    if Path(given).suffix.lower() not in (".html", ".htm"):
        raise argparse.ArgumentTypeError(
            f"expected a file name that ends in .html, got {given!r}; put --html after the images, or name its file"
        )
    return Path(given)


PREPROCESSOR_HELP = (
    "a function of yours from a list of strings to the model's inputs, if the model does not begin with strings itself"
)


def add_text_options(parser: argparse.ArgumentParser, images: argparse.Action) -> None:
    """Which texts, in place of images, and what makes numbers of them."""
    what = "explain texts, one per line; - reads standard input"
    parser.add_argument("--text", metavar="FILE", action=InPlaceOf, words=images, help=what)
    parser.add_argument("--preprocessor", metavar="MODULE:NAME", help=PREPROCESSOR_HELP)


def add_table_options(parser: argparse.ArgumentParser, images: argparse.Action) -> None:
    """Which table, in place of images, and what its columns are."""
    what = "explain the rows of a .csv file, whose first line has the names of columns; - reads standard input"
    parser.add_argument("--table", metavar="FILE", action=InPlaceOf, words=images, help=what)
    parser.add_argument(
        "--without",
        metavar="COLUMN",
        nargs="+",
        action="extend",
        default=[],
        help="columns that the model does not take",
    )
    parser.add_argument(
        "--groups",
        metavar="NAME=COLUMN,COLUMN",
        nargs="+",
        action="extend",
        default=[],
        help="columns that are one feature, such as those of one category",
    )


def add_synthesis_options(parser: argparse.ArgumentParser, random: str, folder: str) -> None:
    """What pixels mean, the seed of what is random, and where images go."""
    add_preprocess_option(parser)
    add_seed_option(parser, random)
    add_output_option(parser, folder)
