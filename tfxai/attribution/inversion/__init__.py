"""Inversion: what of the input a layer keeps."""

from tfxai.attribution.inversion.guided import GuidedFeatureInversion
from tfxai.attribution.inversion.settings import PRESETS, Settings

__all__ = ["PRESETS", "GuidedFeatureInversion", "Settings"]
