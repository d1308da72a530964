"""tfxai features, tfxai resample and tfxai invert, on the network of flowers."""

import csv
import dataclasses
import re

import cv2
import numpy as np
import pytest
from explored import items

import tfxai
from tfxai import images
from tfxai.cli import main
from tfxai.cli.work import features_fit, resample
from tfxai.datasets import flowers
from tfxai.inversion import figures

NAMES = flowers.CLASSES["single-6c"]
SIZE = 48


@pytest.fixture(scope="module")
def model():
    return flowers.load_model()


@pytest.fixture(scope="module")
def painted():
    return flowers.make(n=12, size=SIZE)[:2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model, painted):
    """The network, names of its classes, a folder of flowers, and the same in a folder for each class."""
    folder = tmp_path_factory.mktemp("seed")
    model.save(folder / "flowers.keras")
    (folder / "names.txt").write_text("\n".join(NAMES))
    for number, (image, label) in enumerate(zip(*painted, strict=True)):
        for place in (folder / "flat", folder / "sorted" / NAMES[label], folder / "numbered" / str(label)):
            place.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(place / f"{number:02}.png"), image[..., ::-1])
    (folder / "few").mkdir()
    for number in (0, 1):
        cv2.imwrite(str(folder / "few" / f"{number}.png"), painted[0][number][..., ::-1])
    return folder


@pytest.fixture(scope="module")
def fitted(model, painted, folder):
    """Features, and their file."""
    features = tfxai.RelevantFeatures(model, mu=5, classes=NAMES).fit(*painted, verbose=0)
    features.save(folder / "fitted.npz")
    return features


def run(folder, *words):
    """The command, with paths in the folder of the test written as {}/..."""
    return main([str(word).replace("{}", str(folder)) for word in words])


def drawn(file):
    """A picture, which is not empty."""
    found = cv2.imread(str(file))
    assert found is not None, file
    assert found.std() > 10
    return found


