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
from tfxai.attribution.occlusion import RISE, Occlusion
from tfxai.attribution.perturbed_cam import AblationCAM, ScoreCAM
from tfxai.attribution.relevance.lrp import LRP
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
    Occlusion,
    RISE,
)
__all__ = [
    "CAM",
    "LRP",
    "RISE",
    "AblationCAM",
    "Deconvnet",
    "EigenCAM",
    "EigenGradCAM",
    "GradCAM",
    "GradCAMPlusPlus",
    "GradientXInput",
    "GuidedBackprop",
    "GuidedGradCAM",
    "HiResCAM",
    "IntegratedGradients",
    "LayerCAM",
    "Occlusion",
    "Saliency",
    "ScoreCAM",
    "SmoothGrad",
    "SquareGrad",
    "VarGrad",
    "XGradCAM",
]
