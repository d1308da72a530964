"""Evaluation on image files, by the command line."""

import csv

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

import tfxai
from tfxai import metrics
from tfxai.cli import main
from tfxai.datasets import flowers
from tfxai.evaluation import stored
from tfxai.evaluation.boxed_images import BoxedImages, read_boxes
from tfxai.models import loading

N = 13
COLUMNS = "file,class,xmin,ymin,xmax,ymax\n"
BASELINES = ["whole image", "centre box", "centre point"]


@pytest.fixture(scope="module")
def painted():
    """Images, labels, and a box around the petals of each flower."""
    images, labels, masks = flowers.make(n=N, seed=5)
    return images, labels, metrics.find_boxes(masks.astype(float), 0.5, threshold="value")


@pytest.fixture(scope="module")
def folder(tmp_path_factory, painted):
    """The flower network, flowers as files, and their boxes."""
    folder = tmp_path_factory.mktemp("evaluation")
    flowers.load_model().save(folder / "model.keras")
    (folder / "photos").mkdir()
    rows = []
    for number, (image, label, box) in enumerate(zip(*painted, strict=True)):
        cv2.imwrite(str(folder / "photos" / f"{number}.png"), image[..., ::-1])
        rows.append(f"{number}.png,{label},{','.join(f'{corner:g}' for corner in box)}")
    (folder / "boxes.csv").write_text(COLUMNS + "\n".join(rows))
    return folder


@pytest.fixture(scope="module", autouse=True)
def read_once(folder):
    """The network is read from its file once: to read it takes longer than to explain a few flowers."""
    given, read = folder / "model.keras", loading.load_model
    model = read(given, compile=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "load_model", lambda path, **how: model if path == given else read(path, **how))
        yield


@pytest.fixture
def explained(monkeypatch):
    """How many images each call of an explainer was given; too many in all are an interruption."""
    counts, explain = [], tfxai.Explainer.explain

    def counted(self, inputs, *arguments):
        if sum(counts) + len(inputs) > counted.most:
            raise KeyboardInterrupt
        counts.append(len(inputs))
        return explain(self, inputs, *arguments)

    counted.most = np.inf
    monkeypatch.setattr(tfxai.Explainer, "explain", counted)
    return counts, counted


def evaluate(folder, out, *more, boxes=None):
    given = [folder / "model.keras", folder / "photos", boxes or folder / "boxes.csv"]
    files = ["--cache", str(out / "cache"), "--csv", str(out / "table.csv")]
    return main(["evaluate", "localization", *map(str, given), "--batch-size", "4", *files, *more])


def table(out):
    """The CSV file: name to the other columns, numbers as numbers."""
    with open(out / "table.csv", newline="") as file:
        rows = {row.pop("method"): row for row in csv.DictReader(file)}
    return {
        name: {key: value if key == "alphas" else float(value) if value else None for key, value in row.items()}
        for name, row in rows.items()
    }


def without_seconds(rows):
    return {name: {key: value for key, value in row.items() if "seconds" not in key} for name, row in rows.items()}


