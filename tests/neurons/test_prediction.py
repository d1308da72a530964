"""Predictions explained by relevant features: against NumPy, and against the methods that they are made of."""

import itertools
import warnings
from types import SimpleNamespace

import keras
import networks
import numpy as np
import pytest
from keras import layers

import tfxai
from tfxai.models import open_model
from tfxai.neurons.descriptor import describe
from tfxai.neurons.prediction import PredictionByFeatures


def fitted(model, sizes, weights):
    """What a fitted `RelevantFeatures` shows, with weights of our choice; ``sizes`` are the channels of each layer."""
    return SimpleNamespace(
        view=open_model(model),
        layers_=tuple(sizes),
        channels_=tuple(sizes.values()),
        weights_=np.asarray(weights, "float32"),
        index_=[(layer, channel) for layer, size in sizes.items() for channel in range(size)],
        descriptors=lambda maps: describe([maps[name] for name in sizes], "l2sq", "l1", True),
    )


def noise(rng, *shape):
    return rng.normal(size=shape).astype("float32")


SIZES = {"relu1": 8, "relu2": 8, "relu4": 16, "dense": 5}


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    return fitted(networks.known("residual"), SIZES, np.maximum(rng.normal(size=(37, 5)), 0))


def strided():
    inputs = keras.Input((24, 24, 3))
    x = layers.Conv2D(6, 5, 2, "same", activation="relu", name="first")(inputs)
    x = layers.MaxPooling2D(3, 2, "same")(x)
    x = layers.DepthwiseConv2D(3, 2, "same", activation="relu", name="second")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(layers.Flatten()(x)))


# Numbers


def unit(x):
    return (x - x.min()) / (x.max() - x.min())


@pytest.mark.parametrize("preset", ["tfxai", "paper"])
def test_linear_network_by_hand(preset):
    """Descriptor, contributions, top features and heat-maps, of a convolution and a dense layer, in NumPy."""
    rng = np.random.default_rng(0)
    inputs = keras.Input((7, 7, 2))
    conv = layers.Conv2D(4, 3, use_bias=False, name="conv")(inputs)
    dense = layers.Dense(3, use_bias=False, name="dense")(layers.Flatten()(conv))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(dense))
    weights = np.abs(noise(rng, 7, 2))
    x = noise(rng, 1, 7, 7, 2)
    explainer = PredictionByFeatures(
        fitted(model, {"conv": 4, "dense": 3}, weights), top=7, preset=preset, relus="gradient"
    )
    found = explainer(x, target=1)

    kernel, matrix = model.get_layer("conv").kernel.numpy(), model.get_layer("dense").kernel.numpy()
    maps = np.array(
        [[(x[0, i : i + 3, j : j + 3, :, None] * kernel).sum((0, 1, 2)) for j in range(5)] for i in range(5)]
    )
    units = maps.ravel() @ matrix
    squares = [np.square(maps).sum((0, 1)), np.square(units)]
    descriptor = np.concatenate([s / s.sum() for s in squares])
    descriptor /= np.sqrt(np.square(descriptor).sum())
    r = weights[:, 1] / weights[:, 1].sum() * descriptor
    np.testing.assert_allclose(found.extras["contributions"][0], r, rtol=1e-4)
    order = np.argsort(-r, kind="stable")
    np.testing.assert_array_equal(found.extras["top"][0], order)

    def back(signal):
        """Transposed convolution of (5, 5, 4)."""
        canvas = np.zeros((7, 7, 2))
        for i, j in itertools.product(range(5), repeat=2):
            canvas[i : i + 3, j : j + 3] += kernel @ signal[i, j]
        return unit(np.sqrt(np.square(np.maximum(canvas, 0)).sum(-1)))

    single = []
    for k, heatmap in zip(order, found.extras["heatmaps"][0], strict=True):
        expected = back(maps * (np.arange(4) == k) if k < 4 else (units[k - 4] * matrix[:, k - 4]).reshape(5, 5, 4))
        if preset == "tfxai" and k < 4:  # the units of a dense layer lie nowhere
            response = np.abs(np.pad(maps[..., k], 1, "edge"))
            expected = unit(np.sqrt(expected * response / response.max()))
        np.testing.assert_allclose(heatmap, expected, atol=1e-4)
        single.append(expected)
    whole = np.average(single, 0, r[order]) if preset == "tfxai" else np.max(single, 0)
    np.testing.assert_allclose(found.values[0], whole, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"strided": "gradient", "pooling": "switch"}, {"relus": "deconvnet"}])
