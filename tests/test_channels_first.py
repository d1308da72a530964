"""Models with channels before positions: explained as their twins with channels last, with maps the right way round."""

import functools

import keras
import numpy as np
import pytest
from keras import layers

import tfxai

X = np.random.default_rng(0).normal(size=(2, 12, 16, 3)).astype("float32")


def network(order):
    options = {"data_format": order}
    return keras.Sequential(
        [
            keras.Input((3, 12, 16) if order == "channels_first" else (12, 16, 3)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="early", **options),
            layers.MaxPooling2D(name="pool", **options),
            layers.Conv2D(5, 3, activation="relu", name="late", **options),
            layers.GlobalAveragePooling2D(**options),
            layers.Dense(3),
        ]
    )


@functools.cache
def twins():
    keras.utils.set_random_seed(0)
    last, first = network("channels_last"), network("channels_first")
    first.set_weights(last.get_weights())
    return last, first


@pytest.mark.parametrize(
    "method",
    [
        *("guided_grad_cam", "cam", "score_cam", "ablation_cam", "recipro_cam", "eigen_cam"),
        *("grad_cam:layer=early", "layer_cam:layer=pool"),
    ],
)
def test_heatmaps_are_those_of_channels_last(method):
    last, first = twins()
    expected = tfxai.explain(last, X, method, 1)
    found = tfxai.explain(first, np.moveaxis(X, -1, 1), method, 1, jit_compile=True)
    assert found.facts.get("layer") == expected.facts.get("layer")
    np.testing.assert_allclose(found.heatmaps(), expected.heatmaps(), atol=1e-5)
    assert found.heatmaps().shape == X.shape[:3]


def test_relevance_at_a_layer_has_its_own_axes():
    last, first = twins()
    expected = tfxai.LRP(last, at="late")(X, 1)
    found = tfxai.LRP(first, at="late", jit_compile=True)(np.moveaxis(X, -1, 1), 1)
    np.testing.assert_allclose(np.moveaxis(found.values, 1, -1), expected.values, atol=1e-5)
    np.testing.assert_allclose(found.heatmaps(), expected.heatmaps(), atol=1e-5)


def test_pictures_have_channels_last():
    figure = tfxai.GradCAM(twins()[1], jit_compile=True)(np.moveaxis(X, -1, 1), 1).plot()
    assert figure.axes[0].images[0].get_array().shape == (12, 16, 3)
