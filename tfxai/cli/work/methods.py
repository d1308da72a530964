"""The command ``tfxai methods``."""

from __future__ import annotations

import argparse
import shutil
import textwrap

from tfxai.facts import Kind, all_facts

HEADINGS: dict[Kind, str] = {
    "decision": "Why this output for this input? Try: tfxai explain --method NAME.",
    "model": "What does a concept look like to the model? Try: tfxai synthesize, tfxai dream.",
    "neurons": "Which channels of the model matter? Try: tfxai features, tfxai resample.",
}


def run(arguments: argparse.Namespace) -> None:
    """Print a paragraph for each method, by kind."""
    indent = max(map(len, all_facts())) + 2
    width = min(shutil.get_terminal_size().columns, 120)
    for number, (kind, heading) in enumerate(HEADINGS.items()):
        print("\n" * bool(number) + textwrap.fill(heading, width) + "\n")
        for name, known in all_facts().items():
            if known.kind != kind:
                continue
            text = (
                f"{known.use}. Cost: {known.cost}. Needs: {known.needs}. Drawback: {known.drawback}. {known.reference}."
            )
            print(textwrap.fill(text, width, initial_indent=name.ljust(indent), subsequent_indent=" " * indent))
