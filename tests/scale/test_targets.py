"""A class for each row, said by a column of the source."""

import data_sets
import keras
import numpy as np
import pytest
import tensorflow as tf
from data_sets import encoded, model_file, pictures

import tfxai
from tfxai.cli import main
from tfxai.scale import Explain
from tfxai.scale.wanted import wanted

pa = pytest.importorskip("pyarrow", reason='an extra of the package: pip install "tfxai[scale]"')
pq = pytest.importorskip("pyarrow.parquet")

IMAGES = pictures(11)
NAMES = ["rose", "tulip", "daisy"]
TARGETS = np.random.default_rng(3).integers(0, 3, 11)
OPTIONS = {"shard_rows": 4, "batch_size": 3, "verbose": 0}
KINDS = ["csv of numbers", "csv of names", "parquet", "parquet of names", "tfrecord", "folder", "dataset"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_file(tmp_path_factory.mktemp("model"))


def records(file, contents, targets):
    with tf.io.TFRecordWriter(str(file)) as writer:
        for content, target in zip(contents, targets, strict=True):
            feature = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[content])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[target])),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
    return file


def csv(file, targets):
    rows = [f"{'ab'[i >= 5]}/{i:03}.png,{target}" for i, target in enumerate(targets)]
    file.write_text("\n".join(["path,label", *rows]))
    return file


def made(kind, folder):
    """A source, and what its column is called."""
    names = [NAMES[target] for target in TARGETS]
    contents = [encoded(image) for image in IMAGES]
    if kind.startswith("csv"):
        data_sets.tree(folder, IMAGES)
        return csv(folder / "list.csv", names if "names" in kind else TARGETS), "label"
    if kind.startswith("parquet"):
        pq.write_table(pa.table({"image": contents, "y": names if "names" in kind else TARGETS}), folder / "a.parquet")
        return folder / "a.parquet", "y"
    if kind == "tfrecord":
        return records(folder / "a.tfrecord", contents, TARGETS), "label"
    if kind == "folder":
        for row, (name, content) in enumerate(zip(names, contents, strict=True)):
            file = folder / "tree" / name / "more" / f"{row:03}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        return folder / "tree", "folder"
    return tf.data.Dataset.from_tensor_slices((IMAGES.astype(np.float32), TARGETS)).batch(5), "label"


def row(name, kind):
    return int(name.rpartition("/")[2].removesuffix(".png")) if "/" in name else int(name)


@pytest.mark.parametrize("kind", KINDS)
def test_each_is_explained_for_its_own_class(kind, model, tmp_path):
    source, column = made(kind, tmp_path)
    options = OPTIONS | {"target": f"column:{column}", "classes": NAMES}
    found = tfxai.explain_dataset(model, source, "gradient_x_input", tmp_path / "out", **options)
    truth = tfxai.GradientXInput(keras.models.load_model(model))(IMAGES.astype(np.float32), target=TARGETS)
    seen = []
    for ids, explanation in found.explanations():
        rows = [row(name, kind) for name in ids]
        seen += rows
        np.testing.assert_array_equal(explanation.target, TARGETS[rows])
        np.testing.assert_allclose(explanation.score, truth.score[rows], rtol=1e-5)
        np.testing.assert_allclose(explanation.heatmaps(), truth.heatmaps()[rows], atol=2e-3)
        assert [explanation.label(i) for i in range(len(rows))] == [NAMES[TARGETS[i]] for i in rows]
    assert sorted(seen) == list(range(11))
    if kind != "dataset":  # the source is found again, with its targets
        assert [row(one.id, kind) for one in found.source().read(0, 11)] == seen
        with pytest.raises(ValueError, match="options target was 'column:"):
            tfxai.explain_dataset(model, source, "gradient_x_input", tmp_path / "out", **options | {"target": 1})


def test_other_targets_are_noticed(model, tmp_path):
    source, _ = made("csv of numbers", tmp_path)
    options = OPTIONS | {"target": "column:label"}
    tfxai.explain_dataset(model, source, "saliency", tmp_path / "out", **options)
    csv(source, (TARGETS + 1) % 3)
    with pytest.raises(ValueError, match="source digest was"):
        tfxai.explain_dataset(model, source, "saliency", tmp_path / "out", **options)