class TestFit:
    def fit(self, folder, tmp_path, *words):
        given = ("features", "fit", "{}/flowers.keras", *words, "--output", tmp_path / "found.npz", "--mu", "5")
        return run(folder, *given)

    def test_folders_by_name(self, folder, model, fitted, tmp_path, capsys, monkeypatch):
        """A batch at a time; what is found is that of all images at once."""
        most = []
        prepare = images.prepare
        monkeypatch.setattr(images, "prepare", lambda batch, *more: most.append(len(batch)) or prepare(batch, *more))
        options = ("--classes", "{}/names.txt", "--batch-size", "5")
        assert self.fit(folder, tmp_path, "{}/sorted", *options) == 0
        assert max(most) == 5
        printed = capsys.readouterr().out
        found = tfxai.RelevantFeatures.load(tmp_path / "found.npz", model, classes=NAMES)
        np.testing.assert_allclose(found.weights_, fitted.weights_, atol=1e-3)
        np.testing.assert_array_equal(found.counts_, [2] * 6)
        assert found.report() in printed
        assert str(tmp_path / "found.npz") in printed
        assert str(tmp_path / "found.png") in printed
        assert drawn(tmp_path / "found.png").shape[0] > 6 * 150  # a row for each class

    def test_labels_of_the_model_and_of_a_table(self, folder, model, painted, tmp_path):
        for number in (3, 7):  # one that is none is left out, whatever is known of it
            (tmp_path / "flat").mkdir(exist_ok=True)
            cv2.imwrite(str(tmp_path / "flat" / f"{number}.png"), painted[0][number][..., ::-1])
        (tmp_path / "flat" / "4.png").write_bytes(b"nothing")
        rows = [(f"{number}.png", NAMES[painted[1][number]]) for number in (4, 3, 7)]
        (tmp_path / "labels.csv").write_text("\n".join(["file,class", *map(",".join, rows)]))
        layers = ("--layers", "block4_relu", "block5_relu", "--classes", "{}/names.txt")
        found = []
        for labels in ("predicted", tmp_path / "labels.csv"):
            assert self.fit(folder, tmp_path, tmp_path / "flat", "--labels", labels, *layers) == 1
            found.append(tfxai.RelevantFeatures.load(tmp_path / "found.npz", model))
        expected = tfxai.RelevantFeatures(model, ["block4_relu", "block5_relu"], mu=5).fit(
            painted[0][[3, 7]], painted[1][[3, 7]], verbose=0
        )
        for one in found:
            assert one.layers_ == ("block4_relu", "block5_relu")
            np.testing.assert_allclose(one.weights_, expected.weights_, atol=1e-3)
        drawn(tmp_path / "found.png")

    def test_folders_are_classes_by_number_name_or_order(self, folder, painted):
        expected = {f"{number:02}.png": label for number, label in enumerate(painted[1].tolist())}
        for place, names in (("numbered", None), ("sorted", NAMES)):
            found = features_fit.read_labels(folder / place, None, names)
            assert {path.name: label for path, label in found.items()} == expected
        by_order = features_fit.read_labels(folder / "sorted", None, None)
        assert {label: path.parent.name for path, label in by_order.items()} == dict(enumerate(sorted(NAMES)))
        features_fit.check_folders(by_order, 6)
        with pytest.raises(ValueError, match="has 7 classes, but there are 6 folders"):
            features_fit.check_folders(by_order, 7)
        features_fit.check_folders(features_fit.read_labels(folder / "numbered", None, None), 7)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["{}/missing"], "missing' is not one"),
            (["{}/flat"], "Expected a folder for each class in"),
            (["{}/flat", "--labels", "{}/none.csv"], "none.csv' with labels"),
            (["{}/flat", "--labels", "{}/names.txt"], "columns file and class, it has ['red petals']"),
            (["{}/sorted", "--classes", "{}/two.txt"], "No class is called"),
            (["{}/flat", "--labels", "predicted", "--mu", "much"], "Expected --mu to be a positive number or auto"),
            (["{}/flat", "--labels", "predicted", "--batch-size", "0"], "--batch-size"),
            (["{}/flat", "--labels", "predicted", "--layers", "block6"], "Unknown layer 'block6'"),
            (["{}/flat", "--labels", "predicted", "--output", "{}"], "is a folder"),
        ],
    )
    def test_mistakes(self, folder, tmp_path, capsys, words, message):
        (folder / "two.txt").write_text("a\nb\n")
        given = ["features", "fit", "{}/flowers.keras", "--output", tmp_path / "out" / "found.npz", *words]
        assert run(folder, *given) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_without_names_folders_must_be_as_many_as_classes(self, folder, tmp_path, capsys):
        (tmp_path / "sorted" / "one").mkdir(parents=True)
        (tmp_path / "sorted" / "one" / "a.png").write_bytes((folder / "few" / "0.png").read_bytes())
        assert run(folder, "features", "fit", "{}/flowers.keras", tmp_path / "sorted") == 2
        assert "The model has 6 classes, but there are 1 folders" in capsys.readouterr().err


def test_explanations_by_features(folder, fitted, painted, tmp_path, capsys):
    options = ["--features", "{}/fitted.npz", "--classes", "{}/names.txt", "--strongest", "2", "--output", tmp_path]
    few = ["features", "explain", "{}/flowers.keras", "{}/few"]
    assert run(folder, *few, *options, "--preset", "paper") == 0
    found = tfxai.Explanation.load(tmp_path / "relevant_features.npz")
    expected = fitted.explain(painted[0][:2], top=2, preset="paper")
    np.testing.assert_allclose(found.values, expected.values, atol=1e-4)
    np.testing.assert_array_equal(found.extras["top"], expected.extras["top"])
    assert [one.channel for one in found.evidence()[0]] == [one.channel for one in expected.evidence()[0]]
    for name in ("0.png", "1.png"):
        drawn(tmp_path / name)
    printed = capsys.readouterr().out
    assert re.search(r"%  [a-z]+ petals", printed)
    assert run(folder, *few, "--features", "{}/names.txt") == 2
    assert "names.txt' holds no relevant features" in capsys.readouterr().err


