"""The command ``tfxai explain-all``."""

from __future__ import annotations

import argparse
from typing import get_args

from tfxai.choices import Store
from tfxai.cli.options import (
    add_crop_option,
    add_method_options,
    add_model_options,
    add_output_option,
    add_target_options,
)

NAME = "explain-all"
HELP = "Explain a whole data set, on one machine or a cluster, and resume where a run stopped."
EXAMPLES = """examples:
  tfxai explain-all model.keras photos/ --method grad_cam --preprocess caffe --output results
  tfxai explain-all model.keras train.parquet --column image --method grad_cam rise:masks=500 --output results
  tfxai explain-all model.keras photos/ --target column:folder --classes names.txt --output results
  tfxai explain-all model.keras photos/ --output results --workers 4 --gpus-per-worker 1
  tfxai explain-all model.keras /data/photos --output /data/results --engine ray --address auto --workers 16

SOURCE is a folder tree of images, a .csv file with a column of paths, a Parquet or TFRecord file, a folder of these, or
a .npy file of inputs. --target column:NAME explains for each input the class that a column of SOURCE gives, by number
or by name; a folder tree has the column "folder", which is the first folder below SOURCE.

Results are Parquet files in DIR/shards, each of --shard-rows inputs, that are there whole or not
at all: the same command again makes those that are missing. Inputs that cannot be explained are listed in DIR/failed,
and the exit status is then 1. With --engine ray all nodes must see MODEL, SOURCE and DIR under the same names.
In Python: tfxai.scale.read(DIR). Needs pip install "tfxai[scale]", or "tfxai[scale,ray]".
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai explain-all`` to its parser."""
    add_model_options(parser)
    parser.add_argument("source", metavar="SOURCE", help="a folder or file of inputs, see below")
    add_method_options(parser)
    add_target_options(parser)
    add_crop_option(parser)
    add_output_option(parser, "tfxai-results")
    parser.add_argument(
        "--size", metavar="PIXELS", type=int, nargs="+", help="height and width, or one number, for a model of any size"
    )
    parser.add_argument("--column", metavar="NAME", help="column or feature of SOURCE that holds images or paths")
    parser.add_argument(
        "--store", choices=get_args(Store), default="float16", help="how maps are stored (default: %(default)s)"
    )
    parser.add_argument(
        "--shard-rows", metavar="N", type=int, default=1024, help="inputs in a shard (default: %(default)s)"
    )
    parser.add_argument(
        "--max-failures",
        metavar="N|SHARE",
        default="1%",
        help="failed inputs at which it stops: a number, or a share of all, such as 1%% (default: %(default)s)",
    )
    parser.add_argument("--engine", choices=["local", "ray"], default="local", help="default: %(default)s")
    parser.add_argument(
        "--workers",
        metavar="N",
        type=int,
        help="processes (default: one; with ray, as many as the cluster has room for)",
    )
    parser.add_argument(
        "--cpus-per-worker",
        metavar="N",
        type=int,
        default=1,
        help="for each worker of --engine ray (default: %(default)s)",
    )
    parser.add_argument(
        "--gpus-per-worker",
        metavar="N",
        type=int,
        help="for each worker (default: with ray none, otherwise all there are)",
    )
    parser.add_argument("--address", help="address of the Ray cluster (default: a new one on this machine)")
