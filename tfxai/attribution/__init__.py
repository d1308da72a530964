"""Decision-based methods: why this output for this input?"""

from __future__ import annotations

from tfxai.attribution.backprop import Deconvnet, GuidedBackprop
from tfxai.attribution.cam import (
    CAM,
    EigenCAM,
    EigenGradCAM,
    GradCAM,
    GradCAMPlusPlus,
    GuidedGradCAM,
    HiResCAM,
    LayerCAM,
    XGradCAM,
)
from tfxai.attribution.gradients import GradientXInput, IntegratedGradients, Saliency
from tfxai.attribution.inversion.feature import FeatureInversion
from tfxai.attribution.inversion.guided import GuidedFeatureInversion
from tfxai.attribution.inversion.meaningful import MeaningfulPerturbation
from tfxai.attribution.occlusion import RISE, Occlusion
from tfxai.attribution.perturbed_cam import AblationCAM, ScoreCAM
from tfxai.attribution.relevance.deep_lift import DeepLift
from tfxai.attribution.relevance.lrp import LRP
from tfxai.attribution.relevance.taylor import DeepTaylor, SimpleTaylor
from tfxai.attribution.smoothing import SmoothGrad, SquareGrad, VarGrad

ALL = (
    Saliency,
    GradientXInput,
    IntegratedGradients,
    SmoothGrad,
    SquareGrad,
    VarGrad,
    GuidedBackprop,
    Deconvnet,
    CAM,
    GradCAM,
    GradCAMPlusPlus,
    XGradCAM,
    LayerCAM,
    HiResCAM,
    EigenCAM,
    EigenGradCAM,
    ScoreCAM,
    AblationCAM,
    GuidedGradCAM,
    LRP,
    DeepTaylor,
    SimpleTaylor,
    DeepLift,
    Occlusion,
    RISE,
    MeaningfulPerturbation,
    FeatureInversion,
    GuidedFeatureInversion,
)
__all__ = [
    "CAM",
    "LRP",
    "RISE",
    "AblationCAM",
    "Deconvnet",
    "DeepLift",
    "DeepTaylor",
    "EigenCAM",
    "EigenGradCAM",
    "FeatureInversion",
    "GradCAM",
    "GradCAMPlusPlus",
    "GradientXInput",
    "GuidedBackprop",
    "GuidedFeatureInversion",
    "GuidedGradCAM",
    "HiResCAM",
    "IntegratedGradients",
    "LayerCAM",
    "MeaningfulPerturbation",
    "Occlusion",
    "Saliency",
    "ScoreCAM",
    "SimpleTaylor",
    "SmoothGrad",
    "SquareGrad",
    "VarGrad",
    "XGradCAM",
]
