"""Internal features: what the channels of a network respond to, and which of them matter."""

from tfxai.neurons.average import average_images
from tfxai.neurons.evidence import FeatureExplanation
from tfxai.neurons.relevant import RelevantFeatures

__all__ = ["FeatureExplanation", "RelevantFeatures", "average_images"]
