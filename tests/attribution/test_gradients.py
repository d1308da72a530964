"""Gradients and integrated gradients against closed forms and axioms."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.attribution.gradients import nodes_and_weights


def linear():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(3)])
    return model, model.layers[0].kernel.numpy()


@functools.cache
def smooth_net():
    """A function with curvature everywhere: quadrature has something to do."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [keras.Input((6,)), layers.Dense(16, activation="tanh"), layers.Dense(8, activation="tanh"), layers.Dense(3)]
    )


def test_linear_models_have_closed_forms():
    rng = np.random.default_rng(0)
    model, w = linear()
    x = rng.normal(size=(5, 6)).astype("float32")
    np.testing.assert_allclose(tfxai.Saliency(model)(x, 1).values, np.tile(w[:, 1], (5, 1)), rtol=1e-5)
    np.testing.assert_allclose(tfxai.GradientXInput(model)(x, 1).values, x * w[:, 1], rtol=1e-5)
    for rule in ("gauss_legendre", "left", "middle", "right"):  # one step is enough
        one = tfxai.IntegratedGradients(model, steps=1, quadrature=rule, baseline=0.5)(x, 1)
        np.testing.assert_allclose(one.values, (x - 0.5) * w[:, 1], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(one.extras["completeness_gap"], 0, atol=1e-5)
    smooth = tfxai.SmoothGrad(model, samples=3)(x, 1)
    np.testing.assert_allclose(smooth.values, np.tile(w[:, 1], (5, 1)), rtol=1e-4)
    np.testing.assert_allclose(tfxai.VarGrad(model, samples=3)(x, 1).values, 0, atol=1e-6)


def test_gradient_is_a_difference_quotient():
    rng = np.random.default_rng(0)
    model = smooth_net()
    x = rng.normal(size=(4, 6)).astype("float64")
    step = 1e-2
    expected = np.zeros_like(x)
    for feature in range(6):
        shift = step * (np.arange(6) == feature)
        expected[:, feature] = (model(x + shift)[:, 2] - model(x - shift)[:, 2]) / (2 * step)
    np.testing.assert_allclose(tfxai.Saliency(model)(x, 2).values, expected, atol=2e-3)


@pytest.mark.parametrize("rule", ["gauss_legendre", "trapezoid", "middle", "left", "right"])
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_quadrature(rule, steps):
    nodes, weights = nodes_and_weights(rule, steps)
    assert weights.sum() == pytest.approx(1)
    degree = {"gauss_legendre": 2 * steps - 1, "trapezoid": 1, "middle": 1}.get(rule, 0)
    assert (weights * nodes**degree).sum() == pytest.approx(1 / (degree + 1))


def test_completeness():
    rng = np.random.default_rng(0)
    model = smooth_net()
    x = rng.normal(size=(7, 6)).astype("float32")
    explanation = tfxai.IntegratedGradients(model)(x, 1)
    change = explanation.score - model(np.zeros((1, 6)))[0, 1].numpy()
    np.testing.assert_allclose(explanation.values.sum(1), change, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(explanation.extras["completeness_gap"], explanation.values.sum(1) - change, atol=1e-5)
    # Too few steps are reported, not hidden.
    coarse = tfxai.IntegratedGradients(model, steps=2, quadrature="left")(x, 1)
    np.testing.assert_allclose(coarse.extras["completeness_gap"], coarse.values.sum(1) - change, atol=1e-5)
    assert np.abs(coarse.extras["completeness_gap"]).max() > 0.05


def test_input_equal_to_baseline_gives_zero():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 6)).astype("float32")
    explanation = tfxai.IntegratedGradients(smooth_net(), baseline=x[0])(x, 1)
    np.testing.assert_array_equal(explanation.values, 0)


