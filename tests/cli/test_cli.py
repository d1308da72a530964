"""The command line, end to end."""

import base64
import functools
import re
import runpy
import sys
from pathlib import Path
from typing import get_args

import cv2
import keras
import numpy as np
import pytest
from explored import items

import tfxai
from tfxai import choices, explanation, images
from tfxai.api import named
from tfxai.cli import evaluate, features, main
from tfxai.cli.program import COMMANDS
from tfxai.cli.work.methods import HEADINGS
from tfxai.evaluation.demo import METHODS
from tfxai.evaluation.showcase import PICTURES
from tfxai.evaluation.stored import file_name
from tfxai.facts import Kind
from tfxai.models import open_model
from tfxai.models.predict import predict


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


def test_explain_prints_probabilities_of_named_classes_whatever_the_model_ends_in(folder, tmp_path, capsys):
    tables = []
    options = ["--method", "saliency", "--top", "2", "--classes", str(folder / "names.txt")]
    for model in ("logits.keras", "softmax.keras"):
        assert explain(folder, tmp_path, *options, model=model) == 0
        tables.append(re.findall(r"[\d.]+%  .+", capsys.readouterr().out))
    assert tables[0] == tables[1]
    assert len(tables[0]) == 4


@pytest.mark.parametrize("units", [1, 4])
def test_explain_prints_quantities_as_they_are(folder, tmp_path, capsys, units):
    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(units)])
    model.layers[-1].set_weights([np.zeros((768, units)), 40.5 + np.arange(units)])
    model.save(folder / "regression.keras")
    assert explain(folder, tmp_path, "--method", "saliency", "--target", "0", model="regression.keras") == 0
    printed = capsys.readouterr().out
    assert "%" not in printed
    assert re.findall(r"([\d.]+)  output (\d)", printed)[0] == (str(39.5 + units), str(units - 1))


def test_explain_prints_both_classes_of_one_sigmoid_unit(folder, tmp_path, capsys):
    model = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(1, "sigmoid")])
    model.layers[-1].set_weights([np.zeros((768, 1)), np.log([0.25 / 0.75])])
    model.save(folder / "binary.keras")
    (folder / "two.txt").write_text("no\nyes\n")
    for classes, names in (([], ["class 0", "class 1"]), (["--classes", str(folder / "two.txt")], ["no", "yes"])):
        assert explain(folder, tmp_path, "--method", "saliency", *classes, model="binary.keras") == 0
        shown = re.findall(r"([\d.]+)%  (.+)", capsys.readouterr().out)[:2]
        assert shown == [("75.00", names[0]), ("25.00", names[1])]


def test_explain_draws_as_it_is_told(folder, tmp_path):
    """As `plot_grid` does it with the same options."""
    options = {"polarity": "negative", "cmap": "cividis", "alpha": 0.8}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    assert explain(folder, tmp_path, "--method", "gradient_x_input", *words, pictures="pictures/a.png") == 0
    found = tfxai.Explanation.load(tmp_path / "gradient_x_input.npz")
    photograph = images.read(folder / "pictures" / "a.png")
    tfxai.plot_grid({"gradient_x_input": found}, [photograph], **options).savefig(tmp_path / "expected.png", dpi=150)
    drawn, expected = (cv2.imread(str(tmp_path / name)) for name in ("a.png", "expected.png"))
    np.testing.assert_array_equal(drawn, expected)
    tfxai.plot_grid({"gradient_x_input": found}, [photograph]).savefig(tmp_path / "default.png", dpi=150)
    assert not np.array_equal(drawn, cv2.imread(str(tmp_path / "default.png")))


def test_looks_are_of_images(folder, tmp_path, capsys):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    given = ["explain", str(folder / "logits.keras"), "--table", str(tmp_path / "rows.csv"), "--polarity", "signed"]
    assert main(given) == 2
    assert "--polarity with image files" in capsys.readouterr().err


def test_polarities_are_those_of_explanations():
    assert tuple(explanation.POLARITIES) == choices.POLARITIES


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
        ({"more": ["--alpha", "2"]}, "--alpha to be between 0 and 1, got 2.0"),
        ({"more": ["--cmap", "viridiss"]}, "Did you mean"),
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
    error = capsys.readouterr().err
    assert "Expected a model that takes one image" in error
    assert "In Python it can be explained: tfxai.explain(model, inputs)" in error


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
    assert list(HEADINGS) == list(get_args(Kind))
    places = [printed.index(text) for text in (HEADINGS["model"][:40], "\ndeep_dream ", HEADINGS["neurons"][:30])]
    assert places == sorted(places)


