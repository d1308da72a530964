"""Values of all coalitions: the oracle's, axioms, and players of every kind."""

import games
import keras
import numpy as np
import pytest
import tensorflow as tf
import token_networks
from keras import layers
from networks import oracle

import tfxai
from tfxai import Banzhaf, FeatureAblation, ShapleyValues
from tfxai.imputation import SURROUNDINGS

PERTURBED = oracle("vit_perturbation")
QUADRANTS = PERTURBED["quadrant_of"].astype(int)


def players(explanation):
    return explanation.extras["players"]


@pytest.mark.parametrize(("method", "name"), [(ShapleyValues, "shapley"), (Banzhaf, "banzhaf")])
def test_agrees_with_the_oracle_on_quadrants(method, name):
    x, labels = (oracle("vit_inputs")[key] for key in ("x", "labels"))
    explanation = method(token_networks.known("vit"), groups=QUADRANTS)(x, labels)
    np.testing.assert_allclose(players(explanation), PERTURBED[f"quadrants/{name}"], rtol=1e-4, atol=1e-5)
    if name == "shapley":
        np.testing.assert_allclose(explanation.extras["interactions"], PERTURBED["quadrants/interaction"], atol=2e-5)
        np.testing.assert_allclose(explanation.values.sum((1, 2)), players(explanation).sum(1), atol=1e-4)


