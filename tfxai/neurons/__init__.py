"""Internal features: what the channels of a network respond to, and which of them matter."""

from tfxai.neurons.average import average_images
from tfxai.neurons.relevant import RelevantFeatures

__all__ = ["RelevantFeatures", "average_images"]
