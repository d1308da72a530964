"""Data whose ground truth for explanations is known."""

from tfxai.datasets import flowers

__all__ = ["flowers"]
