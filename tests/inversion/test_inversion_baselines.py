"""Feature inversion and meaningful perturbation: what they must find where it is known, and hopeless cases."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy.ndimage import binary_dilation

import tfxai
from tfxai.baselines import gaussian
from tfxai.inversion.jitter import shifted
from tfxai.inversion.mask import Enlarged
from tfxai.inversion.objective import distance
from tfxai.regularizers import alpha_norm, total_variation

PATCH = np.zeros((16, 16), bool)
PATCH[4:8, 8:14] = True
FAST = {"cells": 8, "fill": 0.0, "steps": 60, "l1_weight": 0.02}


@pytest.fixture(scope="module")
def patch():
    """A network whose only class is how bright one patch is, within a layer that holds every pixel, mixed."""
    inputs = keras.Input((16, 16, 3))
    mixed = layers.Conv2D(3, 1, name="mixed")(inputs)
    seen = layers.GlobalAveragePooling2D()(mixed * PATCH[None, ..., None].astype("float32"))
    model = keras.Model(inputs, layers.Dense(1, use_bias=False)(seen))
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0].astype("float32")
    share = PATCH.mean()
    model.set_weights([turn[None, None], np.zeros(3), turn.T @ np.full((3, 1), 4 / (3 * share))])
    return model


@pytest.fixture(scope="module")
def images():
    """Ordinary images, two of one colour, and one with a single bright pixel."""
    x = np.random.default_rng(1).uniform(0.2, 1, (6, 16, 16, 3)).astype("float32")
    x[3], x[4], x[5] = 0, 0.7, 0
    x[5, 8, 8] = 1e4
    return x


@pytest.fixture(scope="module")
def inverted(patch, images):
    """Nothing but the features counts."""
    explainer = tfxai.FeatureInversion(patch, "mixed", steps=300, tv_weight=0.0, alpha_weight=0.0)
    return explainer, explainer(images)


@pytest.fixture(scope="module")
def games(patch, images):
    def play(game):
        explainer = tfxai.MeaningfulPerturbation(patch, game=game, jitter=0, patience=20, **FAST)
        return explainer, explainer(images, 0)

    return {game: play(game) for game in ("delete", "preserve", "hybrid")}


def near(pixels):
    """Where the patch is, and so far around."""
    return binary_dilation(PATCH, iterations=pixels)


def assert_finite(explanation):
    assert all(np.isfinite(x).all() for x in [explanation.values, *explanation.extras.values()])


def assert_rows_alone(explainer, x, together, target=None, rows=(0, 1)):
    """Each image comes out as it does among others, by everything that is told of it."""
    for row in rows:
        alone = explainer(x[row : row + 1], target)
        for name, found in {"values": alone.values, **alone.extras}.items():
            expected = together.values[row] if name == "values" else together.extras[name][row]
            atol = 1e-4 * max(np.abs(expected).max(), 1)
            np.testing.assert_allclose(found[0], expected, rtol=1e-3, atol=atol, err_msg=name)


class TestPriors:
    def test_by_hand(self):
        step = np.zeros((2, 4, 5, 3), "float32")
        step[1, :, 3:, 0] = 2  # an edge of height 2, as long as four pixels
        for beta in (1.0, 2.0, 3.0):
            np.testing.assert_allclose(total_variation(tf.constant(step), beta), [0, 4 * 2**beta])
        np.testing.assert_array_equal(total_variation(tf.ones([2, 4, 5, 3]), 2.0), 0)
        np.testing.assert_allclose(alpha_norm(tf.constant(-step), 6.0), [0, 8 * 2**6])

    def test_no_slope_where_nothing_varies(self):
        @tf.function(autograph=False)
        def slope(x):
            return [tf.gradients(total_variation(x, power) + alpha_norm(x, power), x)[0] for power in (1.0, 2.0, 3.0)]

        np.testing.assert_array_equal(slope(tf.zeros([1, 4, 4, 1])), 0)

    def test_distance(self):
        wanted, found = tf.constant([[3.0, 4.0], [0.0, 0.0]]), tf.constant([[3.0, 2.0], [1.0, 0.0]])
        np.testing.assert_allclose(distance(found, wanted), [4 / 25, 0])
        np.testing.assert_allclose(distance(found, wanted, relative=False), [4, 1])


def test_shifts_repeat_the_edge():
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 3)).astype("float32")
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), "edge")
    for down, right in ((0, 0), (1, -2), (-2, 1)):
        expected = padded[:, 2 - down : 8 - down, 2 - right : 9 - right]
        np.testing.assert_array_equal(shifted(tf.constant(x), tf.constant([down, right])), expected)


def test_enlarged_then_blurred():
    maps = tf.random.stateless_uniform([2, 4, 5], [0, 0])
    plain = Enlarged((4, 5), (12, 20))(maps)[..., None]
    blurred = Enlarged((4, 5), (12, 20), sigma=1.5)(maps)
    np.testing.assert_allclose(blurred, gaussian(gaussian(plain, 1.5, 1), 1.5, 2)[..., 0], atol=1e-6)
    np.testing.assert_allclose(Enlarged((4, 5), (12, 20), sigma=1.5)(tf.ones([1, 4, 5])), 1, atol=1e-6)


class TestFeatureInversion:
    def test_a_layer_that_loses_nothing_gives_the_input_back(self, inverted, images):
        _, explanation = inverted
        found, mean = explanation.extras["reconstruction"], images.mean((1, 2), keepdims=True)
        for number in range(3):
            np.testing.assert_allclose(found[number], images[number], atol=1e-3)
        np.testing.assert_allclose(explanation.values, found - mean, atol=1e-3)
        assert explanation.extras["history/error"][:3, -1].max() < 1e-5
        assert explanation.facts["layer"] == "mixed"

    def test_hopeless_images(self, inverted, images):
        _, explanation = inverted
        assert_finite(explanation)
        assert explanation.extras["degenerate"].tolist() == [0, 0, 0, 1, 2, 0]
        assert explanation.extras["steps"].tolist() == [300, 300, 300, 0, 0, 300]
        np.testing.assert_array_equal(explanation.values[3:5], 0)
        np.testing.assert_allclose(explanation.extras["reconstruction"][3:5], images[3:5], atol=1e-5)

    def test_a_batch_is_its_images(self, inverted, images):
        explainer, explanation = inverted
        assert_rows_alone(explainer, images, explanation)

    def test_what_a_layer_drops_comes_out_blank(self, images):
        """Of a layer that sees the left half, the right one is the mean colour, for it need but be smooth."""
        inputs = keras.Input((16, 16, 3))
        left = layers.Cropping2D(((0, 0), (0, 8)), name="left")(inputs)
        model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(left)))
        explainer = tfxai.FeatureInversion(model, tv_weight=0.01, alpha_weight=1e-6, steps=100, seed=3)
        first = explainer(images[:2])
        assert explainer.reads == ("left",)  # the last with positions
        seen, unseen = (np.square(half).mean() for half in np.split(first.values, 2, 2))
        assert unseen < 0.1 * seen
        terms = sum(first.extras[f"history/{term}"] for term in ("error", "alpha", "variation"))
        np.testing.assert_allclose(terms, first.extras["history/total"], rtol=1e-5)
        assert (first.extras["history/total"][:, -1] < 0.1 * first.extras["history/total"][:, 0]).all()
        np.testing.assert_array_equal(explainer(images[:2]).values, first.values)
        explainer.seed = 4
        assert np.abs(explainer(images[:2]).values - first.values).max() > 1e-4

    def test_starts_in_any_scale(self, small, x):
        """Inputs in another scale, which the model undoes, are inverted alike; classes change nothing but the score."""
        inputs = keras.Input((16, 16, 3))
        other = keras.Model(inputs, small((inputs - 7) / 20))
        options = {"steps": 4, "jitter": 1, "start": "blur"}
        a = tfxai.FeatureInversion(small, "relu2", **options)(x[:2], [[0, 3], [4, 1]])
        b = tfxai.FeatureInversion(other, "relu2", **options)(20 * x[:2] + 7)
        np.testing.assert_array_equal(a.values[::2], a.values[1::2])
        np.testing.assert_allclose(20 * a.values[::2], b.values, atol=0.02 * np.abs(b.values).max())

    def test_xla_and_saved_models(self, small, x, tmp_path):
        small.export(tmp_path, verbose=False)
        options = {"steps": 4, "start": "mean"}  # XLA draws other random numbers
        ours = tfxai.FeatureInversion(small, "relu2", **options)(x, 1)
        for theirs in (
            tfxai.FeatureInversion(tmp_path, "relu2", **options)(x, 1),
            tfxai.FeatureInversion(small, "relu2", jit_compile=True, **options)(x, 1),
        ):
            np.testing.assert_allclose(theirs.values, ours.values, atol=1e-3 * np.abs(ours.values).max())


class TestMeaningfulPerturbation:
    @pytest.mark.parametrize("game", ["delete", "preserve", "hybrid"])
    def test_planted_evidence(self, games, game):
        """The map lies on the patch that is the class, whichever side of it is played."""
        _, explanation = games[game]
        for values in explanation.values[:3]:
            assert values[PATCH].mean() > 0.7
            assert values[near(3)].sum() > 0.9 * values.sum()  # a cell and a half: it is soft
            assert PATCH.ravel()[values.argmax()]
        assert explanation.values.max() <= 1
        assert explanation.values.min() >= 0

    @pytest.mark.parametrize("game", ["delete", "preserve", "hybrid"])
    def test_the_loss_and_its_sides(self, games, game, images):
        extras = games[game][1].extras
        terms = [extras[f"history/{term}"][:3] for term in ("foreground", "background", "area", "variation")]
        np.testing.assert_allclose(sum(terms), extras["history/total"][:3], rtol=1e-4, atol=1e-5)
        assert [bool(term.any()) for term in terms[:2]] == [game != "delete", game != "preserve"]
        np.testing.assert_allclose(terms[2][:, 0], 0.02 * 64 * 0.5, rtol=1e-4)  # half of each cell, at the start
        np.testing.assert_allclose(extras["foreground"] + extras["background"], images, rtol=1e-5)
        assert extras["mask"].shape == (6, 8, 8)

    @pytest.mark.parametrize("game", ["delete", "hybrid"])
    def test_hopeless_images(self, games, game):
        explanation = games[game][1]
        assert_finite(explanation)
        assert explanation.extras["degenerate"].tolist() == [0, 0, 0, 2, 0, 1]  # the bright pixel lies outside
        np.testing.assert_array_equal(explanation.values[[3, 5]], 0)
        assert explanation.extras["steps"][3] == 0

    def test_each_image_stops_by_itself(self, games, images):
        explainer, explanation = games["delete"]
        steps = explanation.extras["steps"]
        assert steps.max() <= 60
        assert len(set(steps[:5])) > 1
        assert_rows_alone(explainer, images, explanation, target=0)

    def test_jitter_follows_the_seed(self, patch, images):
        explainer = tfxai.MeaningfulPerturbation(patch, jitter=1, **FAST)
        first, again = explainer(images[:2], 0), explainer(images[:2], 0)
        np.testing.assert_array_equal(first.values, again.values)
        assert (first.values * near(4)).sum() > 0.9 * first.values.sum()
        explainer.seed = 1
        assert np.abs(explainer(images[:2], 0).values - first.values).max() > 1e-3

    def test_xla_and_saved_models(self, patch, images, tmp_path):
        patch.export(tmp_path, verbose=False)
        options = {"steps": 4, "game": "hybrid", "jitter": 0}
        ours = tfxai.MeaningfulPerturbation(patch, **options)(images, 0)
        assert ours.extras["mask"].shape == (6, 16, 16)  # no more cells than pixels
        for theirs in (
            tfxai.MeaningfulPerturbation(tmp_path, **options)(images, 0),
            tfxai.MeaningfulPerturbation(patch, jit_compile=True, **options)(images, 0),
        ):
            np.testing.assert_allclose(theirs.values, ours.values, atol=1e-3)


def test_best_or_last(patch, images):
    """The lowest loss is that of the start, if there is one step; with jitter it counts for nothing."""
    for jitter in (0, 1):
        inverted = tfxai.FeatureInversion(patch, "mixed", steps=1, start="mean", jitter=jitter)(images[:1])
        assert bool(inverted.values.any()) == bool(jitter)
        perturbed = tfxai.MeaningfulPerturbation(patch, **FAST | {"steps": 1, "jitter": jitter})(images[:1], 0)
        assert (perturbed.extras["mask"] != 0.5).any() == bool(jitter)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("FeatureInversion", {"steps": 0}, "steps"),
        ("FeatureInversion", {"learning_rate": 0}, "learning_rate"),
        ("FeatureInversion", {"tv_weight": -1}, "tv_weight"),
        ("FeatureInversion", {"jitter": 1.5}, "jitter"),
        ("FeatureInversion", {"beta": 0.5}, "beta"),
        ("FeatureInversion", {"layer": "relu9"}, "relu9"),
        ("MeaningfulPerturbation", {"game": "chess"}, "game"),
        ("MeaningfulPerturbation", {"objective": "score"}, "objective"),
        ("MeaningfulPerturbation", {"head": "relu"}, "head"),
        ("MeaningfulPerturbation", {"cells": 0}, "cells"),
        ("MeaningfulPerturbation", {"l1_weight": -1}, "l1"),
        ("MeaningfulPerturbation", {"jitter": -1}, "jitter"),
        ("MeaningfulPerturbation", {"beta": 0.5}, "beta"),
        ("MeaningfulPerturbation", {"start": 1.5}, "start"),
        ("MeaningfulPerturbation", {"patience": 0}, "patience"),
    ],
)
def test_bad_options(residual, method, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(tfxai, method)(residual, **options)


def test_bad_inputs(residual, x):
    with pytest.raises(ValueError, match="one image to start from for each input, got 2"):
        tfxai.FeatureInversion(residual, start=[0.0, 1.0], steps=1)(x)
    with pytest.raises(ValueError, match="one fill for each image, got 2"):
        tfxai.MeaningfulPerturbation(residual, fill=[0.0, 1.0], steps=1)(x)
    series = keras.Sequential([keras.Input((20, 3)), layers.Conv1D(4, 5), layers.Flatten(), layers.Dense(2)])
    with pytest.raises(ValueError, match="FeatureInversion needs images"):
        tfxai.FeatureInversion(series)(np.ones((1, 20, 3)))
