"""Metrics by hand, and against slow and obvious loops."""

import numpy as np
import pytest
from scipy import ndimage

from tfxai.metrics import (
    bootstrap_interval,
    box_error,
    centre_box,
    centre_point,
    f_beta,
    find_boxes,
    iou,
    iou_curve,
    localization_error,
    mae,
    mean_by_class,
    pointing_game,
    tune_threshold,
    whole_image,
)

NOTHING = [0, 0, 0, 0]


def random_maps(n=12, h=9, w=13):
    """Rough and smooth, sparse and full, with equal values in some."""
    random = np.random.default_rng(0)
    maps = random.exponential(size=(n, h, w))
    maps[::2] = ndimage.gaussian_filter(maps[::2], (0, 1.5, 1.5))
    maps[::3] = np.round(maps[::3], 1)
    maps[::4] = np.maximum(maps[::4] - np.median(maps[::4]), 0)
    return maps


def random_boxes(*shape):
    corners = np.random.default_rng(1).integers(0, 9, (2, *shape, 2))
    return np.concatenate([corners.min(0), corners.max(0) + 1], -1).astype(float)


def hints(boxes):
    """Maps that are brighter around the boxes, some more and some less."""
    noise = (
        np.random.default_rng(2).exponential(size=(len(boxes), 9, 13)) * np.linspace(0, 1, len(boxes))[:, None, None]
    )
    return ndimage.gaussian_filter(indicators(boxes) + noise, (0, 0.5, 0.5))


def indicators(boxes, h=9, w=13):
    maps = np.zeros((len(boxes), h, w))
    for heatmap, (xmin, ymin, xmax, ymax) in zip(maps, np.asarray(boxes, int), strict=True):
        heatmap[ymin:ymax, xmin:xmax] = 1
    return maps


# Boxes of heat-maps


def slow_foreground(heatmap, alpha, threshold):
    if heatmap.min() == heatmap.max():
        return np.zeros(heatmap.shape, bool)
    if threshold == "mean":
        return heatmap > alpha * heatmap.mean()
    if threshold == "value":
        return (heatmap - heatmap.min()) / (heatmap.max() - heatmap.min()) > alpha
    found = np.zeros(heatmap.shape, bool)
    for value in sorted(set(heatmap.ravel()), reverse=True):
        if heatmap[found].sum() >= alpha * heatmap.sum() - 1e-12:
            break
        found |= heatmap == value
    return found


def slow_boxes(found, component):
    """The box; or of several parts that are equally large, the box of each."""
    if not found.any():
        return [NOTHING]
    parts, number = ndimage.label(found, np.ones((3, 3)))
    choices = [parts == part for part in range(1, number + 1)] if component == "largest" else [found]
    boxes = []
    for choice in choices:
        if choice.sum() == max(other.sum() for other in choices):
            y, x = np.nonzero(choice)
            boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
    return boxes


@pytest.mark.parametrize("component", ["all", "largest"])
@pytest.mark.parametrize(
    ("threshold", "alphas"), [("mean", [0, 0.7, 1.5, 40]), ("value", [0, 0.31, 0.8, 1]), ("energy", [0, 0.13, 0.62, 1])]
)
def test_boxes_are_those_of_a_slow_loop(threshold, alphas, component):
    maps = np.concatenate([random_maps(), indicators(random_boxes(20)), np.full((1, 9, 13), 0.1)])
    together = find_boxes(maps, alphas, threshold=threshold, component=component)
    for alpha, found in zip(alphas, together, strict=True):
        for heatmap, box in zip(maps, found.tolist(), strict=True):
            assert box in slow_boxes(slow_foreground(heatmap, alpha, threshold), component)
        np.testing.assert_array_equal(find_boxes(maps, alpha, threshold=threshold, component=component), found)
    assert len(np.unique(together.reshape(-1, 4), axis=0)) > 12  # it is not the same box again and again


