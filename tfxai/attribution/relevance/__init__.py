"""Relevance: what each value contributed to the score, layer by layer."""

from tfxai.attribution.relevance.composites import Composite, LayerFacts, convolution, dense, first, named
from tfxai.attribution.relevance.lrp import LRP
from tfxai.attribution.relevance.rules import AlphaBeta, Epsilon, Flat, Gamma, Rule, WSquare, ZBox, Zero, ZPlus

__all__ = [
    "LRP",
    "AlphaBeta",
    "Composite",
    "Epsilon",
    "Flat",
    "Gamma",
    "LayerFacts",
    "Rule",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
    "convolution",
    "dense",
    "first",
    "named",
]
