"""Kinds of sources: the same images have the same explanations wherever they come from."""

import re

import data_sets
import keras
import numpy as np
import pytest
import tensorflow as tf
from data_sets import encoded, model_file, pictures, records, table, tree

import tfxai
from tfxai.scale import Explain, sources
from tfxai.scale.records import TFRecords
from tfxai.scale.sources import open_source

pa = pytest.importorskip("pyarrow", reason='an extra of the package: pip install "tfxai[scale]"')
pq = pytest.importorskip("pyarrow.parquet")

IMAGES = pictures(11)
SHARD = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_file(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tree(tmp_path_factory.mktemp("photos"), IMAGES)


def parquet(file, column, values, groups=3, **kinds):
    pq.write_table(pa.table({column: values, "label": [0] * len(values)}), file, row_group_size=groups)
    return file


def paths():
    return [f"{'ab'[i >= 5]}/{i:03}.png" for i in range(11)]


def made(kind, tmp_path, folder):
    """A source of the images, and their ids."""
    numbers = [str(number) for number in range(11)]
    files = [encoded(image) for image in IMAGES]
    x = IMAGES.astype(np.float32)
    if kind == "folder":
        return folder, paths()
    if kind == "csv":
        return table(tree(tmp_path / "own", IMAGES) / "list.csv", paths()), paths()
    if kind == "parquet of bytes":
        return parquet(tmp_path / "a.parquet", "image", files), numbers
    if kind == "parquet of structs":
        return parquet(tmp_path / "a.parquet", "image", [{"bytes": one, "path": None} for one in files]), numbers
    if kind == "parquet of paths":
        return parquet(tree(tmp_path / "own", IMAGES) / "a.parquet", "path", paths(), 5), numbers
    if kind == "parquet of numbers":
        return parquet(tmp_path / "a.parquet", "input", x.tolist(), 11), numbers
    if kind == "folder of parquet":
        (tmp_path / "parts").mkdir()
        for name, part in (("a", slice(0, 6)), ("b", slice(6, 11))):
            parquet(tmp_path / "parts" / f"{name}.parquet", "image", files[part])
        return tmp_path / "parts", numbers
    if kind == "tfrecord":
        return records(tmp_path / "a.tfrecord", files), numbers
    if kind == "folder of tfrecords":
        (tmp_path / "parts").mkdir()
        records(tmp_path / "parts" / "a.tfrecord-00000-of-00002", files[:6])
        records(tmp_path / "parts" / "a.tfrecord-00001-of-00002", files[6:])
        return tmp_path / "parts", numbers
    if kind == "npy":
        np.save(tmp_path / "x.npy", x)
        return tmp_path / "x.npy", numbers
    if kind == "array":
        return x, numbers
    dataset = tf.data.Dataset.from_tensor_slices((x, np.zeros(11)))
    return dataset.batch(5) if kind == "dataset" else dataset.batch(5).filter(lambda x, y: True), numbers


KINDS = ["folder", "csv", "parquet of bytes", "parquet of structs", "parquet of paths", "folder of parquet", "tfrecord"]
KINDS += ["folder of tfrecords", "npy", "array", "dataset", "dataset of unknown length"]


@pytest.fixture(scope="module")
def truth(model):
    x = IMAGES.astype(np.float32)
    return tfxai.GradCAM(keras.models.load_model(model))(x, batch_size=SHARD, verbose=0)


@pytest.mark.parametrize("kind", KINDS)
def test_images(kind, model, folder, truth, tmp_path):
    source, ids = made(kind, tmp_path, folder)
    options = {"shard_rows": SHARD, "batch_size": SHARD, "verbose": 0}
    found = tfxai.explain_dataset(model, source, "grad_cam", tmp_path / "out", **options)
    assert found.complete
    assert [len(one) for one, _ in found.explanations()] == [4, 4, 3]
    assert [name for one, _ in found.explanations() for name in one] == ids
    np.testing.assert_array_equal(np.concatenate([one.score for _, one in found.explanations()]), truth.score)
    maps = np.concatenate([one.values for _, one in found.explanations()])
    np.testing.assert_allclose(maps, truth.values, rtol=2**-10, atol=1e-6 * np.abs(truth.values).max())
    before = data_sets.contents(found.folder)
    found.files[1].unlink()  # of which the rows are read from the middle of the source
    again, _ = made(kind, tmp_path / "again", folder) if "dataset" in kind else (source, ids)
    tfxai.explain_dataset(model, again, "grad_cam", tmp_path / "out", **options)
    assert data_sets.contents(found.folder) == before


@pytest.mark.parametrize("kind", [*KINDS, "parquet of numbers"])
def test_rows_from_any_to_any(kind, folder, tmp_path):
    source, ids = made(kind, tmp_path, folder)
    opened = open_source(source)
    for first, last in ((0, 2), (3, 7), (5, 6), (8, 30), (2, 9)):
        assert [row.id for row in opened.read(first, last)] == ids[first:last]
    assert opened.rows in (11, None)
    assert opened.facts == open_source(source).facts


@pytest.mark.parametrize("block", [1, 3 * 16 * 16 * 3 * 4, 2**20])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_are_read_in_blocks(block, order, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "BLOCK", block)
    x = np.asarray(IMAGES, np.float32, order=order)
    np.save(tmp_path / "x.npy", x)
    found = [row.given for row in open_source(tmp_path / "x.npy").read(2, 30)]
    np.testing.assert_array_equal(found, x[2:])


@pytest.mark.parametrize("kind", ["uint8", "int16", "int64", "float16", "float64"])
def test_kinds_of_numbers_are_one_to_the_model(kind, model, truth):
    """Some are handed on as they are, others are checked and converted one by one."""
    explain = Explain(model, "grad_cam", batch_size=SHARD)
    found = explain({"id": list("abcd"), "input": IMAGES[:SHARD].astype(kind)})
    np.testing.assert_array_equal(found["score"], truth.score[:SHARD])


def test_numbers_that_are_not_exact_as_floats(model):
    explain = Explain(model, "grad_cam")
    inputs = [IMAGES[0], IMAGES[1].astype(np.int64) + 2**25, np.full((16, 16, 3), np.nan), np.ones((16, 16))]
    found = explain({"id": list("abcd"), "input": inputs})
    said = ["^$", "too large to be exact", "NaN or infinite", "to have shape|as a batch of shape"]
    assert [bool(re.search(*pair)) for pair in zip(said, found["error"], strict=True)] == [True] * 4


def test_numbers_in_parquet(folder, tmp_path):
    opened = open_source(made("parquet of numbers", tmp_path, folder)[0])
    assert opened.raw
    np.testing.assert_array_equal([np.array(row.given) for row in opened.read(0, 11)], IMAGES)


def test_numbers_in_records(tmp_path):
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for row in range(3):
            feature = tf.train.Feature(float_list=tf.train.FloatList(value=[row, 0.5]))
            example = tf.train.Example(features=tf.train.Features(feature={"x": feature}))
            writer.write(example.SerializeToString())
    opened = open_source(tmp_path / "a.tfrecord")
    assert opened.raw
    assert [row.given.tolist() for row in opened.read(1, 3)] == [[1, 0.5], [2, 0.5]]


def test_a_damaged_record_and_one_without_the_feature(tmp_path):
    file = records(tmp_path / "a.tfrecord", [b"first", b"second", b"third"])
    records(tmp_path / "b.tfrecord", [b"other"], "another")
    content = bytearray(file.read_bytes())
    place = content.find(b"second") - 8
    content[place : place + 8] = b"\xff" * 8
    file.write_bytes(bytes(content))
    rows = [row.given for row in TFRecords([file, tmp_path / "b.tfrecord"], None).read(0, 9)]
    assert rows[::2] == [b"first", b"third"]
    assert "damaged" in str(rows[1])
    assert "no feature 'image/encoded'" in str(rows[3])


def test_a_null_in_parquet(tmp_path):
    opened = open_source(parquet(tmp_path / "a.parquet", "image", [b"x", None]))
    assert [str(row.given) for row in opened.read(0, 2)] == ["b'x'", "It is null."]


def test_other_data_are_noticed(folder, tmp_path):
    x = IMAGES.astype(np.float32)
    changed = x + (np.arange(11) == 7)[:, None, None, None]
    assert open_source(x).facts != open_source(changed).facts
    once = tf.data.Dataset.from_tensor_slices(x).shuffle(11, seed=1, reshuffle_each_iteration=False).batch(3)
    other = tf.data.Dataset.from_tensor_slices(x).shuffle(11, seed=2, reshuffle_each_iteration=False).batch(3)
    assert open_source(once).facts == open_source(once).facts != open_source(other).facts
    made_before = open_source(tree(tmp_path / "photos", IMAGES)).facts
    (tmp_path / "photos" / "a" / "000.png").write_bytes(b"another")
    assert open_source(tmp_path / "photos").facts != made_before


def mixed(tmp_path):
    (tmp_path / "m").mkdir()
    parquet(tmp_path / "m" / "a.parquet", "image", [b"x"])
    records(tmp_path / "m" / "a.tfrecord", [b"x"])
    return tmp_path / "m"


def file(name, content=b""):
    def make(tmp_path):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return make


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda folder: folder / "nothing", ValueError, "There is no source"),
        (lambda folder: folder, ValueError, "has none of them"),
        (mixed, ValueError, "both Parquet files and TFRecords"),
        (file("a.png"), ValueError, "One image is explained by tfxai.explain"),
        (file("a.csv"), ValueError, "to have a column 'path' or 'file' or 'image' of paths, it has"),
        (file("a.csv", b"path\n"), ValueError, "one row or more"),
        (file("a.csv", b"path\na.png\na.png\n"), ValueError, "'a.png' is there twice"),
        (file("a.parquet", b"none"), ValueError, "Expected Parquet files"),
        (lambda folder: parquet(folder / "a.parquet", "pixel", [b"x"]), ValueError, "name it by column="),
        (lambda folder: parquet(folder / "a.parquet", "image", pa.array([], pa.binary())), ValueError, "one row or"),
        (file("a.tfrecord"), ValueError, "one record or more"),
        (file("a.tfrecord", b"\x1f\x8b" + b"x" * 90), ValueError, "ends within its record 0, or is compressed"),
        (lambda folder: np.ones(3), ValueError, "an array of one or more inputs"),
        (lambda folder: [np.ones(3)], TypeError, "make one: tf.data.Dataset.from_generator"),
        (lambda folder: tf.data.Dataset.from_tensor_slices(np.ones((3, 2))).repeat(), ValueError, "infinite"),
        (lambda folder: tf.data.Dataset.from_tensor_slices(np.ones(3)), ValueError, r"dataset.batch\(32\)"),
        (lambda folder: tf.data.Dataset.from_tensor_slices(np.ones((3, 2))).take(0), ValueError, "is empty"),
        (lambda folder: tf.data.Dataset.from_tensors({"a": [1.0]}), TypeError, "batches of one input"),
    ],
)
def test_what_is_no_source(make, error, said, tmp_path):
    with pytest.raises(error, match=said):
        open_source(make(tmp_path))


