"""Pictures of players: colours where values lie, bars and strips that lead from nobody's score to all's."""

import games
import numpy as np
import pytest

import tfxai
from tfxai import KernelSHAP, Occlusion, PermutationSHAP, ShapleyValues, plot_force, plot_interactions, plot_players

NAMES = ["a", "b", "c", "d", "e", "f"]


@pytest.fixture(scope="module")
def halves():
    """The left half speaks for the score, the right half against it."""
    signs = np.concatenate([np.ones((8, 4, 3)), -np.ones((8, 4, 3))], 1).astype("float32")
    explainer = ShapleyValues(lambda x: (x * signs).sum((1, 2))[:, :1], groups=4, classes=["thing"])
    return explainer(np.full((1, 8, 8, 3), 0.5, "float32"), 0)


def texts(axes):
    return [one.get_text() for one in axes.texts]


def test_players_are_red_for_and_blue_against(halves):
    figure = plot_players(halves)
    picture, bars = figure.axes
    pixels = picture.images[0].get_array()
    assert pixels[2, 1, 0] > pixels[2, 1, 2] + 60
    assert pixels[2, 6, 2] > pixels[2, 6, 0] + 60
    assert picture.get_xlabel() == "thing"
    assert sorted(texts(picture)) == ["0", "1", "2", "3"]
    labels = [label.get_text() for label in bars.get_yticklabels()]
    assert labels[0] == "nobody: score 0"
    assert labels[-1] == "all: score 0"
    assert sorted(text for text in texts(bars) if text) == ["+8", "+8", "-8", "-8"]


def test_the_rest_is_one_bar(halves):
    bars = plot_players(halves, np.zeros((1, 20, 20, 3), "uint8"), top=1).axes[1]
    assert [label.get_text() for label in bars.get_yticklabels()][1:-1] == ["player 0", "3 others"]


def test_forces_meet_at_the_score():
    found = PermutationSHAP(games.interplay)(games.ONES, 0)
    cell = plot_force(found, NAMES).axes[0]
    up = [bar for bar in cell.patches if bar.get_x() + bar.get_width() <= found.score[0] + 1e-6]
    down = [bar for bar in cell.patches if bar.get_x() >= found.score[0] - 1e-6]
    assert len(up) + len(down) == np.count_nonzero(found.values)
    total = sum(bar.get_width() for bar in up) - sum(bar.get_width() for bar in down)
    np.testing.assert_allclose(total, found.score[0] - found.extras["absent"][0], atol=1e-5)
    assert texts(cell)[-2:] == ["score 0.5", "nobody: 0"]
    assert any(text.startswith("a\n+") for text in texts(cell))


def test_a_square_of_interactions():
    found = ShapleyValues(games.interplay)(games.ONES, 0)
    figure = plot_interactions(found, NAMES, top=3)
    cell = figure.axes[0]
    square = cell.images[0].get_array()
    kept = [NAMES.index(label.get_text()) for label in cell.get_xticklabels()]
    expected = found.extras["interactions"][0] + np.diag(found.values[0])
    np.testing.assert_allclose(square, expected[np.ix_(kept, kept)])
    assert kept == [0, 1, 2]
    assert len(texts(cell)) == 9


def test_words_are_named_by_their_pieces():
    found = ShapleyValues(games.interplay)(games.ONES, 0)
    named = tfxai.Explanation(
        found.values, found.target, found.score, found.inputs, "shapley_values", extras=found.extras,
        pieces=((" not", " a", " dull", " min", "ute", None),),
    )  # fmt: skip
    labels = [label.get_text() for label in plot_interactions(named).axes[0].get_xticklabels()]
    assert labels == ["not", "a", "dull", "min", "ute", ""]


@pytest.mark.parametrize(
    ("draw", "explainer", "message"),
    [
        (plot_players, Occlusion, "has no players. ShapleyValues, KernelSHAP"),
        (plot_players, KernelSHAP, "For tables and words, plot_force"),
        (plot_force, tfxai.Banzhaf, "values of banzhaf do not sum"),
        (plot_force, tfxai.FeatureAblation, "do not sum to the gain of the score"),
        (plot_interactions, KernelSHAP, "has no interactions. ShapleyValues finds them"),
    ],
)
def test_what_cannot_be_drawn(draw, explainer, message):
    found = explainer(games.interplay)(games.ONES, 0)
    with pytest.raises(ValueError, match=message):
        draw(found)


def test_names_that_do_not_fit():
    found = ShapleyValues(games.interplay)(games.ONES, 0)
    with pytest.raises(ValueError, match="each of 6 players"):
        plot_force(found, ["a"])