def test_methods_of_the_demo_take_their_options(small):
    assert len(METHODS) >= 8
    for method, options in METHODS.items():
        if method != "relevant_features":  # which needs those that were fitted
            assert named(method).make(small, **options).facts.name == method


def test_demo_writes_pictures_and_a_page_that_needs_nothing_else(tmp_path, capsys, monkeypatch):
    few = {"relevant_features": {}, "saliency": {}, "grad_cam": {}, "occlusion": {"window": 56}}
    assert few.keys() < METHODS.keys()
    monkeypatch.setattr("tfxai.evaluation.demo.METHODS", few)
    monkeypatch.setattr("tfxai.evaluation.shipped.EXAMPLES", 24)
    for name, options in {"FEATURES": {"crops": 5}, "RESAMPLING": {"samples": 10}, "CLASSES": {"steps": 2}}.items():
        monkeypatch.setattr(f"tfxai.evaluation.showcase.{name}", options)
    short = functools.partial(tfxai.GuidedFeatureInversion, inversion_steps=3, target_steps=5)
    monkeypatch.setattr("tfxai.evaluation.showcase.GuidedFeatureInversion", short)
    folder = tmp_path / "out"
    assert main(["demo", "--images", "6", "--output", str(folder)]) == 0
    printed = capsys.readouterr().out
    for name in [*few, "whole image", "centre disc"]:
        assert re.search(rf"^{name} +\d\.\d\d\d ", printed, re.MULTILINE), name
    page = (folder / "demo.html").read_text(encoding="utf-8")
    assert str(folder / "demo.html") in printed
    embedded = re.findall(r'class="wide" src="data:image/png;base64,([^"]+)"', page)
    first = [*PICTURES, "demo"]
    assert sorted(file.stem for file in folder.glob("*.png")) == sorted(first)
    for name in first:
        assert str(folder / f"{name}.png") in printed
        assert cv2.imread(str(folder / f"{name}.png")).std() > 20, name  # a blank one has 0
    assert [base64.b64decode(one) for one in embedded] == [(folder / f"{name}.png").read_bytes() for name in PICTURES]
    assert not re.search(r"https?://(?!www.w3.org/2000/svg)|<link|@import|url\(", page)
    assert set(re.findall(r'src="(.{11})', page)) == {"data:image/"}
    assert page.count("<img ") == len(PICTURES) + 6 * 2
    for one in items(page):
        assert {entry["method"] for entry in one["entries"]} == {"part that decides", *few}
    assert page.index("What each class looks like") < page.index("Methods compared")
    assert (page.count("<body>"), page.count("</body>")) == (1, 1)


def test_demo_of_no_images_is_an_error(tmp_path, capsys):
    assert main(["demo", "--images", "0", "--output", str(tmp_path / "out")]) == 2
    assert "tfxai: error: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "command",
    [
        [],
        *([one.NAME] for one in COMMANDS),
        *([group.NAME, one.NAME] for group in (evaluate, features) for one in group.COMMANDS),
    ],
)
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert stopped.value.code == 0
    assert f"tfxai {' '.join(command or ['demo'])}" in capsys.readouterr().out.split("\n\n", 1)[1]


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