def test_several_baselines_are_averaged():
    rng = np.random.default_rng(0)
    model = smooth_net()
    x, baselines = rng.normal(size=(3, 6)).astype("float32"), rng.normal(size=(2, 6)).astype("float32")
    each = [tfxai.IntegratedGradients(model, baseline=one)(x, 0) for one in baselines]
    for several in (baselines, list(baselines)):
        together = tfxai.IntegratedGradients(model, background=several)(x, 0)
        np.testing.assert_allclose(together.values, np.mean([one.values for one in each], 0), rtol=1e-4, atol=1e-6)
        gaps = np.mean([one.extras["completeness_gap"] for one in each], 0)
        np.testing.assert_allclose(together.extras["completeness_gap"], gaps, atol=1e-5)


def test_named_baselines(small, x):
    means = np.broadcast_to(x.mean((1, 2), keepdims=True), x.shape)
    by_name = tfxai.IntegratedGradients(small, baseline="mean", steps=5)(x, 1)
    by_hand = tfxai.IntegratedGradients(small, baseline=lambda x: means, steps=5)(x, 1)
    np.testing.assert_allclose(by_name.values, by_hand.values, rtol=1e-4, atol=1e-6)
    for name in ("blur", "noise"):
        explanation = tfxai.IntegratedGradients(small, baseline=name, steps=20)(x, 1)
        assert np.abs(explanation.extras["completeness_gap"]).max() < 0.1
        assert np.abs(explanation.values - by_name.values).max() > 1e-3


def test_a_colour_is_an_array(small, x):
    colour = np.array([0.1, -0.2, 0.3], "float32")
    by_colour = tfxai.IntegratedGradients(small, baseline=colour, steps=3)(x, 1)
    by_image = tfxai.IntegratedGradients(small, baseline=np.broadcast_to(colour, x.shape[1:]), steps=3)(x, 1)
    np.testing.assert_array_equal(by_colour.values, by_image.values)


def test_blur_is_a_gaussian():
    rng = np.random.default_rng(0)
    import tensorflow as tf
    from scipy.ndimage import gaussian_filter1d

    from tfxai.baselines import gaussian

    image = rng.uniform(size=(2, 20, 31, 3)).astype("float32")
    for axis in (1, 2):
        expected = gaussian_filter1d(image, 2.0, axis=axis, mode="nearest", truncate=3)
        np.testing.assert_allclose(gaussian(tf.constant(image), 2.0, axis), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("baseline", "error", "message"),
    [
        ("black", ValueError, "black"),
        ([], ValueError, "empty list"),
        (np.zeros(5), ValueError, "shape"),
        (np.nan, ValueError, "NaN"),
        (object(), TypeError, "number, an array"),
        ("blur", ValueError, "images"),
        ([0.1] * 6, ValueError, "a colour or as many separate baselines"),
    ],
)
def test_bad_baselines(baseline, error, message):
    with pytest.raises(error, match=message):
        tfxai.IntegratedGradients(smooth_net(), baseline=baseline)(np.zeros((2, 6)))


@pytest.mark.parametrize(
    "options", [{"steps": 0}, {"steps": 2.5}, {"quadrature": "simpson"}, {"quadrature": "trapezoid", "steps": 1}]
)
def test_bad_quadrature(options):
    with pytest.raises(ValueError, match=r"steps|quadrature"):
        tfxai.IntegratedGradients(smooth_net(), **options)


def test_dummy_and_sensitivity():
    """An input without influence gets nothing; one that alone makes the difference gets all of it."""
    model = keras.models.clone_model(smooth_net())
    kernel = model.layers[0].kernel.numpy()
    kernel[2] = 0
    model.layers[0].kernel.assign(kernel)
    x = np.zeros((2, 6), "float32")
    x[:, 2], x[:, 4] = 1, 1
    for method in ("saliency", "gradient_x_input", "integrated_gradients", "smooth_grad"):
        values = tfxai.explain(model, x, method, 0).values
        assert not values[:, 2].any()
        assert np.abs(values[:, 4]).min() > 1e-4


