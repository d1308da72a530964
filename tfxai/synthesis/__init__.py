"""Synthesis: images made by a model, that show what a class, a channel or a neuron looks like to it."""

from tfxai.synthesis.dream import DeepDream, Recipe
from tfxai.synthesis.gaussian import GaussianExpert
from tfxai.synthesis.maximization import ActivationMaximization
from tfxai.synthesis.network_experts import DenoisingExpert, DiscriminatorExpert, VAEExpert
from tfxai.synthesis.rbm import RBMExpert
from tfxai.synthesis.result import Synthesis

__all__ = [
    "ActivationMaximization",
    "DeepDream",
    "DenoisingExpert",
    "DiscriminatorExpert",
    "GaussianExpert",
    "RBMExpert",
    "Recipe",
    "Synthesis",
    "VAEExpert",
]
