"""Pictures tell the sign of what they show, and what they do not show."""

import cv2
import keras
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import tfxai
from tfxai import Explanation, display, plot_grid
from tfxai.display import composite, overlay, saturate, to_display
from tfxai.pages.entries import map_entry
from tfxai.reading import read

GREY = np.full((1, 2, 4, 3), 120, np.uint8)


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def explanation(values, inputs=None, **changes):
    values = np.asarray(values, np.float32)
    inputs = np.repeat(GREY, len(values), 0) if inputs is None else np.asarray(inputs)
    return Explanation(values, np.arange(len(values)), np.ones(len(values)), inputs, **changes)


def cam(values, **changes):
    return explanation(values, method="grad_cam", facts={"layer": "conv", "rectified": True}, **changes)


def texts(figure):
    """All that is written in a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(mpl.text.Text))


def is_blue(pixel):
    return int(pixel[2]) > int(pixel[0]) + 40


def is_red(pixel):
    return int(pixel[0]) > int(pixel[2]) + 40


def is_grey(pixel):
    return np.ptp(np.asarray(pixel, int)) <= 2


TRUCK = [[[-5.46, 0, 0, 1.07], [0, 0, -5.46, 0]]]


class TestOverlay:
    def test_zero_shows_the_image_in_grey_and_each_sign_has_its_colour(self):
        image = np.array([[[200, 30, 30], [30, 200, 30], [10, 90, 250]]], np.uint8)
        drawn = overlay(image, np.array([[-1.0, 0, 1]]), signed=True)[0]
        assert is_blue(drawn[0])
        assert is_grey(drawn[1])
        assert is_red(drawn[2])

    def test_opacity_grows_with_magnitude(self):
        image = np.full((1, 5, 3), 128, np.uint8)
        drawn = overlay(image, np.array([[0, 0.2, 0.5, 0.8, 1]]), signed=True)[0].astype(int)
        assert (np.diff(drawn[:, 0] - drawn[:, 2])[:3] > 0).all()
        grey = 60 + 195 / 255 * 128  # shines through a little
        end = np.round(0.25 * grey + 0.75 * display.palette(None, True)[[0, -1]])
        np.testing.assert_array_equal(overlay(image[:, :2], np.array([[-1.0, 1]]), signed=True)[0], end)

    def test_alpha_goes_from_the_image_to_the_colours(self):
        rng = np.random.default_rng(0)
        image = rng.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        heatmap = rng.uniform(-1, 1, (4, 4))
        np.testing.assert_array_equal(overlay(image, heatmap, 0, signed=True), image)
        pure = overlay(image, heatmap, 1, signed=True)
        np.testing.assert_array_equal(pure, overlay(255 - image, heatmap, 1, signed=True))

    def test_ranges(self):
        with pytest.raises(ValueError, match=r"in \[0, 1\].*signed=True"):
            overlay(GREY[0], np.full((2, 4), -0.1))
        with pytest.raises(ValueError, match=r"in \[-1, 1\]"):
            overlay(GREY[0], np.full((2, 4), -1.1), signed=True)

    def test_saturation_is_of_the_magnitudes(self):
        np.testing.assert_allclose(saturate(np.array([[-1.0, -0.5, 0.25, 0]]), 50)[0], [-1, -1, 0.25 / 0.375, 0])


class TestReading:
    def test_values_of_both_signs_are_signed_on_one_scale(self):
        reading = read(explanation(TRUCK), percentile=100)
        assert reading.signed
        assert reading.notes == [""]
        np.testing.assert_allclose(reading.maps, np.array(TRUCK) / 5.46, rtol=1e-6)

    def test_values_without_negatives_are_not(self):
        reading = read(explanation([[[0, 1, 2, 3], [0, 0, 0, 1]]]))
        assert not reading.signed
        assert reading.notes == [""]

    def test_all_inputs_of_an_explanation_are_drawn_alike(self):
        assert read(explanation([np.ones((2, 4)), TRUCK[0]])).signed

    def test_class_activation_maps_are_their_positive_part_and_say_what_that_hides(self):
        mild, wrong = [[1, 2, -1.5, 0], [0, 0, 0, 0]], TRUCK[0]
        reading = read(cam([mild, wrong]))
        assert not reading.signed
        assert reading.notes == ["", 'negative part, down to -5.46, not shown: polarity="signed"']
        assert read(cam([wrong]), "signed").notes == [""]

    @pytest.mark.parametrize(
        ("polarity", "note"),
        [
            ("positive", "negative part, down to -5.46, not shown"),
            ("negative", ""),
            ("absolute", ""),
            ("signed", ""),
        ],
    )
    def test_a_chosen_polarity_says_what_it_hides(self, polarity, note):
        reading = read(explanation(TRUCK), polarity)
        assert reading.signed == (polarity == "signed")
        assert reading.notes[0].startswith(note)
        assert bool(reading.notes[0]) == bool(note)
        turned = read(explanation(-np.array(TRUCK)), "negative").notes[0]
        assert turned.startswith("positive part, up to 5.46, not shown")

    @pytest.mark.parametrize(
        ("values", "polarity", "note"),
        [
            (np.zeros((1, 2, 4)), None, "empty: zero everywhere"),
            (np.full((1, 2, 4), 3.0), None, "empty: the same everywhere"),
            (-np.ones((1, 2, 4)), "positive", "empty: nothing speaks for it; negative part, down to -1"),
            (np.ones((1, 2, 4)), "negative", "empty: nothing speaks against it; positive part, up to 1"),
            (np.zeros((1, 2, 4)), "signed", "empty: zero everywhere"),
            (np.zeros((1, 2, 4)), "absolute", "empty: zero everywhere"),
        ],
    )
    def test_an_empty_map_says_so(self, values, polarity, note):
        assert read(explanation(values), polarity).notes[0].startswith(note)

    def test_methods(self, residual, x):
        assert read(tfxai.Occlusion(residual, window=4)(x)).signed
        assert read(tfxai.GradientXInput(residual)(x)).signed
        assert read(tfxai.SmoothGrad(tfxai.GradientXInput(residual), samples=2)(x)).signed
        assert not read(tfxai.GradCAM(residual)(x)).signed
        assert not read(tfxai.SmoothGrad(tfxai.GradCAM(residual), samples=2)(x)).signed
        assert not read(tfxai.Saliency(residual)(x)).signed
        assert not read(tfxai.GuidedBackprop(residual)(x)).signed


class TestGrid:
    def test_what_speaks_against_is_seen(self):
        figure = explanation(TRUCK).plot()
        drawn = figure.axes[1].images[0].get_array()
        assert is_blue(drawn[0, 0])
        assert is_grey(drawn[0, 1])
        assert drawn[0, 3, 0] > drawn[0, 3, 2] + 20  # a faint red: 1.07 beside 5.46
        assert "blue speaks against the target, red for it" in texts(figure)

    def test_a_hidden_part_is_told_beneath(self):
        figure = cam(TRUCK).plot()
        assert "down to -5.46" in figure.axes[1].get_xlabel().replace("\n", " ")
        assert "blue speaks against" not in texts(figure)
        assert "empty" in cam(np.zeros((1, 2, 4))).plot().axes[1].get_xlabel()

    def test_each_kind_of_colours_has_its_key(self):
        written = texts(plot_grid([explanation(TRUCK), cam(TRUCK)]))
        assert "blue speaks against the target, red for it" in written
        assert "from nothing to most" in written
        assert "from against to for" in texts(explanation(TRUCK).plot(cmap="PiYG"))
        figure = explanation(TRUCK).plot(cmap="PiYG")
        assert len(figure.axes) == 2
        figure.canvas.draw()

    def test_series(self):
        values = [[-4.0, 0, 1]]
        figure = plot_grid(explanation(values, np.ones((1, 3, 2))))
        image = figure.axes[1].images[0]
        assert image.get_clim() == (-1, 1)
        np.testing.assert_allclose(image.get_array()[0], [-1, 0, 0.25], atol=0.03)

    def test_bars_of_tables_have_the_colour_of_their_sign(self):
        figure = plot_grid(explanation([[-4.0, 1, 0.2]], np.ones((1, 3))))
        colours = [255 * np.array(bar.get_facecolor()[:3]) for bar in figure.axes[1].patches]
        assert is_blue(colours[0])
        assert all(map(is_red, colours[1:]))
        assert figure.axes[1].get_xlabel() == ""


def test_the_page_and_the_sheet_of_a_callback_tell_the_sign(tmp_path):
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    x = rng.normal(size=(2, 8, 8, 3)).astype("float32")
    found = tfxai.GradientXInput(model)(x)
    entries = [map_entry("gradient_x_input", one, 16) for one in found]
    assert [one["signed"] for one in entries] == [True, True]
    empty = cam(np.stack([np.zeros((2, 4)), TRUCK[0]]))
    first, second = (map_entry("grad_cam", one, 16) for one in empty)
    assert first["note"] == "empty: zero everywhere"
    assert second["note"] == 'negative part, down to -5.46, is not shown: choose "for and against"'
    assert not second["signed"]
    watch = tfxai.callbacks.ExplanationCallback(x, "gradient_x_input", log_dir=tmp_path, tensorboard=False)
    model.fit(x, np.zeros((2, 2)), epochs=1, verbose=0, callbacks=[watch])
    grid = cv2.imread(str(tmp_path / "epoch_00000.png"))[..., ::-1].astype(int)
    assert (grid[..., 2] - grid[..., 0]).max() > 40
    assert (grid[..., 0] - grid[..., 2]).max() > 40


class TestComposites:
    @pytest.mark.parametrize("channels", [2, 4, 5, 13])
    def test_other_numbers_of_channels_are_shown_by_their_mean(self, channels):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(2, 6, 6, channels)) * np.arange(1, channels + 1)  # of different ranges
        pictures, done = composite(x)
        assert pictures.shape == (2, 6, 6, 3)
        assert done == f"mean of {channels} channels"
        low, high = x.min((1, 2), keepdims=True), x.max((1, 2), keepdims=True)
        np.testing.assert_array_equal(pictures, to_display(((x - low) / (high - low)).mean(-1).astype("float32")))
        figure = explanation(rng.normal(size=x.shape), x).plot()
        assert done in figure.axes[0].get_xlabel()
        assert "images= takes a composite" in figure.axes[0].get_xlabel()

    def test_a_composite_of_the_user_is_shown_as_it_is(self):
        rng = np.random.default_rng(0)
        bands, photo = rng.normal(size=(1, 6, 6, 13)), rng.integers(0, 255, (1, 6, 6, 3), dtype=np.uint8)
        figure = explanation(rng.normal(size=(1, 6, 6)), bands).plot(images=photo)
        np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), photo[0])
        assert "mean" not in figure.axes[0].get_xlabel()

    @pytest.mark.parametrize("scale", [1, 255])
    def test_opacity_is_drawn_on_white(self, scale):
        x = np.zeros((1, 2, 2, 4), np.float32)
        x[0, 0, 0] = [scale, 0, 0, scale]  # red, and nothing elsewhere
        for given in (x, x.astype(np.uint8)) if scale == 255 else (x,):
            pictures, done = composite(given)
            assert pictures[0, 0, 0].tolist() == [255, 0, 0]
            assert (pictures[0, 1] == 255).all()
            assert done == "opacity drawn on white"
        half = np.array([[[[0, 0, 0, 0.5]]]], np.float32)
        assert to_display(half)[0, 0, 0].tolist() == [127, 127, 127]

    def test_four_frames_of_a_game_are_no_colours(self):
        rng = np.random.default_rng(0)
        assert composite(rng.integers(0, 255, (1, 8, 8, 4), dtype=np.uint8))[1] == "mean of 4 channels"

    def test_channels_before_positions(self):
        rng = np.random.default_rng(0)
        last = rng.uniform(size=(2, 6, 5, 3)).astype("float32")
        drawn = display.channels_last(np.moveaxis(last, -1, 1), (6, 5))
        np.testing.assert_array_equal(drawn, last)
        assert display.channels_last(last, (6, 5)) is last

    def test_constant_bands(self):
        assert not composite(np.ones((1, 3, 3, 7)))[0].any()


class TestVolumes:
    """Hand-made explanations: values of the size of the input."""

    def volumes(self, **changes):
        rng = np.random.default_rng(0)
        values = np.zeros((2, 5, 4, 6), np.float32)
        values[0, 3, 1, 1], values[1, 1, 2, 2] = -2, 1
        values[:, 4, 0, 0] = 0.5
        return explanation(values, rng.uniform(size=(2, 5, 4, 6, 1)), **changes)

    def test_the_slice_with_most(self):
        figure = plot_grid(self.volumes())
        assert [figure.axes[0].get_xlabel(), figure.axes[2].get_xlabel()] == [
            *("class 0\nscore 1\nslice 3 of 5", "class 1\nscore 1\nslice 1 of 5")
        ]
        drawn = figure.axes[1].images[0].get_array()
        assert drawn.shape == (4, 6, 3)
        assert is_blue(drawn[1, 1])

    def test_chosen_slices(self):
        figure = self.volumes().plot(slice=[0, -1])
        assert [cell.get_xlabel().split("\n")[-1] for cell in figure.axes[::2]] == ["slice 0 of 5", "slice 4 of 5"] * 2
        one = self.volumes().plot(slice=4)
        assert len(one.axes) == 4
        expected = to_display(self.volumes().inputs[0].reshape(1, 20, 6, 1))[0][16:]
        assert one.axes[0].images[0].get_array().shape == expected.shape

    def test_a_volume_has_one_range(self):
        rng = np.random.default_rng(0)
        inputs = np.zeros((1, 2, 3, 3, 1))
        inputs[0, 0], inputs[0, 1, ..., 0] = -1, [[-1, 0, 1]] * 3
        figure = explanation(rng.normal(size=(1, 2, 3, 3)), inputs).plot(slice=[0, 1])
        assert not figure.axes[0].images[0].get_array().any()
        assert figure.axes[2].images[0].get_array()[0, :, 0].tolist() == [0, 128, 255]

    def test_images_of_volumes(self):
        rng = np.random.default_rng(0)
        photos = rng.integers(0, 255, (2, 5, 4, 6, 3), dtype=np.uint8)
        figure = self.volumes().plot(images=photos, slice=2)
        np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), photos[0, 2])
        with pytest.raises(ValueError, match="of the volumes' sizes"):
            self.volumes().plot(images=photos[:, :3])

    @pytest.mark.parametrize("wanted", [5, [0, 9], 1.5, "middle"])
    def test_slices_that_are_none(self, wanted):
        with pytest.raises(ValueError, match="0 to 4"):
            self.volumes().plot(slice=wanted)

    def test_too_many(self):
        with pytest.raises(ValueError, match="at most 16 rows, got 20"):
            self.volumes().plot(slice=[0, 1, 2, 3, 4] * 2)

    def test_images_have_none(self):
        with pytest.raises(ValueError, match="only volumes have slices"):
            explanation(TRUCK).plot(slice=0)


def test_images_without_channels_are_images():
    """Values of an image (n, h, w) are no series, if their maps have two axes."""
    rng = np.random.default_rng(0)
    values, pixels = rng.normal(size=(2, 6, 5)), rng.uniform(size=(2, 6, 5, 1))
    figure = explanation(values, pixels).plot()
    assert figure.axes[1].images[0].get_array().shape == (6, 5, 3)
