"""Metrics by hand."""

import numpy as np
import pytest

from tfxai.metrics import iou_curve, pointing_game


def test_iou_by_hand():
    heatmap = np.array([[[0.0, 0.2], [0.6, 1.0]]])
    mask = np.array([[[False, True], [False, True]]])
    curve = iou_curve(heatmap, mask, [0, 0.1, 0.5, 1])
    np.testing.assert_allclose(curve, [[2 / 4, 2 / 3, 1 / 3, 1 / 2]])


def test_iou_of_perfect_and_empty_maps():
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :2] = True
    perfect = iou_curve(mask.astype(float), mask)
    np.testing.assert_allclose(perfect[0, 1:], 1)
    assert perfect[0, 0] == 0.5  # everything is at least 0
    nothing = iou_curve(np.zeros((1, 4, 4)), mask)
    np.testing.assert_allclose(nothing[0], [0.5] + [0] * 20)
    np.testing.assert_array_equal(iou_curve(np.zeros((1, 4, 4)), mask & False, [0.5]), 0)


def test_pointing_by_hand():
    heatmaps = np.zeros((4, 5, 7))
    heatmaps[0, 1, 2] = heatmaps[1, 4, 6] = heatmaps[2, 0, 0] = 1  # the last is constant: it points nowhere
    whole = [[0, 0, 7, 5]]
    boxes = [[[2, 1, 3, 2]], [[0, 0, 6, 4], [6, 4, 7, 5]], [[1, 1, 7, 5]], whole]
    np.testing.assert_array_equal(pointing_game(heatmaps, boxes), [True, True, False, False])


def test_bad_input():
    with pytest.raises(ValueError, match="one shape"):
        iou_curve(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        iou_curve(np.full((1, 2, 2), 3), np.zeros((1, 2, 2)))
    with pytest.raises(ValueError, match="boxes for each"):
        pointing_game(np.zeros((2, 3, 3)), [[[0, 0, 1, 1]]])
