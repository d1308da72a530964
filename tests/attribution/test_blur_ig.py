"""BlurIG against closed forms, blurs by SciPy, and the sum that its values must have."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy.ndimage import gaussian_filter1d

import tfxai
from tfxai.attribution.blur_ig import cosines, damping

RNG = np.random.default_rng(0)


def blurred(x, sigma, axes=(1, 2)):
    """With mirrored borders."""
    for axis in axes:
        x = gaussian_filter1d(x, sigma, axis=axis, mode="reflect", truncate=8)
    return x


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0])
def test_blur_is_a_gaussian_with_mirrored_borders(sigma):
    x = RNG.uniform(size=(2, 20, 31, 3)).astype("f")
    faded = cosines(tf.constant(x), (1, 2)) * damping(tf.constant([sigma]), x.shape, (1, 2))[0]
    found = cosines(faded, (1, 2), back=x.shape).numpy()
    # A Gaussian that is sampled has other high frequencies than one that is not, if it is as narrow as a pixel.
    np.testing.assert_allclose(found, blurred(x, sigma) if sigma else x, atol=2e-3 if sigma == 1 else 1e-4)
    np.testing.assert_allclose(found.mean((1, 2)), x.mean((1, 2)), rtol=1e-4)


def test_of_a_linear_model_it_is_exact_in_one_step():
    model = keras.Sequential([keras.Input((9, 12, 2)), layers.Flatten(), layers.Dense(3)])
    x = RNG.normal(size=(3, 9, 12, 2)).astype("f")
    w = model.layers[1].kernel.numpy()[:, 1].reshape(9, 12, 2)
    for steps in (1, 7):
        found = tfxai.BlurIG(model, max_sigma=3, steps=steps)(x, 1)
        np.testing.assert_allclose(found.values, w * (x - blurred(x, 3)), atol=1e-4)
        np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-5)


def test_of_the_energy_of_one_wave():
    """The score is |x|^2 / 2 of a wave that is an eigenvector of the blur: half of the square of what it loses."""
    given = keras.Input((32, 1))
    model = keras.Model(given, layers.Lambda(lambda x: tf.reduce_sum(x * x, (1, 2))[:, None] / 2)(given))
    wave = np.cos(np.pi / 32 * 3 * (np.arange(32) + 0.5))[None, :, None].astype("f")
    left = np.exp(-((2 * np.pi * 3 / 32) ** 2) / 2)
    found = tfxai.BlurIG(model, max_sigma=2, steps=3)(wave, 0).values
    np.testing.assert_allclose(found, np.square(wave) * (1 - left**2) / 2, atol=1e-5)


def test_values_sum_to_what_the_blur_takes_away(small, x):
    found = tfxai.BlurIG(small, max_sigma=4, steps=100)(x, 2)
    change = found.score - small.predict(blurred(x, 4), verbose=0)[:, 2]
    np.testing.assert_allclose(found.values.sum((1, 2, 3)), change, atol=0.02 * np.abs(change).max())
    coarse = tfxai.BlurIG(small, max_sigma=4, steps=2)(x, 2)
    gap = coarse.values.sum((1, 2, 3)) - change
    np.testing.assert_allclose(coarse.extras["completeness_gap"], gap, atol=0.02 * np.abs(change).max())
    assert np.abs(gap).max() > 2 * np.abs(found.extras["completeness_gap"]).max()


def test_an_image_of_one_colour_is_its_own_blur(small):
    found = tfxai.BlurIG(small, steps=3)(np.full((1, 16, 16, 3), 0.7), 1)
    np.testing.assert_allclose(found.values, 0, atol=1e-6)


def test_of_several_inputs_the_image_is_blurred():
    image, table = keras.Input((6, 6, 2), name="image"), keras.Input((3,), name="table")
    model = keras.Model([image, table], layers.Dense(2)(layers.Concatenate()([layers.Flatten()(image), table])))
    given = {"image": RNG.normal(size=(2, 6, 6, 2)), "table": RNG.normal(size=(2, 3))}
    found = tfxai.BlurIG(model, steps=3)(given, 1)
    w = model.layers[-1].kernel.numpy()[:72, 1].reshape(6, 6, 2)
    expected = w * (given["image"] - given["image"].mean((1, 2), keepdims=True))  # sigma 50 leaves nothing else
    np.testing.assert_allclose(found.values, expected, atol=1e-4)


def test_padding_is_no_part_of_a_series():
    given = keras.Input((8, 1))
    masked = layers.Masking()(given)
    model = keras.Model(given, layers.Dense(2)(layers.GlobalAveragePooling1D()(masked)))
    x = RNG.uniform(1, 2, size=(2, 8, 1)).astype("f")
    x[0, 5:] = 0
    found = tfxai.BlurIG(model, steps=4)(x, 1).values
    np.testing.assert_array_equal(found[0, 5:], 0)
    w = model.layers[-1].kernel.numpy()[0, 1]
    np.testing.assert_allclose(found[0, :5, 0], w / 5 * (x[0, :5, 0] - x[0, :5].mean()), atol=1e-5)


@pytest.mark.parametrize(("options", "message"), [({"max_sigma": 0}, "max_sigma"), ({"steps": 0}, "steps")])
def test_bad_options(small, options, message):
    with pytest.raises(ValueError, match=message):
        tfxai.BlurIG(small, **options)


def test_tables_have_nothing_to_blur():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="positions"):
        tfxai.BlurIG(model)(np.ones((2, 6)))
