"""Pictures of series and volumes: what is drawn are the values, at their places."""

import matplotlib as mpl
import numpy as np
import pytest

import tfxai
from tfxai import Explanation, plot_grid
from tfxai.display import overlay
from tfxai.joining import join
from tfxai.maps import Place, Side
from tfxai.reading import read

RNG = np.random.default_rng(0)


def explanation(values, inputs, **changes):
    n = len(values)
    given = {"target": np.arange(n), "score": np.ones(n, np.float32), "method": "made", "polarity": "signed"}
    return Explanation(values.astype("float32"), inputs=inputs.astype("float32"), **given | changes)


def series(n=2, steps=12, channels=1):
    values, inputs = (RNG.normal(size=(n, steps, channels)) for _ in range(2))
    return explanation(values, inputs)


def stairs(cell):
    """The steps that are drawn, of both signs, and their colours."""
    return [(one.get_data().values, one.get_facecolor()[:3]) for one in cell.patches]


def test_a_series_is_a_line_over_its_values():
    found = series()
    figure = found.plot()
    lines, values = figure.axes[0], figure.axes[1]
    assert len(figure.axes) == 4
    np.testing.assert_array_equal(lines.lines[0].get_ydata(), found.inputs[0, :, 0])
    (above, red), (below, blue) = stairs(values)
    np.testing.assert_allclose(above + below, found.values[0, :, 0])
    assert above.min() >= 0 >= below.max()
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert lines.get_xlim() == values.get_xlim() == (-0.5, 11.5)
    assert lines.get_title("left") == "class 0, score 1"
    assert figure.axes[3].get_xlabel() == "step"


def test_channels_have_lines_and_a_strip():
    found = series(n=1, channels=3)
    lines, values, strip, _ = found.plot().axes
    for channel, line in enumerate(lines.lines):
        np.testing.assert_array_equal(line.get_ydata(), found.inputs[0, :, channel])
    np.testing.assert_allclose(sum(one for one, _ in stairs(values)), found.values[0].sum(-1), rtol=1e-5)
    np.testing.assert_array_equal(strip.images[0].get_array(), found.values[0].T)
    assert strip.images[0].get_clim()[1] == np.abs(found.values).max()
    assert [text.get_text() for text in lines.get_legend().get_texts()] == ["channel 0", "channel 1", "channel 2"]


def test_channels_of_other_ranges_are_drawn_apart():
    found = series(n=1, channels=2)
    found.inputs[..., 1] *= 1000
    lines = found.plot().axes[0]
    assert [(line.get_ydata().min(), line.get_ydata().max()) for line in lines.lines] == [(0, 1)] * 2
    assert "each from" in lines.get_ylabel()


def test_maps_of_a_layer_are_laid_over_the_steps():
    values = np.array([[1.0, 3, 2, -4]])
    place = Place((Side(1, 1, 1, 3, 0, 11),))
    found = explanation(values, RNG.normal(size=(1, 12, 2)), places={"input": place})
    cell = found.plot().axes[1]
    drawn = sum(one for one, _ in stairs(cell))
    np.testing.assert_allclose(drawn[[1, 4, 7, 10]], values[0])
    np.testing.assert_allclose(drawn[2], 1 + 2 / 3)


def test_one_sided_values():
    values = RNG.normal(size=(1, 8, 2))
    found = explanation(values, values, polarity="absolute")
    (drawn, _), *more = stairs(found.plot().axes[1])
    np.testing.assert_allclose(drawn, np.abs(values[0]).max(-1), rtol=1e-5)
    assert not more
    assert "absolute" in found.plot().axes[1].get_ylabel()
    np.testing.assert_allclose(
        sum(one for one, _ in stairs(found.plot(polarity="signed").axes[1])), values[0].sum(-1), rtol=1e-5
    )


def test_columns_are_steps_if_one_says_so():
    values = RNG.normal(size=(1, 30))
    found = explanation(values, RNG.normal(size=(1, 30)))
    np.testing.assert_array_equal(found.plot(series=True).axes[0].lines[0].get_ydata(), found.inputs[0])
    assert found.plot().axes[0].get_yticklabels()[0].get_text().startswith("feature ")


def test_series_of_different_length():
    found = join([series(n=1, steps=9), series(n=1, steps=14)])
    assert [cell.get_xlim()[1] for cell in found.plot().axes] == [8.5, 8.5, 13.5, 13.5]


def test_an_empty_explanation_says_so():
    found = explanation(np.zeros((1, 6, 1)), RNG.normal(size=(1, 6, 1)))
    cell = found.plot().axes[1]
    assert "empty" in cell.get_title("left")
    assert not cell.patches


def volume(channels=(), **changes):
    values = np.zeros((1, 5, 4, 6), np.float32)
    values[0, 3, 1, 2], values[0, 1, 0, 5] = -2, 1
    places = {"input": Place(tuple(Side(axis, axis, 0, 1, 0, size - 1) for axis, size in enumerate((5, 4, 6), 1)))}
    return explanation(values, RNG.uniform(size=(1, 5, 4, 6, *channels)), places=places, **changes)


@pytest.mark.parametrize("channels", [(), (1,), (2,), (3,)])
def test_the_strongest_slice_along_each_axis(channels):
    found = volume(channels)
    figure = found.plot()
    above, below = figure.axes[:3], figure.axes[3:6]
    assert [cell.get_xlabel() for cell in above] == [
        f"axis {axis}: slice {place} of {size}" for axis, place, size in [(1, 3, 5), (2, 1, 4), (3, 2, 6)]
    ]
    maps = read(found).maps[0]
    for axis, place in enumerate((3, 1, 2)):
        picture = above[axis].images[0].get_array()
        expected = overlay(picture, np.take(maps, place, axis), signed=True)
        np.testing.assert_array_equal(below[axis].images[0].get_array(), expected)
    crosses = [(cell.lines[0].get_ydata()[0], cell.lines[1].get_xdata()[0]) for cell in above]
    assert crosses == [(1, 2), (3, 2), (3, 1)]
    if channels == (3,):
        shades = (255 * found.inputs[0]).round()
        np.testing.assert_allclose(above[1].images[0].get_array(), shades[:, 1], atol=1)


def test_volumes_take_images_and_colours():
    found = volume((1,))
    photos = RNG.integers(0, 255, (1, 5, 4, 6, 3), dtype=np.uint8)
    figure = found.plot(images=photos, alpha=1, cmap="gray")
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), photos[0, 3])
    assert (figure.axes[3].images[0].get_array()[1, 2] == 0).all()
    with pytest.raises(ValueError, match="of the volumes' sizes"):
        found.plot(images=photos[:, :3])


def test_grids_compare_series_and_volumes_as_before():
    assert isinstance(plot_grid([series(), series()]), mpl.figure.Figure)
    assert len(volume((1,)).plot(slice=[0, 1]).axes) == 4
    assert len(series().plot(titles=["mine"]).axes) == 4


def test_explained_series_and_volumes(tmp_path):
    """End to end: what a linear model is told is its weights times the input."""
    weights = RNG.normal(size=(10, 2)).astype("float32")
    x = RNG.normal(size=(1, 10, 2)).astype("float32")
    found = tfxai.Occlusion(lambda x: (x * weights).sum((1, 2), keepdims=True)[:, 0], window=1)(x, 0)
    cell = found.plot().axes[1]
    np.testing.assert_allclose(sum(one for one, _ in stairs(cell)), (weights * x[0]).sum(-1), atol=1e-5)