def test_thresholds_by_hand():
    heatmap = np.array([[[4.0, 0, 0, 0], [0, 0, 2, 0], [1, 0, 0, 1]]])  # sum 8, mean 2/3
    assert find_boxes(heatmap, 1.5, threshold="mean").tolist() == [[0, 0, 3, 2]]  # > 1, strictly
    assert find_boxes(heatmap, 1.4, threshold="mean").tolist() == [[0, 0, 4, 3]]
    assert find_boxes(heatmap, 0.5, threshold="value").tolist() == [[0, 0, 1, 1]]  # > 2, strictly
    assert find_boxes(heatmap, 0.4, threshold="value").tolist() == [[0, 0, 3, 2]]
    assert find_boxes(heatmap, 0.5, threshold="energy").tolist() == [[0, 0, 1, 1]]  # 4 of 8 are enough
    assert find_boxes(heatmap, 0.51, threshold="energy").tolist() == [[0, 0, 3, 2]]
    assert find_boxes(heatmap, 0.76, threshold="energy").tolist() == [[0, 0, 4, 3]]  # the two 1 come together
    assert find_boxes(heatmap, 0, threshold="energy").tolist() == [NOTHING]


def test_alpha_zero_is_strict_and_alpha_one_holds_all_mass():
    """Zeros are no foreground, else every map had the whole image as its box."""
    box = [[3, 2, 7, 5]]
    for threshold, alpha in (("mean", 0), ("value", 0), ("energy", 1)):
        np.testing.assert_array_equal(find_boxes(0.3 * indicators(box), alpha, threshold=threshold), box)


def test_largest_part_by_hand():
    heatmap = np.zeros((1, 6, 8))
    heatmap[0, 0, 0:3] = 1  # three in a row
    heatmap[0, 2:6, 4:8] = np.eye(4)  # four that touch at their corners
    assert find_boxes(heatmap, 0.5, threshold="value", component="largest").tolist() == [[4, 2, 8, 6]]
    assert find_boxes(heatmap, 0.5, threshold="value", component="all").tolist() == [[0, 0, 8, 6]]


def test_boxes_do_not_depend_on_the_scale():
    maps = random_maps()
    for threshold in ("mean", "value", "energy"):
        boxes = find_boxes(maps, 0.5, threshold=threshold)
        np.testing.assert_array_equal(find_boxes(maps * 8, 0.5, threshold=threshold), boxes)
        np.testing.assert_array_equal(
            find_boxes(maps.transpose(0, 2, 1), 0.5, threshold=threshold), boxes[:, [1, 0, 3, 2]]
        )
    np.testing.assert_array_equal(
        find_boxes(maps - 8, 0.47, threshold="value"), find_boxes(maps, 0.47, threshold="value")
    )
    whole = np.round(255 * maps / maps.max())
    np.testing.assert_array_equal(find_boxes(whole.astype(np.uint8), 1.5), find_boxes(whole, 1.5))


def test_constant_maps_have_an_empty_box_that_matches_nothing():
    for constant in (0, 0.1, 1):
        maps = np.full((1, 7, 7), constant)
        for threshold in ("mean", "value", "energy"):
            for component in ("all", "largest"):
                assert find_boxes(maps, 0.5, threshold=threshold, component=component).tolist() == [NOTHING]
                assert localization_error(
                    maps, [[0, 0, 7, 7]], alpha=0.5, threshold=threshold, component=component
                ).all()
    assert box_error([NOTHING], [[0, 0, 1, 1]], inclusive=True).all()


# Overlap and errors


def test_iou_by_hand_and_by_counting_pixels():
    assert iou([0, 0, 4, 2], [2, 0, 6, 2]) == pytest.approx(4 / 12)
    assert iou([0, 0, 2, 2], [2, 0, 4, 2]) == 0  # half open: they only touch
    assert iou(NOTHING, NOTHING) == 0
    a, b = random_boxes(2, 40)
    pixels_a, pixels_b = indicators(a) > 0, indicators(b) > 0
    counted = (pixels_a & pixels_b).sum((1, 2)) / (pixels_a | pixels_b).sum((1, 2))
    np.testing.assert_allclose(iou(a, b), counted)
    np.testing.assert_array_equal(np.diag(iou(a[:, None], b)), iou(a, b))


def test_iou_is_symmetric_in_zero_to_one_and_free_of_scale():
    a, b = random_boxes(2, 40) + np.sort(np.random.default_rng(2).uniform(size=(2, 40, 4)))
    found = iou(a, b)
    np.testing.assert_array_equal(found, iou(b, a))
    np.testing.assert_array_equal(iou(a, a), 1)
    assert found.min() == 0
    assert 0.3 < found.max() <= 1
    scale = np.array([3.7, 0.21, 3.7, 0.21])
    np.testing.assert_allclose(iou(a * scale, b * scale), found)