def test_the_table_is_what_the_metrics_say(folder, painted, tmp_path, capsys):
    images, labels, boxes = painted
    options = ["--threshold", "value", "--component", "largest", "--tolerance", "3", "--seed", "7"]
    assert evaluate(folder, tmp_path, "--method", "saliency", "grad_cam:layer=block4_relu", *options) == 0
    rows = table(tmp_path)
    assert list(rows) == ["saliency", "grad_cam:layer=block4_relu", *BASELINES]
    order = np.random.default_rng(7).permutation(N)
    halves = order[: N // 2], order[N // 2 :]
    first = {}
    for name, method, more in [("saliency", "saliency", {}), (list(rows)[1], "grad_cam", {"layer": "block4_relu"})]:
        heatmaps = tfxai.explain(flowers.load_model(), images, method, labels, **more).heatmaps()
        how, errors, alphas = {"threshold": "value", "component": "largest"}, np.zeros(N, bool), []
        for test, tune in (halves, halves[::-1]):
            alphas.append(metrics.tune_threshold(heatmaps[tune], boxes[tune], **how))
            errors[test] = metrics.localization_error(heatmaps[test], boxes[test], alpha=alphas[-1], **how)
        hits = metrics.pointing_game(heatmaps, boxes, tolerance=3)
        found = rows[name]
        assert [float(alpha) for alpha in found["alphas"].split()] == pytest.approx(alphas)
        for key, values in (("error", errors), ("hits", hits)):
            ends = metrics.bootstrap_interval(values, seed=7)
            assert (found[key], found[f"{key}_low"], found[f"{key}_high"]) == pytest.approx((values.mean(), *ends))
            beside = [found[f"{key}_difference_{end}"] for end in ("low", "high")]
            if name == "saliency":
                first[key] = values
                assert beside == [None, None]
            else:
                assert beside == pytest.approx(metrics.bootstrap_interval(values * 1.0 - first[key], seed=7))
                assert beside[0] < beside[1]
        assert found["images"] == N
        assert found["seconds_per_image"] > 0
    size = (N, 112, 112)
    for name, expected in (("whole image", metrics.whole_image(*size)), ("centre box", metrics.centre_box(*size))):
        assert rows[name]["error"] == pytest.approx(metrics.box_error(expected, boxes).mean())
        assert rows[name]["hits"] is None
    hits = metrics.pointing_game(metrics.centre_point(*size), boxes, tolerance=3)
    assert rows["centre point"]["hits"] == pytest.approx(hits.mean())
    assert rows["centre point"]["error"] is None

    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("grad_cam:layer")]
    assert f"{rows['grad_cam:layer=block4_relu']['error']:.3f}" in printed[0].split()


def test_a_run_goes_on_where_it_was_interrupted(folder, tmp_path, capsys, explained):
    counts, limit = explained
    limit.most = 10
    assert evaluate(folder, tmp_path, "--method", "saliency") == 130
    assert counts == [4, 4]
    assert "interrupted" in capsys.readouterr().err
    limit.most = np.inf
    counts.clear()
    assert evaluate(folder, tmp_path, "--method", "saliency") == 0
    assert counts == [4, 1]
    assert f"8 of {N} images are stored" in capsys.readouterr().out
    counts.clear()
    assert evaluate(folder, tmp_path, "--method", "saliency", "--threshold", "mean") == 0
    assert counts == []

    (tmp_path / "new").mkdir()
    assert evaluate(folder, tmp_path / "new", "--method", "saliency") == 0
    assert without_seconds(table(tmp_path)) == without_seconds(table(tmp_path / "new"))


def test_a_batch_that_is_half_written_is_made_again(folder, tmp_path, monkeypatch, explained):
    def interrupt(*files):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(stored.os, "replace", interrupt)
        assert evaluate(folder, tmp_path, "--method", "saliency") == 130
    assert [file.name for file in (tmp_path / "cache" / "saliency").iterdir()] == ["0000000.unfinished"]
    explained[0].clear()
    assert evaluate(folder, tmp_path, "--method", "saliency") == 0
    assert sum(explained[0]) == N


def test_more_images_and_other_settings_of_the_metrics_reuse_heatmaps(folder, tmp_path, explained):
    counts, _ = explained
    for limit, seed, new in (("6", "0", [4, 2]), ("11", "0", [4, 1]), ("7", "0", []), ("11", "1", [])):
        counts.clear()
        assert evaluate(folder, tmp_path, "--method", "saliency", "--limit", limit, "--seed", seed) == 0
        assert counts == new
        assert table(tmp_path)["saliency"]["images"] == int(limit)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--preprocess", "0..1"], "preprocess was 'none' and is '0..1'"),
        (["--target", "predicted"], "target was 'boxes' and is 'predicted'"),
        (["--score", "probability"], "options was {} and is {'score': 'probability'}"),
    ],
)
def test_changed_settings_are_noticed(folder, tmp_path, capsys, explained, changes, message):
    assert evaluate(folder, tmp_path, "--method", "saliency", "--limit", "4") == 0
    explained[0].clear()
    assert evaluate(folder, tmp_path, "--method", "saliency", "--limit", "4", *changes) == 2
    assert message in capsys.readouterr().err
    assert explained[0] == []


