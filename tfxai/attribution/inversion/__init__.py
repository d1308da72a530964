"""Inversion: what of the input a layer keeps, and what of it makes the class."""

from tfxai.attribution.inversion.feature import FeatureInversion
from tfxai.attribution.inversion.guided import GuidedFeatureInversion
from tfxai.attribution.inversion.meaningful import MeaningfulPerturbation
from tfxai.attribution.inversion.settings import PRESETS, Settings

__all__ = ["PRESETS", "FeatureInversion", "GuidedFeatureInversion", "MeaningfulPerturbation", "Settings"]
