"""tfxai synthesize and tfxai dream; and the data that excite a channel most."""

import cv2
import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import tfxai
from tfxai.cli import main
from tfxai.cli.work.dream import default_layer
from tfxai.models import open_model

o = tfxai.objectives


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The path of a network of any size."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    maps = layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(maps))).save(path)
    return path


def test_classes_by_number_and_name(model, tmp_path, capsys):
    (tmp_path / "names.txt").write_text("rose\ntulip, tulipa\nlily\n")
    options = ["--steps", "12", "--size", "20", "--preprocess", "0..1", "--frames", "4", "--seed", "3"]
    names = ["--classes", str(tmp_path / "names.txt")]
    assert main(["synthesize", str(model), "--class", "2", "tulip", *names, *options, "--out", str(tmp_path)]) == 0
    assert "class 1 (tulip, tulipa): score" in capsys.readouterr().out
    found = tfxai.Synthesis.load(tmp_path / "synthesis.npz")
    assert found.labels == ["lily", "tulip"]
    objective = o.class_score([2, 1])
    same = tfxai.ActivationMaximization(str(model), objective, preprocess="0..1", steps=12, shape=(20, 20, 3), seed=3)
    np.testing.assert_allclose(found.images, same(verbose=0).images, atol=1e-4)
    for label, pixels in zip(["lily", "tulip"], found.pixels, strict=True):
        np.testing.assert_array_equal(tfxai.images.read(tmp_path / f"{label}.png"), pixels)
    assert (tmp_path / "synthesis.png").exists()
    with Image.open(tmp_path / "synthesis.gif") as gif:
        assert gif.n_frames == 4


def test_channels(model, tmp_path):
    channels = ["--layer", "maps", "--channel", "3", "--parameterization", "pixel", "--no-transforms"]
    assert main(["synthesize", str(model), *channels, "--size", "16", "--steps", "3", "--output", str(tmp_path)]) == 0
    assert tfxai.images.read(tmp_path / "channel-3-of-maps.png").shape == (16, 16, 3)
    assert tfxai.Synthesis.load(tmp_path / "synthesis.npz").labels == ["channel 3 of maps"]


def test_dreams(model, tmp_path):
    photograph = np.random.default_rng(0).integers(60, 200, (24, 33, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "sky.png"), photograph[..., ::-1])
    options = ["--preprocess=-1..1", "--octaves", "-1", "0", "--steps", "3", "--layer", "maps:0.5"]
    assert main(["dream", str(model), str(tmp_path / "sky.png"), *options, "--output", str(tmp_path)]) == 0
    found = tfxai.images.read(tmp_path / "sky-dream.png")
    assert found.shape == photograph.shape
    dream = tfxai.DeepDream(str(model), {"maps": 0.5}, preprocess="-1..1", octaves=(-1, 0), steps=3)
    expected = dream(tfxai.images.prepare([photograph], mode="-1..1"), verbose=0)
    np.testing.assert_array_equal(found, expected.pixels[0])
    assert np.abs(found.astype(int) - photograph).max() > 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "16"], "either --class, or --layer with --channel"),
        (["--size", "16", "--channel", "1"], "--layer with --channel"),
        (["--class", "1"], "--size"),
        (["--class", "7", "--size", "16"], "class 7 is out of range"),
        (["--class", "rose", "--size", "16"], "names of all classes"),
    ],
)
def test_errors(model, capsys, arguments, message):
    assert main(["synthesize", str(model), *arguments]) == 2
    assert message in capsys.readouterr().err


class TestExamples:
    def test_the_strongest_images(self, model):
        """Those with the largest values of the channel, in order; around the places of these."""
        images = np.random.default_rng(0).uniform(size=(12, 15, 18, 3)).astype("f")
        network = keras.models.load_model(model)
        maps = keras.Model(network.inputs[0], network.get_layer("maps").output).predict(images, verbose=0)[..., 2]
        found = tfxai.examples_for(str(model), ("maps", 2), images, top=4)
        order = np.argsort(-maps.max((1, 2)))[:4]
        assert found.images.tolist() == order.tolist()
        np.testing.assert_allclose(found.responses, maps.max((1, 2))[order], rtol=1e-5)
        for number, image in enumerate(order):
            row, column = np.unravel_index(maps[image].argmax(), maps[image].shape)
            crop = images[image, row : row + 3, column : column + 3]
            np.testing.assert_allclose(found.crops[number], 255 * crop, atol=1)
        same = tfxai.examples_for(str(model), o.channel("maps", 2), images, top=4)
        np.testing.assert_array_equal(same.crops, found.crops)

    def test_beside_the_image(self, model):
        images = np.random.default_rng(0).uniform(size=(5, 15, 18, 3)).astype("f")
        objective = o.channel("maps", [2, 1])
        made = tfxai.ActivationMaximization(str(model), objective, preprocess=(0, 1), steps=2, shape=(12, 12, 3))(
            verbose=0
        )
        found = [tfxai.examples_for(str(model), ("maps", channel), images, top=3) for channel in (2, 1)]
        assert len(made.plot(examples=found).axes) == 8
        with pytest.raises(ValueError, match="each of the 2 images, got 1"):
            made.plot(examples=found[:1])

    @pytest.mark.parametrize("objective", [o.class_score(1), o.channel("maps", [0, 1]), 2 * o.channel("maps", 1)])
    def test_one_channel_only(self, model, objective):
        with pytest.raises(ValueError, match="one channel"):
            tfxai.examples_for(str(model), objective, np.zeros((1, 8, 8, 3)))


def test_dreams_begin_two_thirds_of_the_way_up():
    """Where pictures have eyes and fur; the last layer gives faint noise."""
    body = [layers.Conv2D(4, 3, padding="same", activation="relu", name=f"conv{n}") for n in range(6)]
    model = keras.Sequential([keras.Input((16, 16, 3)), *body, layers.GlobalAveragePooling2D(), layers.Dense(3)])
    assert default_layer(open_model(model)) == "conv4"
    flat = keras.Sequential([keras.Input((16, 16, 3)), body[0], layers.GlobalAveragePooling2D(), layers.Dense(3)])
    assert default_layer(open_model(flat)) == "conv0"
