"""GuidedIG against the straight path, and against its algorithm written as loops."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 9)).astype("f")


@functools.cache
def smooth_net():
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [keras.Input((9,)), layers.Dense(16, activation="tanh"), layers.Dense(8, activation="tanh"), layers.Dense(3)]
    )


def slope(model, x, target):
    x = tf.constant(x[None].astype("f"))
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = model(x)[0, target]
    return tape.gradient(score, x)[0].numpy()


def step_by_step(model, x, start, steps, fraction, max_dist):
    """The paper's algorithm for one input: groups of values move, round after round, until the step is long enough.

    Returns the places on the way.
    """
    x, start = x.astype("f8"), start.astype("f8")
    way, here, places = x - start, start, [start]
    for number in range(1, steps + 1):
        share = number / steps
        low, high = start + max(share - max_dist, 0) * way, start + min(share + max_dist, 1) * way
        wanted = np.abs(way).sum() * (1 - share)
        g = np.abs(slope(model, here, 1)).astype("f8")
        here = np.where(np.abs(here - start) < np.abs(low - start), low, here)
        while (far := np.abs(x - here).sum()) > wanted + 1e-6:
            g[np.isclose(here, high, rtol=0, atol=1e-9)] = np.inf
            chosen = (g <= np.quantile(g, fraction, method="lower")) & np.isfinite(g)
            part = min(1, (far - wanted) / np.abs(high - here)[chosen].sum())
            here = np.where(chosen, here + part * (high - here), here)
        places.append(here)
    return np.array(places)


@pytest.mark.parametrize(("fraction", "max_dist"), [(0.25, 0.1), (0.1, 1.0), (0.5, 0.02), (1.0, 0.3)])
def test_it_goes_the_way_of_the_paper(fraction, max_dist):
    model, start = smooth_net(), np.full(9, 0.3, "f")
    found = tfxai.GuidedIG(model, baseline=0.3, steps=6, fraction=fraction, max_dist=max_dist)(X, 1).values
    for x, ours in zip(X, found, strict=True):
        places = step_by_step(model, x, start, 6, fraction, max_dist)
        slopes = np.array([slope(model, place, 1) for place in places])
        expected = (np.diff(places, axis=0) * (slopes[1:] + slopes[:-1]) / 2).sum(0)
        np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=2e-5)


def test_of_a_linear_model_every_way_gives_the_same():
    model = keras.Sequential([keras.Input((9,)), layers.Dense(3)])
    expected = (X - 0.5) * model.layers[0].kernel.numpy()[:, 1]
    for max_dist in (0, 0.1, 1):
        found = tfxai.GuidedIG(model, baseline=0.5, steps=7, max_dist=max_dist)(X, 1)
        np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-5)


def test_without_distance_it_is_the_straight_way():
    straight = tfxai.IntegratedGradients(smooth_net(), steps=9, quadrature="trapezoid")(X, 1).values
    found = tfxai.GuidedIG(smooth_net(), steps=8, max_dist=0)(X, 1).values
    np.testing.assert_allclose(found, straight, rtol=1e-3, atol=1e-5)
    assert np.abs(tfxai.GuidedIG(smooth_net(), steps=8, max_dist=0.5)(X, 1).values - straight).max() > 0.01


def test_values_sum_to_the_change_of_the_score():
    found = tfxai.GuidedIG(smooth_net(), baseline=0.3, max_dist=1)(X, 1)
    change = found.score - smooth_net()(np.full((1, 9), 0.3))[0, 1].numpy()
    np.testing.assert_allclose(found.values.sum(1), change, atol=2e-3)
    np.testing.assert_allclose(found.extras["completeness_gap"], found.values.sum(1) - change, atol=1e-5)


def test_it_keeps_out_of_noise():
    """A score that rises along one value and has a wall across it: the others go round on the way, and get less."""
    given = keras.Input((2,))

    def score(x):
        return x[:, :1] + 4 * tf.sin(6 * x[:, :1]) * tf.exp(-20 * tf.square(x[:, 1:] - 0.5))

    model = keras.Model(given, layers.Lambda(score)(given))
    x = np.ones((1, 2), "f")
    straight = tfxai.IntegratedGradients(model, steps=200)(x, 0).values
    found = tfxai.GuidedIG(model, fraction=0.1, max_dist=1)(x, 0).values
    assert np.abs(found[0, 1]) < 0.5 * np.abs(straight[0, 1])


def test_several_baselines_are_averaged():
    baselines = RNG.normal(size=(2, 9)).astype("f")
    options = {"steps": 5, "max_dist": 0.2}
    each = [tfxai.GuidedIG(smooth_net(), baseline=one, **options)(X, 0).values for one in baselines]
    found = tfxai.GuidedIG(smooth_net(), background=baselines, **options)(X, 0).values
    np.testing.assert_allclose(found, np.mean(each, 0), rtol=1e-4, atol=1e-6)


def test_values_that_have_no_way_to_go_get_nothing():
    x = X.copy()
    x[:, 3:] = 0
    found = tfxai.GuidedIG(smooth_net(), steps=5)(x, 1).values
    np.testing.assert_array_equal(found[:, 3:], 0)
    assert found[:, :3].any()
    np.testing.assert_array_equal(tfxai.GuidedIG(smooth_net(), steps=5)(0 * x, 1).values, 0)


@pytest.mark.parametrize(
    ("options", "message"), [({"steps": 0}, "steps"), ({"fraction": 0}, "fraction"), ({"max_dist": -1}, "max_dist")]
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        tfxai.GuidedIG(smooth_net(), **options)
