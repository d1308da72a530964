"""Methods that ask what the score is when only some parts of an input are there."""

from tfxai.coalitions.banzhaf import Banzhaf
from tfxai.coalitions.exact import FeatureAblation, ShapleyValues
from tfxai.coalitions.game import Channels as Channels  # no method, but what they take as groups=
from tfxai.coalitions.hsic import HSICAttribution
from tfxai.coalitions.kernel_shap import KernelSHAP
from tfxai.coalitions.lime import LIME
from tfxai.coalitions.partition import PartitionSHAP
from tfxai.coalitions.permutation import PermutationSHAP
from tfxai.coalitions.sobol import SobolAttribution
from tfxai.segmentations import Segments as Segments  # as well

__all__ = [  # noqa: RUF022 - in the order in which `tfxai.methods` lists them
    "ShapleyValues",
    "KernelSHAP",
    "PermutationSHAP",
    "PartitionSHAP",
    "Banzhaf",
    "LIME",
    "FeatureAblation",
    "SobolAttribution",
    "HSICAttribution",
]
