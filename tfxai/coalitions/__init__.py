"""Methods that ask what the score is when only some parts of an input are there."""

from tfxai.coalitions.exact import Banzhaf, FeatureAblation, ShapleyValues
from tfxai.coalitions.kernel_shap import KernelSHAP
from tfxai.coalitions.permutation import PermutationSHAP

__all__ = [  # noqa: RUF022 - in the order in which `tfxai.methods` lists them
    "ShapleyValues",
    "KernelSHAP",
    "PermutationSHAP",
    "Banzhaf",
    "FeatureAblation",
]
