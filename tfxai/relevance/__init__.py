"""Relevance, handed back through a network: the methods, and the rules and composites that `LRP` takes."""

from tfxai.relevance.composites import Composite, LayerFacts, convolution, dense, depthwise, first, named, upto
from tfxai.relevance.deep_lift import DeepLift
from tfxai.relevance.lrp import LRP
from tfxai.relevance.rules import AlphaBeta, Epsilon, Flat, Gamma, Pass, Rule, WSquare, ZBox, Zero, ZPlus
from tfxai.relevance.taylor import DeepTaylor, SimpleTaylor

__all__ = [  # noqa: RUF022 - methods in the order in which `tfxai.methods` lists them
    "LRP",
    "DeepTaylor",
    "SimpleTaylor",
    "DeepLift",
    "Composite",
    "LayerFacts",
    "convolution",
    "dense",
    "depthwise",
    "first",
    "named",
    "upto",
    "AlphaBeta",
    "Epsilon",
    "Flat",
    "Gamma",
    "Pass",
    "Rule",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
]
