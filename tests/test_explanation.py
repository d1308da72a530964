"""Explanation: heat-maps, slices, saving."""

import numpy as np
import pytest

import tfxai
from tfxai import Explanation
from tfxai.explanation import normalize


def explanation(**changes):
    rng = np.random.default_rng(0)
    content = {
        "values": rng.normal(size=(3, 4, 5)).astype("float32"),
        "target": np.array([1, 0, 2]),
        "score": np.arange(3, dtype="float32"),
        "inputs": rng.uniform(size=(3, 8, 10, 3)).astype("float32"),
        "method": "grad_cam",
        "classes": ("a", "b", "c"),
        "extras": {"gap": np.arange(3.0)},
        "facts": {"layer": "conv"},
    }
    return Explanation(**(content | changes))


def test_normalize_is_free_of_scale():
    rng = np.random.default_rng(0)
    maps = rng.uniform(size=(4, 5, 6)).astype("float32")
    for scale in (1e-30, 1e-8, 1, 1e20):
        np.testing.assert_allclose(normalize(maps * np.float32(scale)), normalize(maps), rtol=1e-4, atol=1e-5)
    assert (normalize(maps).min((1, 2)) == 0).all()
    assert (normalize(maps).max((1, 2)) == 1).all()


@pytest.mark.parametrize("value", [0, 1, -3, 1e-20, 1e20])
def test_constant_maps_give_zeros(value):
    np.testing.assert_array_equal(normalize(np.full((2, 3, 3), value, "float32")), 0)


def test_rounding_does_not_make_a_map():
    almost = np.full((1, 4, 4), 3.0, "float32")
    almost[0, 0, 0] = np.nextafter(np.float32(3), np.float32(4))
    np.testing.assert_array_equal(normalize(almost), 0)


def test_polarities():
    values = np.array([[[[3, -1], [-2, 0]]]], "float32")  # one row of two pixels with two channels
    one = explanation(values=values, inputs=values, target=np.array([0]), score=np.zeros(1), extras={})
    np.testing.assert_allclose(one.heatmaps("positive"), [[[1, 0]]])
    np.testing.assert_allclose(one.heatmaps("negative"), [[[0, 1]]])
    np.testing.assert_allclose(one.heatmaps("absolute"), [[[1, 0]]])
    np.testing.assert_allclose(one.heatmaps("energy"), [[[1, 0]]])
    with pytest.raises(ValueError, match="polarity to be one of"):
        one.heatmaps("both")


@pytest.mark.parametrize("scale", [1e-30, 1, 1e20])
def test_signed_maps_keep_zero_and_sign_on_one_scale(scale):
    values = np.array([[[-4, 0], [1, 2]], [[0, 0], [0, 0]]], "float32") * np.float32(scale)
    one = explanation(values=values, inputs=np.zeros((2, 2, 2, 3)))
    np.testing.assert_allclose(one.heatmaps("signed"), [[[-1, 0], [0.25, 0.5]], [[0, 0], [0, 0]]], rtol=1e-6)
    for_it, against = one.heatmaps("positive"), one.heatmaps("negative")
    np.testing.assert_array_equal(one.heatmaps("signed") > 0, for_it > 0)
    np.testing.assert_array_equal(one.heatmaps("signed") < 0, against > 0)
    large = explanation(values=values, inputs=np.zeros((2, 8, 6, 3))).heatmaps("signed", "cubic")
    assert large.shape == (2, 8, 6)
    assert np.abs(large[0]).max() == 1
    assert not large[1].any()


def test_maps_are_enlarged_to_the_input():
    values = np.zeros((3, 4, 5), "float32")
    values[:, 1, 3] = 1
    nearest = explanation(values=values).heatmaps(interpolation="nearest")
    expected = np.zeros((3, 8, 10))
    expected[:, 2:4, 6:8] = 1
    np.testing.assert_array_equal(nearest, expected)
    for interpolation in ("linear", "cubic"):
        smooth = explanation(values=values).heatmaps(interpolation=interpolation)
        rows, columns = np.nonzero(smooth[0] > 0.9)
        assert (rows.mean(), columns.mean()) == (2.5, 6.5)
    with pytest.raises(ValueError, match="interpolation"):
        explanation().heatmaps(interpolation="lanczos")


def test_slices_and_iteration():
    whole = explanation()
    assert len(whole) == 3
    assert [len(one) for one in whole] == [1, 1, 1]
    np.testing.assert_array_equal(whole[1].values, whole.values[1:2])
    np.testing.assert_array_equal(whole[-1].target, [2])
    np.testing.assert_array_equal(whole[1:].extras["gap"], [1, 2])
    np.testing.assert_array_equal(whole[0].heatmaps()[0], whole.heatmaps()[0])
    assert whole.label(2) == "c"
    assert explanation(classes=None).label(2) == "class 2"
    with pytest.raises(IndexError, match="3 explanations"):
        whole[3]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"target": "channel 3 of conv", "classes": None, "extras": {}},
        {
            "values": {"image": np.ones((3, 2, 2, 1)), "table": np.ones((3, 4))},
            "inputs": {"image": np.ones((3, 2, 2, 1)), "table": np.ones((3, 4))},
        },
    ],
)
def test_save_and_load(tmp_path, changes):
    saved = explanation(**changes)
    saved.save(tmp_path / "explanation")
    loaded = Explanation.load(tmp_path / "explanation.npz")
    for name in ("method", "polarity", "classes", "facts"):
        assert getattr(loaded, name) == getattr(saved, name)
    for name in ("values", "target", "score", "inputs", "extras"):
        a, b = getattr(saved, name), getattr(loaded, name)
        if isinstance(a, dict):
            assert a.keys() == b.keys()
            for key in a:
                np.testing.assert_array_equal(a[key], b[key])
        else:
            np.testing.assert_array_equal(a, b)


def test_saving_what_an_explainer_found(tmp_path, residual, x):
    found = tfxai.IntegratedGradients(residual, steps=3, classes=list("abcde"))(x)
    found.save(tmp_path / "found.npz")
    loaded = Explanation.load(tmp_path / "found.npz")
    np.testing.assert_array_equal(loaded.heatmaps(), found.heatmaps())
    np.testing.assert_array_equal(loaded.extras["completeness_gap"], found.extras["completeness_gap"])


def test_loading_what_is_no_explanation(tmp_path):
    (tmp_path / "text.npz").write_text("nothing")
    np.savez(tmp_path / "other.npz", a=1)
    for name in ("text.npz", "other.npz", "missing.npz"):
        with pytest.raises(ValueError, match="not a saved explanation"):
            Explanation.load(tmp_path / name)


def test_repr():
    assert repr(explanation()) == "Explanation(grad_cam, values (3, 4, 5), target array([1, 0, 2]))"


def test_values_of_a_layer_are_summed_over_its_channels():
    values = np.zeros((1, 2, 2, 3))
    values[0, 1, 0] = [3, -1, 2]
    found = explanation(values=values).heatmaps(interpolation="nearest")
    height, width = found.shape[1:]
    assert found[0, -1, 0] == found.max() == 1
    assert found.sum() == height * width / 4
    with pytest.raises(ValueError, match="no places"):
        explanation(values=np.zeros((1, 5))).heatmaps()
