"""How good is an explanation? Scores of heat-maps, whoever made them."""

from tfxai.metrics.localization import iou_curve, pointing_game

__all__ = ["iou_curve", "pointing_game"]
