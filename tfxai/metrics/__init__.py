"""How good is an explanation? Scores of heat-maps and of features, whoever made them."""

from tfxai.metrics.ablation import AblationReport, Accuracy, ablation
from tfxai.metrics.blind import centre_maps, random_maps
from tfxai.metrics.boxes import centre_box, find_boxes, iou, whole_image
from tfxai.metrics.comparison import LocalizationScore, compare_localization
from tfxai.metrics.complexity import effective_complexity, entropy, sparseness
from tfxai.metrics.curves import Curve, deletion, insertion, pixel_flipping
from tfxai.metrics.figures import plot_curves
from tfxai.metrics.heads import HeadReport, head_ablation
from tfxai.metrics.infidelity import infidelity
from tfxai.metrics.localization import box_error, centre_point, localization_error, pointing_game, tune_threshold
from tfxai.metrics.mass import mass_accuracy, rank_accuracy, roc_auc, top_k_intersection
from tfxai.metrics.randomization import RandomizationReport, data_randomization, model_randomization, random_logit
from tfxai.metrics.road import road
from tfxai.metrics.robustness import average_sensitivity, local_lipschitz, max_sensitivity
from tfxai.metrics.segmentation import FoldedIoU, f_beta, iou_curve, iou_over_folds, mae
from tfxai.metrics.similarity import MapSimilarity, map_similarity
from tfxai.metrics.stability import stability
from tfxai.metrics.statistics import bootstrap_interval, mean_by_class
from tfxai.metrics.subsets import mu_fidelity, sensitivity_n
from tfxai.metrics.sufficiency import average_drop, comprehensiveness, increase, sufficiency
from tfxai.metrics.trust import TrustReport, trust

__all__ = [
    "AblationReport",
    "Accuracy",
    "Curve",
    "FoldedIoU",
    "HeadReport",
    "LocalizationScore",
    "MapSimilarity",
    "RandomizationReport",
    "TrustReport",
    "ablation",
    "average_drop",
    "average_sensitivity",
    "bootstrap_interval",
    "box_error",
    "centre_box",
    "centre_maps",
    "centre_point",
    "compare_localization",
    "comprehensiveness",
    "data_randomization",
    "deletion",
    "effective_complexity",
    "entropy",
    "f_beta",
    "find_boxes",
    "head_ablation",
    "increase",
    "infidelity",
    "insertion",
    "iou",
    "iou_curve",
    "iou_over_folds",
    "local_lipschitz",
    "localization_error",
    "mae",
    "map_similarity",
    "mass_accuracy",
    "max_sensitivity",
    "mean_by_class",
    "model_randomization",
    "mu_fidelity",
    "pixel_flipping",
    "plot_curves",
    "pointing_game",
    "random_logit",
    "random_maps",
    "rank_accuracy",
    "road",
    "roc_auc",
    "sensitivity_n",
    "sparseness",
    "stability",
    "sufficiency",
    "top_k_intersection",
    "trust",
    "tune_threshold",
    "whole_image",
]
