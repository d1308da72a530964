"""Inversion: what of the input a layer keeps, and what of it makes the class."""

from tfxai.inversion.feature import FeatureInversion
from tfxai.inversion.guided import GuidedFeatureInversion
from tfxai.inversion.meaningful import MeaningfulPerturbation
from tfxai.inversion.settings import PRESETS, Settings

__all__ = [  # noqa: RUF022 - in the order in which `tfxai.methods` lists them
    "MeaningfulPerturbation",
    "FeatureInversion",
    "GuidedFeatureInversion",
    "PRESETS",
    "Settings",
]
