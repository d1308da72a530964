"""How good is an explanation? Scores of heat-maps and of features, whoever made them."""

from tfxai.metrics.ablation import AblationReport, Accuracy, ablation
from tfxai.metrics.boxes import centre_box, find_boxes, iou, whole_image
from tfxai.metrics.comparison import LocalizationScore, compare_localization
from tfxai.metrics.complexity import effective_complexity, entropy, sparseness
from tfxai.metrics.heads import HeadReport, head_ablation
from tfxai.metrics.localization import box_error, centre_point, localization_error, pointing_game, tune_threshold
from tfxai.metrics.mass import mass_accuracy, rank_accuracy, roc_auc, top_k_intersection
from tfxai.metrics.randomization import RandomizationReport, data_randomization, model_randomization, random_logit
from tfxai.metrics.robustness import average_sensitivity, local_lipschitz, max_sensitivity
from tfxai.metrics.segmentation import FoldedIoU, f_beta, iou_curve, iou_over_folds, mae
from tfxai.metrics.similarity import MapSimilarity, map_similarity
from tfxai.metrics.stability import stability
from tfxai.metrics.statistics import bootstrap_interval, mean_by_class

__all__ = [
    "AblationReport",
    "Accuracy",
    "FoldedIoU",
    "HeadReport",
    "LocalizationScore",
    "MapSimilarity",
    "RandomizationReport",
    "ablation",
    "average_sensitivity",
    "bootstrap_interval",
    "box_error",
    "centre_box",
    "centre_point",
    "compare_localization",
    "data_randomization",
    "effective_complexity",
    "entropy",
    "f_beta",
    "find_boxes",
    "head_ablation",
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
    "pointing_game",
    "random_logit",
    "rank_accuracy",
    "roc_auc",
    "sparseness",
    "stability",
    "top_k_intersection",
    "tune_threshold",
    "whole_image",
]