def test_each_heatmap_is_that_of_its_channel(options):
    rng = np.random.default_rng(0)
    model = strided()
    features = fitted(model, {"first": 6, "second": 6}, np.ones((12, 3)))
    found = PredictionByFeatures(features, top=12, preset="paper", **options)
    x = noise(rng, 2, 24, 24, 3)
    explanation = found(x)
    rest = {"strided": "resampled", "pooling": "repeat"} | {
        name: value for name, value in options.items() if name != "relus"
    }
    method = (tfxai.Deconvnet if "relus" in options else tfxai.GuidedBackprop)(model, **rest)
    for row, features in enumerate(explanation.evidence()):
        assert len(features) >= 8
        layers = [[one for one in features if one.layer == layer] for layer in ("first", "second")]
        assert all(layers)
        for one in [one for layer in layers for one in layer[: 1 if options else 2]]:
            alone = method(x[row : row + 1], tfxai.targets.Channel(one.layer, one.channel))
            np.testing.assert_allclose(one.heatmap, alone.heatmaps()[0], atol=1e-4)


def test_combined_map_covers_each_and_nothing_else(features, x):
    found = PredictionByFeatures(features, top=6, preset="paper")(x)
    np.testing.assert_array_equal(found.values, found.extras["heatmaps"].max(1))
    found = PredictionByFeatures(features, top=6)(x)
    r = np.array([[one.contribution for one in evidence] for evidence in found.evidence()])
    weighted = [np.average(maps, 0, its) for maps, its in zip(found.extras["heatmaps"], r, strict=True)]
    np.testing.assert_allclose(found.values, weighted, rtol=1e-5)
    assert found.extras["heatmaps"].min() >= 0
    np.testing.assert_allclose(found.extras["heatmaps"].max((2, 3))[found.extras["top"] >= 0], 1, rtol=1e-6)


def test_heatmaps_stay_in_the_receptive_field_of_what_is_active(x):
    model = networks.known("residual")
    weights = np.zeros((37, 5), "float32")
    weights[:8] = 1  # channels of relu1: one 3 x 3 convolution
    explanation = PredictionByFeatures(fitted(model, SIZES, weights), top=8)(x)
    maps = keras.Model(model.input, model.get_layer("relu1").output)(x).numpy()
    outside = 0
    for row, found in enumerate(explanation.evidence()):
        for one in found:
            active = np.pad(maps[row, ..., one.channel] > 0, 1)
            field = np.any([active[a : a + 16, b : b + 16] for a in range(3) for b in range(3)], 0)
            assert not one.heatmap[~field].any()
            outside += (~field).sum()
    assert outside > 100


def test_of_units_that_see_the_whole_image_a_heatmap_is_what_arrives():
    inputs = keras.Input((6, 6, 2))
    x = layers.MaxPooling2D(6)(layers.Conv2D(3, 3, padding="same", activation="relu", name="fine")(inputs))
    coarse = layers.Conv2D(3, 1, activation="relu", name="coarse", kernel_initializer="ones")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(coarse)))
    given = fitted(model, {"coarse": 3}, np.ones((3, 2)))
    images = np.abs(noise(np.random.default_rng(0), 2, 6, 6, 2))
    found = PredictionByFeatures(given)(images).extras["heatmaps"]
    arrived = PredictionByFeatures(given, preset="paper")(images).extras["heatmaps"]
    np.testing.assert_allclose(found, arrived, atol=1e-5)
    assert arrived.max() == pytest.approx(1)


def test_batch_equals_singles(features, x):
    explainer = PredictionByFeatures(features)
    batch = explainer(x)
    for row in range(len(x)):
        alone = explainer(x[row : row + 1])
        np.testing.assert_array_equal(alone.extras["top"][0], batch.extras["top"][row])
        np.testing.assert_allclose(alone.extras["heatmaps"][0], batch.extras["heatmaps"][row], atol=1e-4)
        np.testing.assert_allclose(alone.values[0], batch.values[row], atol=1e-4)


