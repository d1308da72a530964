"""The verdict on explanations: what is better than maps that know nothing, and what is not."""

import csv

import keras
import numpy as np
import pytest
from keras import layers

import tfxai
from tfxai import metrics


@pytest.fixture(scope="module")
def linear():
    """A linear score of the pixels, its exact parts, and these put in another order."""
    model = keras.Sequential([keras.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(12, 8, 8, 1)).astype("f")
    parts = x * model.layers[1].kernel.numpy()[:, 1].reshape(8, 8, 1)
    shuffled = np.random.default_rng(1).permuted(parts.reshape(12, -1), axis=1).reshape(parts.shape)
    report = tfxai.trust({"exact": parts, "shuffled": shuffled}, model, x, 1, groups=1, steps=16)
    return model, x, parts, report


def test_exact_parts_are_best_and_shuffled_ones_know_nothing(linear):
    *_, report = linear
    assert report.methods == ("exact", "shuffled")
    for measure in ("deletion", "insertion", "mu_fidelity"):
        first, *others = report.rows(measure)
        assert (first.method, first.rank) == ("exact", 1)
        assert {row.method for row in others} == {"shuffled", "random map", "centre map"}
        assert min(low for low, _ in first.gain.values()) > 0
        assert all(row.behind[0] > 0 for row in others)
        assert first.interval[0] <= first.mean <= first.interval[1]
    np.testing.assert_allclose(report.values["mu_fidelity"]["exact"], 1, atol=1e-6)
    good, bad = report.verdict().values()
    assert "random and centre maps by deletion, insertion, mu_fidelity" in good
    assert "by no measure" in bad
    assert "by no measure" not in good


def test_values_are_those_of_the_measures(linear):
    model, x, parts, report = linear
    own = metrics.deletion(model, parts, x, 1, steps=16, groups=1)
    np.testing.assert_allclose(report.values["deletion"]["exact"], own.area, rtol=1e-6)
    np.testing.assert_allclose(report.curves["deletion"]["exact"].scores, own.scores, rtol=1e-6)
    assert set(report.curves) == {"deletion", "insertion"}  # a correlation has no curve


def test_table_file_and_figure(linear, tmp_path):
    *_, report = linear
    text = str(report)
    assert text.count("behind the best") == 3
    assert text.endswith(" ".join(report.verdict()["shuffled"].split()[-3:]))
    report.write_csv(tmp_path / "trust.csv")
    with open(tmp_path / "trust.csv", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 12
    best = next(row for row in rows if row["rank"] == "1" and row["measure"] == "insertion")
    assert float(best["mean"]) == report.rows("insertion")[0].mean
    assert float(best["better_than_centre_map_low"]) > 0
    titles = [cell.get_title() for cell in report.plot().axes]
    assert titles == ["deletion", "insertion"]
    with pytest.raises(ValueError, match="deletion and insertion have them"):
        metrics.plot_curves({})


def test_explanations_bring_their_names_inputs_and_target(small, x):
    explanations = [tfxai.Saliency(small)(x), tfxai.GradCAM(small)(x), tfxai.Saliency(small, reduction="l2")(x)]
    report = tfxai.trust(explanations, small, measures=["insertion"], steps=5, fill=0.0)
    assert report.methods == ("saliency", "grad_cam", "saliency (2)")
    # to show parts is to hide the least relevant first, from the other end
    own = metrics.pixel_flipping(small, explanations[1], order="least", steps=5, fill=0.0, score="auto")
    np.testing.assert_allclose(report.values["insertion"]["grad_cam"], own.area, rtol=1e-5)


def test_tables_have_no_centre():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, activation="tanh"), layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("f")
    report = tfxai.trust(tfxai.IntegratedGradients(model)(x), model)
    assert list(report.values["insertion"]) == ["integrated_gradients", "random map"]


def test_what_does_not_fit(small, x):
    one = tfxai.Saliency(small)(x)
    with pytest.raises(ValueError, match="same two inputs or more"):
        tfxai.trust(one[0], small)
    with pytest.raises(ValueError, match="same two inputs or more"):
        tfxai.trust({"a": one, "b": one.values[:2]}, small)
    with pytest.raises(ValueError, match="'saliency' and 'grad_cam' differ"):
        tfxai.trust([one, tfxai.GradCAM(small)(x, (one.target + 1) % 5)], small)
    with pytest.raises(ValueError, match="a measure to be one of"):
        tfxai.trust(one, small, measures=["beauty"])
    with pytest.raises(ValueError, match="other names than"):
        tfxai.trust({"random map": one}, small)
    with pytest.raises(TypeError, match="a dict of names to arrays"):
        tfxai.trust([one.values], small)


def test_maps_that_know_nothing():
    maps = metrics.random_maps(200, (20, 30))
    assert abs(np.corrcoef(maps[:100].ravel(), maps[100:].ravel())[0, 1]) < 0.02
    assert np.abs(np.diff(maps, axis=2)).mean() < 0.3 * maps.std()  # smooth
    centre = metrics.centre_maps(2, (9, 15))
    assert np.unravel_index(centre[1].argmax(), (9, 15)) == (4, 7)
    np.testing.assert_array_equal(centre, centre[:, ::-1, ::-1])
    assert metrics.random_maps(4, (7,)).shape == (4, 7)
