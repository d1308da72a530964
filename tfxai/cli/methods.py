"""The command ``tfxai methods``."""

from __future__ import annotations

import argparse
import shutil
import textwrap

from tfxai import api
from tfxai.facts import Kind

NAME = "methods"
HELP = "List the methods: use, cost, needs and drawback."
EXAMPLES = """examples:
  tfxai methods
  tfxai explain model.keras cat.jpg --method occlusion
"""
HEADINGS: dict[Kind, str] = {
    "decision": "Why this output for this input? Try: tfxai explain --method NAME.",
    "model": "What does a concept look like to the model? Try: tfxai synthesize, tfxai dream.",
    "neurons": "Which channels of the model matter? Try: tfxai features, tfxai resample.",
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """``tfxai methods`` takes no arguments."""


def run(arguments: argparse.Namespace) -> None:
    """Print a paragraph for each method, by kind."""
    indent = max(map(len, api.methods())) + 2
    width = min(shutil.get_terminal_size().columns, 120)
    for number, (kind, heading) in enumerate(HEADINGS.items()):
        print("\n" * bool(number) + textwrap.fill(heading, width) + "\n")
        for name, cls in api.methods(kind).items():
            known = cls.facts
            text = (
                f"{known.use}. Cost: {known.cost}. Needs: {known.needs}. Drawback: {known.drawback}. {known.reference}."
            )
            print(textwrap.fill(text, width, initial_indent=name.ljust(indent), subsequent_indent=" " * indent))
