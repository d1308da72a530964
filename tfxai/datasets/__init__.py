"""Data whose ground truth for explanations is known."""

from tfxai.datasets import flowers, vision_transformer

__all__ = ["flowers", "vision_transformer"]
