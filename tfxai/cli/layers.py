"""The command ``tfxai layers``."""

from __future__ import annotations

import argparse

from tfxai.cli.options import add_model_options

NAME = "layers"
HELP = "List the layers of a model."
EXAMPLES = """examples:
  tfxai layers model.keras
  tfxai layers saved_model/ --signature serve

Every name is what --layer takes; the methods of the CAM family need one with spatial output, marked by a star.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``tfxai layers`` to its parser."""
    add_model_options(parser)
