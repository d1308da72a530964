"""The command ``tfxai summarize``."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfxai.cli.options import add_seed_option

NAME = "summarize"
HELP = "Summarize the explanations of a data set: groups of similar heat-maps reveal shortcuts."
EXAMPLES = """examples:
  tfxai summarize results
  tfxai summarize results --method grad_cam --most 1000 --html summary.html

DIR is what tfxai explain-all wrote. For each class the page shows the mean heat-map, groups of inputs whose heat-maps
are alike (spectral relevance analysis, Lapuschkin et al. 2019), with their most typical members, and the inputs that
are least like the others. In Python: tfxai.scale.summarize(DIR).
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai summarize`` to its parser."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of results")
    parser.add_argument("--method", metavar="NAME", help="of which method, where there are several")
    parser.add_argument(
        "--most", metavar="N", type=int, default=500, help="inputs of a class that are compared (default: %(default)s)"
    )
    add_seed_option(parser, "the draws and the groups")
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help="where the page goes (default: summary.html in the folder)"
    )