def test_rows_without_a_class_fail_alone(model, tmp_path):
    source, _ = made("csv of numbers", tmp_path)
    csv(source, ["0", "", "2", "rose", "7", *["1"] * 6])
    options = OPTIONS | {"target": "column:label", "max_failures": 3}
    found = tfxai.explain_dataset(model, source, "saliency", tmp_path / "out", **options)
    reasons = {one.id[2:5]: one.reason for one in found.failures()}
    assert sorted(reasons) == ["001", "003", "004"]
    assert reasons["001"] == "It has no target."
    assert "classes=[...]" in reasons["003"]
    assert "The class 7 is out of range: the model has 3 classes" in reasons["004"]
    assert found.seen == found.rows == 11


def test_names_without_the_names_of_all_classes(model, tmp_path):
    source, _ = made("folder", tmp_path)
    with pytest.raises(ValueError, match="give the explainer the names of all classes"):
        tfxai.explain_dataset(model, source, "saliency", tmp_path / "out", target="column:folder", **OPTIONS)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "column", "said"),
    [
        ("csv of numbers", "class", r"list.csv' to have a column 'class' of targets. It has \['path', 'label'\]"),
        ("parquet", "class", r"to have a column 'class' of targets. It has \['image', 'y'\]"),
        ("tfrecord", "class", r"to have a column 'class' of targets. It has \['image', 'label'\]"),
        ("folder", "label", r"tree' to have a column 'label' of targets. It has \['folder'\]"),
        ("dataset", "y", r"the dataset to have a column 'y' of targets. It has \['label'\]"),
        ("folder", "", "the name of a column after"),
    ],
)
def test_columns_that_are_not_there(kind, column, said, model, tmp_path):
    source, _ = made(kind, tmp_path)
    with pytest.raises(ValueError, match=said):
        tfxai.explain_dataset(model, source, "saliency", tmp_path / "out", target=f"column:{column}", **OPTIONS)


def test_datasets_without_labels(model, tmp_path):
    dataset = tf.data.Dataset.from_tensor_slices(IMAGES.astype(np.float32)).batch(4)
    with pytest.raises(ValueError, match="Expected a dataset of pairs"):
        tfxai.explain_dataset(model, dataset, "saliency", tmp_path / "out", target="column:label", **OPTIONS)
    with pytest.raises(ValueError, match="an array to have a column"):
        tfxai.explain_dataset(model, IMAGES, "saliency", tmp_path / "out", target="column:label", **OPTIONS)


def test_workers_and_other_engines(model, tmp_path):
    explain = Explain(model, "saliency", target="column:label", classes=NAMES)
    names = np.array(["tulip", "weed", "rose"])
    found = explain({"id": ["a", "b", "c"], "input": IMAGES[:3].astype(np.float32), "label": names})
    assert dict(zip(found["id"], found["target"], strict=True)) == {"a": 1, "c": 0, "b": -1}
    assert "weed" in found["error"][2]
    with pytest.raises(ValueError, match="'label'"):
        explain({"id": ["a"], "input": IMAGES[:1]})


def test_on_the_command_line(model, tmp_path, capsys):
    source, _ = made("folder", tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    command = ["explain-all", model, source, "--method", "saliency", "--target", "column:folder"]
    command += ["--classes", tmp_path / "names.txt", "--output", tmp_path / "out", "--preprocess", "none"]
    assert main(list(map(str, command))) == 0
    ids, explanation = next(tfxai.scale.read(tmp_path / "out").explanations())
    assert [NAMES[target] for target in explanation.target] == [name.partition("/")[0] for name in ids]


@pytest.mark.parametrize("said", [-1, 1.5, [1, 2], float("nan"), 1j])
def test_what_is_no_class(said):
    with pytest.raises(ValueError, match="Expected a class as its target"):
        wanted(said, None)


def test_a_class_that_is_called_a_number():
    assert wanted("3", ["1", "2", "3"]) == 2
    assert wanted("3", None) == wanted(3, ["1", "2", "3", "4"]) == 3
