"""XRAI against its algorithm written as loops, the order of regions, and the sum that its values must have."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from networks import oracle

import tfxai
from tfxai.attribution.xrai import SMALLEST
from tfxai.segments import felzenszwalb, numbered_apart, scaled_superpixels

RNG = np.random.default_rng(0)
SIZE = (12, 10)
X = RNG.uniform(size=(3, *SIZE, 2)).astype("f")
BLOCKS = np.stack([np.add.outer(np.arange(16) // side * 16, np.arange(16) // side) for side in (2, 5)])
LABELS = RNG.integers(0, 6, (4, *SIZE))  # scattered regions of four maps, which overlap in every way


@pytest.fixture(scope="module")
def linear():
    """Of which the contributions of pixels are known: weights times the way from the mean of the baselines."""
    model = keras.Sequential([keras.Input((*SIZE, 2)), layers.Flatten(), layers.Dense(3)])
    return model, model.layers[1].kernel.numpy()[:, 1].reshape(*SIZE, 2)


def contributions(w, reduction=np.max):
    middle = (X.min((1, 2), keepdims=True) + X.max((1, 2), keepdims=True)) / 2
    return reduction(w * (X - middle), -1)


def region_by_region(A, maps):
    free, found = np.ones(A.shape, bool), np.full(A.shape, np.nan)
    regions = [one == number for one in maps for number in np.unique(one)]
    while True:
        left = [region & free for region in regions]
        left = [region for region in left if region.sum() >= max(1, SMALLEST * A.size)]
        if not left:
            break
        best = max(left, key=lambda region: A[region].mean())
        found[best], free = A[best].mean(), free & ~best
    return found


@pytest.mark.parametrize("reduction", ["max", "sum"])
def test_regions_come_in_the_order_of_what_they_add(linear, reduction):
    model, w = linear
    found = tfxai.XRAI(model, segments=LABELS, reduction=reduction, steps=2)(X, 1)
    every = contributions(w, getattr(np, reduction))
    for A, ours in zip(every, found.values, strict=True):
        np.testing.assert_allclose(ours, region_by_region(A, LABELS), rtol=1e-3, atol=1e-5)
        means = [A[one == number].mean() for one in LABELS for number in np.unique(one)]
        first = LABELS[np.argmax(means) // 6] == np.argmax(means) % 6
        np.testing.assert_allclose(ours[first], max(means), rtol=1e-3)
    np.testing.assert_allclose(found.values.sum((1, 2)), every.sum((1, 2)), rtol=1e-3, atol=1e-4)
    if reduction == "sum":
        np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-4)


def test_xla_finds_the_same(linear):
    """It must know how many parts an image has."""
    plain, compiled = (tfxai.XRAI(linear[0], segments=LABELS, steps=1, jit_compile=one)(X, 1) for one in (False, True))
    np.testing.assert_allclose(compiled.values, plain.values, rtol=1e-4, atol=1e-6)


def test_fast_regions_overlap(linear):
    model, w = linear
    found = tfxai.XRAI(model, segments=LABELS, fast=True, steps=2)(X, 1).values
    for A, ours in zip(contributions(w), found, strict=True):
        means = np.array([[A[one == number].mean() for number in range(6)] for one in LABELS])
        expected = np.max([mean[one] for mean, one in zip(means, LABELS, strict=True)], 0)
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("fast", [False, True])
def test_each_image_may_have_maps_of_its_own(linear, fast):
    model, own = linear[0], np.stack([LABELS, LABELS[::-1] * 1000 - 7, LABELS[:, ::-1]])
    each = [tfxai.XRAI(model, segments=own[n], fast=fast, steps=2)(X[n : n + 1], 1).values for n in range(3)]
    found = tfxai.XRAI(model, segments=own, fast=fast, steps=2).explain(X, 1, batch_size=2, verbose=0).values
    np.testing.assert_allclose(found, np.concatenate(each), rtol=1e-4, atol=1e-6)


def test_baselines_are_those_of_the_models_own_scale(small, x):
    """Whatever the scale, and colour by colour."""
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(0.01, [0.2, -0.1, 0.0]), small])
    shifted = (x - np.array([0.2, -0.1, 0.0])) * 100
    expected = tfxai.XRAI(small, segments=BLOCKS, steps=10)(x, 1).values
    np.testing.assert_allclose(
        tfxai.XRAI(model, segments=BLOCKS, steps=10)(shifted, 1).values, expected, rtol=1e-2, atol=1e-4
    )


def test_values_sum_to_the_change_of_the_score(small, x):
    found = tfxai.XRAI(small, background=[0.0, "mean"], segments=BLOCKS, reduction="sum", steps=100)(x, 2)
    mean = np.broadcast_to(x.mean((1, 2), keepdims=True), x.shape)
    change = found.score - (small.predict(0 * x, verbose=0) + small.predict(mean, verbose=0))[:, 2] / 2
    np.testing.assert_allclose(found.values.sum((1, 2)), change, atol=1e-2)


def test_evidence_lies_in_the_patch(plain, x, labels):
    heatmaps = tfxai.XRAI(plain, steps=20)(x, labels).heatmaps()
    inside = np.zeros(heatmaps.shape, bool)
    for mask, (row, column) in zip(inside, oracle("plain_inputs")["patch_corners"], strict=True):
        mask[row : row + 8, column : column + 8] = True
    assert ((heatmaps * inside).sum((1, 2)) / heatmaps.sum((1, 2))).min() > 0.45  # a quarter of the area


def test_superpixels_of_several_scales_have_numbers_of_their_own():
    x = tf.constant(RNG.uniform(size=(2, 20, 30, 3)).astype("f"))
    labels = scaled_superpixels(x, (2, 5, 25)).numpy()
    assert labels.shape == (2, 3, 20, 30)
    for one, (low, high) in zip(np.moveaxis(labels, 1, 0), [(0, 4), (4, 29), (29, 29 + 20 * 25)], strict=True):
        assert low <= one.min() <= one.max() < high
        assert len(np.unique(one)) > (high - low) / 2


def test_bad_reduction(linear):
    with pytest.raises(ValueError, match=r"one of \['max', 'sum'\]"):
        tfxai.XRAI(linear[0], reduction="mean")


def test_numbers_apart():
    labels = numbered_apart(np.array([[[5, 5, -1]], [[2, 900, 2]]]))
    assert labels.tolist() == [[[1, 1, 0]], [[2, 3, 2]]]


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ("slic", r"segments to be one of \['superpixels', 'felzenszwalb'\]"),
        (np.zeros((12, 10), int), r"\(k, h, w\) or \(n, k, h, w\), got an array of shape \(12, 10\)"),
        (np.zeros((2, 12, 10)), "whole numbers"),
        (np.zeros((2, 10, 12), int), r"size of the images, \(12, 10\)"),
        (np.zeros((2, 2, 12, 10), int), "each of 3 inputs, got 2"),
    ],
)
def test_bad_segments(linear, segments, message):
    with pytest.raises(ValueError, match=message):
        tfxai.XRAI(linear[0], segments=segments, steps=2)(X, 1)


def test_maps_of_each_image_are_not_known_within_another_method(linear):
    inner = tfxai.XRAI(linear[0], segments=np.stack([LABELS] * 3), steps=2)
    with pytest.raises(ValueError, match="the same for all images"):
        tfxai.SmoothGrad(inner, samples=2)(X, 1)


def test_without_scikit_image_it_is_said_how_to_get_it(linear, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ImportError, match=r"pip install tfxai\[segments\]"):
        tfxai.XRAI(linear[0], segments="felzenszwalb")


def test_regions_of_the_paper(linear):
    pytest.importorskip("skimage", reason="an extra of the package: pip install tfxai[segments]")
    image = np.zeros((2, *SIZE, 2), "f")
    image[0, :, 5:], image[1, 6:] = 3, -7
    labels = felzenszwalb(image)
    assert labels.shape == (2, 6, *SIZE)
    assert len(np.unique(labels[0, 0][:, :3])) == len(np.unique(labels[0, 0][:, 7:])) == 1
    found = tfxai.XRAI(linear[0], segments="felzenszwalb", jit_compile=False, steps=2)(image, 1)
    expected = tfxai.XRAI(linear[0], segments=labels, steps=2)(image, 1)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match="jit_compile=False"):
        tfxai.XRAI(linear[0], segments="felzenszwalb", jit_compile=True)
