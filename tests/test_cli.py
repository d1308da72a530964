"""The command line, end to end."""

import re
import runpy
import sys

import cv2
import keras
import numpy as np
import pytest

import tfxai
from tfxai import images
from tfxai.cli import main
from tfxai.demo import METHODS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny network and two pictures of different sizes."""
    folder = tmp_path_factory.mktemp("cli")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(3, name="logits"),
        ]
    )
    network.save(folder / "logits.keras")
    keras.Sequential([network, layers.Softmax(name="softmax")]).save(folder / "softmax.keras")
    random = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for name, size in [("a", (20, 30)), ("b", (16, 12))]:
        cv2.imwrite(str(folder / "pictures" / f"{name}.png"), random.integers(0, 256, (*size, 3), np.uint8))
    (folder / "names.txt").write_text("cat\ndog\n\nred fox\n")
    (folder / "names.csv").write_text('class_index,name\n0,"cat, felis catus"\n1,dog\n2,red fox\n')
    return folder


def explain(folder, output, *more, model="logits.keras", pictures="pictures"):
    return main(["explain", str(folder / model), str(folder / pictures), "--output", str(output), *more])


def photographs(folder):
    return [images.read(folder / "pictures" / name) for name in ("a.png", "b.png")]


def test_explain_writes_figures_and_the_values_of_the_python_interface(folder, tmp_path, capsys):
    options = ["--method", "grad_cam", "saliency", "--preprocess", "-1..1", "--classes", str(folder / "names.txt")]
    assert explain(folder, tmp_path / "out", *options, "--layer", "conv", "--target", "red fox") == 0
    files = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert files == ["a.png", "b.png", "grad_cam.npz", "saliency.npz"]
    assert cv2.imread(str(tmp_path / "out" / "a.png")).std() > 0

    model = keras.models.load_model(folder / "logits.keras")
    inputs = images.prepare(photographs(folder), (16, 16), mode="-1..1")
    for name in ("grad_cam", "saliency"):
        loaded = tfxai.Explanation.load(tmp_path / "out" / f"{name}.npz")
        expected = tfxai.explain(model, inputs, name, target=2)
        np.testing.assert_allclose(loaded.values, expected.values, rtol=1e-5, atol=1e-7)
        np.testing.assert_array_equal(loaded.inputs, inputs)
        assert loaded.classes == ("cat", "dog", "red fox")
        assert [file[-5:] for file in loaded.facts["files"]] == ["a.png", "b.png"]

    printed = capsys.readouterr().out
    assert all(str(tmp_path / "out" / file) in printed for file in files)
    chances = keras.ops.softmax(model(inputs)).numpy()[0]
    best = int(chances.argmax())
    first = re.findall(r"([\d.]+)%  (.+)", printed)[0]
    assert first == (f"{chances[best]:.2%}"[:-1], ["cat", "dog", "red fox"][best])


def test_explain_prints_probabilities_whatever_the_model_ends_in(folder, tmp_path, capsys):
    tables = []
    for model in ("logits.keras", "softmax.keras"):
        assert explain(folder, tmp_path, "--method", "saliency", "--top", "2", model=model) == 0
        tables.append(re.findall(r"[\d.]+%  .+", capsys.readouterr().out))
    assert tables[0] == tables[1]
    assert len(tables[0]) == 4


def test_explain_understands_csv_patterns_and_numbers(folder, tmp_path, capsys):
    classes = ["--classes", str(folder / "names.csv")]
    options = ["--method", "GradCAM", "--target", "0", "--score", "probability", "--preprocess", "0..1"]
    code = explain(folder, tmp_path, *options, *classes, model="softmax.keras", pictures="pictures/*.png")
    assert code == 0
    assert "cat, felis catus" in capsys.readouterr().out
    loaded = tfxai.Explanation.load(tmp_path / "grad_cam.npz")
    assert loaded.target.tolist() == [0, 0]
    assert ((loaded.score > 0) & (loaded.score < 1)).all()


def test_pictures_of_one_name_do_not_overwrite_each_other(folder, tmp_path):
    (tmp_path / "more").mkdir()
    cv2.imwrite(str(tmp_path / "more" / "a.png"), np.zeros((9, 9, 3), np.uint8))
    given = [str(folder / "logits.keras"), str(folder / "pictures"), str(tmp_path / "more")]
    assert main(["explain", *given, "--method", "saliency", "--output", str(tmp_path / "out")]) == 0
    assert {file.name for file in (tmp_path / "out").glob("*.png")} == {"a.png", "b.png", "a-2.png"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "missing.keras"}, "There is no model file"),
        ({"model": "damaged.keras"}, "Cannot load a Keras model"),
        ({"model": "names.txt"}, "Expected a .keras or .h5 file"),
        ({"pictures": "missing.png"}, "There is no image file"),
        ({"pictures": "damaged.png"}, "damaged"),
        ({"pictures": "missing/*.png"}, "There are no images in"),
        ({"more": ["--method", "grad_camm"]}, "Unknown method 'grad_camm'. Expected one of ['grad_cam'"),
        ({"more": ["--layer", "convv"]}, "Unknown layer 'convv'. Did you mean 'conv'"),
        ({"more": ["--method", "saliency", "--layer", "conv"]}, "--layer with a method that takes one"),
        ({"more": ["--target", "3"]}, "The class 3 is out of range: the model has 3 classes"),
        ({"more": ["--target", "-1"]}, "Classes count from 0"),
        ({"more": ["--target", "cat"]}, "--classes"),
        ({"more": ["--classes", "missing.txt"]}, "There is no file 'missing.txt'"),
        ({"more": ["--batch-size", "0"]}, "--batch-size"),
        ({"more": ["--score", "probability"]}, "softmax or sigmoid"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(folder, tmp_path, capsys, changes, message):
    (folder / "damaged.keras").write_bytes((folder / "logits.keras").read_bytes()[:500])
    (folder / "damaged.png").write_bytes((folder / "pictures" / "a.png").read_bytes()[:300])
    more = changes.pop("more", [])
    assert explain(folder, tmp_path / "out", *more, **changes) == 2
    error = capsys.readouterr().err
    assert error.startswith("tfxai: error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "suffix", "message"),
    [("a\nb\n", ".txt", "names of 3 classes, got 2"), ("id,label\n0,cat\n", ".csv", "column 'name', got id, label")],
)
def test_names_must_fit(folder, tmp_path, capsys, text, suffix, message):
    names = tmp_path / f"names{suffix}"
    names.write_text(text)
    assert explain(folder, tmp_path / "out", "--classes", str(names)) == 2
    assert message in capsys.readouterr().err


def test_models_without_image_input_are_an_error(tmp_path, folder, capsys):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "table.keras")
    assert main(["explain", str(tmp_path / "table.keras"), str(folder / "pictures")]) == 2
    assert "Expected a model that takes one image" in capsys.readouterr().err


def test_layers_lists_names_shapes_and_marks_maps(folder, capsys):
    assert main(["layers", str(folder / "logits.keras")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "shape", "spatial"]
    conv = next(line for line in lines if line.startswith("conv"))
    assert re.split(" {2,}", conv) == ["conv", "Conv2D", "(14, 14, 4)", "*"]
    assert next(line for line in lines if line.startswith("logits")).endswith("(3)")


def test_methods_lists_all_of_them(capsys):
    assert main(["methods"]) == 0
    printed = capsys.readouterr().out
    assert all(re.search(rf"^{name} ", printed, re.MULTILINE) for name in tfxai.methods())
    assert "Selvaraju et al. 2017" in printed


def test_demo_writes_a_picture_and_a_page_that_needs_nothing_else(tmp_path, capsys, monkeypatch):
    few = {"integrated_gradients": {"steps": 2}, "smooth_grad": {"samples": 2}, "rise": {"masks": 4}}
    quick = {
        name: few.get(name, {"window": 56} if name == "occlusion" else options) for name, options in METHODS.items()
    }
    monkeypatch.setattr("tfxai.demo.METHODS", quick)
    assert main(["demo", "--images", "6", "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert len(METHODS) >= 8
    for name in [*METHODS, "whole image", "centre disc"]:
        assert re.search(rf"^{name} +\d\.\d\d\d ", printed, re.MULTILINE), name
    assert str(tmp_path / "out" / "demo.png") in printed
    assert str(tmp_path / "out" / "demo.html") in printed
    assert cv2.imread(str(tmp_path / "out" / "demo.png")).std() > 0
    page = (tmp_path / "out" / "demo.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert set(re.findall(r'src="(.{11})', page)) == {"data:image/"}
    assert page.count("<img ") == 6 * (len(METHODS) + 2)


def test_demo_of_no_images_is_an_error(tmp_path, capsys):
    assert main(["demo", "--images", "0", "--output", str(tmp_path / "out")]) == 2
    assert "tfxai: error: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [[], ["explain"], ["layers"], ["methods"], ["demo"]])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    assert f"tfxai {command[0] if command else 'demo'}" in capsys.readouterr().out.split("\n\n", 1)[1]


@pytest.mark.parametrize("arguments", [[], ["explain"], ["explode"], ["explain", "m", "i", "--preprocess", "vgg"]])
def test_wrong_arguments_exit_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_the_package_runs_as_a_module(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["tfxai", "--version"])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("tfxai", run_name="__main__")
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"tfxai {tfxai.__version__}\n"


def test_saved_models_are_explained_as_files_are(folder, tmp_path, capsys):
    keras.models.load_model(folder / "softmax.keras").export(folder / "saved", verbose=False)
    options = ["--method", "grad_cam", "occlusion", "--target", "1"]
    assert explain(folder, tmp_path / "file", *options, model="softmax.keras") == 0
    of_file = capsys.readouterr().out
    assert explain(folder, tmp_path / "saved", *options, "--signature", "serve", model="saved") == 0
    of_saved = capsys.readouterr().out
    assert re.findall(r"[\d.]+%", of_saved) == re.findall(r"[\d.]+%", of_file)
    for method in ("grad_cam", "occlusion"):
        found, expected = (tfxai.Explanation.load(tmp_path / kind / f"{method}.npz") for kind in ("saved", "file"))
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-5, atol=1e-7)
    assert main(["layers", str(folder / "saved"), "--signature", "serving_default"]) == 0
    assert re.search(r"conv +Conv2D +\(14, 14, 4\) +\*", capsys.readouterr().out)
    assert main(["layers", str(folder / "saved"), "--signature", "train"]) == 2
    assert "one of ['serve', 'serving_default']" in capsys.readouterr().err


def test_one_of_several_outputs_is_explained(folder, tmp_path, capsys):
    network = keras.models.load_model(folder / "logits.keras")
    doubled = keras.layers.Rescaling(2.0, name="doubled")(network.outputs[0])
    keras.Model(network.inputs, {"logits": network.outputs[0], "doubled": doubled}).save(folder / "two.keras")
    options = ["--method", "saliency", "--target", "1"]
    assert explain(folder, tmp_path, *options, model="two.keras") == 2
    assert "expected output= to be one of" in capsys.readouterr().err
    values = {}
    for output in ("logits", "doubled"):
        assert explain(folder, tmp_path / output, *options, "--model-output", output, model="two.keras") == 0
        values[output] = tfxai.Explanation.load(tmp_path / output / "saliency.npz").values
    np.testing.assert_allclose(values["doubled"], 2 * values["logits"], rtol=1e-5)
