"""Shapley values that are estimated: exact where all is asked, right in the mean, and as sure as they say."""

import games
import numpy as np
import pytest
import token_networks
from networks import oracle

from tfxai import Banzhaf, KernelSHAP, PermutationSHAP, ShapleyValues, SobolAttribution
from tfxai.coalitions.kernel_shap import Plan

PERTURBED = oracle("vit_perturbation")
SAMPLED = {KernelSHAP: {"budget": 100, "uncertainty": True}, PermutationSHAP: {"samples": 6}}


def players(explanation):
    return explanation.extras["players"]


def test_all_coalitions_are_exact():
    x, labels = (oracle("vit_inputs")[key] for key in ("x", "labels"))
    found = KernelSHAP(token_networks.known("vit"), groups=PERTURBED["quadrant_of"].astype(int))(x, labels)
    np.testing.assert_allclose(players(found), PERTURBED["quadrants/kernel_shap"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["value", "probability"])
def test_agrees_with_the_oracle_on_tables(kind):
    model, x, background, target, score = games.tables(kind)
    found = oracle("table_explanations")
    one = KernelSHAP(model, fill=background.mean(0), score=score)(x, target)
    np.testing.assert_allclose(one.values, found[f"{kind}/baseline/kernel_shap"], rtol=1e-4, atol=1e-5)
    many = KernelSHAP(model, background=background, score=score)(x, target)
    np.testing.assert_allclose(many.values, found[f"{kind}/interventional/shapley"], rtol=1e-4, atol=1e-5)


def test_padding_does_not_play():
    text, given = token_networks.known("text"), token_networks.inputs("text")
    labels, expected = oracle("text_inputs")["labels"], oracle("text_perturbation")["shapley"]
    found = KernelSHAP(text, input="token_ids", budget=4094)(given, labels)
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=2e-5)
    some = KernelSHAP(text, input="token_ids", budget=300)(given, labels)
    assert np.all(some.values[given["padding_mask"] == 0] == 0)
    np.testing.assert_allclose(some.extras["completeness_gap"], 0, atol=1e-5)


@pytest.mark.parametrize("players", [2, 3, 5, 8, 50])
@pytest.mark.parametrize("budget", [100, 356, 2148])
def test_weights_are_those_of_the_kernel(players, budget):
    """What is enumerated has its own weights, and all of them with what is drawn, in the mean, sum to 1."""
    plan = Plan.of(players, budget)
    assert len(plan.fixed) + 2 * plan.pairs <= budget
    assert len(np.unique(plan.fixed, axis=0)) == len(plan.fixed)
    np.testing.assert_allclose(plan.weights.sum() + plan.masses.sum(), 1)
    size = plan.fixed.sum(1)
    if len(size):
        np.testing.assert_allclose(plan.weights / plan.weights[0], _kernel(players, size) / _kernel(players, size[0]))
    if budget >= 2**players - 2:
        assert len(plan.fixed) == 2**players - 2
    else:
        np.testing.assert_allclose(plan.chances.sum(), 1)
    if budget == 2 * players:  # each alone, and each left out
        assert len(plan.fixed) == budget


def _kernel(players, size):
    from scipy.special import comb

    return (players - 1) / (comb(players, size) * size * (players - size))


@pytest.mark.parametrize("method", SAMPLED)
def test_right_in_the_mean_and_as_sure_as_it_says(method):
    """Over seeds: means differ from the exact values by chance alone, and standard errors are those that are seen."""
    model, x, labels, exact = games.of_nine()
    explainer = method(model, groups=6, **SAMPLED[method])
    wrong, errors = [], []
    for seed in range(24):
        explainer.seed = seed
        found = explainer(x, labels)
        np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=2e-5)
        wrong.append(players(found) - exact)
        errors.append(found.extras["player_errors"])
    spread = np.std(wrong, 0, ddof=1)
    z = np.mean(wrong, 0) / (spread / np.sqrt(24))
    assert np.sqrt(np.mean(z**2)) < 1.5
    assert 0.7 < np.sqrt(np.mean(np.square(errors)) / np.mean(spread**2)) < 1.4
    np.testing.assert_allclose((found.uncertainty**0).sum((1, 2)), 256)
    assert (found.uncertainty > 0).all()


