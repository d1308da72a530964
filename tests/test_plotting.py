"""Pictures: exact colours, and the structure of figures."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from tfxai import Explanation, display, plot_grid
from tfxai.plotting import overlay, saturate, to_display


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def explanation(n=2, shape=(8, 8, 3), method="saliency", **changes):
    random = np.random.default_rng(0)
    inputs = random.uniform(-1, 1, (n, *shape)).astype(np.float32)
    values = random.normal(size=(n, *shape)).astype(np.float32)
    given = {"target": np.arange(n), "score": np.linspace(1, 2, n), "inputs": inputs, "method": method}
    return Explanation(**({"values": values, "polarity": "absolute"} | given | changes))


def test_overlay_mixes_image_and_colours():
    image = np.array([[[200, 100, 0], [40, 40, 40]]], np.uint8)
    heatmap = np.array([[0.0, 1.0]])
    colours = 255 * mpl.colormaps["viridis"](np.array([0.0, 1.0]))[:, :3]
    np.testing.assert_array_equal(overlay(image, heatmap, alpha=0), image)
    np.testing.assert_array_equal(overlay(image, heatmap, alpha=1)[0], np.round(colours))
    grey = 60 + 195 / 255 * 40  # of the second pixel; at alpha 0.5 the image is half grey, and colours are 3 / 4 opaque
    np.testing.assert_array_equal(overlay(image, heatmap)[0, 1], np.round((40 + grey) / 8 + 0.75 * colours[1]))


def test_weak_places_show_the_image_and_strong_ones_the_heatmap():
    image = np.full((1, 5, 3), 128, np.uint8)
    bare = overlay(image, np.zeros((1, 5)))
    drawn = overlay(image, np.array([[0, 0.1, 0.4, 0.7, 1]])).astype(int)
    far = np.abs(drawn - bare.astype(int)).sum(-1)[0]
    assert far[0] == 0
    assert (np.diff(far) > 0).all()
    assert np.ptp(bare) == 0  # no colour of the map where there is nothing: jet turned photographs blue
    assert np.ptp(bare[0, 0]) == 0


def test_colours_are_even_steps_for_all_eyes():
    """Brightness rises along the colours of one sign, and is alike for both signs at the same strength."""
    light = display.palette(None, False) @ display.GREY
    assert (np.diff(light) > 0).all()
    ends = display.palette(None, True) @ display.GREY
    assert ends.argmax() in range(100, 156)


def test_overlay_takes_grey_and_floats():
    grey = np.full((2, 2), 100, np.uint8)
    expected = overlay(np.full((2, 2, 3), 100, np.uint8), np.eye(2))
    np.testing.assert_array_equal(overlay(grey, np.eye(2)), expected)
    np.testing.assert_array_equal(overlay(grey[..., None], np.eye(2)), expected)
    np.testing.assert_array_equal(overlay(grey / 255, np.eye(2)), expected)


def test_overlay_resizes_the_heatmap():
    drawn = overlay(np.zeros((4, 6, 3)), np.array([[0.0, 1.0]]), alpha=1, cmap="gray")
    assert drawn.shape == (4, 6, 3)
    assert drawn[0, 0, 0] == 0
    assert drawn[0, -1, 0] == 255


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heatmap": np.full((2, 2), 1.5)}, r"heat-map in \[0, 1\]"),
        ({"heatmap": np.full((2, 2), np.nan)}, r"heat-map in \[0, 1\]"),
        ({"heatmap": np.zeros((2, 2, 3))}, "shape"),
        ({"alpha": 2}, "alpha"),
        ({"cmap": "no-such-map"}, "no-such-map"),
        ({"image": np.zeros((2, 2, 5))}, "images of shape"),
        ({"image": np.full((2, 2), np.inf)}, "NaN or infinite"),
    ],
)
def test_overlay_tells_what_is_wrong(changes, message):
    with pytest.raises(ValueError, match=message):
        overlay(**({"image": np.zeros((2, 2, 3)), "heatmap": np.zeros((2, 2))} | changes))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (np.array([0, 7, 255], np.uint8), [0, 7, 255]),
        (np.array([0.0, 7.0, 254.0]), [0, 7, 254]),
        (np.array([3, 7, 9]), [3, 7, 9]),
        (np.array([0.0, 0.2, 1.0]), [0, 51, 255]),
        (np.array([-1.0, 0.0, 1.0]), [0, 128, 255]),
        (np.array([-5.0, -5.0, -5.0]), [0, 0, 0]),
        (np.array([2.0, 2.5, 4.0]), [0, 64, 255]),
    ],
)
def test_display_range(given, shown):
    np.testing.assert_array_equal(to_display(given[None, None])[0, 0], np.repeat(np.array(shown)[:, None], 3, 1))


def test_display_stretches_each_image_by_itself():
    shown = to_display(np.array([[[-1.0, 1.0]], [[-10.0, 10.0]]]))
    np.testing.assert_array_equal(shown[0], shown[1])


def test_saturation_reaches_one_at_the_percentile():
    heatmaps = np.linspace(0, 1, 101)[None]
    np.testing.assert_allclose(saturate(heatmaps, 50)[0, [25, 50, 100]], [0.5, 1, 1])
    np.testing.assert_array_equal(saturate(heatmaps, 100), heatmaps)
    lonely = np.eye(1, 1000)
    np.testing.assert_array_equal(saturate(lonely, 50), lonely)
    with pytest.raises(ValueError, match="percentile"):
        saturate(heatmaps, 0)


def test_grid_has_a_row_for_each_input_and_a_column_for_each_explanation():
    before = dict(mpl.rcParams)
    classes = ("tench, Tinca tinca", "goldfish")
    figure = plot_grid([explanation(classes=classes), explanation(method="rise", classes=classes)])
    assert len(figure.axes) == 6
    assert [cell.get_title() for cell in figure.axes[:3]] == ["input", "saliency", "rise"]
    assert figure.axes[0].get_xlabel() == "tench\nscore 1"
    assert figure.axes[3].get_xlabel() == "goldfish\nscore 2"
    assert figure.axes[4].get_xlabel() == ""
    assert not any(len(cell.get_xticks()) or len(cell.get_yticks()) for cell in figure.axes)
    assert plt.fignum_exists(figure.number)
    assert dict(mpl.rcParams) == before


def test_grid_shows_overlays():
    one = explanation(n=1)
    figure = plot_grid(one, alpha=0.3, percentile=100)
    image = to_display(one.inputs)[0]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), image)
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), overlay(image, one.heatmaps()[0], 0.3))


def bars(cell):
    """The numbers beneath a cell, with the colours at them."""
    (bar,) = cell.child_axes
    colours = bar.images[0].get_array()[0]
    low, high = bar.get_xlim()
    places = [(tick - low) / (high - low) * (len(colours) - 1) for tick in bar.get_xticks()]
    return {tick.get_text(): colours[round(place)] for tick, place in zip(bar.get_xticklabels(), places, strict=True)}


def test_each_heatmap_has_a_bar_of_colours_with_its_values():
    values = np.zeros((2, 8, 8, 3), np.float32)
    values[0, 0, 0], values[0, 1, 1] = [1, 1, 1], [-2, -2, -2]
    values[1, :, :4] = 0.25
    given = explanation(values=values, polarity="positive", method="occlusion")
    figure = plot_grid([given, given[:2]], percentile=100)
    assert [len(cell.child_axes) for cell in figure.axes] == [0, 1, 1] * 2
    signed, narrow = bars(figure.axes[1]), bars(figure.axes[4])
    assert list(signed) == ["\u22126", "0", "6"]  # one scale, on which zero is the middle
    assert list(narrow) == ["\u22120.75", "0", "0.75"]
    np.testing.assert_allclose(signed["6"], display.palette(None, True)[-1] / 255)
    positive = bars(plot_grid(given, polarity="positive", percentile=100).axes[1])
    assert list(positive) == ["0", "3"]
    np.testing.assert_allclose(positive["3"], display.palette(None, False)[-1] / 255)


def test_the_bar_ends_where_colours_do():
    """At the percentile, and from the smallest value where that is not zero."""
    values = np.arange(101.0, dtype=np.float32).reshape(1, 101, 1, 1) * np.ones((1, 1, 2, 1), np.float32) + 50
    one = explanation(1, (101, 2, 1), values=values)
    assert list(bars(plot_grid(one, percentile=50).axes[1])) == ["50", "100"]
    assert list(bars(plot_grid(one, percentile=100).axes[1])) == ["50", "150"]
    assert not plot_grid(explanation(values=np.ones((2, 8, 8, 3)))).axes[1].child_axes  # nothing is coloured


def test_titles_tell_the_probability_where_it_is_known():
    known = explanation(extras={"probability": np.array([0.9731, 0.00041])})
    cells = plot_grid(known).axes
    assert cells[0].get_xlabel() == "class 0\n97.3 %, score 1"
    assert cells[2].get_xlabel() == "class 1\n0.041 %, score 2"
    probable = explanation(score=np.array([0.5, 1]), facts={"score": "probability"})
    assert plot_grid(probable).axes[0].get_xlabel() == "class 0\n50 %"


def test_grid_takes_titles():
    given = {"a": explanation(), "b": explanation()}
    assert [cell.get_title() for cell in plot_grid(given).axes[1:3]] == ["a", "b"]
    assert [cell.get_title() for cell in plot_grid(given, titles=["c", "d"]).axes[1:3]] == ["c", "d"]
    twice = [explanation(method="grad_cam", facts={"layer": layer}) for layer in ("conv1", ["conv2", "conv3"])]
    titles = [cell.get_title().replace("\n", " ") for cell in plot_grid(twice).axes[1:3]]
    assert titles == ["grad_cam conv1", "grad_cam conv2, conv3"]
    smooth = explanation(method="smooth_grad", facts={"base": "rise"})
    assert plot_grid(smooth).axes[1].get_title() == "smooth_grad of rise"


def test_grid_says_which_class_each_column_explains_if_they_differ():
    figure = plot_grid([explanation(), explanation(target=np.array([0, 3]))])
    assert [cell.get_xlabel() for cell in figure.axes[1:3]] == ["", ""]
    assert [cell.get_xlabel() for cell in figure.axes[4:6]] == ["class 1", "class 3"]


def test_photographs_of_any_size_replace_the_inputs():
    photographs = [np.full((30, 20, 3), 9, np.uint8), np.zeros((10, 50), np.uint8)]
    figure = explanation().plot(photographs)
    assert [cell.images[0].get_array().shape for cell in figure.axes] == [(30, 20, 3)] * 2 + [(10, 50, 3)] * 2
    together = explanation().plot(np.zeros((2, 12, 14, 3)))
    assert together.axes[1].images[0].get_array().shape == (12, 14, 3)
    huge = explanation(n=1).plot([np.zeros((20, 3000, 3), np.uint8)])
    assert max(huge.axes[1].images[0].get_array().shape) <= 1024


def test_series_are_lines_before_their_heatmap():
    figure = plot_grid(explanation(shape=(12, 2)))
    assert len(figure.axes[0].lines) == 2
    np.testing.assert_array_equal(figure.axes[1].lines[1].get_ydata(), explanation(shape=(12, 2)).inputs[0, :, 1])
    assert figure.axes[1].images[0].get_array().shape == (1, 12)


def test_tables_are_bars():
    one = explanation(shape=(5,))
    figure = plot_grid(one)
    np.testing.assert_allclose([bar.get_height() for bar in figure.axes[0].patches], one.inputs[0])
    np.testing.assert_allclose([bar.get_height() for bar in figure.axes[1].patches], one.values[0])
    assert [tick.get_text() for tick in figure.axes[1].get_xticklabels()] == ["0", "1", "2", "3", "4"]
    ends = [min(0, one.values[0].min()), max(0, one.values[0].max())]
    np.testing.assert_allclose(figure.axes[1].get_yticks(), [end for end in ends if end or ends.count(0) == 2])
    wide = plot_grid(explanation(shape=(95,))).axes[1]
    assert len(wide.get_xticks()) == 10


def test_bars_of_tables_have_the_names_of_columns():
    names = ["age", "$price_$", "a name that is longer than the space", "d", "e"]
    figure = plot_grid(explanation(shape=(5,)), features=names)
    for cell in figure.axes:
        told = [tick.get_text() for tick in cell.get_xticklabels()]
        assert told == ["age", "$price_$", "a name that is…", "d", "e"]
    wide = plot_grid(explanation(shape=(95,)), features=[f"column{n}" for n in range(95)]).axes[1]
    assert [tick.get_text() for tick in wide.get_xticklabels() if tick.get_text()][:2] == ["column0", "column4"]
    with pytest.raises(ValueError, match="name each of 5 columns, got 1"):
        plot_grid(explanation(shape=(5,)), features=["one"])
    with pytest.raises(ValueError, match=r"no features= for inputs of shape \(8, 8, 3\)"):
        plot_grid(explanation(), features=["one"])


def test_grid_shows_the_chosen_of_several_inputs():
    both = {"left": np.zeros((2, 8, 8, 3), np.float32), "right": np.ones((2, 4, 4, 3), np.float32)}
    figure = plot_grid(explanation(values=both, inputs=both), input="right")
    assert figure.axes[0].images[0].get_array().shape == (4, 4, 3)
    with pytest.raises(ValueError, match="input="):
        plot_grid(explanation(values=both, inputs=both))


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        ([], {}, "at least one explanation"),
        ([explanation(2), explanation(3)], {}, "same inputs"),
        (explanation(n=0), {}, "same inputs, at least one"),
        (explanation(17), {}, r"at most 16 inputs, got 17. Slice the explanation: explanation\[:16\]"),
        (explanation(), {"images": np.zeros((3, 8, 8, 3))}, "one image for each of the 2 inputs, got 3"),
        (explanation(), {"titles": ["a", "b"]}, "one title for each of the 1"),
        (explanation(), {"polarity": "upside-down"}, "polarity"),
        (explanation(shape=(8, 8, 5)), {"images": np.zeros((2, 8, 8, 5))}, "images of shape"),
        (explanation(shape=(6,)), {"images": np.zeros((2, 8, 8, 3))}, "no images="),
    ],
)
def test_grid_tells_what_is_wrong(given, options, message):
    with pytest.raises(ValueError, match=message):
        plot_grid(given, **options)


def test_grid_of_anything_else_is_an_error():
    with pytest.raises(TypeError, match="Expected explanations, got ndarray"):
        plot_grid([np.zeros((2, 8, 8))])


def test_long_titles_break_where_words_end_and_are_not_cut_off():
    title = "relevant_features:features=a-file.npz,top=2"
    figure = plot_grid({title: explanation()})
    cell = figure.axes[1]
    assert cell.get_title() == "relevant_features:\nfeatures=a-file.npz,\ntop=2"
    figure.canvas.draw()
    assert cell.title.get_window_extent().y1 <= figure.bbox.y1


def test_what_was_made_of_inputs_is_shown_in_their_range():
    """A blurred copy is no brighter than the image that it was made of, as when each is stretched by itself."""
    inputs = np.array([[[0, 200]]], np.float32)[..., None]
    assert display.in_range_of(inputs, inputs / 2)[0, 0, :, 0].tolist() == [0, 100]
    assert display.in_range_of(inputs.astype(np.uint8), inputs + 0.4)[0, 0, :, 0].tolist() == [0, 200]
    assert display.in_range_of(inputs / 400, inputs / 800)[0, 0, :, 0].tolist() == [0, 64]  # 0.25 of 1
    assert display.in_range_of(inputs - 100, np.zeros_like(inputs))[0, 0, :, 0].tolist() == [128, 128]
    assert display.in_range_of(inputs - 100, inputs + 900)[0, 0, :, 0].tolist() == [255, 255]
    assert display.in_range_of(np.zeros((1, 2, 2, 5)), np.zeros((1, 2, 2, 5))).shape == (1, 2, 2, 3)
