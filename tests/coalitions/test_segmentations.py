"""Players by segmentations of scikit-image: as if their maps were given, of each image alone, as many as wanted."""

import sys

import keras
import networks
import numpy as np
import pytest
from keras import layers
from networks import oracle

import tfxai
from tfxai.coalitions import Segments
from tfxai.segmentations import ALGORITHMS, merged

RNG = np.random.default_rng(0)
IMAGES, _, _ = tfxai.datasets.flowers.make(n=3)
CHEAP = {
    "ShapleyValues": {"groups": 6},
    "KernelSHAP": {"budget": 60},
    "PermutationSHAP": {"samples": 1},
    "Banzhaf": {"budget": 60},
    "LIME": {"budget": 60},
    "FeatureAblation": {},
    "SobolAttribution": {"designs": 2},
    "HSICAttribution": {"budget": 30},
}


@pytest.fixture(autouse=True)
def _scikit_image(request):
    if "without" not in request.node.name and "merged" not in request.node.name:
        pytest.importorskip("skimage", reason="an extra of the package: pip install tfxai[segments]")


def weighted(x):
    """A score in which players interact."""
    middle = x.reshape(len(x), -1, 3).mean(1) / 255
    return np.stack([middle[:, 0], middle.prod(1)], 1)


@pytest.mark.filterwarnings("ignore:LIME's linear model")
@pytest.mark.parametrize("method", CHEAP)
def test_are_as_if_given(method):
    """Whatever the method; values are constant on regions, and shares sum to the score's gain."""
    options = {"groups": 14, **CHEAP[method]}
    options["groups"] = Segments("felzenszwalb", options["groups"])
    found = getattr(tfxai, method)(weighted, **options)(IMAGES, 1)
    labels = options["groups"].of(IMAGES)
    given = getattr(tfxai, method)(weighted, **options | {"groups": labels})(IMAGES, 1)
    np.testing.assert_array_equal(found.extras["player_of"], labels)
    np.testing.assert_allclose(found.values, given.values, rtol=1e-5, atol=1e-9)
    for own, values in zip(labels, found.values, strict=True):
        assert all(np.ptp(values[own == region]) == 0 for region in np.unique(own))
    if method in ("ShapleyValues", "KernelSHAP", "PermutationSHAP"):
        gained = weighted(IMAGES)[:, 1] - weighted(0 * IMAGES)[:, 1]
        np.testing.assert_allclose(found.values.sum((1, 2)), gained, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-6)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("most", [5, 49])
def test_there_are_as_many_as_wanted(algorithm, most):
    labels = Segments(algorithm, most).of(IMAGES)
    assert labels.shape == (3, 112, 112)
    assert labels.dtype == np.int32
    for own in labels:
        np.testing.assert_array_equal(np.unique(own), np.arange(most))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_of_any_scale_alone_or_among_others_and_twice(algorithm):
    segments = Segments(algorithm, 12)
    labels = segments.of(IMAGES)
    np.testing.assert_array_equal(labels, segments.of(IMAGES))
    np.testing.assert_array_equal(labels[1:2], segments.of(IMAGES[1:2]))
    np.testing.assert_array_equal(labels, segments.of(IMAGES / np.float32(255)))
    np.testing.assert_array_equal(labels, segments.of(np.moveaxis(IMAGES, -1, 1)))
    full = IMAGES.copy()
    full[:, 0, :2] = [[0, 0, 0], [255, 255, 255]]  # what is stretched from its least to its largest number
    np.testing.assert_array_equal(segments.of(full), segments.of(full / np.float32(127.5) - 1))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (1, 30, 17, 13), (1, 3, 40, 4)])
def test_of_small_images_and_any_channels(algorithm, shape):
    labels = Segments(algorithm, 6).of(RNG.uniform(size=shape).astype("f"))
    assert labels.shape == shape[:3]
    assert labels.max() < 6


def test_a_name_is_enough():
    found = tfxai.KernelSHAP(networks.known("plain"), groups="slic", budget=120).explain(
        oracle("plain_inputs")["x"], 0, batch_size=16
    )
    assert found.extras["players"].shape[1] == 49
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=2e-4)
    np.testing.assert_array_equal(found.extras["player_of"], Segments("slic").of(oracle("plain_inputs")["x"]))


