"""Taylor decompositions against closed forms."""

import keras
import networks
import numpy as np
import pytest
from keras import layers

import tfxai


@pytest.fixture
def x():
    return networks.oracle("plain_inputs")["x"]


def without_biases():
    model = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(6, 3, use_bias=False, activation="relu")])
    for layer in (layers.MaxPooling2D(), layers.Flatten(), layers.Dense(4, use_bias=False)):
        model.add(layer)
    return model


def test_the_nearest_root_of_a_linear_model():
    """S = w.x + b: the root is x - S w / |w|^2, and R = S w^2 / |w|^2 sums to S."""
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, bias_initializer="normal")])
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("f")
    found = tfxai.SimpleTaylor(model)(x, 2)
    w, score = model.layers[0].kernel.numpy()[:, 2], model(x).numpy()[:, 2]
    np.testing.assert_allclose(found.values, score[:, None] * w**2 / np.sum(w**2), rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found.extras["root_score"], 0, atol=1e-5)
    np.testing.assert_allclose(found.extras["remainder"], 0, atol=1e-5)


def test_the_nearest_root_is_a_root():
    inputs = networks.oracle("residual_inputs")
    found = tfxai.SimpleTaylor(networks.known("residual"))(inputs["x"], inputs["labels"])
    assert (np.abs(found.extras["root_score"]) < 1e-4 * np.abs(found.score)).all()
    total = found.values.sum((1, 2, 3))
    np.testing.assert_allclose(total + found.extras["remainder"], found.score, rtol=1e-5)


def test_without_a_root_that_of_the_linear_model_is_taken():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1), layers.Lambda(lambda z: z**2 + 1)])
    x = np.ones((1, 2), "f")
    found = tfxai.SimpleTaylor(model)(x, lambda outputs: outputs[:, 0])
    gradient = tfxai.Saliency(model)(x, lambda outputs: outputs[:, 0]).values
    root = x - found.score * gradient / np.sum(gradient**2)
    np.testing.assert_allclose(found.extras["root_score"], model(root).numpy()[:, 0], rtol=1e-4)
    assert found.extras["root_score"] >= 1


def test_root_zero_of_a_network_without_biases_is_gradient_times_input(x):
    model = without_biases()
    found = tfxai.SimpleTaylor(model, root=0)(x, 1)
    expected = tfxai.GradientXInput(model)(x, 1).values
    np.testing.assert_allclose(found.values, expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(found.values.sum((1, 2, 3)), found.score, rtol=1e-4)


def test_a_given_root(small, x):
    model = small
    found = tfxai.SimpleTaylor(model, root=0.25)(x, 1)
    gradient = tfxai.Saliency(model)(0.25 + 1e-3 * (x - 0.25), 1).values
    np.testing.assert_allclose(found.values, gradient * (x - 0.25), atol=1e-5)
    np.testing.assert_allclose(found.extras["root_score"], model(np.full_like(x, 0.25))[:, 1], rtol=1e-4)
    with pytest.raises(ValueError, match="Expected one root, got 2"):
        tfxai.SimpleTaylor(model, root=[0.0, 1.0])(x)


@pytest.mark.parametrize("name", ["plain", "residual"])
def test_deep_taylor_is_z_plus_with_a_first_layer_of_its_own(name):
    inputs = networks.oracle(f"{name}_inputs")
    model, data = networks.known(name), (inputs["x"], inputs["labels"])
    unbounded = tfxai.DeepTaylor(model)(*data).values
    bounded = tfxai.DeepTaylor(model, low=-1, high=1)(*data).values
    oracle = networks.oracle(f"{name}_zennit")
    for found, key in ((unbounded, "zplus_wsquare_first"), (bounded, "zplus_zbox_first")):
        np.testing.assert_allclose(found, oracle[key], atol=1e-4 * np.abs(oracle[key]).max())


def test_deep_taylor_is_nowhere_negative_and_sums_to_the_score(x):
    model = without_biases()
    score = model(x).numpy()
    assert (score.max(1) > 0).all()
    found = tfxai.DeepTaylor(model, low=-1, high=1)(x, score.argmax(1))
    assert found.values.min() >= -1e-4 * found.values.max()  # the z-box takes differences
    np.testing.assert_allclose(found.values.sum((1, 2, 3)), found.score, rtol=1e-3)
