"""Methods that attribute a decision to the input: gradients, class activation maps, occlusion."""

from tfxai.attribution.attention import AttentionGradient, AttentionRollout, LeGrad, TransformerAttribution
from tfxai.attribution.backprop import Deconvnet, GuidedBackprop
from tfxai.attribution.blur_ig import BlurIG
from tfxai.attribution.cam import CAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, XGradCAM
from tfxai.attribution.eigen_cam import EigenCAM, EigenGradCAM
from tfxai.attribution.gradient_shap import GradientSHAP
from tfxai.attribution.gradients import GradientXInput, IntegratedGradients, Saliency
from tfxai.attribution.guided_grad_cam import GuidedGradCAM
from tfxai.attribution.guided_ig import GuidedIG
from tfxai.attribution.occlusion import Occlusion
from tfxai.attribution.perturbed_cam import AblationCAM, ReciproCAM, ScoreCAM
from tfxai.attribution.rise import RISE
from tfxai.attribution.smoothing import SmoothGrad, SquareGrad, VarGrad
from tfxai.attribution.xrai import XRAI

__all__ = [  # noqa: RUF022 - in the order in which `tfxai.methods` lists them
    "Saliency",
    "GradientXInput",
    "IntegratedGradients",
    "GradientSHAP",
    "GuidedIG",
    "BlurIG",
    "XRAI",
    "SmoothGrad",
    "SquareGrad",
    "VarGrad",
    "GuidedBackprop",
    "Deconvnet",
    "CAM",
    "GradCAM",
    "GradCAMPlusPlus",
    "XGradCAM",
    "LayerCAM",
    "HiResCAM",
    "EigenCAM",
    "EigenGradCAM",
    "ScoreCAM",
    "AblationCAM",
    "ReciproCAM",
    "GuidedGradCAM",
    "Occlusion",
    "RISE",
    "AttentionRollout",
    "TransformerAttribution",
    "LeGrad",
    "AttentionGradient",
]
