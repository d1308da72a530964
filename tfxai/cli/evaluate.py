"""The command ``tfxai evaluate``: it has commands of its own, one for each thing that can be evaluated."""

from __future__ import annotations

import argparse

from tfxai.cli import evaluate_faithfulness, evaluate_flowers, evaluate_localization, evaluate_resampling
from tfxai.cli.commands import Command, add_commands

NAME = "evaluate"
HELP = "Score methods by what is known about images, or by what the model does."
EXAMPLES = """examples:
  tfxai evaluate faithfulness model.keras photos/ --method grad_cam lrp
  tfxai evaluate localization --help
  tfxai evaluate flowers
"""
COMMANDS: tuple[Command, ...] = (evaluate_localization, evaluate_faithfulness, evaluate_flowers, evaluate_resampling)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what can be evaluated to the parser of ``tfxai evaluate``."""
    add_commands(parser, "what", COMMANDS)