def test_a_file_that_is_no_image_is_told_and_left_out(folder, tmp_path, capsys):
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes((folder / "pictures" / f"{name}.png").read_bytes())
    (tmp_path / "aa.png").write_bytes(b"nothing")
    out = tmp_path / "out"
    given = [str(folder / "logits.keras"), str(tmp_path), str(tmp_path / "missing.jpg"), "--method", "saliency"]
    assert main(["explain", *given, "--output", str(out)]) == 1
    assert {file.name for file in out.iterdir()} == {"a.png", "b.png", "saliency.npz"}
    errors = capsys.readouterr().err.splitlines()
    assert [line.startswith("tfxai: left out: ") for line in errors] == [True, True, False]
    assert "aa.png" in errors[0]
    assert "missing.jpg" in errors[1]
    assert "2 of 4 images explained" in errors[2]
    loaded = tfxai.Explanation.load(out / "saliency.npz")
    assert [file[-5:] for file in loaded.facts["files"]] == ["a.png", "b.png"]
    (tmp_path / "a.png").write_bytes(b"nothing")
    bad = [str(tmp_path / "a.png"), str(tmp_path / "aa.png")]
    assert main(["explain", str(folder / "logits.keras"), *bad, "--output", str(tmp_path / "none")]) == 2
    assert "None of 2 files is an image" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_what_is_done_is_written_before_the_next_begins(folder, tmp_path, capsys, monkeypatch, error):
    monkeypatch.setattr("tfxai.cli.work.files.GROUP", 1)
    explain_both, seen = tfxai.Saliency.explain, []

    def interrupted(self, inputs, *args, **options):
        seen.append(sorted(file.name for file in (tmp_path / "out").glob("*.png")))
        if len(seen) == 2:
            raise error
        return explain_both(self, inputs, *args, **options)

    monkeypatch.setattr(tfxai.Saliency, "explain", interrupted)
    options = ["--method", "grad_cam", "saliency"]
    if error is KeyboardInterrupt:
        assert explain(folder, tmp_path / "out", *options) == 130
    else:
        with pytest.raises(error):
            explain(folder, tmp_path / "out", *options)
    assert seen == [[], ["a.png"]]
    made = {"a.png", "grad_cam.npz", "saliency.npz"}
    assert {file.name for file in (tmp_path / "out").iterdir()} == made | {"grad_cam.parts", "saliency.parts"}
    for method, done in (("grad_cam", 2), ("saliency", 1)):
        loaded = tfxai.Explanation.load(tmp_path / "out" / f"{method}.npz")
        assert len(loaded) == len(loaded.facts["files"]) == done
    printed = capsys.readouterr().out
    assert printed.index("b.png") < printed.index("the same command resumes from here")

    def once(self, inputs, *args, **options):
        seen.append(len(inputs))
        return explain_both(self, inputs, *args, **options)

    monkeypatch.setattr(tfxai.Saliency, "explain", once)
    monkeypatch.setattr(tfxai.GradCAM, "explain", once)  # all of it was done
    del seen[:]
    assert explain(folder, tmp_path / "out", *options) == 0
    assert seen == [1]
    printed = capsys.readouterr().out
    assert printed.count("was done by an earlier run") == 3
    assert re.search(r"4 of 4: saliency took \d+ s\n", printed)
    assert {file.name for file in (tmp_path / "out").iterdir()} == made | {"b.png"}
    monkeypatch.setattr(tfxai.Saliency, "explain", explain_both)
    monkeypatch.undo()
    assert explain(folder, tmp_path / "whole", *options) == 0
    for method in ("grad_cam", "saliency"):
        both = [tfxai.Explanation.load(tmp_path / kind / f"{method}.npz") for kind in ("out", "whole")]
        np.testing.assert_allclose(both[0].values, both[1].values, rtol=1e-4, atol=1e-6)
        assert both[0].facts == both[1].facts


@pytest.mark.parametrize("change", [["--target", "1"], ["--preprocess", "0..1"], ["--score", "logit"], "picture"])
def test_what_was_done_otherwise_is_not_taken_again(folder, tmp_path, capsys, monkeypatch, change):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    pictures.mkdir()
    (pictures / "a.png").write_bytes((folder / "pictures" / "a.png").read_bytes())
    given = ["explain", str(folder / "logits.keras"), str(pictures), "--method", "grad_cam", "saliency"]
    with monkeypatch.context() as patched:
        patched.setattr(tfxai.Saliency, "explain", lambda *_, **__: exec("raise KeyboardInterrupt"))
        assert main([*given, "--output", str(out)]) == 130
    if change == "picture":
        (pictures / "a.png").write_bytes((folder / "pictures" / "b.png").read_bytes())
    more = [] if change == "picture" else change
    capsys.readouterr()
    assert main([*given, *more, "--output", str(out)]) == 0
    assert "earlier run" not in capsys.readouterr().out


def test_predictions_are_told_before_the_work_begins(folder, tmp_path, capsys, monkeypatch):
    said = []

    def told(self, *_, **__):
        said.append(capsys.readouterr().out)
        raise KeyboardInterrupt

    monkeypatch.setattr(tfxai.Saliency, "explain", told)
    assert explain(folder, tmp_path, "--method", "saliency", "--classes", str(folder / "names.txt")) == 130
    assert len(re.findall(r"[\d.]+%  ", said[0])) == 6