def test_a_column_that_does_not_exist(tmp_path, folder):
    for kind in ("csv", "parquet of bytes", "tfrecord"):
        with pytest.raises(ValueError, match="a column 'pictures'"):
            open_source(made(kind, tmp_path, folder)[0], "pictures")


def test_a_dataset_that_shuffles_itself_again():
    x = IMAGES.astype(np.float32)
    ordered = tf.data.Dataset.from_tensor_slices(x)
    for dataset in (ordered.shuffle(11).batch(4), ordered.batch(2).shuffle(6), ordered.batch(4).map(noisy)):
        with pytest.raises(ValueError, match=r"different order, each time it is read.*reshuffle_each_iteration=False"):
            open_source(dataset)


def noisy(x):
    return x + tf.numpy_function(lambda: np.float32(np.random.default_rng().uniform()), [], tf.float32)


def test_work_that_goes_on_beside_is_put_in_order():
    def late(row):
        slow = tf.reduce_sum(tf.linalg.matmul(tf.ones((400, 400)), tf.ones((400, 400))))
        return tf.cast(row, tf.float32) + tf.fill([2], 0 * tf.cond(row % 4 == 0, lambda: slow, lambda: 0.0))

    options = tf.data.Options()
    options.deterministic = False
    dataset = tf.data.Dataset.range(16).map(late, num_parallel_calls=8).batch(4).with_options(options)
    opened = open_source(dataset)
    assert opened.dataset.options().deterministic is True
    assert [row.given[0] for row in opened.read(0, 16)] == list(range(16))
