"""How far explanations move: against the oracle, and closed forms of linear and quadratic models."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
import token_networks
from keras import layers
from networks import oracle

import tfxai
from tfxai.facts import Facts
from tfxai.metrics import average_sensitivity, local_lipschitz, max_sensitivity, stability
from tfxai.metrics.robustness import Moved


class OfTheInput(tfxai.Explainer):
    """A map that is a function of the input, whatever the model."""

    facts = Facts("of_the_input", "", "", "", "", "")

    def __init__(self, model, function):
        super().__init__(model)
        self.function = function

    def attribute(self, run):
        return self.function(run.image)


@pytest.mark.parametrize("method", ["gradient", "input_x_gradient"])
def test_the_oracles_sensitivity(method):
    model, x, labels = token_networks.known("vit"), token_networks.inputs("vit"), oracle("vit_inputs")["labels"]
    theirs = oracle("vit_metrics")
    explainer = {"gradient": tfxai.Saliency, "input_x_gradient": tfxai.GradientXInput}[method](model)
    noise = theirs["max_sensitivity/noise"]
    # three inputs at once, then one, so that turns hold different numbers of samples
    ratios = Moved(explainer, 10, 0.02, noise, 0).ratios(x, labels, 3, 0)
    np.testing.assert_allclose(ratios.max(1), theirs[f"max_sensitivity/{method}"], rtol=1e-4)
    np.testing.assert_allclose(ratios.mean(1), theirs[f"mean_sensitivity/{method}"], rtol=1e-4)


def test_the_gradient_of_a_linear_model_does_not_move():
    model = keras.Sequential([keras.Input((7, 2)), layers.Flatten(), layers.Dense(3)])  # series
    x = np.random.default_rng(0).normal(size=(3, 7, 2)).astype("f")
    assert max_sensitivity(tfxai.Saliency(model), x).max() < 1e-6
    assert local_lipschitz(tfxai.Saliency(model), x).max() < 1e-6


def test_of_a_quadratic_model():
    """The gradient of |x|^2 / 2 is x: it moves as the input does, within the box."""
    given = keras.Input((40,))
    model = keras.Model(given, layers.Lambda(lambda x: tf.reduce_sum(x * x, 1, keepdims=True) / 2)(given))
    x = np.random.default_rng(0).uniform(1, 3, size=(4, 40)).astype("f")
    explainer = tfxai.Saliency(model)
    np.testing.assert_allclose(local_lipschitz(explainer, x, 0), 1, rtol=1e-4)
    expected = 0.02 * np.ptp(x, 1) * np.sqrt(40 / 3) / np.linalg.norm(x, axis=1)  # uniform numbers in a box
    found = average_sensitivity(explainer, x, 0, samples=40)
    np.testing.assert_allclose(found, expected, rtol=0.05)
    most = max_sensitivity(explainer, x, 0, samples=40)
    assert (most > found).all()
    assert (most < 0.02 * np.ptp(x, 1) * np.sqrt(40) / np.linalg.norm(x, axis=1)).all()
    alone = max_sensitivity(explainer, x[2:3], 0, samples=40)
    np.testing.assert_allclose(alone, most[2:3], rtol=1e-6)  # of whatever batch


def test_maps_of_zeros_and_inputs_that_do_not_move(small, x):
    flat = OfTheInput(small, lambda x: 0 * x)
    np.testing.assert_array_equal(max_sensitivity(flat, x), 0)
    np.testing.assert_array_equal(local_lipschitz(tfxai.Saliency(small), 0 * x), 0)


def test_words_are_moved_where_they_are_embedded():
    explainer = tfxai.Saliency(token_networks.known("text"))
    found = max_sensitivity(explainer, token_networks.inputs("text"), samples=3)
    assert found.shape == (4,)
    assert (found > 0).all()


def test_maps_that_follow_the_input(small, x):
    follows = OfTheInput(small, tf.square)
    np.testing.assert_allclose(stability(follows, x, change="shift", strength=0.2), 1, atol=1e-5)
    pattern = tf.constant(np.random.default_rng(0).normal(size=(1, 16, 16)), tf.float32)
    stays = OfTheInput(small, lambda x: pattern + 0 * x[..., 0])
    np.testing.assert_allclose(stability(stays, x, samples=4), 1, atol=1e-5)
    assert stability(stays, x, change="shift", samples=4).max() < 0.9
    np.testing.assert_array_equal(stability(OfTheInput(small, tf.zeros_like), x), 0)
    assert (stability(tfxai.GradCAM(small), x, samples=4) > 0).all()  # a map of a layer, smaller than the input


def test_what_cannot_be_moved(small, x):
    with pytest.raises(TypeError, match="Expected an explainer"):
        max_sensitivity(small, x)
    with pytest.raises(ValueError, match="Expected perturbations"):
        max_sensitivity(tfxai.Saliency(small), x, perturbations=np.zeros((3, 4)))
    with pytest.raises(ValueError, match="radius"):
        max_sensitivity(tfxai.Saliency(small), x, radius=-1)
    with pytest.raises(ValueError, match="Expected images, series or volumes"):
        stability(tfxai.Saliency(networks.known("table")), np.ones((2, 8), "f"), 0)
    with pytest.raises(ValueError, match="change"):
        stability(tfxai.Saliency(small), x, change="colour")