@pytest.mark.parametrize(
    ("method", "most"),
    [(KernelSHAP, {"budget": 500}), (PermutationSHAP, {"samples": 100}), (Banzhaf, {"budget": 4000})],
    ids=["kernel", "orders", "banzhaf"],
)
def test_asks_until_it_is_steady(method, most):
    """As far as each input needs, whatever its batch; and then it is about as right as was asked for."""
    random = np.random.default_rng(0)
    hidden, out = random.normal(size=(12, 20)).astype("float32"), random.normal(size=(20, 1)).astype("float32")

    def model(x):
        return np.tanh(x @ hidden) @ out

    x = random.normal(size=(3, 12)).astype("float32")
    exact = players((Banzhaf if method is Banzhaf else ShapleyValues)(model)(x, 0))
    rough, fine = (method(model, until=until, **most)(x, 0) for until in (0.5, 0.05))
    assert rough.extras["samples"].sum() < fine.extras["samples"].sum()
    wrong = np.sqrt(np.mean((players(fine) - exact) ** 2, 1)) / exact.std(1)
    assert (wrong < 0.15).all()
    alone = method(model, until=0.05, **most)(x[1:2], 0)
    np.testing.assert_array_equal(fine.extras["samples"][1:2], alone.extras["samples"])
    np.testing.assert_allclose(players(fine)[1:2], players(alone), atol=1e-5)


@pytest.mark.parametrize("method", [KernelSHAP, PermutationSHAP])
def test_pairs_of_players_are_exact_from_few_samples(method):
    """Orders forwards and backwards, and complements, cancel what pairs of players do to each other."""
    x = np.ones((1, 12))

    def pairs(x):
        return (x[:, 0] * x[:, 1] - 2 * x[:, 3] * x[:, 7] + x[:, 5])[:, None]

    few = {KernelSHAP: {"budget": 60}, PermutationSHAP: {"samples": 1}}[method]
    expected = np.zeros((1, 12))
    expected[0, [0, 1, 3, 7, 5]] = 0.5, 0.5, -1, -1, 1
    np.testing.assert_allclose(method(pairs, **few)(x, 0).values, expected, atol=1e-5)


def test_many_players_until_it_is_steady():
    """Where no size is asked whole, the first few coalitions leave most values open."""
    weights = np.random.default_rng(0).normal(size=(49, 1)).astype("float32")
    x = np.ones((1, 49))
    found = KernelSHAP(lambda x: x @ weights, budget=2000, until=0.05, uncertainty=True)(x, 0)
    assert found.extras["samples"] <= 4 * 4 * 49
    np.testing.assert_allclose(found.values, weights.T, atol=1e-3)
    np.testing.assert_allclose(found.uncertainty, 0, atol=1e-3)


def test_what_is_asked_whole_has_no_error():
    found = KernelSHAP(games.interplay, uncertainty=True, until=0.1)(games.ONES, 0)
    np.testing.assert_array_equal(found.uncertainty, 0)
    np.testing.assert_array_equal(found.extras["samples"], 62)


@pytest.mark.parametrize("method", [KernelSHAP, PermutationSHAP])
def test_one_player_has_all(method):
    found = method(games.interplay, groups={"all": range(6)})(games.ONES, 0)
    np.testing.assert_allclose(players(found), [[2 - 1 + 3 - 4 + 0.5]], atol=1e-6)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (KernelSHAP, {"budget": 20}, "two coalitions for each of 15 players, got 20"),
        (PermutationSHAP, {"budget": 27}, "at least 28 coalitions, for one order of 15 players, got 27"),
        (SobolAttribution, {"budget": 16}, "at least 17 coalitions, for one design of 15 players, got 16"),
        (Banzhaf, {"budget": 59}, "at least 60 coalitions for 15 players, got 59"),
    ],
)
def test_a_budget_that_is_too_small(method, options, message):
    with pytest.raises(ValueError, match=message):
        method(lambda x: x, **options)(np.ones((1, 15)), 0)


@pytest.mark.parametrize(
    ("method", "name", "budget", "number"),
    [(PermutationSHAP, "samples", 100, 10), (SobolAttribution, "designs", 100, 12)],
)
def test_a_budget_is_as_many_orders_or_designs(method, name, budget, number):
    """As it is enough for; and so many coalitions are asked, without those of all and of none."""
    asked = []

    def game(x):
        asked.extend(x)
        return games.interplay(x)

    found = method(game, budget=budget)(games.ONES, 0)
    np.testing.assert_array_equal(found.values, method(games.interplay, **{name: number})(games.ONES, 0).values)
    asked.clear()
    method(game, budget=budget)(games.ONES, 0)
    partial = [row for row in asked if 0 < row.sum() < 6]
    assert 0.5 * budget < len(partial) <= budget
    with pytest.raises(ValueError, match=f"{name}= or budget=, got both"):
        method(game, budget=budget, **{name: number})


