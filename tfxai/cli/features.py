"""The command ``tfxai features``: it has commands of its own, to fit features and to explain by them."""

from __future__ import annotations

import argparse

from tfxai.cli import features_explain, features_fit
from tfxai.cli.commands import Command, add_commands

NAME = "features"
HELP = "Find the few channels that tell the classes apart, and explain predictions by them."
EXAMPLES = """examples:
  tfxai features fit model.keras photos/ --output features.npz
  tfxai features explain model.keras cat.jpg --features features.npz
"""
COMMANDS: tuple[Command, ...] = (features_fit, features_explain)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what can be done with features to the parser of ``tfxai features``."""
    add_commands(parser, "what", COMMANDS)
