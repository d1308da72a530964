"""The mu-LASSO: conditions of optimality, and other solvers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls
from sklearn.linear_model import lars_path_gram

from tfxai.neurons.lasso import residual, solve

KINDS = ("normal", "uniform", "binary", "correlated", "duplicates", "wide")


def problem(kind: str, seed: int, classes: int = 3):
    """Features (n, m) and one-hot labels."""
    random = np.random.default_rng(seed)
    n, m = int(random.integers(4, 60)), int(random.integers(2, 40))
    X = {
        "normal": lambda: random.normal(size=(n, m)),
        "uniform": lambda: random.random((n, m)),
        "binary": lambda: (random.random((n, m)) < 0.3).astype(float),
        "correlated": lambda: random.random((n, 3)) @ random.random((3, m)) + 0.01 * random.random((n, m)),
        "duplicates": lambda: random.random((n, m))[:, random.integers(0, m // 2 + 1, m)],
        "wide": lambda: random.random((n, 3 * n)),
    }[kind]()
    X[:, random.integers(X.shape[1])] = 0  # a dead channel
    return X, np.eye(classes)[random.integers(0, classes, n)]


def one(X, label, mu, positive):
    weights, active = solve(X.T @ X, X.T @ label[:, None], [mu], positive)
    return weights[0, :, 0], bool(active[0, 0])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 1000), st.sampled_from([0.01, 0.5, 2.0, 30.0]), st.booleans())
def test_solutions_meet_the_conditions_of_optimality(kind, seed, mu, positive):
    X, L = problem(kind, seed)
    label = L[:, 0]
    w, active = one(X, label, mu, positive)
    assert np.abs(w).sum() <= mu * (1 + 1e-6)
    assert not positive or (w >= 0).all()
    products = X.T @ (label - X @ w)  # B - G w
    tolerance = 1e-6 * max(np.abs(X.T @ label).max(), 1e-12)
    bound = products.max() if positive else np.abs(products).max()
    support = np.abs(w) > 1e-8
    if active:  # constant on the support, with the sign of the weights, and smaller elsewhere
        assert np.abs(w).sum() == pytest.approx(mu)
        np.testing.assert_allclose((products * np.sign(w))[support], bound, atol=tolerance)
    else:  # least squares
        assert bound <= tolerance
        np.testing.assert_allclose(products[support], 0, atol=tolerance)


@pytest.mark.parametrize("positive", [True, False])
def test_agrees_with_scikit_learn_between_the_knots(positive):
    random = np.random.default_rng(3)
    X, label = random.random((50, 20)), (random.random(50) < 0.3).astype(float)
    gram, cross = X.T @ X, X.T @ label
    _, _, knots = lars_path_gram(cross, gram, n_samples=1, method="lasso", positive=positive)
    norms = np.abs(knots).sum(0)
    mus = [norms[1] / 2, (norms[2] + norms[3]) / 2, norms[-1] * 0.9]
    expected = [[np.interp(mu, norms, row) for row in knots] for mu in mus]
    weights, active = solve(gram, cross[:, None], mus, positive)
    np.testing.assert_allclose(weights[:, :, 0], expected, atol=1e-8)
    assert active.all()


def test_without_a_bound_that_is_felt_it_is_least_squares():
    X, L = problem("normal", 1)
    X = X[:, np.any(X, axis=0)][:, :3]
    w, active = one(X, L[:, 0], 1e6, positive=False)
    np.testing.assert_allclose(w, np.linalg.lstsq(X, L[:, 0])[0], atol=1e-10)
    assert not active
    w, active = one(X, L[:, 0], 1e6, positive=True)
    np.testing.assert_allclose(w, nnls(X, L[:, 0])[0], atol=1e-10)
    assert not active


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_the_residual_falls_and_the_weights_grow_with_the_bound(kind, positive):
    X, L = problem(kind, 7)
    mus = [1e-6, 0.1, 0.5, 1, 2, 5, 20]
    gram, cross = X.T @ X, X.T @ L
    weights, _ = solve(gram, cross, mus, positive)
    left = np.array([residual(gram, cross, L.sum(0), one) for one in weights])
    expected = [((X @ one - L) ** 2).sum(0) / L.sum(0) for one in weights]
    np.testing.assert_allclose(left, expected, atol=1e-9)
    assert (np.diff(left, axis=0) <= 1e-9).all()
    norms = np.abs(weights).sum(1)
    assert (np.diff(norms, axis=0) >= -1e-9).all()
    assert norms[0].max() <= 1e-6 * (1 + 1e-6)


def test_bounds_in_any_order():
    X, L = problem("uniform", 2)
    gram, cross = X.T @ X, X.T @ L
    rising, _ = solve(gram, cross, [0.3, 1, 4], True)
    mixed, _ = solve(gram, cross, [4, 0.3, 1, 1], True)
    np.testing.assert_array_equal(mixed, rising[[2, 0, 1, 1]])


def test_classes_without_images_and_features_without_values_have_no_weights():
    X, L = problem("uniform", 4)
    dead = np.flatnonzero(~X.any(0))
    L[:, 1] = 0
    weights, active = solve(X.T @ X, X.T @ L, [5.0], False)
    assert not weights[0, :, 1].any()
    assert not active[0, 1]
    assert weights[0, :, 0].any()
    assert not weights[0, dead].any()
    assert residual(X.T @ X, X.T @ L, L.sum(0), weights[0])[1] == 0


def test_of_equal_features_one_is_chosen_and_no_time_is_lost():
    random = np.random.default_rng(0)
    X = np.repeat(random.random((30, 4)), 25, axis=1)
    label = (X[:, 0] > 0.5).astype(float)
    few, _ = one(X[:, ::25], label, 1.0, False)
    many, _ = one(X, label, 1.0, False)
    assert (np.abs(many) > 1e-8).sum() == (np.abs(few) > 1e-8).sum()
    np.testing.assert_allclose(many.reshape(4, 25).sum(1), few, atol=1e-7)
