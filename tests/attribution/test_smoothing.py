"""SmoothGrad, SquareGrad and VarGrad over any explainer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai

ANY = {  # of each way of computing one: gradients, other ones and layers, edits, loops of gradients, outputs, noise
    "integrated_gradients": {"steps": 3},
    "gradient_x_input": {},
    "guided_grad_cam": {},
    "occlusion": {"window": 8},
    "ablation_cam": {},
    "smooth_grad": {"samples": 2},
}


@pytest.mark.parametrize("inner", ANY)
def test_without_noise_it_is_the_explainer_inside(inner, small, x):
    base = tfxai.methods("decision")[inner](small, **ANY[inner])
    alone = base(x, 1)
    smooth = tfxai.SmoothGrad(base, samples=3, noise=0)(x, 1)
    np.testing.assert_allclose(smooth.values, alone.values, rtol=1e-3, atol=1e-5 * np.abs(alone.values).max())
    assert smooth.polarity == base.polarity
    assert smooth.facts["base"] == inner


def test_without_noise_squares_are_squared_and_variances_zero(small, x):
    base = tfxai.GradientXInput(small)
    squared = base(x, 1).values ** 2
    found = tfxai.SquareGrad(base, samples=3, noise=0)(x, 1).values
    np.testing.assert_allclose(found, squared, rtol=1e-3, atol=1e-5 * squared.max())
    assert np.abs(tfxai.VarGrad(base, samples=3, noise=0)(x, 1).values).max() < 1e-4 * squared.max()


def test_statistics_agree_with_each_other(small, x):
    mean, square, variance = (
        method(small, samples=12, seed=5)(x, 1).values for method in (tfxai.SmoothGrad, tfxai.SquareGrad, tfxai.VarGrad)
    )
    np.testing.assert_allclose(variance, square - mean**2, rtol=1e-3, atol=1e-6 * square.max())
    assert variance.max() > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_has_the_share_of_the_range_that_was_asked(channels):
    """The gradient of sum(x^2)/2 is the noisy input itself: its variance is that of the noise."""
    inputs = keras.Input((20, 20, channels))
    model = keras.Model(inputs, layers.Lambda(lambda x: tf.reduce_sum(x * x, (1, 2, 3))[:, None] / 2)(inputs))
    x = np.random.default_rng(0).uniform(2, 5, size=(2, 20, 20, channels)).astype("float32")
    x[1] *= 10
    deviation = np.sqrt(tfxai.VarGrad(model, samples=100, noise=0.2)(x, 0).values.mean((1, 2, 3)))
    np.testing.assert_allclose(deviation, 0.2 * np.ptp(x, axis=(1, 2, 3)), rtol=0.02)


def test_variance_of_the_mean_falls_with_the_number_of_samples(small, x):
    def spread(samples):
        explainer, values = tfxai.SmoothGrad(small, samples=samples), []
        for explainer.seed in range(8):
            values.append(explainer(x[:1], 1).values)
        return np.var(values, 0).mean()

    assert 2 < spread(4) / spread(16) < 8  # 4 is expected


def test_the_class_is_that_of_the_clean_input(residual, x, labels):
    """So much noise that noisy copies are classified otherwise: the class explained stays."""
    noisy = tfxai.SmoothGrad(residual, noise=2.0, samples=20)
    found = noisy(x)
    np.testing.assert_array_equal(found.target, labels)
    np.testing.assert_array_equal(found.values, noisy(x, labels).values)


def test_options_belong_to_the_explainer_inside(small):
    with pytest.raises(ValueError, match=r"\['classes'\] to the explainer that is wrapped"):
        tfxai.SmoothGrad(tfxai.Saliency(small), classes=list("abcde"))
    wrapped = tfxai.SmoothGrad(tfxai.Saliency(small, classes=list("abcde")), samples=2)
    assert wrapped(np.zeros((1, 16, 16, 3)), "b").target.tolist() == [1]


@pytest.mark.parametrize("options", [{"samples": 0}, {"noise": -1}, {"noise": np.nan}])
def test_bad_options(small, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        tfxai.SmoothGrad(small, **options)


def test_bad_seed(small):
    with pytest.raises(TypeError, match="seed"):
        tfxai.SmoothGrad(small, seed=1.5)
