"""Rules of relevance, and composites that say which rule where: what `tfxai.LRP` takes."""

from tfxai.attribution.relevance.composites import (
    Composite,
    LayerFacts,
    convolution,
    dense,
    depthwise,
    first,
    named,
    upto,
)
from tfxai.attribution.relevance.rules import AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, WSquare, ZBox, Zero, ZPlus

__all__ = [
    "AlphaBeta",
    "Composite",
    "Epsilon",
    "Flat",
    "Gamma",
    "LayerFacts",
    "Pass",
    "Rule",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
    "convolution",
    "dense",
    "depthwise",
    "first",
    "named",
    "upto",
]