def test_inversion(folder, model, painted, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tfxai.cli.work.files.GROUP", 1)
    steps = ["--inversion-steps", "2", "--target-steps", "3", "--layer", "block5_relu", "--preset", "authors"]
    out = ["--output", tmp_path / "out"]
    assert (
        run(folder, "invert", "{}/flowers.keras", "{}/few", *steps, "--base-layer", "block3_relu", *out, "--html") == 0
    )
    values, page = "guided_feature_inversion.npz", "explanations.html"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"0.png", "1.png", values, page}
    html = (tmp_path / "out" / page).read_text(encoding="utf-8")
    entries = [one["entries"][0] for one in items(html)]
    assert [[more["caption"] for more in one["more"]] for one in entries] == [
        ["inversion mask", "foreground", "background", "the mask", "the loss over 2 and 3 steps"]
    ] * 2
    found = tfxai.Explanation.load(tmp_path / "out" / values)
    expected = tfxai.GuidedFeatureInversion(
        model,
        "block5_relu",
        base_layer="block3_relu",
        preset="authors",
        inversion_steps=2,
        target_steps=3,
        frames=True,
    )(painted[0][:2])
    np.testing.assert_allclose(found.values, expected.values, atol=1e-3)
    assert found.extras.keys() == expected.extras.keys()
    picture = drawn(tmp_path / "out" / "1.png")
    assert picture.shape[1] > 4 * picture.shape[0] * 0.7  # five cells, one beside the other
    assert run(folder, "invert", "{}/flowers.keras", "{}/few", "--target-steps", "0", *out) == 2
    assert "Expected target_steps to be a positive integer" in capsys.readouterr().err


def test_stages_are_drawn_as_they_were_found(model, painted):
    method = tfxai.GuidedFeatureInversion(model, inversion_steps=1, target_steps=1, classes=NAMES)
    explanation = method(painted[0][:2])
    figure = figures.stages(explanation, pixels=lambda x: np.clip(np.round(x), 0, 255).astype(np.uint8))
    assert [cell.get_title() for cell in figure.axes[:5]] == list(figures.COLUMNS)
    rows = [[cell.images[0].get_array() for cell in figure.axes[5 * row :][:5]] for row in range(2)]
    for row, (photograph, _, _, foreground, background) in enumerate(rows):
        np.testing.assert_array_equal(photograph, painted[0][row])
        for shown, name in ((foreground, "foreground"), (background, "background")):
            np.testing.assert_allclose(shown, explanation.extras[name][row], atol=0.51)
    assert np.abs(rows[0][1].astype(int) - rows[0][2]).max() > 0  # each stage has its own mask
    assert NAMES[explanation.target[0]] in figure.axes[0].get_xlabel()
    bars = [len(cell.child_axes) for cell in figure.axes[:5]]
    assert bars == [0, 1, 1, 0, 0]  # of the masks, with their values
    for cell, masks in ((1, explanation.extras["inversion_values"]), (2, explanation.values)):
        low, high = figure.axes[cell].child_axes[0].get_xticks()
        assert low == pytest.approx(masks[0].min(), abs=0.01 * float(masks[0].max()))
        assert high == pytest.approx(np.percentile(masks[0], 99), rel=0.02)

    for stage in ("inversion_values", "target_steps"):  # one of them alone
        alone = {name: x for name, x in explanation.extras.items() if name != stage}
        with pytest.raises(ValueError, match='stages="both"'):
            figures.stages(dataclasses.replace(explanation, extras=alone))


