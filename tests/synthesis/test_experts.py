"""Experts: densities against SciPy, sums over hidden states and closed forms; and what they do to an image."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers
from scipy.stats import multivariate_normal

import tfxai


def maximize(model, objective, expert, **options):
    given = {"parameterization": "pixel", "steps": 400, "learning_rate": 0.02} | options
    return tfxai.ActivationMaximization(model, objective, expert=expert, **given)(verbose=0)


def nothing(shape):
    """A model whose only class has score 0, whatever it sees."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, layers.Dense(1, kernel_initializer="zeros")(layers.Flatten()(inputs)))


class TestGaussian:
    def test_density_of_principal_components(self):
        """The covariance written out: eigenvectors with their eigenvalues, and the mean of the rest for the others."""
        rng = np.random.default_rng(0)
        data = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 6)) + 0.1 * rng.normal(size=(60, 6)) + 3
        expert = tfxai.GaussianExpert(rank=2).fit(data.reshape(60, 2, 3))
        values, vectors = np.linalg.eigh(np.cov(data.T, bias=True))
        values[:4] = values[:4].mean()
        x = data[:7] + rng.normal(size=(7, 6))
        truth = multivariate_normal(data.mean(0), vectors * values @ vectors.T).logpdf(x)
        np.testing.assert_allclose(expert.log_prob(x.reshape(7, 2, 3)), truth, rtol=1e-4)

    def test_independent_numbers(self):
        rng = np.random.default_rng(0)
        mean, variance = rng.normal(size=(2, 3)), rng.uniform(0.5, 2, (2, 3))
        x = rng.normal(size=(5, 2, 3))
        truth = multivariate_normal(mean.ravel(), variance.ravel()).logpdf(x.reshape(5, 6))
        np.testing.assert_allclose(tfxai.GaussianExpert.of(mean, variance).log_prob(x), truth, rtol=1e-4)
        same = multivariate_normal(mean.ravel(), 0.7).logpdf(x.reshape(5, 6))
        np.testing.assert_allclose(tfxai.GaussianExpert.of(mean, 0.7).log_prob(x), same, rtol=1e-4)

    def test_an_optimum_with_a_linear_model(self):
        """argmax w.x + log p(x) is mean + covariance @ w."""
        rng = np.random.default_rng(0)
        inputs = keras.Input((4,))
        keras.utils.set_random_seed(0)
        model = keras.Model(inputs, layers.Dense(2, name="dense")(inputs))
        data = rng.normal(size=(200, 4)) * [2, 1, 0.5, 0.5] + [1, 0, 0, -1]
        expert = tfxai.GaussianExpert(rank=2).fit(data)
        values, vectors = np.linalg.eigh(np.cov(data.T, bias=True))
        values[:2] = values[:2].mean()
        best = data.mean(0) + vectors * values @ vectors.T @ model.get_layer("dense").get_weights()[0][:, 1]
        found = maximize(model, 1, expert, steps=1500)
        np.testing.assert_allclose(found.images[0], best, atol=0.01)

    def test_pixels_that_never_change_keep_some_freedom(self):
        rng = np.random.default_rng(0)
        data = rng.normal(size=(20, 5)) * [1, 1, 0, 0, 0]
        assert np.isfinite(tfxai.GaussianExpert(rank=3).fit(data).log_prob(rng.normal(size=(3, 5)))).all()

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda: tfxai.GaussianExpert(-1), "rank"),
            (lambda: tfxai.GaussianExpert(9).fit(np.eye(5)), "more than 9 images"),
            (lambda: tfxai.GaussianExpert(1).fit(np.ones((5, 3))), "differ"),
            (lambda: tfxai.GaussianExpert(1).fit(np.ones(3)), "at least two"),
            (lambda: tfxai.GaussianExpert().log_prob(np.ones((2, 3))), "fit"),
            (lambda: tfxai.GaussianExpert.of(np.ones(3), 1).log_prob(np.ones((2, 4))), "3 numbers"),
            (lambda: tfxai.GaussianExpert.of(np.ones(3), 0), "positive variance"),
        ],
    )
    def test_errors(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.fixture(scope="module")
def two_patterns():
    """Noisy copies of two patterns."""
    patterns = np.where(np.random.default_rng(1).random((2, 4, 4)) < 0.5, -1.0, 1.0)
    which = np.arange(400) % 2
    return patterns, patterns[which] + 0.3 * np.random.default_rng(2).normal(size=(400, 4, 4))


class TestRBM:
    def test_density_is_the_sum_over_hidden_states(self):
        """exp(-energy), added up over all states of the hidden units."""
        rng = np.random.default_rng(0)
        expert = tfxai.RBMExpert(hidden=5, epochs=3, seed=4).fit(rng.normal(size=(50, 2, 3)))
        x = rng.normal(size=(6, 2, 3))
        v = (x.reshape(6, 6) - expert.mean_) / expert.scale_
        total = np.zeros(6)
        for state in itertools.product([0, 1], repeat=5):
            h = np.array(state)
            energy = ((v - expert.visible_bias_) ** 2).sum(1) / 2 - v @ expert.weights_ @ h - expert.hidden_bias_ @ h
            total += np.exp(-energy)
        np.testing.assert_allclose(expert.log_prob(x), np.log(total), rtol=1e-4, atol=1e-4)

    def test_it_learns_the_data(self, two_patterns):
        rng = np.random.default_rng(0)
        patterns, data = two_patterns
        expert = tfxai.RBMExpert(hidden=8, epochs=60, seed=0).fit(data)
        fresh = patterns[[0, 1] * 50] + 0.3 * rng.normal(size=(100, 4, 4))
        between = np.broadcast_to(patterns.mean(0), (100, 4, 4)) + 0.3 * rng.normal(size=(100, 4, 4))
        strange = rng.permuted(fresh.reshape(100, 16), axis=1).reshape(100, 4, 4)
        of_data, of_between, of_strange = (expert.log_prob(x).numpy() for x in (fresh, between, strange))
        assert np.mean(of_data > of_between.max()) > 0.9
        assert np.mean(of_data[:, None] > of_strange[None]) > 0.95

    def test_alone_it_leads_to_a_pattern(self, two_patterns):
        patterns, data = two_patterns
        expert = tfxai.RBMExpert(hidden=8, epochs=60, seed=0).fit(data)
        found = tfxai.ActivationMaximization(
            nothing((4, 4)), 0, parameterization="pixel", expert=expert, steps=300, noise=0.5
        )(6, verbose=0)
        distances = np.abs(found.images[:, None] - patterns).max((2, 3)).min(1)
        assert (distances < 0.6).all()

    def test_seeds(self, two_patterns):
        a, b, c = (tfxai.RBMExpert(hidden=4, epochs=2, seed=seed).fit(two_patterns[1]).weights_ for seed in (0, 0, 1))
        np.testing.assert_array_equal(a, b)
        assert np.abs(a - c).max() > 1e-3

    def test_errors(self, two_patterns):
        with pytest.raises(ValueError, match="hidden"):
            tfxai.RBMExpert(hidden=0)
        with pytest.raises(ValueError, match="noise"):
            tfxai.RBMExpert(noise=0)
        with pytest.raises(ValueError, match="learning_rate below"):
            tfxai.RBMExpert(learning_rate=1e3).fit(two_patterns[1])
        with pytest.raises(ValueError, match="differ"):
            tfxai.RBMExpert().fit(np.ones((3, 2)))


class TestNetworks:
    def test_the_best_denoiser_of_a_gaussian(self):
        """Of data N(0, v) with noise s, r(x) = x v / (v + s^2), so the score is -x / (v + s^2)."""
        rng = np.random.default_rng(0)
        v, s = 2.0, 0.5
        best = keras.Sequential([keras.Input((3,)), layers.Rescaling(v / (v + s**2))])
        x = rng.normal(size=(4, 3)).astype("f")
        np.testing.assert_allclose(tfxai.DenoisingExpert(best, s).score(x), -x / (v + s**2), rtol=1e-4)
        smoothed = tfxai.GaussianExpert.of(np.zeros(3), v + s**2)
        keras.utils.set_random_seed(0)
        inputs = keras.Input((3,))
        model = keras.Model(inputs, layers.Dense(2)(inputs))
        a = maximize(model, 1, tfxai.DenoisingExpert(best, s))
        b = maximize(model, 1, smoothed, keep="last")
        np.testing.assert_allclose(a.images, b.images, atol=1e-4)

    def test_a_trained_denoiser_leads_to_the_data(self, two_patterns):
        patterns, _ = two_patterns
        keras.utils.set_random_seed(0)
        network = keras.Sequential(
            [keras.Input((4, 4)), layers.Flatten(), layers.Dense(32, "relu"), layers.Dense(16), layers.Reshape((4, 4))]
        )
        network.compile(keras.optimizers.Adam(5e-3), "mse")
        clean = np.repeat(patterns[np.arange(400) % 2], 8, 0)
        network.fit(clean + 0.5 * np.random.default_rng(3).normal(size=clean.shape), clean, 128, epochs=12, verbose=0)
        found = maximize(nothing((4, 4)), 0, tfxai.DenoisingExpert(network, 0.5), noise=1.0)
        assert np.abs(found.images - patterns).max((1, 2)).min() < 0.3

    def test_elbo_by_hand(self):
        rng = np.random.default_rng(0)
        keras.utils.set_random_seed(0)
        inputs, codes = keras.Input((2, 3)), keras.Input((2,))
        flat = layers.Flatten()(inputs)
        encoder = keras.Model(inputs, [layers.Dense(2)(flat), layers.Dense(2)(flat)])
        decoder = keras.Model(codes, layers.Reshape((2, 3))(layers.Dense(6)(codes)))
        x, noise = rng.normal(size=(5, 2, 3)).astype("f"), 0.3
        mean, log_variance = encoder.predict(x, verbose=0)
        back = decoder.predict(mean, verbose=0)
        fit = multivariate_normal(np.zeros(6), noise**2).logpdf((x - back).reshape(5, 6))
        divergence = (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(1) / 2
        found = tfxai.VAEExpert(encoder, decoder, noise).log_prob(x)
        np.testing.assert_allclose(found, fit - divergence, rtol=1e-4)

    def test_logits_of_a_discriminator(self):
        """A sigmoid is stepped over; the logit of a linear one is w.x, so it acts as a class score does."""
        rng = np.random.default_rng(0)
        keras.utils.set_random_seed(0)
        inputs = keras.Input((3,))
        logit = keras.Model(inputs, layers.Dense(1)(inputs))
        with_sigmoid = keras.Sequential([logit, layers.Activation("sigmoid")])
        x = rng.normal(size=(4, 3)).astype("f")
        for network in (logit, with_sigmoid):
            np.testing.assert_allclose(
                tfxai.DiscriminatorExpert(network).log_prob(x), logit.predict(x, verbose=0)[:, 0], rtol=1e-4
            )
        objective = tfxai.objectives.class_score(0)
        prior = {"priors": tfxai.priors.L2(0.5)}
        a = maximize(logit, 3 * objective, None, **prior)
        b = maximize(logit, objective, tfxai.DiscriminatorExpert(logit), expert_weight=2.0, **prior)
        np.testing.assert_allclose(a.images, b.images, atol=1e-3)

    def test_errors(self):
        two = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
        with pytest.raises(ValueError, match="one output"):
            tfxai.DiscriminatorExpert(two).log_prob(np.ones((1, 3), "f"))
        with pytest.raises(ValueError, match="noise"):
            tfxai.DenoisingExpert(two, 0)
        with pytest.raises(ValueError, match="differentiated"):
            tfxai.DenoisingExpert(lambda x: x, 1)
