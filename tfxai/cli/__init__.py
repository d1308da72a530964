"""The command ``tfxai``."""

from tfxai.cli.program import main

__all__ = ["main"]