def test_a_map_of_the_box_itself_is_no_error():
    boxes = random_boxes(30)
    maps = indicators(boxes)
    assert not localization_error(maps, boxes, alpha=0).any()
    assert not localization_error(maps, boxes, alpha=0.5, threshold="value", component="largest").any()
    assert not localization_error(maps, boxes, alpha=1, threshold="energy").any()
    smaller_than_two_thirds = maps.mean((1, 2)) < 2 / 3
    np.testing.assert_array_equal(localization_error(maps, boxes), ~smaller_than_two_thirds)


def test_half_is_a_match_only_if_inclusive_and_any_box_will_do():
    found = np.tile([0.0, 0, 4, 4], (4, 1))
    boxes = [[[0, 0, 4, 8]], [[0, 0, 4, 7]], [[5, 5, 9, 9], [0, 0, 3, 4]], [5, 5, 9, 9]]
    assert box_error(found, boxes).tolist() == [True, False, False, True]
    assert box_error(found, boxes, inclusive=True).tolist() == [False, False, False, True]


def test_several_alphas_at_once():
    boxes = random_boxes(20, 2)
    maps = hints(boxes[:, 1])
    alphas = [0.5, 1, 1.5, 2.5]
    errors = localization_error(maps, boxes, alpha=alphas)
    np.testing.assert_array_equal(errors, [localization_error(maps, boxes, alpha=alpha) for alpha in alphas])
    assert errors.shape == (4, 20)
    assert len(set(errors.mean(1))) == 4


def test_tuning_finds_the_middle_of_the_best():
    heatmap = np.full((1, 6, 6), 0.2)
    heatmap[0, 1:3, 1:3], heatmap[0, 3:5, 3:5] = 1, 0.6
    box = [[1, 1, 5, 5]]
    alphas = [0.9, 0.1, 0.3, 0.4, 0.2, 0.05, 0.7]  # scaled, the steps are at 0 and 0.5
    np.testing.assert_array_equal(
        localization_error(heatmap, box, alpha=alphas, threshold="value")[:, 0],
        [True, False, False, False, False, False, True],
    )
    assert tune_threshold(heatmap, box, alphas=alphas, threshold="value") == 0.2  # of 0.05, 0.1, 0.2, 0.3, 0.4
    assert tune_threshold(heatmap, box, alphas=alphas[:4], threshold="value") == 0.3
    assert tune_threshold(heatmap, box, threshold="value") == pytest.approx(0.2)  # of 0, 0.05, ..., 0.45


@pytest.mark.parametrize("threshold", ["mean", "value", "energy"])
def test_tuned_alpha_is_the_best_of_the_grid(threshold):
    boxes = random_boxes(20)
    maps = hints(boxes)
    grid = [0.5 * step if threshold == "mean" else 0.05 * step for step in range(21 if threshold == "mean" else 20)]
    errors = [localization_error(maps, boxes, alpha=alpha, threshold=threshold).mean() for alpha in grid]
    tuned = tune_threshold(maps, boxes, threshold=threshold)
    assert np.isclose(grid, tuned).sum() == 1
    assert localization_error(maps, boxes, alpha=tuned, threshold=threshold).mean() == min(errors) < max(errors)


# Baselines


def test_baselines_by_hand():
    n, h, w = 3, 40, 60
    assert iou(whole_image(n, h, w), centre_box(n, h, w)).tolist() == pytest.approx([0.5] * 3)
    xmin, ymin, xmax, ymax = centre_box(1, h, w)[0]
    assert (xmin + xmax, ymin + ymax) == pytest.approx((w, h))
    assert (xmax - xmin) / (ymax - ymin) == pytest.approx(w / h)
    boxes = [[[0, 0, 60, 40]], [[10, 6, 50, 34]], [[0, 0, 20, 20]]]
    assert box_error(whole_image(n, h, w), boxes).tolist() == [False, True, True]
    assert box_error(centre_box(n, h, w), boxes).tolist()[1:] == [False, True]
    assert pointing_game(centre_point(n, h, w), boxes).tolist() == [True, True, False]


# Pointing game