@pytest.mark.parametrize("method", [KernelSHAP, PermutationSHAP, Banzhaf])
def test_a_budget_is_the_most_that_is_asked_until_it_is_steady(method):
    found = method(games.random_game(10), budget=200, until=1e-6)(np.ones((1, 10)), 0)
    orders = method is PermutationSHAP
    np.testing.assert_array_equal(found.extras["samples"], 200 // 18 if orders else 200)


def test_a_region_without_pixels_has_nothing():
    """Labels may leave numbers out: those take no share, so nothing is lost."""
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 1)).astype("float32")
    labels = np.arange(16).reshape(4, 4) // 4 * 5  # 0, 5, 10, 15
    found = KernelSHAP(lambda x: x.sum((1, 2)), groups=labels, budget=60)(x, 0)
    np.testing.assert_allclose(found.values.sum(), x.sum(), rtol=1e-4)
    assert players(found).shape == (1, 16)
    np.testing.assert_allclose(players(found)[0, [0, 5, 10, 15]], x.sum((0, 2, 3)), atol=1e-4)


def banzhaf(game, players):
    """By definition."""
    everyone = (np.arange(2**players)[:, None] >> np.arange(players) & 1).astype("float32")
    worth = game(everyone)[:, 0].astype(float)
    return np.array([worth[own > 0].mean() - worth[own == 0].mean() for own in everyone.T])


def test_banzhaf_is_exact_where_the_budget_is_enough():
    game = games.random_game(8)
    for options in ({}, {"budget": 256}):
        found = Banzhaf(game, **options)(np.ones((1, 8)), 0)
        np.testing.assert_allclose(found.values[0], banzhaf(game, 8), atol=1e-5)
        np.testing.assert_array_equal(found.uncertainty, 0)
    assert (Banzhaf(game, budget=255)(np.ones((1, 8)), 0).uncertainty > 0).all()


@pytest.mark.parametrize("kind", ["unanimity", "interplay", "random"])
def test_banzhaf_is_right_in_the_mean_and_as_sure_as_it_says(kind):
    """Over seeds: means differ from the exact values by chance alone, and standard errors are those that are seen."""
    game = {"unanimity": games.unanimity(0, 2, 3), "interplay": games.interplay, "random": games.random_game(12)}[kind]
    explainer, players = Banzhaf(game, budget=200), 12
    wrong, errors = [], []
    for seed in range(60):
        explainer.seed = seed
        found = explainer(np.ones((1, players)), 0)
        wrong.append(found.values[0] - banzhaf(game, players))
        errors.append(found.uncertainty[0])
    spread = np.std(wrong, 0, ddof=1)
    z = np.mean(wrong, 0) / (spread / np.sqrt(60))
    assert np.sqrt(np.mean(z**2)) < 1.5
    assert 0.8 < np.sqrt(np.mean(np.square(errors)) / np.mean(spread**2)) < 1.25


def test_banzhaf_of_a_sum_or_of_pairs_is_exact_from_few():
    """What two players do together is no noise, for each coalition stands beside its complement."""
    weights = np.random.default_rng(0).normal(size=(50, 1)).astype("float32")
    found = Banzhaf(lambda x: x @ weights + 3, budget=200)(np.ones((1, 50)), 0)
    np.testing.assert_allclose(found.values, weights.T, atol=1e-4)
    np.testing.assert_allclose(found.uncertainty, 0, atol=1e-4)
    found = Banzhaf(lambda x: x @ weights - 2 * x[:, :1] * x[:, 7:8], budget=200)(np.ones((1, 50)), 0)
    expected = weights[:, 0].copy()
    expected[[0, 7]] -= 1
    np.testing.assert_allclose(found.values[0], expected, atol=1e-4)


def test_one_order_does_not_know_how_sure_it_is():
    found = PermutationSHAP(games.interplay, samples=1)(games.ONES, 0)
    with pytest.raises(ValueError, match="has no standard errors"):
        found.uncertainty  # noqa: B018


def test_words_are_players_whole():
    """Pieces of a word come and go together, and padding does not play."""

    class Preprocessor:
        def __call__(self, texts):
            return np.array([[1, 2, 3, 4], [1, 5, 0, 0]])[: len(texts)]

        def id_to_token(self, one):
            return {0: "[PAD]", 1: "un", 2: "##kind", 3: "words", 4: "##mith", 5: "deed"}[one]

        pad_token_id = 0

    weights = np.array([0, 1, 10, 100, 1000, 10000], "float32")

    def model(ids):
        return weights[ids.astype(int)].sum(1, keepdims=True)

    explainer = ShapleyValues(model, groups="words", input="input", preprocessor=Preprocessor())
    found = explainer(["unkind wordsmith", "un deed"], 0)
    np.testing.assert_allclose(players(found), [[11, 1100, 0, 0], [1, 10000, 0, 0]], rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(found.values, [[5.5, 5.5, 550, 550], [1, 10000, 0, 0]], rtol=1e-5, atol=1e-3)
    with pytest.raises(ValueError, match="tokenizer tells where words begin"):
        ShapleyValues(model, groups="words")(np.array([[1, 2]]), 0)
