"""Synthesis: images made by a model, that show what a class, a channel or a neuron looks like to it."""

from tfxai.synthesis.dream import DeepDream, Recipe
from tfxai.synthesis.examples import examples_for
from tfxai.synthesis.gaussian import GaussianExpert
from tfxai.synthesis.maximization import ActivationMaximization
from tfxai.synthesis.result import Synthesis

__all__ = ["ActivationMaximization", "DeepDream", "GaussianExpert", "Recipe", "Synthesis", "examples_for"]