class TestResample:
    def test_pictures_numbers_and_table(self, folder, model, painted, tmp_path, capsys):
        layers = ["block2_relu", "block5_relu"]
        options = [
            "--layers",
            *layers,
            "--samples",
            "8",
            "--seed",
            "3",
            "--best",
            "3",
            "--classes",
            "{}/names.txt",
            "--effect",
        ]
        assert run(folder, "resample", "{}/flowers.keras", "{}/few", *options, "--output", tmp_path) == 0
        method = tfxai.InputResampling(model, layers, samples=8, seed=3, relative=True, effect=True, classes=NAMES)
        expected = method(painted[0][:2], verbose=0)
        for number in (0, 1):
            found = tfxai.resampling.Resampling.load(tmp_path / str(number) / "resampling.npz")
            for layer in layers:
                np.testing.assert_allclose(
                    found.scores["correlation"][layer][0], expected.scores["correlation"][layer][number], atol=1e-3
                )
            names = ["patches", "sets", "overlap", *(f"scores-{layer}" for layer in layers)]
            assert {file.name for file in (tmp_path / str(number)).iterdir()} == {
                "resampling.npz",
                "channels.html",
                *(f"{name}.png" for name in names),
            }
            for name in names:
                drawn(tmp_path / str(number) / f"{name}.png")
            html = (tmp_path / str(number) / "channels.html").read_text(encoding="utf-8")
            assert f"Channels of {number}.png" in html
            assert html.count('"kind":"scatter"') == len(layers)
        with (tmp_path / "channels.csv").open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        assert {row["file"][-5:] for row in rows} == {"0.png", "1.png"}
        assert {row["score"] for row in rows} == {*expected.scores}
        for score in ("correlation", "precision"):
            for layer, channels in expected.top(score, 3).items():
                own = [row for row in rows if row["file"].endswith("1.png") and row["score"] == score]
                own = [row for row in own if row["layer"] == layer]
                assert [row["rank"] for row in own] == ["1", "2", "3"]
                np.testing.assert_allclose(
                    [float(row["value"]) for row in own], expected.scores[score][layer][1][channels[1]], rtol=1e-2
                )
        assert f"{NAMES[expected.target[0]]}: score" in capsys.readouterr().out

    def test_boxes_are_of_layers_that_see_a_part(self, model, painted):
        """block2_relu sees 8 pixels, block4_relu and block5_relu 22."""
        method, layers = tfxai.InputResampling(model), ("block2_relu", "block4_relu", "block5_relu")
        for size, expected in ((40, ["block2_relu"]), (48, list(layers)), (16, list(layers))):
            assert resample.local(method, painted[0][:1, :size, :size], layers) == expected

    def test_what_is_done_is_written(self, folder, tmp_path, monkeypatch):
        call, seen = tfxai.InputResampling.__call__, []

        def interrupted(self, *more, **options):
            seen.append(sorted(file.name for file in tmp_path.rglob("*.*")))
            if len(seen) == 2:
                raise KeyboardInterrupt
            return call(self, *more, **options)

        monkeypatch.setattr(tfxai.InputResampling, "__call__", interrupted)
        options = ["--layers", "block1_relu", "--samples", "3", "--output", tmp_path]
        assert run(folder, "resample", "{}/flowers.keras", "{}/few", *options) == 130
        written = ["channels.csv", "channels.html", "overlap.png", "patches.png", "resampling.npz"]
        written += ["scores-block1_relu.png", "sets.png"]
        assert seen == [[], written]

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--samples", "2"], "Expected samples to be at least 3"),
            (["--layers", "block9"], "Unknown layer 'block9'"),
            (["--target", "red petals"], "--classes"),
            (["--best", "0"], "--best"),
        ],
    )
    def test_mistakes(self, folder, tmp_path, capsys, words, message):
        assert run(folder, "resample", "{}/flowers.keras", "{}/few", *words, "--output", tmp_path / "out") == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [["invert", "{}/few"], ["resample", "{}/few"], ["features", "explain", "{}/few"]])
def test_results_that_cannot_be_written_are_noticed_first(folder, tmp_path, capsys, monkeypatch, command):
    monkeypatch.setattr("tfxai.cli.work.given.open_model", None)  # not even the model is read
    (tmp_path / "file").write_text("")
    *command, pictures = command
    more = ["--features", "f.npz"] if command[0] == "features" else []
    assert run(folder, *command, "{}/flowers.keras", pictures, *more, "--output", tmp_path / "file") == 2
    assert "Expected a folder for the results" in capsys.readouterr().err


def test_a_file_that_is_no_image_is_left_out(folder, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"nothing")
    given = ["{}/flowers.keras", tmp_path / "a.png", "{}/few/0.png", "--output", tmp_path / "out"]
    assert run(folder, "resample", *given, "--samples", "3", "--layers", "block1_relu") == 1
    assert "1 of 2 images resampled" in capsys.readouterr().err
    assert (tmp_path / "out" / "0" / "patches.png").exists()


def test_colours_are_those_of_the_photograph(folder, painted, monkeypatch):
    """Also where the model takes blue before red, less a mean."""
    monkeypatch.setattr(
        "tfxai.cli.work.invert.explain_files", lambda arguments, methods, make, draw: draw(dict.fromkeys(methods, 0), 0)
    )
    monkeypatch.setattr(figures, "stages", lambda explanation, photographs, pixels: shown.append(pixels))
    for mode in images.MODES:
        shown = []
        run(folder, "invert", "{}/flowers.keras", "{}/few", f"--preprocess={mode}")
        np.testing.assert_allclose(shown[0](images.prepare(painted[0][:2], mode=mode)), painted[0][:2], atol=1)