def test_those_that_are_missing_change_nothing():
    """An image of two colours has few regions, however many are wanted; another one has them all."""
    x = np.zeros((2, 24, 24, 3), np.uint8)
    x[0, :, 10:] = 255
    x[1] = RNG.integers(0, 255, (24, 24, 3))

    def game(x):
        left, right = x[:, :, :10].mean((1, 2, 3)) / 255, x[:, :, 10:].mean((1, 2, 3)) / 255
        return (left + 3 * right - 2 * left * right)[:, None]

    segments = Segments("felzenszwalb", 12)
    maps = segments.of(x)
    few, all_of_them = (len(np.unique(own)) for own in maps)
    assert 1 < few < all_of_them == 12
    for method in (tfxai.ShapleyValues, tfxai.Banzhaf):
        players = method(game, groups=segments, fill=127.0)(x, 0).extras["players"]
        alone = method(game, groups=maps[0], fill=127.0)(x[:1], 0).extras["players"]
        np.testing.assert_allclose(players[0], [*alone[0], *[0] * (12 - few)], atol=1e-6)
        assert (players[1] != 0).all()
    exact = tfxai.ShapleyValues(game, groups=segments, fill=127.0)(x, 0).extras["players"]
    for method in (tfxai.KernelSHAP, tfxai.PermutationSHAP):  # exact, for players act alone or in pairs
        players = method(game, groups=segments, fill=127.0, budget=100)(x, 0).extras["players"]
        np.testing.assert_allclose(players, exact, atol=1e-5)


def test_lime_weighs_those_that_are_there():
    """Of a region without pixels it is no matter whether it is there."""
    weights = RNG.normal(size=(4, 1))
    x, labels = np.ones((1, 2, 2, 1)), np.array([[0, 1], [2, 3]])

    def game(x):
        return np.prod(1 + x.reshape(len(x), 4) * weights.T / 4, 1, keepdims=True)

    for options in ({"penalty": "ridge"}, {"penalty": "lasso"}, {"distance": "euclidean"}):
        maps = labels, np.where(labels == 3, 8, labels)
        four, nine = (tfxai.LIME(game, groups=own, alpha=1e-9, **options)(x, 0) for own in maps)
        np.testing.assert_allclose(four.values, nine.values, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(four.extras["r2"], nine.extras["r2"], rtol=1e-3)


def test_measures_take_them_too():
    model, x = networks.known("plain"), oracle("plain_inputs")["x"]
    explanation = tfxai.Saliency(model)(x, 0)
    segments = Segments("slic", 10)
    curve, given = (
        tfxai.metrics.deletion(model, explanation, steps=5, groups=groups) for groups in (segments, segments.of(x))
    )
    np.testing.assert_allclose(curve.scores, given.scores, rtol=1e-5)


def test_compiled_by_xla():
    """For regions are found before the graph runs."""
    model = keras.Sequential([keras.Input((12, 12, 3)), layers.Flatten(), layers.Dense(2, "tanh")])
    x = RNG.uniform(size=(2, 12, 12, 3)).astype("f")
    groups = Segments("slic", 4)
    plain, compiled = (tfxai.ShapleyValues(model, groups=groups, jit_compile=one)(x, 0) for one in (False, True))
    np.testing.assert_allclose(compiled.values, plain.values, rtol=1e-4, atol=1e-6)


def test_merged_by_size_and_colour():
    """The smallest goes to the neighbour that looks like it, not to one that is no neighbour."""
    labels = np.array([[0, 0, 0, 1], [2, 2, 2, 2], [3, 3, 3, 3], [4, 4, 4, 4]])
    colours = np.array([10, 90, 80, 90, 95])
    image = colours[labels][..., None].astype(np.uint8)
    np.testing.assert_array_equal(merged(labels, image, 4), [[0] * 3 + [1], [1] * 4, [2] * 4, [3] * 4])
    np.testing.assert_array_equal(merged(labels, image, 3), [[0] * 4, [0] * 4, [1] * 4, [2] * 4])
    np.testing.assert_array_equal(merged(labels, image, 9), labels)
    np.testing.assert_array_equal(merged(labels, image, 1), 0 * labels)


def test_errors():
    with pytest.raises(ValueError, match=r"algorithm to be one of \['slic', 'quickshift', 'felzenszwalb'\]"):
        Segments("watershed")
    with pytest.raises(ValueError, match="most to be a positive integer"):
        Segments("slic", 0)
    with pytest.raises(ValueError, match=r"one of \['auto', 'patches', 'superpixels', 'slic'"):
        tfxai.KernelSHAP(weighted, groups="watershed")
    with pytest.raises(ValueError, match="at most 14 players; got 49 players"):
        tfxai.ShapleyValues(weighted, groups="slic")(IMAGES, 0)
    with pytest.raises(ValueError, match=r"need images, \(n, h, w, c\), got shape \(1, 6\)"):
        tfxai.KernelSHAP(lambda x: x, groups="slic")(np.ones((1, 6)), 0)
    inner = tfxai.FeatureAblation(networks.known("plain"), groups="slic")
    with pytest.raises(ValueError, match="Inside another explainer"):
        tfxai.SmoothGrad(inner, samples=2)(oracle("plain_inputs")["x"], 0)


def test_without_scikit_image_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    message = r'"quickshift" need scikit-image: pip install tfxai\[segments\]. Or take groups="superpixels"'
    with pytest.raises(ImportError, match=message):
        tfxai.KernelSHAP(weighted, groups="quickshift")
