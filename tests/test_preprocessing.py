"""Preprocessings by their numbers: those of the named modes, and of networks that no mode describes."""

import keras
import numpy as np
import pytest

import tfxai
from tfxai import images
from tfxai.cli import main

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), np.uint8)
SAME = {
    "none": "scale=1",
    "0..1": f"scale={1 / 255}",
    "-1..1": f"mean=127.5 scale={1 / 127.5}",
    "caffe": "mean=103.939,116.779,123.68 bgr",
    "torch": "mean=123.675,116.28,103.53 scale={},{},{}".format(*(1 / 255 / np.array([0.229, 0.224, 0.225]))),
}


@pytest.mark.parametrize(("mode", "numbers"), SAME.items())
def test_modes_are_such_numbers(mode, numbers):
    np.testing.assert_allclose(images.prepare(PIXELS, mode=numbers), images.prepare(PIXELS, mode=mode), atol=2e-5)


def test_grey_takes_one_number():
    grey = images.prepare(PIXELS, channels=1, mode="mean=3 scale=0.5")
    np.testing.assert_allclose(grey, (images.prepare(PIXELS, channels=1) - 3) / 2, atol=1e-5)
    with pytest.raises(ValueError, match="takes 3 channels for the preprocessing 'mean=1,2,3'"):
        images.prepare(PIXELS, channels=1, mode="mean=1,2,3")


@pytest.mark.parametrize("text", ["", "imagenet", "mean", "mean=x", "bgr bgr", "caffe bgr", "mean=1,2"])
def test_what_is_no_preprocessing_is_refused(text):
    with pytest.raises(ValueError, match=r"Expected (the preprocessing to be one of none|one number, or one)"):
        images.prepare(PIXELS, mode=text)


def test_pictures_are_turned_back():
    box = tfxai.synthesis.box.box("mean=104,117,123 scale=0.5 bgr")
    prepared = images.prepare(PIXELS, mode="mean=104,117,123 scale=0.5 bgr")
    np.testing.assert_array_equal(box.pixels(prepared), PIXELS)


def test_the_command_line_takes_numbers(tmp_path, capsys):
    keras.utils.save_img(tmp_path / "a.png", PIXELS[0], scale=False)
    inputs = keras.Input((5, 7, 3))
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs))
    model.save(tmp_path / "model.keras")
    words = [str(tmp_path / "model.keras"), str(tmp_path / "a.png"), "--output", str(tmp_path / "out")]
    assert main(["explain", *words, "--method", "saliency", "--preprocess", "mean=104,117,123 scale=0.5 bgr"]) == 0
    inputs = tfxai.Explanation.load(tmp_path / "out" / "saliency.npz").inputs
    np.testing.assert_allclose(inputs[0], (PIXELS[0, ..., ::-1] - np.array([104.0, 117, 123])) / 2)
    with pytest.raises(SystemExit):
        main(["explain", *words, "--preprocess", "bgr=1"])
    assert "Expected the preprocessing to be one of none, 0..1" in capsys.readouterr().err
