"""Shapley values of hierarchies: by recursion over all coalitions, and what a budget buys."""

import games
import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage

import tfxai
from tfxai import PartitionSHAP, ShapleyValues
from tfxai.coalitions.trees import clustered, halved, spans


def members(tree, players):
    """(nodes, players) 1 where a player is below a node."""
    below = np.concatenate([np.eye(players), np.zeros((len(tree), players))]).astype("float32")
    for number, (left, right) in enumerate(tree):
        below[players + number] = below[left] + below[right]
    return below


def nested(game, tree, players):
    """Values of a hierarchy by definition: each node beside all sets of its ancestors' siblings, with even chances."""
    below, values = members(tree, players), np.zeros(players)

    def worth(there):
        return float(game(there[None])[0, 0])

    def go(node, others, weight):
        if node < players:
            values[node] += weight * (worth(others + below[node]) - worth(others))
            return
        left, right = tree[node - players]
        for own, sibling in ((left, right), (right, left)):
            go(own, others, weight / 2)
            go(own, others + below[sibling], weight / 2)

    go(len(below) - 1, np.zeros(players, np.float32), 1.0)
    return values


TREES = {
    "spans": halved([6]),
    "chain": np.array([[0, 1], [6, 2], [7, 3], [8, 4], [9, 5]]),
    "linked": linkage(np.random.default_rng(0).normal(size=(6, 2))),
}


@pytest.mark.parametrize("name", TREES)
def test_splits_all_the_way_down(name):
    game = games.random_game(6)
    found = PartitionSHAP(game, tree=TREES[name], contexts="all", budget=400)(games.ONES, 0)
    np.testing.assert_allclose(found.values[0], nested(game, TREES[name][:, :2].astype(int), 6), atol=1e-5)


def test_two_players_have_shapley_values():
    game = games.random_game(2)
    found = PartitionSHAP(game, tree=[[0, 1]], budget=2)(np.ones((1, 2)), 0)
    np.testing.assert_allclose(found.values[0], games.shapley(game, 2), atol=1e-6)


@pytest.mark.parametrize("contexts", ["ends", "all"])
@pytest.mark.parametrize("budget", [2, 3, 10, 37])
def test_sums_to_the_gain_whatever_the_budget(budget, contexts):
    x = np.random.default_rng(0).uniform(0.5, 1, size=(3, 8, 8, 1)).astype("float32")
    found = PartitionSHAP(lambda x: np.sin(x.sum((1, 2))) ** 2, groups=1, contexts=contexts, budget=budget)(x, 0)
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-5)
    np.testing.assert_allclose(found.values.sum((1, 2)), found.score - found.extras["absent"], rtol=1e-4, atol=1e-5)
    if budget < 4:  # the image in two halves, of which each is even
        assert len(np.unique(np.round(found.values[0], 6))) == 2


def test_two_contexts_are_enough_for_pairs():
    """Of scores to which players contribute alone or in pairs: Owen values, which then are Shapley values."""
    random = np.random.default_rng(0)
    alone, pairs = random.normal(size=(8, 1)).astype("float32"), random.normal(size=(8, 8)).astype("float32")

    def model(x):
        return x @ alone + ((x @ pairs) * x).sum(1, keepdims=True)

    x = np.ones((1, 8))
    found = PartitionSHAP(model, tree=halved([8]), contexts="ends", budget=60)(x, 0)
    np.testing.assert_allclose(found.values, ShapleyValues(model)(x, 0).values, atol=1e-5)


def test_finds_a_few_players_among_many():
    """3 of 4096 pixels matter: no other is looked at closely, so 500 passes find them."""
    places = [(3, 5), (40, 41), (60, 2)]

    def model(x):
        return sum(x[:, i, j] for i, j in places)

    found = PartitionSHAP(model, groups=None, contexts="ends", budget=500)(np.ones((1, 64, 64, 1)), 0)
    expected = np.zeros((64, 64))
    expected[tuple(zip(*places, strict=True))] = 1
    np.testing.assert_allclose(found.values[0], expected, atol=1e-6)


def test_grids_are_halved_along_their_longest_axis():
    below = members(halved([2, 4]), 8)
    assert [0, 1, 4, 5] in [np.flatnonzero(row).tolist() for row in below]
    assert below[-1].all()
    assert len(halved([7, 3, 2])) == 41


def test_players_below_a_node_are_neighbours():
    tree = TREES["linked"][:, :2].astype(int)
    places, ends = spans(tree, 6)
    between = (places >= ends[:, :1]) & (places < ends[:, 1:])
    np.testing.assert_array_equal(between, members(tree, 6))


def test_columns_that_go_together_are_joined_first():
    random = np.random.default_rng(0)
    a, b, c = random.normal(size=(3, 50))
    rows = np.stack([a, b, -2 * a + 0.1 * c, c, np.ones(50)], 1)
    assert sorted(clustered(rows)[0]) == [0, 2]
    model = lambda x: x @ np.array([[1.0], [2], [3], [4], [5]], "float32")  # noqa: E731
    found = PartitionSHAP(model, background=rows)(np.ones((1, 5)), 0)
    exact = ShapleyValues(model, background=rows)(np.ones((1, 5)), 0)
    np.testing.assert_allclose(found.values, exact.values, atol=1e-4)  # of a linear model any tree is right


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Expected background= for a table, three rows or more"),
        ({"tree": np.zeros((3, 2))}, r"Expected tree= to join 6 players, .* got \(3, 2\)"),
        ({"tree": [[0, 1], [1, 2], [3, 4], [5, 6], [7, 8]]}, "to be joined once"),
    ],
)
def test_trees_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        PartitionSHAP(games.interplay, **options)(games.ONES, 0)


def test_superpixels_have_no_places_in_a_grid():
    with pytest.raises(ValueError, match=r"players with places in a grid, .* got groups='superpixels'"):
        PartitionSHAP(lambda x: x.sum((1, 2)), groups="superpixels")(np.ones((1, 16, 16, 1)), 0)


def test_words_are_spans():
    import token_networks
    from networks import oracle

    given, labels = token_networks.inputs("text"), oracle("text_inputs")["labels"]
    found = PartitionSHAP(token_networks.known("text"), input="token_ids")(given, labels)
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-5)
    assert (found.values[given["padding_mask"] == 0] == 0).all()
    exact = oracle("text_perturbation")["shapley"]
    assert np.corrcoef(found.values.ravel(), exact.ravel())[0, 1] > 0.95
    assert isinstance(found, tfxai.Explanation)