def test_groups_make_the_files_that_all_at_once_make(folder, tmp_path, monkeypatch):
    killed = tmp_path / "out" / f"{file_name('rise:masks=5')}.parts"  # a run before
    killed.mkdir(parents=True)
    (killed / "000000.npz").write_bytes(b"old")
    options = ["--method", "rise:masks=5", "integrated_gradients:steps=3", "--target", "1"]
    assert explain(folder, tmp_path / "whole", *options) == 0
    monkeypatch.setattr("tfxai.cli.work.files.GROUP", 1)
    assert explain(folder, tmp_path / "out", *options) == 0
    files = sorted((tmp_path / "whole").glob("*.npz"))
    assert len(files) == 2
    for file in files:
        whole, parts = (tfxai.Explanation.load(tmp_path / kind / file.name) for kind in ("whole", "out"))
        for name in ("values", "inputs", "score", "target"):
            np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-4, atol=1e-6)
        assert parts.facts == whole.facts
        assert parts.extras.keys() == whole.extras.keys()


@pytest.mark.parametrize(
    "command",
    [
        ["explain", "{model}", "{pictures}"],
        ["synthesize", "{model}", "--class", "0"],
        ["dream", "{model}", "{pictures}/a.png"],
        ["demo"],
    ],
)
def test_results_that_cannot_be_written_are_noticed_first(folder, tmp_path, capsys, monkeypatch, command):
    monkeypatch.setattr("tfxai.cli.work.given.open_model", None)  # not even the model is read
    (tmp_path / "file").write_text("")
    given = [word.format(model=folder / "logits.keras", pictures=folder / "pictures") for word in command]
    for output in (tmp_path / "file", tmp_path / "file" / "deeper"):
        assert main([*given, "--output", str(output)]) == 2
        assert "Expected a folder for the results" in capsys.readouterr().err
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main([*given, "--output", str(tmp_path / "out")]) == 2
    assert "can be written to" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["flowers"], ["resampling"], ["localization", "model", "images", "boxes.csv"]])
def test_a_table_that_cannot_be_written_is_noticed_first(tmp_path, capsys, monkeypatch, command):
    monkeypatch.setattr("tfxai.cli.work.evaluate_localization.read_boxes", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    Path("model").mkdir()
    assert main(["evaluate", *command, "--csv", str(tmp_path)]) == 2
    assert "Expected a file to write to" in capsys.readouterr().err


def test_the_other_suffix_of_hdf5(folder, tmp_path):
    keras.models.load_model(folder / "logits.keras").save(tmp_path / "model.hdf5")
    assert tfxai.layers(tmp_path / "model.hdf5") == tfxai.layers(folder / "logits.keras")


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("guided_feature_inversion:target_steps=20,penalty=l2", {"target_steps": 20, "penalty": "l2"}),
        ("deep_taylor:bias=False,low=0", {"bias": False, "low": 0}),
        ("smooth_grad:reduction=max_abs,samples=3", {"reduction": "max_abs", "samples": 3}),
        ("var_grad:jit_compile=False,seed=1", {"jit_compile": False, "seed": 1}),
        ("meaningful_perturbation:head=sigmoid,score=logit", {"head": "sigmoid", "score": "logit"}),
    ],
)
def test_methods_take_every_option_of_their_constructor(folder, text, options):
    method = named(text)
    assert method.options == options
    method.make(folder / "logits.keras")


def test_options_that_there_are_not_are_refused():
    for text in ("saliency:samples=3", "grad_cam:model=x", "lrp:options=1", "deep_taylor:classes=a"):
        with pytest.raises(ValueError, match="has no option"):
            named(text)


def test_python_is_told_about_its_own_parameter(folder):
    with pytest.raises(ValueError, match="Expected batch_size to be a positive integer"):
        predict(open_model(folder / "logits.keras"), np.zeros((1, 16, 16, 3), np.float32), 0)


def test_pixels_that_a_model_may_not_expect_are_told(folder, tmp_path, capsys):
    own = ["--method", "saliency"]
    assert explain(folder, tmp_path, *own) == 0
    assert "note: the model does not rescale pixels itself" in capsys.readouterr().out
    for chosen in ("none", "-1..1"):
        assert explain(folder, tmp_path, *own, "--preprocess", chosen) == 0
        assert "note:" not in capsys.readouterr().out
    network = keras.models.load_model(folder / "logits.keras")
    keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), network]).save(tmp_path / "own.keras")
    assert (
        main(
            [
                "explain",
                str(tmp_path / "own.keras"),
                str(folder / "pictures" / "a.png"),
                *own,
                "--output",
                str(tmp_path),
            ]
        )
        == 0
    )
    assert "note:" not in capsys.readouterr().out