def test_changed_models_and_images_are_noticed(folder, tmp_path, capsys):
    again = tmp_path / "again"
    (again / "photos").mkdir(parents=True)
    for file in ("model.keras", "boxes.csv", *(f"photos/{number}.png" for number in range(4))):
        (again / file).write_bytes((folder / file).read_bytes())
    limit = ["--method", "saliency", "--limit", "4"]
    assert evaluate(again, tmp_path, *limit) == 0
    (again / "photos" / "2.png").write_bytes((folder / "photos" / "3.png").read_bytes())
    assert evaluate(again, tmp_path, *limit) == 2
    assert "the image was '2.png " in capsys.readouterr().err
    model = flowers.load_model()
    model.get_layer("logits").bias.assign_add(np.ones(6))
    model.save(again / "model.keras")
    assert evaluate(again, tmp_path, *limit) == 2
    assert "model was " in capsys.readouterr().err


def test_methods_inside_others_and_features_that_changed(folder, painted, tmp_path, capsys, explained):
    features = tfxai.RelevantFeatures(flowers.load_model(), mu=1).fit(*painted[:2], verbose=0)
    features.save(tmp_path / "features.npz")
    methods = [f"relevant_features:features={tmp_path}/features.npz,top=1", "smooth_grad(grad_cam):samples=2"]
    given = ["--limit", "4", "--method"]
    assert evaluate(folder, tmp_path, *given, *methods) == 0
    assert {"relevant_features:features=features.npz,top=1", methods[1]} < table(tmp_path).keys()
    explained[0].clear()
    features.weights_ = features.weights_[::-1].copy()
    features.save(tmp_path / "features.npz")
    assert evaluate(folder, tmp_path, *given, methods[0]) == 2
    assert "features was " in capsys.readouterr().err
    assert evaluate(folder, tmp_path, *given, "smooth_grad(grad_cam:layer=block3_relu):samples=2") == 0
    assert evaluate(folder, tmp_path, *given, methods[1], "--score", "probability") == 2
    assert "inside was " in capsys.readouterr().err
    assert explained[0] == [4]


def test_a_damaged_file_is_told(folder, tmp_path, capsys):
    file = tmp_path / "cache" / "saliency" / "0000000.npz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"PK\x03\x04 no more")
    assert evaluate(folder, tmp_path, "--method", "saliency") == 2
    assert "0000000.npz': " in capsys.readouterr().err


def test_the_predicted_class_can_be_explained(folder, tmp_path, capsys):
    """Boxes that give each flower the next class: by the prediction, the maps are those of the right class."""
    boxes = tmp_path / "boxes.csv"
    lines = (folder / "boxes.csv").read_text().splitlines()[1:]
    cells = [line.split(",", 2) for line in lines]
    boxes.write_text("file,class_index,xmin,ymin,xmax,ymax,width,height\n")
    with boxes.open("a") as file:
        file.writelines(f"{name},{(int(label) + 1) % 6},{box},9,9\n" for name, label, box in cells)
    found = {}
    for name, table_of, target in [("right", None, "boxes"), ("wrong", boxes, "boxes"), ("own", boxes, "predicted")]:
        (tmp_path / name).mkdir()
        options = ["--method", "grad_cam", "--target", target, "--threshold", "value"]
        assert evaluate(folder, tmp_path / name, *options, boxes=table_of) == 0
        found[name] = without_seconds(table(tmp_path / name))
    assert found["own"] == found["right"]
    assert found["wrong"]["grad_cam"]["hits"] < found["right"]["grad_cam"]["hits"]


def test_boxes_are_scaled_with_the_image_and_refer_to_the_file_as_stored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(np.zeros((20, 40, 3), np.uint8)).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(np.zeros((16, 8, 3), np.uint8)).save(tmp_path / "plain.png")
    (tmp_path / "boxes.csv").write_text(
        COLUMNS + "turned.jpg,1,0,5,40,10\nplain.png,0,1,2,3,4\nturned.jpg,1,10,0,20,20\nturned.jpg,2,0,0,1,1\n"
    )
    images = BoxedImages(tmp_path, read_boxes(tmp_path / "boxes.csv"), (16, 16))
    assert images.classes.tolist() == [1, 0, 2]
    expected = [[[0, 4, 16, 8], [4, 0, 8, 16]], [[2, 2, 6, 4]], [[0, 0, 0.4, 0.8]]]
    for found, wanted in zip(images.boxes, expected, strict=True):
        np.testing.assert_allclose(found, wanted)
    assert images[1:3].shape == (2, 16, 16, 3)