def test_saved_model_equals_keras(tmp_path):
    rng = np.random.default_rng(0)
    model, x, weights = strided(), noise(rng, 3, 24, 24, 3), np.abs(noise(rng, 12, 3))
    model.export(tmp_path / "exported", verbose=False)
    sizes = {"first": 6, "second": 6}
    expected = PredictionByFeatures(fitted(model, sizes, weights))(x)
    found = PredictionByFeatures(fitted(tmp_path / "exported", sizes, weights))(x)
    np.testing.assert_array_equal(found.extras["top"], expected.extras["top"])
    np.testing.assert_allclose(found.values, expected.values, atol=1e-4)
    assert networks.settled(found.facts) == networks.settled(expected.facts)


# Classes


def test_any_class_can_be_explained(features, x):
    explainer = PredictionByFeatures(features)
    predicted = explainer(x)
    np.testing.assert_array_equal(predicted.values, explainer(x, target=predicted.target).values)
    both = explainer(x, target=np.tile([1, 4], (len(x), 1)))
    np.testing.assert_allclose(both.values[1::2], explainer(x, target=4).values, atol=1e-5)
    assert not np.array_equal(both.extras["top"][::2], both.extras["top"][1::2])


def test_equal_contributions_come_in_their_order():
    conv = layers.Conv2D(4, 3, activation="relu", kernel_initializer="ones", name="conv")
    model = keras.Sequential([keras.Input((6, 6, 1)), conv, layers.GlobalAveragePooling2D(), layers.Dense(2)])
    found = PredictionByFeatures(fitted(model, {"conv": 4}, np.ones((4, 2))))(np.ones((1, 6, 6, 1), "float32"))
    np.testing.assert_array_equal(found.extras["top"], [[0, 1, 2]])


def test_a_class_without_weights_falls_back_to_what_responds_most(x):
    weights = np.ones((37, 5))
    weights[:, 2] = 0
    explainer = PredictionByFeatures(fitted(networks.known("residual"), SIZES, weights), classes=list("abcde"))
    with pytest.warns(UserWarning, match="No feature is relevant for c: "):
        found = explainer(x, target=2)
    assert found.extras["fallback"].all()
    assert (found.extras["top"][:, 0] == found.extras["contributions"].argmax(1)).all()
    combined = found[0].plot_prediction(percentile=100).axes[1]
    assert combined.child_axes[0].get_xticks()[1] == pytest.approx(found.values[0].max())
    assert combined.texts[0].get_text() == "no feature is relevant:\nthose that respond most"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not explainer(x, target=1).extras["fallback"].any()


def test_nothing_speaks_for_a_class(x):
    """Weights that are all negative: an empty list and a zero map, not the least bad feature."""
    found = PredictionByFeatures(fitted(networks.known("residual"), SIZES, -np.ones((37, 5))))(x)
    assert (found.extras["top"] == -1).all()
    assert not found.values.any()
    assert not found.extras["heatmaps"].any()
    assert found.evidence() == [[]] * len(x)
    assert not found.extras["fallback"].any()


def test_negative_weights_do_not_turn_the_order_around(x):
    """Weights over their sum, which is negative here, would put the features that speak against the class on top."""
    weights = np.full((37, 5), -1.0)
    weights[3] = 2
    for found in PredictionByFeatures(fitted(networks.known("residual"), SIZES, weights))(x).evidence():
        assert [(one.layer, one.channel) for one in found] in ([("relu1", 3)], [])


# What surrounds them


def test_saved_explanations_keep_the_evidence(features, x, tmp_path):
    found = PredictionByFeatures(features)(x)
    found.save(tmp_path / "found.npz")
    loaded = tfxai.Explanation.load(tmp_path / "found.npz").evidence()
    for one, other in zip(itertools.chain(*loaded), itertools.chain(*found.evidence()), strict=True):
        assert one[:3] == other[:3]
        np.testing.assert_array_equal(one.heatmap, other.heatmap)


