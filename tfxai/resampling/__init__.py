"""Input resampling: how channels behave over a cloud of perturbed copies of an image."""

from tfxai.resampling.comparison import Comparison
from tfxai.resampling.resampling import InputResampling
from tfxai.resampling.result import Resampling

__all__ = ["Comparison", "InputResampling", "Resampling"]
