"""Occlusion that runs few windows: what it asks, and what it makes of the answers."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

import tfxai
from tfxai.attribution import kriging


def asked_of(truth, passes, length):
    """The field after so many passes, of drops (n, windows) that are known."""
    n = len(truth)
    rows = tf.range(n)[None]

    def ask(windows):
        return tf.gather_nd(tf.constant(truth), tf.stack([tf.broadcast_to(rows, tf.shape(windows)), windows], -1))

    @tf.function(autograph=False)
    def run():
        return kriging.kriged(ask, [length], [np.eye(truth.shape[1])], passes, tf.constant(n))

    return [x.numpy() for x in run()]


def test_estimates_are_those_of_gaussian_processes():
    truth = np.cumsum(np.random.default_rng(0).normal(size=(3, 60)), 1).astype("float32")
    drops, errors, asked = asked_of(truth, 32, 4.0)
    for row in range(3):
        seen = asked[row] > 0
        np.testing.assert_allclose(drops[row][seen], truth[row][seen], rtol=1e-6)
        process = GaussianProcessRegressor(Matern(4.0, nu=0.5), alpha=kriging.NUGGET, optimizer=None)
        process.fit(np.flatnonzero(seen)[:, None], truth[row][seen])
        mean, deviation = process.predict(np.flatnonzero(~seen)[:, None], return_std=True)
        np.testing.assert_allclose(drops[row][~seen], mean, rtol=1e-3, atol=1e-3)
        scale = truth[row][seen] @ process.alpha_ / seen.sum()
        expected = np.sqrt(scale * (deviation**2 + kriging.NUGGET))
        np.testing.assert_allclose(errors[row][~seen], expected, rtol=1e-3)
        assert not errors[row][seen].any()


def test_sums_of_windows_are_as_sure_as_gaussian_processes_say():
    """Of windows that were asked and others, whose errors go together."""
    random = np.random.default_rng(1)
    windows, known = 12, np.array([1, 4, 5, 10])
    drops, weights = random.normal(size=(2, len(known))), random.uniform(size=(7, windows))
    alike = (kriging._correlation(windows, 3.0) + kriging.NUGGET * np.eye(windows)).astype("float32")
    empty = ((0, 0), (2, 0))  # places for windows that are not asked yet
    answers = kriging.Answers(
        tf.constant(np.pad(np.tile(known, (2, 1)), empty), tf.int32),
        tf.constant(np.pad(drops, empty), tf.float32),
        tf.constant(len(known)),
    )
    across = (alike @ weights.T).astype("float32")
    values, errors = kriging._estimated(answers, alike, across, np.diag(weights @ across).astype("float32"))
    others = np.setdiff1d(np.arange(windows), known)
    for row in range(2):
        process = GaussianProcessRegressor(Matern(3.0, nu=0.5), alpha=kriging.NUGGET, optimizer=None)
        process.fit(known[:, None], drops[row])
        mean, covariance = process.predict(others[:, None], return_cov=True)
        covariance += kriging.NUGGET * np.eye(len(others))
        np.testing.assert_allclose(values[row], weights[:, known] @ drops[row] + weights[:, others] @ mean, rtol=1e-4)
        spread = np.einsum("pi,ij,pj->p", weights[:, others], covariance, weights[:, others])
        np.testing.assert_allclose(errors[row], np.sqrt(drops[row] @ process.alpha_ / len(known) * spread), rtol=1e-3)


def test_asks_where_it_matters():
    """So many windows and no more, each once; and all that are near a single peak."""
    truth = np.exp(-0.5 * ((np.arange(100) - np.array([[22.0], [71.0]])) / 3) ** 2).astype("float32")
    _, _, asked = asked_of(truth, 46, 2.0)
    assert set(np.unique(asked)) == {0, 1}
    assert asked.sum(1).tolist() == [33 + 13] * 2  # every third, and one in each of 13 rounds
    for row, peak in enumerate((22, 71)):
        assert asked[row, peak - 2 : peak + 3].all()


def test_windows_that_ran_are_exact():
    model, images = tfxai.datasets.flowers.load_model(), tfxai.datasets.flowers.make(n=3)[0]
    full = tfxai.Occlusion(model)(images)
    explainer = tfxai.Occlusion(model, refine=0.3)
    fast = explainer(images, batch_size=2)
    asked = fast.extras["asked"]
    assert asked.shape == fast.extras["drops"].shape == fast.extras["drop_errors"].shape == (3, 15, 15)
    assert (asked.reshape(3, -1).sum(1) == 25 + 21 * 2).all()
    np.testing.assert_allclose(fast.extras["drops"][asked], full.extras["drops"][asked], atol=1e-4)
    for one, other in zip(fast.values, full.values, strict=True):
        best, true = (set(np.argsort(-x.ravel())[: x.size // 20]) for x in (one, other))
        assert len(best & true) > 0.6 * len(true)
    alone = explainer(images[:1], batch_size=2)
    assert (alone.extras["asked"] == asked[:1]).mean() > 0.95  # but for near ties, by rounding


def test_full_passes_ask_the_same():
    model, images = tfxai.datasets.flowers.load_model(), tfxai.datasets.flowers.make(n=2)[0]
    one, other = (tfxai.Occlusion(model, refine=0.2, incremental=way)(images) for way in (True, False))
    both = one.extras["asked"] & other.extras["asked"]
    assert both.sum() > 0.95 * one.extras["asked"].sum()  # but for near ties, by rounding
    np.testing.assert_allclose(one.extras["drops"][both], other.extras["drops"][both], atol=1e-4)


def test_constant_scores_give_zeros():
    model = lambda x: np.ones((len(x), 2), "float32")  # noqa: E731
    found = tfxai.Occlusion(model, window=4, stride=2, refine=0.5)(np.ones((1, 16, 16, 3)), 0)
    assert not found.values.any()
    assert np.isfinite(found.extras["drop_errors"]).all()


def test_errors():
    model = lambda x: x.reshape(len(x), -1)[:, :2]  # noqa: E731
    with pytest.raises(ValueError, match="Expected refine to be a share"):
        tfxai.Occlusion(model, refine=1.5)
    with pytest.raises(ValueError, match=r"at least the 25 of 225 windows .* a share of 0\.12, got 0\.05"):
        tfxai.Occlusion(model, refine=0.05)(np.ones((1, 64, 64, 3)), 0)
    with pytest.raises(ValueError, match="columns of a table have no neighbours"):
        tfxai.Occlusion(model, refine=0.5)(np.ones((1, 12), "float32"), 0)
    with pytest.raises(ValueError, match=r"at most 2500 windows.*larger stride="):
        tfxai.Occlusion(model, window=1, refine=0.5)(np.ones((1, 64, 64, 3)), 0)