@pytest.mark.parametrize("name", ["text", "causal"])
def test_agrees_with_the_oracle_on_words(name):
    """Positions and masks stay, and padding does not play."""
    found, labels = oracle(f"{name}_perturbation"), oracle(f"{name}_inputs")["labels"]
    target = labels if name == "text" else tfxai.targets.Token(labels)
    inputs, fill = token_networks.inputs(name), {"text": 0, "causal": 2}[name]
    options = {"fill": fill, "input": next(iter(inputs)) if isinstance(inputs, dict) else None}
    explanation = ShapleyValues(token_networks.known(name), **options)(inputs, target)
    np.testing.assert_allclose(explanation.values, found["shapley"], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(explanation.extras["interactions"], found["interaction"], rtol=1e-4, atol=2e-5)
    np.testing.assert_allclose(explanation.extras["absent"], found["shapley/none_all"][:, 0], rtol=1e-4)
    banzhaf = Banzhaf(token_networks.known(name), **options)(inputs, target)
    np.testing.assert_allclose(banzhaf.values, found["banzhaf"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["value", "logit", "probability"])
def test_agrees_with_the_oracle_on_tables(kind):
    """One baseline, and one for each row of a background: the interventional game."""
    model, x, background, target, score = games.tables(kind)
    found = oracle("table_explanations")
    one = ShapleyValues(model, fill=background.mean(0), score=score)(x, target)
    many = ShapleyValues(model, background=background, score=score)(x, target)
    for name, explanation in (("baseline", one), ("interventional", many)):
        np.testing.assert_allclose(explanation.values, found[f"{kind}/{name}/shapley"], rtol=1e-4, atol=1e-5)
        expected = found[f"{kind}/{name}/interaction"]
        np.testing.assert_allclose(explanation.extras["interactions"], expected, rtol=1e-4, atol=2e-5)


def test_is_the_mean_over_all_orders():
    game = games.random_game(6)
    found = ShapleyValues(game)(games.ONES, 0)
    np.testing.assert_allclose(found.values[0], games.shapley(game, 6), atol=1e-5)
    gained = game(games.ONES) - game(0 * games.ONES)
    np.testing.assert_allclose(found.values.sum(), gained.item(), atol=1e-5)
    np.testing.assert_allclose(found.extras["completeness_gap"], 0, atol=1e-5)


@pytest.mark.parametrize("method", [ShapleyValues, Banzhaf])
def test_axioms(method):
    """Symmetry, dummy, linearity: they hold for both values."""
    a, b = games.random_game(6, 1), games.random_game(6, 2)
    swapped = [1, 0, 2, 3, 4, 5]

    def symmetric(x):
        return a(x) + a(x[:, swapped])

    value = players(method(symmetric)(games.ONES, 0))[0]
    np.testing.assert_allclose(value[0], value[1], atol=1e-5)
    without = players(method(lambda x: a(x * [1, 1, 0, 1, 1, 1]))(games.ONES, 0))[0]
    np.testing.assert_allclose(without[2], 0, atol=1e-6)
    both = players(method(lambda x: 2 * a(x) - 3 * b(x))(games.ONES, 0))
    expected = 2 * players(method(a)(games.ONES, 0)) - 3 * players(method(b)(games.ONES, 0))
    np.testing.assert_allclose(both, expected, atol=2e-5)


def test_unanimity_games():
    """Each of three shares alike; pairs of them interact by 1/2, for the third has to come too."""
    found = ShapleyValues(games.unanimity(0, 2, 3))(games.ONES, 0)
    np.testing.assert_allclose(found.values[0], np.array([1, 0, 1, 1, 0, 0]) / 3, atol=1e-6)
    expected = np.zeros((6, 6))
    expected[np.ix_([0, 2, 3], [0, 2, 3])] = 0.5
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(found.extras["interactions"][0], expected, atol=1e-6)
    assert np.allclose(Banzhaf(games.unanimity(0, 2, 3))(games.ONES, 0).values[0, [0, 2, 3]], 0.25)


def test_feature_ablation_is_what_the_score_loses():
    found = FeatureAblation(games.interplay)(games.ONES, 0)
    np.testing.assert_allclose(found.values[0], [-2, 2, -1, -4, 0.5, 0], atol=1e-6)


def test_groups_are_one_player():
    found = ShapleyValues(games.interplay, groups={"pair": [1, 2]})(games.ONES, 0)
    np.testing.assert_allclose(players(found), [[2 - 4 / 3, -1 + 3 - 4 / 3, -4 / 3, 0.5, 0]], atol=1e-5)
    np.testing.assert_allclose(found.values[0, 1:3], (2 - 4 / 3) / 2, atol=1e-5)  # each of the two has half of it


def test_each_of_several_inputs_is_a_player():
    """What an image and a table add, and what they add together."""
    image, table = keras.Input((4, 4, 1), name="image"), keras.Input((3,), name="table")
    a, b = layers.Flatten()(image), layers.Dense(1, name="b")(table)
    model = keras.Model([image, table], layers.Dense(1, name="a")(a) * b + 2 * b)
    x = {"image": np.random.default_rng(0).normal(size=(2, 4, 4, 1)), "table": np.ones((2, 3))}
    found = ShapleyValues(model, groups="inputs")(x)
    v = {}
    for there in ((0, 0), (0, 1), (1, 0), (1, 1)):
        given = {name: on * array for on, (name, array) in zip(there, x.items(), strict=True)}
        v[there] = model.predict(given, verbose=0)[:, 0]
    first = ((v[1, 0] - v[0, 0]) + (v[1, 1] - v[0, 1])) / 2
    second = ((v[0, 1] - v[0, 0]) + (v[1, 1] - v[1, 0])) / 2
    np.testing.assert_allclose(players(found), np.stack([first, second], 1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.values["image"].sum((1, 2, 3)), first, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.extras["interactions"][:, 0, 1], v[1, 1] - v[1, 0] - v[0, 1] + v[0, 0], atol=1e-5)
    with pytest.raises(ValueError, match="has one"):
        ShapleyValues(games.interplay, groups="inputs")(games.ONES, 0)


def test_channels_of_a_layer_are_players():
    """Above them a sum and a product are learnt by nobody: f = 3 a + b c, of the means a, b, c of three channels."""
    image = keras.Input((4, 4, 3))
    means = layers.GlobalAveragePooling2D()(layers.Activation("linear", name="channels")(image))
    model = keras.Model(image, 3 * means[:, :1] + means[:, 1:2] * means[:, 2:])
    x = np.random.default_rng(0).normal(1, 1, size=(2, 4, 4, 3)).astype("float32")
    a, b, c = x.mean((1, 2)).T
    found = ShapleyValues(model, groups=tfxai.coalitions.Channels("channels")).explain(x, 0, batch_size=3)
    np.testing.assert_allclose(players(found), np.stack([3 * a, b * c / 2, b * c / 2], 1), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.values.sum((1, 2)), players(found), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.values[..., 0], 3 * a[:, None, None] * _shares(x[..., 0]), rtol=1e-4)
    assert found.heatmaps().shape == (2, 4, 4)
    with pytest.raises(ValueError, match="Channels that are absent are 0"):
        ShapleyValues(model, groups=tfxai.coalitions.Channels("channels"), fill="mean")


def _shares(x):
    return np.abs(x) / np.abs(x).sum((1, 2), keepdims=True)


def test_maps_of_players_for_each_input():
    """Two inputs are divided in different ways, also in batches of one."""
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 1)).astype("float32")
    maps = np.stack([np.arange(16).reshape(4, 4) // 8, np.arange(16).reshape(4, 4) % 4 // 2])
    found = ShapleyValues(lambda x: x.sum((1, 2)), groups=maps).explain(x, 0, batch_size=1)
    sums = np.stack([x[0].reshape(2, 8).sum(1), x[1, :, :, 0].sum(0).reshape(2, 2).sum(1)])
    np.testing.assert_allclose(players(found), sums, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="of shape"):
        ShapleyValues(lambda x: x.sum((1, 2)), groups=maps[:, :3])(x, 0)


@pytest.mark.parametrize("fill", SURROUNDINGS)
def test_absent_players_as_their_surroundings_have_them(fill):
    x = np.random.default_rng(0).uniform(size=(1, 8, 8, 1)).cumsum(1).cumsum(2).astype("float32") / 64
    patches = np.arange(8) // 4 * 2 + np.arange(8)[:, None] // 4

    def model(x):
        return (x**2).sum((1, 2))

    def game(there):
        hidden = (1 - there[:, patches])[:, None, ..., None]
        found = np.array(SURROUNDINGS[fill](tf.constant(x), tf.constant(hidden)))
        return model((x * (1 - hidden) + found * hidden)[:, 0])

    found = ShapleyValues(model, groups=patches, fill=fill)(x, 0)
    np.testing.assert_allclose(players(found)[0], games.shapley(game, 4), rtol=1e-3, atol=1e-3)


def test_too_many_players():
    with pytest.raises(ValueError, match=r"at most 14 players; got 15 players, so 32,768 coalitions. .* KernelSHAP"):
        ShapleyValues(lambda x: x)(np.ones((1, 15)), 0)


def test_a_background_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"Expected a baseline of shape \(6,\), got \(5,\)"):
        ShapleyValues(games.interplay, background=np.zeros((2, 5)))(games.ONES, 0)
    with pytest.raises(ValueError, match="Expected fill= or background=, got both"):
        ShapleyValues(games.interplay, fill=1.0, background=np.zeros((2, 6)))


def test_a_constant_score_gives_zeros():
    with pytest.warns(UserWarning, match="do not change the score"):
        found = ShapleyValues(lambda x: np.ones((len(x), 1)))(games.ONES, 0)
    np.testing.assert_array_equal(found.values, 0)
    np.testing.assert_array_equal(found.extras["interactions"], 0)
