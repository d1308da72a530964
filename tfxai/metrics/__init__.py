"""How good is an explanation? Scores of heat-maps, whoever made them."""

from tfxai.metrics.boxes import centre_box, find_boxes, iou, whole_image
from tfxai.metrics.comparison import LocalizationScore, compare_localization
from tfxai.metrics.localization import box_error, centre_point, localization_error, pointing_game, tune_threshold
from tfxai.metrics.segmentation import f_beta, iou_curve, mae
from tfxai.metrics.statistics import bootstrap_interval, mean_by_class

__all__ = [
    "LocalizationScore",
    "bootstrap_interval",
    "box_error",
    "centre_box",
    "centre_point",
    "compare_localization",
    "f_beta",
    "find_boxes",
    "iou",
    "iou_curve",
    "localization_error",
    "mae",
    "mean_by_class",
    "pointing_game",
    "tune_threshold",
    "whole_image",
]