def test_implementation_invariance(small, x):
    """The same function, written with an identity convolution more, has the same gradients."""
    inputs = keras.Input((16, 16, 3))
    identity = layers.Conv2D(3, 1, use_bias=False)
    model = keras.Model(inputs, small(identity(inputs)))
    identity.kernel.assign(np.eye(3)[None, None])
    for method in (tfxai.Saliency, tfxai.IntegratedGradients):
        np.testing.assert_allclose(method(model)(x, 1).values, method(small)(x, 1).values, rtol=1e-3, atol=1e-6)


def test_linearity(small, x):
    """Of a sum of outputs, integrated gradients are the sum."""
    explainer = tfxai.IntegratedGradients(small, steps=10)
    total = explainer(x, lambda outputs: outputs[:, 0] + 2 * outputs[:, 1]).values
    np.testing.assert_allclose(total, explainer(x, 0).values + 2 * explainer(x, 1).values, rtol=1e-3, atol=1e-6)


def test_gradient_x_input_sums_to_the_score_without_biases():
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    maps = layers.MaxPooling2D()(layers.Conv2D(6, 3, activation="relu", use_bias=False)(inputs))
    model = keras.Model(inputs, layers.Dense(3, use_bias=False)(layers.Flatten()(maps)))
    explanation = tfxai.GradientXInput(model)(rng.normal(size=(4, 8, 8, 3)), 1)
    np.testing.assert_allclose(explanation.values.sum((1, 2, 3)), explanation.score, rtol=1e-4, atol=1e-5)


def test_bad_reduction(residual):
    with pytest.raises(ValueError, match=r"one of \['none', 'max_abs', 'l2', 'sum'\]"):
        tfxai.Saliency(residual, reduction="mean")


class TestUntilComplete:
    """Points are doubled until the values sum up, for each input on its own."""

    @staticmethod
    def model(sharp: float) -> keras.Model:
        """Smooth in the first input value, steep in the second."""
        inputs = keras.Input((2,))
        return keras.Model(
            inputs,
            layers.Lambda(lambda x: tf.stack([x[:, 0] ** 3, tf.sigmoid(sharp * (x[:, 1] - 0.37))], 1))(inputs),
        )

    def test_as_many_points_as_it_takes(self):
        x = np.array([[2.0, 1.0], [1.0, 0.2], [0.5, 1.0]], "float32")
        found = tfxai.IntegratedGradients(self.model(60.0), steps=640, until=0.01)(x, [0, 1, 1], batch_size=2)
        np.testing.assert_allclose(found.values[0], [8, 0], rtol=1e-5)  # a cubic: 5 points are exact
        assert found.extras["steps"][0] == 5
        assert 10 <= found.extras["steps"][2] <= 160
        change = 1 / (1 + np.exp(-60 * 0.63)) - 1 / (1 + np.exp(60 * 0.37))
        assert abs(found.values[2].sum() - change) <= 0.01 * change
        alone = tfxai.IntegratedGradients(self.model(60.0), steps=640, until=0.01)(x[2:], 1)
        np.testing.assert_allclose(alone.values, found.values[2:], rtol=1e-5)
        assert alone.extras["steps"] == found.extras["steps"][2]

    def test_never_more_than_steps(self):
        x = np.array([[1.0, 1.0]], "float32")
        found = tfxai.IntegratedGradients(self.model(500.0), steps=25, until=1e-4)(x, 1)
        assert found.extras["steps"] == 20
        assert abs(found.extras["completeness_gap"]) > 1e-4

    def test_several_baselines(self):
        x = np.array([[2.0, 1.0]], "float32")
        background = np.array([[0.0, 0.0], [1.0, 0.5]], "float32")
        found = tfxai.IntegratedGradients(self.model(3.0), background=background, until=0.01)(x, 0)
        np.testing.assert_allclose(found.values[0], [(8 + 7) / 2, 0], rtol=1e-5)

    def test_errors(self):
        for options in ({"quadrature": "trapezoid"}, {"steps": 4}):
            with pytest.raises(ValueError, match="until= doubles the points"):
                tfxai.IntegratedGradients(self.model(1.0), until=0.1, **options)
        with pytest.raises(ValueError, match="until"):
            tfxai.IntegratedGradients(self.model(1.0), until=0)
