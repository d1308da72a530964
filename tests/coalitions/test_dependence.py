"""LIME, Sobol and HSIC: the oracle's numbers on given designs, closed forms, and what changes nothing."""

import games
import numpy as np
import pytest
import token_networks
from networks import oracle
from sklearn.linear_model import Lasso, Ridge

import tfxai
from tfxai import LIME, HSICAttribution, SobolAttribution
from tfxai.coalitions.exact import all_coalitions
from tfxai.coalitions.hsic import dependence
from tfxai.coalitions.sobol import total_indices

PERTURBED = oracle("vit_perturbation")
QUADRANTS = PERTURBED["quadrant_of"].astype(int)
KINDS = ["quadrants", "patches"]


def players(explanation):
    return explanation.extras["players"]


@pytest.mark.filterwarnings("ignore:LIME's linear model")
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_lime_agrees_with_the_oracle(distance):
    x, labels = (oracle("vit_inputs")[key] for key in ("x", "labels"))
    found = LIME(token_networks.known("vit"), groups=QUADRANTS, distance=distance)(x, labels)
    np.testing.assert_allclose(players(found), PERTURBED[f"quadrants/lime_{distance}"], rtol=1e-4, atol=1e-5)
    intercept = PERTURBED[f"quadrants/lime_{distance}/intercept"]
    np.testing.assert_allclose(found.extras["intercept"], intercept, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:LIME's linear model")
@pytest.mark.parametrize(
    ("penalty", "model"), [("ridge", Ridge(3.0)), ("lasso", Lasso(0.1, tol=1e-10, max_iter=100000))]
)
def test_lime_agrees_with_scikit_learn(penalty, model):
    """All coalitions of a game, with the kernel's weights."""
    game, coalitions = games.random_game(6), all_coalitions(6)
    worth, width = game(coalitions)[:, 0].astype(float), 0.6
    weights = np.exp(-((1 - np.sqrt(coalitions.sum(1) / 6)) ** 2) / (2 * width**2))
    model.fit(coalitions, worth, sample_weight=weights)
    found = LIME(game, penalty=penalty, alpha=model.alpha, width=width)(games.ONES, 0)
    np.testing.assert_allclose(players(found)[0], model.coef_, atol=1e-5)
    np.testing.assert_allclose(found.extras["r2"], model.score(coalitions, worth, weights), atol=1e-5)
    assert penalty == "ridge" or 0 < (model.coef_ == 0).sum() < 6


def test_lime_of_a_linear_model():
    """Without a penalty to speak of, its coefficients, from a part of all coalitions; and nothing is unexplained."""
    weights = np.array([[2.0], [-1], [0], [3], [0.5], [1], [1], [1], [1], [1]], "float32")
    found = LIME(lambda x: x @ weights + 7, budget=100, alpha=1e-6)(np.ones((1, 10)), 0)
    np.testing.assert_allclose(found.values, weights.T, atol=1e-4)
    np.testing.assert_allclose([found.extras["r2"], found.extras["intercept"]], [[1], [7]], atol=1e-3)


def test_lime_warns_where_no_line_fits():
    with pytest.warns(UserWarning, match="explains less than half of the score's variance for 1 of 1 inputs"):
        LIME(lambda x: np.prod(2 * x - 1, 1, keepdims=True))(games.ONES, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_sobol_agrees_with_the_oracle(kind):
    values = PERTURBED[f"sobol_{kind}/values"]
    count = PERTURBED[f"sobol_{kind}/total"].shape[1]
    values = values.reshape(len(values), -1, count + 2)
    found = total_indices(values[..., 0], values[..., -1], np.swapaxes(values[..., 1:-1], 1, 2))
    np.testing.assert_allclose(found, PERTURBED[f"sobol_{kind}/total"], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_hsic_agrees_with_the_oracle(kind):
    masks = PERTURBED[f"hsic_{kind}/masks"].astype("float32")
    found = [dependence(masks, values) for values in PERTURBED[f"hsic_{kind}/values"]]
    np.testing.assert_allclose(found, PERTURBED[f"hsic_{kind}/hsic"], rtol=1e-4, atol=1e-7)


def test_sobol_of_ishigami():
    """Of uniform numbers from -pi to pi, total indices are known: .5576, .4424, .2437."""

    def ishigami(x):
        a, b, c = (2 * np.pi * x[:, i] - np.pi for i in range(3))
        return (np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a))[:, None]

    found = SobolAttribution(ishigami, designs=1024)(np.ones((1, 3)), 0)
    np.testing.assert_allclose(players(found), [[0.5576, 0.4424, 0.2437]], atol=0.02)


def test_sobol_of_a_sum():
    """Shares of the squares of coefficients, and of those who do nothing 0."""
    weights = np.array([[1.0], [2], [0], [3]], "float32")
    found = SobolAttribution(lambda x: x @ weights, designs=2048)(np.ones((1, 4)), 0)
    np.testing.assert_allclose(players(found), [np.array([1, 4, 0, 9]) / 14], atol=0.02)
    assert players(found)[0, 2] == 0


def test_hsic_by_definition():
    """tr(K H L H) / (m - 1)^2 in double precision."""
    random = np.random.default_rng(0)
    z, y = random.integers(0, 2, (41, 3)).astype("float32"), random.normal(size=41).astype("float32")
    apart = np.abs(y[:, None] - y).astype(float)
    L = np.exp(-(apart**2) / (2 * np.median(apart[np.triu_indices(41, 1)]) ** 2))
    H = np.eye(41) - 1 / 41
    expected = [np.trace((0.5 - (one[:, None] - one) ** 2) @ H @ L @ H) / 40**2 for one in z.T.astype(float)]
    np.testing.assert_allclose(dependence(z, y), expected, rtol=1e-4)


def test_hsic_does_not_move_with_the_score():
    plain, moved = (
        HSICAttribution(game)(games.ONES, 0) for game in (games.interplay, lambda x: 3 * games.interplay(x) + 50)
    )
    np.testing.assert_allclose(players(plain), players(moved), rtol=1e-3, atol=1e-6)
    assert players(plain)[0, 5] < 0.05 * players(plain)[0, 0]  # who does nothing


@pytest.mark.parametrize("method", [SobolAttribution, HSICAttribution])
def test_a_constant_score_gives_zeros(method):
    with pytest.warns(UserWarning, match="do not change the score"):
        found = method(lambda x: np.full((len(x), 1), 3.0))(games.ONES, 0)
    np.testing.assert_array_equal(found.values, 0)


@pytest.mark.parametrize("method", [LIME, SobolAttribution, HSICAttribution])
@pytest.mark.filterwarnings("ignore:LIME's linear model")
def test_finds_the_words_that_decide(method):
    """Words are there or not, and padding does not play."""
    given, labels = token_networks.inputs("text"), oracle("text_inputs")["labels"]
    found = method(token_networks.known("text"), input="token_ids")(given, labels)
    exact = oracle("text_perturbation")["shapley"]
    assert (found.values[given["padding_mask"] == 0] == 0).all()
    for row in (0, 1, 3):  # the score of row 2 hardly depends on its words
        assert np.abs(exact[row]).argmax() == np.abs(found.values[row]).argmax()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": "l1"}, "Expected distance to be one of"),
        ({"penalty": "none"}, "Expected penalty to be one of"),
        ({"width": 0.0}, "Expected width to be greater than 0"),
        ({"alpha": -1.0}, "Expected alpha to be greater than 0"),
    ],
)
def test_what_lime_does_not_take(options, message):
    with pytest.raises(ValueError, match=message):
        LIME(games.interplay, **options)


def test_positions_have_the_value_of_their_patch():
    """These values do not add up, so no one shares them."""
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 1))
    found = SobolAttribution(lambda x: x.sum((1, 2)), groups=4, designs=16)(x, 0)
    np.testing.assert_allclose(found.values[0, ::4, ::4].ravel(), players(found)[0])
    assert isinstance(found, tfxai.Explanation)