def test_pointing_by_hand():
    heatmaps = np.zeros((4, 5, 7))
    heatmaps[0, 1, 2] = heatmaps[1, 4, 6] = heatmaps[2, 0, 0] = 1  # the last is constant: it points nowhere
    whole = [[0, 0, 7, 5]]
    boxes = [[[2, 1, 3, 2]], [[0, 0, 6, 4], [6, 4, 7, 5]], [[1, 1, 7, 5]], whole]
    np.testing.assert_array_equal(pointing_game(heatmaps, boxes), [True, True, False, False])
    np.testing.assert_array_equal(pointing_game(heatmaps, boxes, tolerance=9), [True, True, True, False])


@pytest.mark.parametrize("tolerance", [0, 1, 1.5, 3])
def test_tolerance_is_the_distance_to_the_nearest_pixel_of_a_box(tolerance):
    maps = random_maps(60)
    boxes = random_boxes(60, 2) + np.random.default_rng(3).choice([0, 0.25, 0.5, 0.75], (60, 2, 1))
    expected = np.zeros(60, bool)
    for number in range(60):
        y, x = np.unravel_index(maps[number].argmax(), (9, 13))
        for xmin, ymin, xmax, ymax in boxes[number]:
            for row in range(12):
                for column in range(12):
                    if xmin <= column + 0.5 < xmax and ymin <= row + 0.5 < ymax:
                        expected[number] |= np.hypot(row - y, column - x) <= tolerance
    np.testing.assert_array_equal(pointing_game(maps, boxes, tolerance=tolerance), expected)
    assert 0 < expected.mean() < 1


# Masks


def test_iou_curve_by_hand():
    heatmap = np.array([[[0.0, 0.2], [0.6, 1.0]]])
    mask = np.array([[[False, True], [False, True]]])
    curve = iou_curve(heatmap, mask, thresholds=[0, 0.1, 0.5, 1])
    np.testing.assert_allclose(curve, [[2 / 4, 2 / 3, 1 / 3, 1 / 2]])


def test_iou_curve_of_perfect_and_empty_maps():
    mask = np.zeros((1, 4, 4), bool)
    mask[0, :2] = True
    perfect = iou_curve(mask.astype(float), mask)
    np.testing.assert_allclose(perfect[0, 1:], 1)
    assert perfect[0, 0] == 0.5  # everything is at least 0
    nothing = iou_curve(np.zeros((1, 4, 4)), mask)
    np.testing.assert_allclose(nothing[0], [0.5] + [0] * 20)
    np.testing.assert_array_equal(iou_curve(np.zeros((1, 4, 4)), mask & False, thresholds=[0.5]), 0)


def test_f_beta_is_that_of_precision_and_recall():
    boxes = random_boxes(20)
    maps, masks = hints(boxes) / hints(boxes).max(), indicators(boxes) > 0
    for beta2, factor in ((0.3, 2), (1, 1), (4, 1.5)):
        expected = []
        for heatmap, mask in zip(maps, masks, strict=True):
            found = heatmap >= min(factor * heatmap.mean(), heatmap.max())
            precision, recall = (found & mask).sum() / found.sum(), (found & mask).sum() / mask.sum()
            expected.append((1 + beta2) * precision * recall / (beta2 * precision + recall) if precision else 0)
        np.testing.assert_allclose(f_beta(maps, masks, beta2=beta2, factor=factor), expected)
        assert max(expected) > 0.8


def test_f_beta_of_perfect_and_constant_maps():
    masks = indicators([[0, 0, 13, 8], [3, 3, 4, 4]]) > 0  # the first covers more than half of the image
    np.testing.assert_array_equal(f_beta(masks.astype(np.float32), masks), 1)
    for constant in (0, 0.3, 1):
        np.testing.assert_array_equal(f_beta(np.full(masks.shape, constant), masks), 0)
    np.testing.assert_array_equal(f_beta(masks, ~masks), 0)
    np.testing.assert_array_equal(f_beta(masks, masks & False), 0)


def test_mae_by_hand():
    mask = np.array([[[False, True], [False, True]]])
    np.testing.assert_allclose(mae([[[0.0, 0.2], [0.6, 1.0]]], mask), [(0 + 0.8 + 0.6 + 0) / 4])
    np.testing.assert_array_equal(mae(mask, mask), 0)
    np.testing.assert_array_equal(mae(~mask, mask), 1)


# Reports


def test_every_class_counts_the_same():
    assert mean_by_class([1, 1, 1, 0, 0], [7, 7, 7, 7, 3]) == pytest.approx((3 / 4 + 0) / 2)
    assert mean_by_class(np.array([True, False]), ["b", "a"]) == 0.5