def test_boxes_are_cropped_with_the_image(tmp_path):
    """Boxes are painted, and looked for in what the network gets."""
    painted = {"within": (12, 6, 16, 12), "over the edge": (0, 2, 14, 8), "outside": (0, 0, 9, 9)}
    lines = []
    for name, (left, top, right, bottom) in painted.items():
        pixels = np.zeros((16, 32, 3), np.uint8)
        pixels[top:bottom, left:right] = 255
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        lines.append(f"{name}.png,{len(name)},{left},{top},{right},{bottom}\n")
    (tmp_path / "boxes.csv").write_text(COLUMNS + "".join(lines))
    boxes = read_boxes(tmp_path / "boxes.csv")
    images = BoxedImages(tmp_path, boxes, (8, 8), crop=0.75)  # columns 10 to 21 and rows 2 to 13
    assert len(images) == len(images.keys) == 2
    assert images.classes.tolist() == [len("within"), len("over the edge")]
    assert images.left_out == [str(tmp_path / "outside.png")]
    wide = BoxedImages(tmp_path, boxes, (12, 12), crop=0.75)  # pixel for pixel
    for picture, found in zip(wide[:2], wide.boxes, strict=True):
        rows, columns = np.nonzero(picture[..., 0])
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(found, [seen])
    with pytest.raises(ValueError, match="Expected boxes in the middle of images"):
        BoxedImages(tmp_path, {("outside.png", 0): boxes["outside.png", 7]}, (8, 8), crop=0.75)


def test_a_crop_of_the_command_leaves_out_images_and_says_so(folder, tmp_path, capsys):
    (tmp_path / "boxes.csv").write_text(COLUMNS + "".join(f"{n}.png,0,40,40,70,70\n" for n in range(4)))
    with (tmp_path / "boxes.csv").open("a") as file:
        file.write("4.png,0,0,0,9,9\n")
    options = ["--method", "grad_cam", "--crop", "0.5"]
    assert evaluate(folder, tmp_path, *options, boxes=tmp_path / "boxes.csv") == 0
    assert "left out: 1 of 5 images whose boxes lie outside --crop, such as" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class,xmin,ymin,xmax\n", "to have the columns ['ymax'] too, it has ['file', 'class'"),
        ("file,xmin,ymin,xmax,ymax\n", "to have the columns ['class'] too"),
        ("", "to have the columns ['file', 'xmin'"),
        (COLUMNS, "There are no boxes in"),
        (COLUMNS + "0.png,red,0,0,9,9\n", "in line 2"),
        (COLUMNS + "0.png,0,0,0,9,9\n0.png,0,9,0,9,9\n", "in line 3"),
        (COLUMNS + "0.png,0,0,0,9,nan\n", "ymax nan"),
        (COLUMNS + "0.png,0,0,0,9\n", "ymax None"),
        (COLUMNS + "0.png,-1,0,0,9,9\n", "class -1"),
        (COLUMNS + "0.png,0,0,0,113,9\n", "[0.0, 0.0, 113.0, 9.0] lies outside"),
        (COLUMNS + "0.png,0,-1,0,9,9\n", "lies outside"),
        (COLUMNS + "missing.png,0,0,0,9,9\n", "There is no image file"),
        (COLUMNS + "0.png,6,0,0,9,9\n", "class 6, which is out of range: the model has 6 classes, 0 to 5"),
        (COLUMNS + "0.png,0,0,0,9,9\n", "Expected 4 images or more"),
    ],
)
def test_tables_that_do_not_fit(folder, tmp_path, capsys, text, message):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text(text)
    assert evaluate(folder, tmp_path, boxes=boxes) == 2
    error = capsys.readouterr().err
    assert error.startswith("tfxai: error: ")
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--method", "saliency:layr=conv"], "The method saliency has no option 'layr'. Expected one of ['reduction'"),
        (["--method", "saliency:reduction"], "NAME:OPTION=VALUE"),
        (["--method", "salient"], "Unknown method 'salient'"),
        (["--limit", "0"], "a limit of 1 image or more"),
        (["--batch-size", "0"], "--batch-size"),
        (["--seed", "-1"], "negative"),
        (["--tolerance", "-1"], "tolerance of 0 pixels or more"),
        (["--method", "grad_cam:layer=none"], "Unknown layer 'none'"),
    ],
)
def test_options_that_do_not_fit(folder, tmp_path, capsys, more, message):
    assert evaluate(folder, tmp_path, *more) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "table.csv").exists()


