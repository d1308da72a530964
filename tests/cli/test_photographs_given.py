"""What part of a photograph a command takes, where it comes from, and which preprocessing it advises."""

import io
import types

import cv2
import keras
import numpy as np
import pytest

import tfxai
from tfxai import images
from tfxai.cli import main
from tfxai.cli.work.given import _advice
from tfxai.models import open_model
from tfxai.preprocessing import of_application

APPLICATIONS = keras.applications


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network whose name is one of keras.applications, and a photograph with a bright middle."""
    folder = tmp_path_factory.mktemp("given")
    keras.utils.set_random_seed(0)
    body = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    keras.Sequential([keras.Input((16, 16, 3)), *body], name="resnet50").save(folder / "net.keras")
    photograph = np.zeros((40, 60, 3), np.uint8)
    photograph[10:30, 20:40] = np.random.default_rng(0).integers(100, 256, (20, 20, 3))
    cv2.imwrite(str(folder / "photo.png"), photograph)
    return folder


def explain(folder, output, *more):
    own = ["--method", "saliency", "--preprocess", "none", "--output", str(output)]
    return main(["explain", str(folder / "net.keras"), *more, *own])


def test_the_middle_is_taken_in_the_shape_of_the_input(folder, tmp_path):
    assert explain(folder, tmp_path, str(folder / "photo.png"), "--crop", "0.5") == 0
    found = tfxai.Explanation.load(tmp_path / "saliency.npz")
    middle = images.read(folder / "photo.png")[10:30, 20:40]
    np.testing.assert_array_equal(found.inputs, images.prepare([middle], (16, 16)))


@pytest.mark.parametrize(
    ("share", "size", "expected"), [(0.5, (2, 2), (20, 20)), (1, (20, 10), (40, 20)), (0.5, (None, None), (20, 20))]
)
def test_shapes_of_the_middle(share, size, expected):
    rows, columns = np.mgrid[:40, :60]
    found = images.centre(np.stack([rows, columns, rows], -1), share, size)
    assert found.shape[:2] == expected
    assert found[..., 0].mean() == pytest.approx(19.5)
    assert found[..., 1].mean() == pytest.approx(29.5)


@pytest.mark.parametrize("share", ["0", "1.5", "half"])
def test_other_shares_are_refused(folder, tmp_path, share, capsys):
    with pytest.raises(SystemExit):
        explain(folder, tmp_path, str(folder / "photo.png"), "--crop", share)
    assert "expected a share above 0 and at most 1" in capsys.readouterr().err
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        images.centre(np.zeros((4, 4, 3)), 0.0)


def piped(monkeypatch, data):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(data)))


def test_a_photograph_from_the_standard_input(folder, tmp_path, monkeypatch):
    piped(monkeypatch, (folder / "photo.png").read_bytes())
    assert explain(folder, tmp_path / "piped", "-") == 0
    assert explain(folder, tmp_path / "read", str(folder / "photo.png")) == 0
    one, other = (tfxai.Explanation.load(tmp_path / name / "saliency.npz") for name in ("piped", "read"))
    np.testing.assert_array_equal(one.values, other.values)
    assert (tmp_path / "piped" / "stdin.png").is_file()


def test_what_comes_from_there_and_is_no_photograph(folder, tmp_path, monkeypatch, capsys):
    piped(monkeypatch, b"words")
    assert explain(folder, tmp_path, "-") == 2
    assert "'-', the standard input, is damaged" in capsys.readouterr().err


def test_the_preprocessing_of_a_network_that_is_known_is_advised(folder, tmp_path, capsys):
    own = ["--method", "saliency", "--output", str(tmp_path)]
    assert main(["explain", str(folder / "net.keras"), str(folder / "photo.png"), *own]) == 0
    assert "called 'resnet50', like a network of keras.applications whose weights expect --preprocess caffe;" in (
        capsys.readouterr().out
    )
    inner = keras.models.load_model(folder / "net.keras")
    outer = keras.Sequential([keras.Input((16, 16, 3)), inner, keras.layers.Dense(2)], name="mine")
    assert "--preprocess caffe" in _advice(open_model(outer))
    inner.name = "something"
    assert "If it was trained on rescaled pixels" in _advice(open_model(outer))


@pytest.mark.parametrize(
    ("make", "module"),
    [
        (APPLICATIONS.MobileNet, APPLICATIONS.mobilenet),
        (APPLICATIONS.MobileNetV2, APPLICATIONS.mobilenet_v2),
        (APPLICATIONS.VGG16, APPLICATIONS.vgg16),
        (APPLICATIONS.ResNet50, APPLICATIONS.resnet50),
        (APPLICATIONS.ResNet50V2, APPLICATIONS.resnet_v2),
        (APPLICATIONS.DenseNet121, APPLICATIONS.densenet),
        (APPLICATIONS.Xception, APPLICATIONS.xception),
        (APPLICATIONS.InceptionV3, APPLICATIONS.inception_v3),
    ],
)
def test_known_networks_are_called_so_by_keras_and_prepared_as_it_does(make, module):
    model = make(weights=None, include_top=False, input_shape=(96, 96, 3))
    name, mode = of_application([model.name])
    assert name == model.name
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(images.preprocessing(mode)(pixels), module.preprocess_input(pixels.copy()), atol=1e-4)


def test_networks_that_scale_pixels_themselves_are_not_among_them():
    names = ["efficientnetb0", "convnext_tiny", "MobileNetV3Small", "resnet50_mine", "functional"]
    assert of_application(names) is None