def test_bootstrap_is_that_of_a_slow_loop():
    values = np.random.default_rng(0).exponential(size=40)
    random = np.random.default_rng(1)
    means = [np.mean([values[random.integers(40)] for _ in range(40)]) for _ in range(2000)]
    for level in (0.5, 0.95):
        tails = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
        np.testing.assert_allclose(bootstrap_interval(values, level), tails, atol=0.15 * values.std() / 40**0.5)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values)
    assert bootstrap_interval(np.ones(5, bool)) == (1, 1)


def test_bootstrap_covers_the_true_mean():
    random = np.random.default_rng(0)
    intervals = np.array([bootstrap_interval(random.uniform(size=60) < 0.4, samples=500) for _ in range(200)])
    covered = (intervals[:, 0] <= 0.4) & (intervals[:, 1] >= 0.4)
    assert 0.9 < covered.mean() < 0.99


# Errors


def test_bad_heatmaps():
    box = [[0, 0, 1, 1]]
    broken = np.array([[[0, 1], [np.nan, 0]]])
    for metric in (pointing_game, localization_error, tune_threshold):
        with pytest.raises(ValueError, match="NaN"):
            metric(broken, box)
        with pytest.raises(ValueError, match=r"\(n, h, w\)"):
            metric(np.zeros((2, 2)), box)
        with pytest.raises(ValueError, match="one or more heat-maps"):
            metric(np.zeros((0, 2, 2)), [])
        with pytest.raises(ValueError, match="boxes for each of 2"):
            metric(np.ones((2, 3, 3)), box)
        with pytest.raises(ValueError, match="for image 0"):
            metric(np.ones((1, 3, 3)), [np.zeros((0, 4))])
    for threshold in ("mean", "energy"):
        with pytest.raises(ValueError, match="without negative values"):
            find_boxes(-np.eye(3)[None], 0.5, threshold=threshold)
    for metric in (iou_curve, f_beta, mae):
        with pytest.raises(ValueError, match="one shape"):
            metric(np.zeros((1, 2, 2)), np.zeros((1, 2, 3)))
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            metric(np.full((1, 2, 2), 3), np.zeros((1, 2, 2)))
        with pytest.raises(ValueError, match=r"\[0, 1\]"):
            metric(broken, np.zeros((1, 2, 2)))


def test_bad_boxes():
    for bad in ([0, 0, 1], [[0, 0, 1, 1, 1]], 3.0):
        with pytest.raises(ValueError, match="xmin, ymin, xmax, ymax"):
            iou(bad, [0, 0, 1, 1])
    for bad in ([2, 0, 1, 1], [0, 0, np.nan, 1]):
        with pytest.raises(ValueError, match="xmin <= xmax"):
            iou([0, 0, 1, 1], bad)
    with pytest.raises(ValueError, match="one for each image"):
        box_error([0, 0, 1, 1], [[0, 0, 1, 1]])


def test_bad_options():
    maps, box = np.eye(3)[None], [[0, 0, 1, 1]]
    with pytest.raises(ValueError, match="threshold 'median'; choose one of mean, value, energy"):
        tune_threshold(maps, box, threshold="median")
    with pytest.raises(ValueError, match="component 'first'"):
        find_boxes(maps, 1, component="first")
    for alpha, threshold in (
        (-1, "mean"),
        (np.nan, "mean"),
        (np.inf, "mean"),
        ([], "mean"),
        ([[1]], "mean"),
        (2, "value"),
    ):
        with pytest.raises(ValueError, match="Expected one alpha"):
            find_boxes(maps, alpha, threshold=threshold)
    for tolerance in (-1, np.nan):
        with pytest.raises(ValueError, match="tolerance"):
            pointing_game(maps, box, tolerance=tolerance)
    with pytest.raises(ValueError, match="beta2 and factor"):
        f_beta(maps, maps, beta2=-1)
    with pytest.raises(ValueError, match="a class for each of 2"):
        mean_by_class([0, 1], [0])
    for scores in ([], [[1.0]], [np.nan]):
        with pytest.raises(ValueError, match="finite scores"):
            mean_by_class(scores, scores)
    for wrong in ({"values": [1]}, {"level": 1}, {"level": 0}, {"samples": 0}):
        with pytest.raises(ValueError, match="a level between 0 and 1"):
            bootstrap_interval(**({"values": [1, 2]} | wrong))