def test_parts_and_batches_keep_the_evidence(features, x):
    """Slices, joined batches, and single ones of different size."""
    explainer = PredictionByFeatures(features)
    found = explainer(x)
    joined = explainer(x, batch_size=2, verbose=0)
    for other, whole in ((found[1:3], found.evidence()[1:3]), (found[-1], found.evidence()[-1:]), (joined, None)):
        for mine, its in zip(other.evidence(), whole or found.evidence(), strict=True):
            assert [one[:2] for one in mine] == [one[:2] for one in its]
    assert len(found[0].plot_prediction().axes) == 5


def test_images_that_differ_in_size(tmp_path):
    inputs = keras.Input((None, None, 3))
    maps = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(maps)))
    rng = np.random.default_rng(0)
    images = [noise(rng, 8, 9, 3), noise(rng, 8, 9, 3), noise(rng, 12, 7, 3)]
    found = PredictionByFeatures(fitted(model, {"conv": 4}, np.ones((4, 2))))(images, verbose=0)
    found.save(tmp_path / "found")
    for explanation in (found, tfxai.Explanation.load(tmp_path / "found")):
        assert [one.evidence()[0][0].heatmap.shape for one in explanation] == [(8, 9), (8, 9), (12, 7)]


def test_figure_has_the_evidence_and_its_average_images(features, x):
    found = PredictionByFeatures(features, classes=list("abcde"))(x[:2])
    shown = found.evidence()
    figure = found.plot_prediction()
    assert len(figure.axes) == 2 * 5
    text = " ".join(text.get_text() for cell in figure.axes for text in cell.texts)
    assert found.label(0) in text
    assert f"{shown[1][2].layer} {shown[1][2].channel}" in text
    first = shown[0][0]
    average = SimpleNamespace(average=np.full((5, 5, 3), 102.0))
    averages = {int(found.target[0]): {(first.layer, first.channel): average}}
    figure = found.plot_prediction(SimpleNamespace(averages=averages), images=np.zeros((2, 32, 32, 3), np.uint8))
    cells = np.reshape(figure.axes, (4, 5))
    np.testing.assert_allclose(cells[1, 2].images[0].get_array(), 0.4)
    assert not cells[1, 3].images
    assert cells[0, 0].images[0].get_array().shape == (32, 32, 3)


def test_errors(features, x):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"not fitted: call fit\(images, labels\) first"):
        PredictionByFeatures(SimpleNamespace(view=features.view))
    with pytest.raises(ValueError, match="top to be a positive integer, got 0"):
        PredictionByFeatures(features, top=0)
    with pytest.raises(ValueError, match="preset to be one of"):
        PredictionByFeatures(features, preset="authors")
    with pytest.raises(ValueError, match="relus to be"):
        PredictionByFeatures(features, relus=None)
    with pytest.raises(ValueError, match="fitted for 5 classes"):
        PredictionByFeatures(features)(x, tfxai.targets.Channel("relu1", 0))
    with pytest.raises(ValueError, match="fitted for 4 classes"):
        PredictionByFeatures(fitted(networks.known("residual"), SIZES, np.ones((37, 4))))(x)
    series = keras.Sequential(
        [keras.Input((9, 2)), layers.Conv1D(4, 3, activation="relu", name="conv"), layers.Flatten(), layers.Dense(2)]
    )
    with pytest.raises(ValueError, match="relevant features needs images"):
        PredictionByFeatures(fitted(series, {"conv": 4}, np.ones((4, 2))))(noise(rng, 1, 9, 2))


def test_features_of_flowers_lie_in_the_petals():
    images, labels, _ = tfxai.datasets.flowers.make("single-6c", n=240, seed=1)
    unseen, truth, masks = tfxai.datasets.flowers.make("single-6c", n=24, seed=2)
    model = tfxai.datasets.flowers.load_model("single-6c")
    features = tfxai.RelevantFeatures(model, mu=5).fit(images, labels, verbose=0)
    found = features.explain(unseen, target=truth, verbose=0)
    assert all(found.evidence())
    inside = (found.values * masks).sum((1, 2)) / found.values.sum((1, 2))
    assert np.median(inside) > 0.7 > 3 * masks.mean()
