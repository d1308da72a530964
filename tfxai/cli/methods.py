"""The command ``tfxai methods``."""

from __future__ import annotations

import argparse

NAME = "methods"
HELP = "List the methods: use, cost, needs and drawback."
EXAMPLES = """examples:
  tfxai methods
  tfxai explain model.keras cat.jpg --method occlusion
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """``tfxai methods`` takes no arguments."""