def test_missing_folders_are_told(folder, tmp_path, capsys):
    for images, boxes, message in [
        ("nowhere", "boxes.csv", "Expected a folder of images, and"),
        ("photos", "nowhere.csv", "There is no file"),
    ]:
        given = [str(folder / name) for name in ("model.keras", images, boxes)]
        assert main(["evaluate", "localization", *given, "--cache", str(tmp_path)]) == 2
        assert message in capsys.readouterr().err


def test_options_of_methods_reach_explain_too(folder, tmp_path, painted):
    photo = str(folder / "photos" / "0.png")
    methods = ["GradCAM:layer=block4_relu", "occlusion:window=(28, 14),stride=14,fill=mean"]
    assert main(["explain", str(folder / "model.keras"), photo, "--method", *methods, "--output", str(tmp_path)]) == 0
    options = {"window": (28, 14), "stride": 14, "fill": "mean"}
    for file, method, more in [
        ("grad_cam_layer=block4_relu.npz", "grad_cam", {"layer": "block4_relu"}),
        ("occlusion_window=_28,_14_,stride=14,fill=mean.npz", "occlusion", options),
    ]:
        expected = tfxai.explain(flowers.load_model(), painted[0][:1], method, **more)
        np.testing.assert_allclose(tfxai.Explanation.load(tmp_path / file).values, expected.values, atol=1e-6)


def test_models_of_a_fixed_batch_are_evaluated(folder, tmp_path):
    model = flowers.load_model()
    fixed = keras.Input(batch_shape=(3, 112, 112, 3))
    fixed_folder = tmp_path / "fixed"
    fixed_folder.mkdir()
    keras.Model(fixed, model(fixed)).save(fixed_folder / "model.keras")
    for name in ("photos", "boxes.csv"):
        (fixed_folder / name).symlink_to(folder / name)
    assert evaluate(fixed_folder, tmp_path, "--method", "saliency", "--limit", "5") == 0
    assert table(tmp_path)["saliency"]["images"] == 5


def test_only_the_second_half_may_be_scored():
    heatmaps = np.random.default_rng(0).random((9, 12, 12))
    boxes = np.tile([2.0, 2, 8, 9], (9, 1))
    half, *_, point = metrics.compare_localization(
        {"noise": heatmaps}, boxes, threshold="value", cross_fit=False, seed=3
    )
    both, *_ = metrics.compare_localization([("noise", heatmaps)], boxes, threshold="value", seed=3)
    assert (half.images, point.images, both.images) == (5, 5, 9)
    assert half.alphas == both.alphas[1:]
    second = np.random.default_rng(3).permutation(9)[4:]
    assert half.hits == metrics.pointing_game(heatmaps[second], boxes[second]).mean()


def test_splits_depend_on_the_seed_alone():
    random = np.random.default_rng(1)
    heatmaps = {"noise": random.random((40, 12, 12))}
    corners = np.sort(random.integers(0, 12, (40, 2, 2)), 1)
    boxes = (corners + np.array([[0], [1]])).reshape(40, 4)
    first, again, other = (
        metrics.compare_localization(heatmaps, boxes, threshold="value", seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first[0] != other[0]
    assert [score.error for score in first[1:]] == [score.error for score in other[1:]]


def test_heatmaps_to_compare_must_fit():
    boxes = np.tile([2.0, 2, 8, 9], (4, 1))
    with pytest.raises(ValueError, match="of one or more methods, got none"):
        metrics.compare_localization({}, boxes)
    with pytest.raises(ValueError, match=r"'b' have the shape \(4, 9, 9\), and the first have \(4, 8, 8\)"):
        metrics.compare_localization({"a": np.ones((4, 8, 8)), "b": np.ones((4, 9, 9))}, boxes)
    with pytest.raises(ValueError, match="of 4 images"):
        metrics.compare_localization({"a": np.ones((5, 8, 8))}, boxes)


@pytest.mark.parametrize("command", [[], ["localization"], ["flowers"]])
def test_help_says_what_can_be_evaluated(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *command, "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    for name in command or ["localization", "flowers"]:
        assert name in printed
