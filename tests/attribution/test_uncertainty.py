"""Standard errors of what is averaged over samples: against closed forms, and what other seeds give."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai


def test_of_a_closed_form():
    """The gradient of |x|^2 / 2 is the noisy input itself, so its mean has an error of noise / sqrt(samples)."""
    given = keras.Input((300,))
    model = keras.Model(given, layers.Lambda(lambda x: tf.reduce_sum(x * x, 1, keepdims=True) / 2)(given))
    x = np.random.default_rng(0).uniform(-1, 1, size=(2, 300)).astype("f")
    found = tfxai.SmoothGrad(model, samples=40, noise=0.2, uncertainty=True)(x, 0)
    expected = 0.2 * np.ptp(x, 1) / np.sqrt(40)
    np.testing.assert_allclose(np.sqrt(np.square(found.uncertainty).mean(1)), expected, rtol=0.05)
    plain = tfxai.SmoothGrad(model, samples=40, noise=0.2)(x, 0)
    np.testing.assert_allclose(found.values, plain.values, rtol=1e-6)
    with pytest.raises(ValueError, match="uncertainty=True"):
        _ = plain.uncertainty


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (tfxai.SmoothGrad, {"samples": 20}),
        (tfxai.SquareGrad, {}),
        (tfxai.VarGrad, {}),
        (tfxai.RISE, {"masks": 256, "cells": 3}),
        (tfxai.RISE, {"masks": 256, "cells": 3, "probability": 0.2}),
        (tfxai.RISE, {"masks": 60, "balanced": False}),
    ],
)
def test_it_is_how_far_seeds_differ(method, options, small, x):
    explainer, values, errors = method(small, uncertainty=True, **options), [], []
    for explainer.seed in range(12):
        found = explainer(x, 1)
        values.append(found.values)
        errors.append(found.uncertainty)
    assert errors[0].shape == values[0].shape
    spread, said = np.var(values, 0, ddof=1).mean(), np.square(errors).mean()
    assert 0.6 < said / spread < 1.6
    alone = explainer(x[1:2], 1)
    np.testing.assert_allclose(alone.uncertainty, found.uncertainty[1:2], rtol=1e-3, atol=2e-3 * said**0.5)


def test_of_several_inputs_and_of_files(tmp_path):
    one, other = keras.Input((4,), name="one"), keras.Input((3,), name="other")
    outputs = layers.Dense(2)(layers.Dense(5, "tanh")(layers.Concatenate()([one, other])))
    model = keras.Model([one, other], outputs)
    random = np.random.default_rng(0)
    given = {"one": random.normal(size=(2, 4)), "other": random.normal(size=(2, 3))}
    found = tfxai.SmoothGrad(model, samples=5, uncertainty=True)(given, 0)
    found.save(tmp_path / "found")
    again = tfxai.Explanation.load(tmp_path / "found.npz")
    assert {name: x.shape for name, x in found[:1].uncertainty.items()} == {"one": (1, 4), "other": (1, 3)}
    np.testing.assert_array_equal(again.uncertainty["other"], found.uncertainty["other"])


def test_what_has_none(small, x):
    with pytest.raises(ValueError, match="2 samples or more"):
        tfxai.SmoothGrad(small, samples=1, uncertainty=True)
    with pytest.raises(ValueError, match="2 masks or more"):
        tfxai.RISE(small, masks=1, uncertainty=True)
    with pytest.raises(ValueError, match="256 masks or more, two blocks of 128"):
        tfxai.RISE(small, masks=255, uncertainty=True)(x, 1)


@pytest.mark.parametrize(
    ("method", "until", "options"),
    [
        (tfxai.SmoothGrad, 0.3, {"samples": 200}),
        (tfxai.VarGrad, 0.3, {"samples": 400}),
        (tfxai.RISE, 0.3, {"masks": 2000, "cells": 3}),
        (tfxai.RISE, 0.5, {"masks": 4000, "cells": 3, "balanced": False}),
    ],
)
def test_it_goes_on_until_the_map_is_steady(method, until, options, small, x):
    explainer = method(small, until=until, **options)
    found = explainer(x, 1)
    used = found.extras["samples"]
    most = options.get("samples", options.get("masks"))
    assert used.min() < most
    asked = 64 if method is tfxai.RISE and "balanced" not in options else 10
    assert (used[used < most] % asked == 0).all()
    for row in range(2):  # each as it is alone, and as so many samples make it
        alone = explainer(x[row : row + 1], 1)
        assert alone.extras["samples"] == used[row]
        np.testing.assert_allclose(alone.values[0], found.values[row], rtol=1e-4, atol=1e-6)
        count = {name: int(used[row]) if name in ("samples", "masks") else value for name, value in options.items()}
        fixed = method(small, uncertainty=True, **count)(x[row : row + 1], 1)
        np.testing.assert_allclose(fixed.values[0], found.values[row], rtol=1e-4, atol=1e-6)
    counts = {name: 4000 if name in ("samples", "masks") else value for name, value in options.items()}
    many = method(small, seed=9, **counts)(x, 1)
    for ours, its in zip(found.values[used < most], many.values[used < most], strict=True):
        expected = 1 / np.sqrt(1 + until**2)
        assert abs(np.corrcoef(ours.ravel(), its.ravel())[0, 1] - expected) < 0.1 + 0.2 * until


def test_a_constant_map_is_steady_at_once():
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(2)])
    found = tfxai.SmoothGrad(model, samples=100, until=0.05)(np.zeros((2, 4, 4, 1), "f"), 1)
    np.testing.assert_array_equal(found.extras["samples"], 10)
    with pytest.raises(ValueError, match="until to be greater than 0"):
        tfxai.SmoothGrad(model, until=0)
