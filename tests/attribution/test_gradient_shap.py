"""GradientSHAP against closed forms, integrated gradients and the oracle's expectation."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai

RNG = np.random.default_rng(0)
X, BACKGROUND = RNG.normal(size=(3, 6)).astype("f"), RNG.normal(size=(5, 6)).astype("f")


def test_of_a_linear_model_each_round_of_baselines_is_exact():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    found = tfxai.GradientSHAP(model, background=BACKGROUND, samples=10)(X, 1)
    w = model.layers[0].kernel.numpy()[:, 1]
    np.testing.assert_allclose(found.values, w * (X - BACKGROUND.mean(0)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-5)


def test_of_a_quadratic_form():
    """The gradient of x.A.x / 2 at b + a (x - b) is linear in a, so its mean over a is that in the middle."""
    A = RNG.normal(size=(6, 6)).astype("f")
    A += A.T
    given = keras.Input((6,))
    model = keras.Model(given, layers.Lambda(lambda x: tf.reduce_sum(x * (x @ A), 1, keepdims=True) / 2)(given))
    middle = (X[:, None] + BACKGROUND) / 2
    expected = ((X[:, None] - BACKGROUND) * (middle @ A)).mean(1)
    found = tfxai.GradientSHAP(model, background=BACKGROUND, samples=500)(X, 0).values
    np.testing.assert_allclose(found, expected, atol=0.01 * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["value", "logit", "probability"])
def test_expectation_of_the_oracle(kind):
    model = networks.known("table" if kind == "value" else "table_classes")
    given, theirs = networks.oracle("table_inputs"), networks.oracle("table_explanations")
    score = {} if kind == "value" else {"score": kind}
    explainer = tfxai.GradientSHAP(model, background=given["background"], samples=1000, **score)
    found = explainer(given["x"], 0 if kind == "value" else given["labels"])
    expected = theirs[f"{kind}/gradient_shap_expectation"]
    np.testing.assert_allclose(found.values, expected, atol=0.02 * np.abs(expected).max())
    if kind == "value":
        change = found.score - model.predict(given["background"], verbose=0).mean()
        np.testing.assert_allclose(found.values.sum(1) - change, found.extras["completeness_gap"], atol=1e-4)


def test_one_baseline_gives_integrated_gradients(small, x):
    expected = tfxai.IntegratedGradients(small, baseline="mean", steps=100)(x, 2).values
    found = tfxai.GradientSHAP(small, baseline="mean", samples=50)(x, 2).values
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())


@pytest.mark.parametrize(("samples", "count"), [(12, 4), (17, 1), (6, 6), (8, 32), (80, 4)])
def test_points_are_spread_evenly(samples, count, small):
    explainer = tfxai.GradientSHAP(small, samples=samples, seed=3)
    which, t = (one.numpy() for one in explainer.points(tf.range(samples), count))
    assert (t >= 0).all()
    assert (t <= 1).all()
    places = min(samples, count)
    assert sorted((t[:places] * places).astype(int)) == list(range(places))
    for first in range(0, samples, places):  # in a round each baseline once, and points all along the way
        assert len(set(which[first : first + places])) == places
        own = np.sort(t[first : first + places])
        assert np.diff([*own, 1 + own[0]]).max() < 2 / places + 1e-5
    own = np.sort(t[which == which[0]])
    assert np.diff([*own, 1 + own[0]]).max() < 2.7 / len(own)  # chance leaves gaps that are larger by a logarithm


def test_few_samples_are_right_on_average():
    """Also fewer than there are baselines, and rounds that are not full."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(16, activation="tanh"), layers.Dense(2)])
    exact = tfxai.IntegratedGradients(model, background=BACKGROUND)(X, 1).values
    for options in ({"samples": 3}, {"samples": 7}, {"samples": 40, "until": 10.0}):
        explainer, found = tfxai.GradientSHAP(model, background=BACKGROUND, **options), []
        for explainer.seed in range(40):
            found.append(explainer(X, 1).values)
        error = np.std(found, 0) / np.sqrt(40)
        assert np.abs(np.mean(found, 0) - exact).max() < 4.5 * error.max()
        assert error.max() > 0


def test_standard_errors_are_no_smaller_than_what_seeds_differ_by(small, x):
    explainer = tfxai.GradientSHAP(small, background=x, samples=20, uncertainty=True)
    values, errors = [], []
    for explainer.seed in range(12):
        found = explainer(x[:2], 1)
        values.append(found.values)
        errors.append(found.uncertainty)
    spread, said = np.var(values, 0, ddof=1).mean(), np.square(errors).mean()
    assert said > 0.8 * spread > 0


def test_it_goes_on_until_the_map_is_steady(small, x):
    found = tfxai.GradientSHAP(small, background=x, samples=400, until=0.3)(x[:2], 1)
    used = found.extras["samples"]
    assert used.max() < 400
    expected = tfxai.IntegratedGradients(small, background=x)(x[:2], 1)
    for ours, exact in zip(found.values, expected.values, strict=True):
        assert np.corrcoef(ours.ravel(), exact.ravel())[0, 1] > 0.9  # 0.96 of noise that is 0.3 of what is shown


def test_noise_smooths():
    """The gradient of x^2 / 2 is x, and that of a noisy copy in the mean the same, with a square of the noise more."""
    given = keras.Input((400,))
    model = keras.Model(given, layers.Lambda(lambda x: tf.reduce_sum(x * x, 1, keepdims=True) / 2)(given))
    x = RNG.uniform(-1, 1, size=(1, 400)).astype("f")
    found = tfxai.GradientSHAP(model, samples=200, noise=0.2)(x, 0).values
    expected = (np.square(x) + (0.2 * np.ptp(x)) ** 2) / 2
    assert found.mean() == pytest.approx(expected.mean(), rel=0.02)


def test_of_words():
    """Where they are embedded, with padding that stays what it is."""
    embedding = layers.Embedding(9, 4, mask_zero=True)
    body = [embedding, layers.GlobalAveragePooling1D(), layers.Dense(5, activation="tanh"), layers.Dense(2)]
    model = keras.Sequential([keras.Input((5,), dtype="int32"), *body])
    ids, token = np.array([[3, 4, 5, 0, 0], [8, 2, 2, 7, 1]]), tfxai.baselines.Token(6)
    exact = tfxai.IntegratedGradients(model, baseline=token)(ids, 1).values
    found = tfxai.GradientSHAP(model, baseline=token, samples=100)(ids, 1).values
    np.testing.assert_allclose(found, exact, atol=0.01 * np.abs(exact).max())
    np.testing.assert_array_equal(found[ids == 0], 0)
    assert np.abs(exact).max() > 1e-4


@pytest.mark.parametrize("options", [{"samples": 0}, {"noise": -1}, {"samples": 1, "uncertainty": True}])
def test_bad_options(small, options):
    with pytest.raises(ValueError, match=r"samples|noise"):
        tfxai.GradientSHAP(small, **options)


def test_a_baseline_beside_a_background(small, x):
    with pytest.raises(ValueError, match="got both"):
        tfxai.GradientSHAP(small, baseline="mean", background=x)
