"""Whole data sets: what is in the shards, what a second run does, and what is told of inputs that fail."""

import json
import pickle
import re
import sys

import keras
import networks
import numpy as np
import pytest
from data_sets import SHARD, contents, pictures, tree
from keras import ops

import tfxai
from tfxai import images
from tfxai.scale import Explain, read
from tfxai.scale.dataset import Allowed

METHODS = ["grad_cam", "integrated_gradients:steps=2"]
OPTIONS = {"shard_rows": SHARD, "batch_size": 3, "preprocess": "0..1", "verbose": 0}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.keras"
    networks.known("small").save(path)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return tree(tmp_path_factory.mktemp("photos"), pictures())


@pytest.fixture(scope="module")
def results(model, photos, tmp_path_factory):
    return tfxai.explain_dataset(model, photos, METHODS, tmp_path_factory.mktemp("results"), **OPTIONS)


def column(results, name):
    return [value for table in results.tables() for value in table[name].to_pylist()]


def inputs():
    return images.prepare(list(pictures()), (16, 16), 3, "0..1")


class TestWhatIsInTheShards:
    def test_rows(self, results):
        assert results.complete
        assert results.rows == results.seen == 22
        assert [file.name for file in results.files] == ["00000.parquet", "00001.parquet", "00002.parquet"]
        assert column(results, "method") == METHODS * 22
        assert column(results, "id")[::2] == [f"{'ab'[i >= 11]}/{i:03}.png" for i in range(22)]
        assert not list(results.failures())

    def test_as_a_pandas_table(self, results):
        pytest.importorskip("pandas", reason="pandas is not installed, which only tables need")
        table = results.to_pandas("grad_cam", ["id", "score"])
        assert table["id"].tolist() == column(results, "id")[::2]
        assert table["score"].tolist() == column(results, "score")[METHODS.index("grad_cam") :: 2]

    def test_without_pandas(self, results, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(ImportError, match="pip install pandas"):
            results.to_pandas()

    @pytest.mark.parametrize("method", METHODS)
    def test_maps_are_those_of_the_explainer(self, method, results):
        """Of the same batches, so scores are equal to the bit; maps lose the last bits of float16."""
        explainer = tfxai.api.named(method).make(networks.known("small"))
        x = inputs()
        for number, (ids, found) in enumerate(results.explanations(method)):
            rows = x[number * SHARD : (number + 1) * SHARD]
            parts = [explainer(rows[first : first + 3], batch_size=3, verbose=0) for first in range(0, len(rows), 3)]
            truth = tfxai.joining.join(parts)
            assert len(ids) == len(found) == len(rows)
            np.testing.assert_array_equal(found.target, truth.target)
            np.testing.assert_array_equal(found.score, truth.score)
            assert found.polarity == truth.polarity
            np.testing.assert_allclose(found.heatmaps(), truth.heatmaps(), atol=2e-3)
            if method == "grad_cam":
                np.testing.assert_allclose(found.values, truth.values, rtol=2**-10, atol=2**-24 * truth.values.max())
                assert found.values.shape == (len(rows), 8, 8)

    def test_a_method_must_be_named_where_there_are_several(self, results):
        with pytest.raises(ValueError, match="Expected method= to be one of"):
            next(results.explanations())
        with pytest.raises(ValueError, match="Expected columns to be one of"):
            next(results.tables(columns=["maps"]))

    def test_8_bits(self, model, photos, results, tmp_path):
        small = tfxai.explain_dataset(model, photos, METHODS, tmp_path, **OPTIONS, store="uint8")
        for method in METHODS:
            for (_, one), (_, exact) in zip(small.explanations(method), results.explanations(method), strict=True):
                top = np.abs(exact.values).max((1, 2), keepdims=True)
                assert (np.abs(one.values - exact.values) <= top / 220).all()

    def test_the_source_is_found_again(self, results, photos):
        ids = [row.id for row in results.source().read(10, 12)]
        assert ids == ["a/010.png", "b/011.png"]


class TestASecondRun:
    def test_does_what_is_missing(self, model, photos, results, tmp_path):
        again = tfxai.explain_dataset(model, photos, METHODS, tmp_path, **OPTIONS)
        truth = contents(results.folder)
        assert contents(tmp_path) == {**truth, "manifest.json": contents(tmp_path)["manifest.json"]}
        kept = again.files[0].stat().st_mtime_ns
        again.files[1].unlink()
        (tmp_path / "shards" / "00001.parquet.77.unfinished").write_bytes(b"half")
        assert not again.complete
        tfxai.explain_dataset(model, photos, METHODS, tmp_path, **OPTIONS)
        assert contents(tmp_path) == truth
        assert again.files[0].stat().st_mtime_ns == kept
        assert again.complete

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"methods": ["grad_cam"]}, "methods integrated_gradients:steps=2 was"),
            ({"batch_size": 4}, "options batch_size was 3 and is 4"),
            ({"store": "uint8"}, "options store was 'float16' and is 'uint8'"),
            ({"target": 1}, "options target was None and is 1"),
            ({"preprocess": "-1..1"}, "options preprocess was '0..1'"),
            ({"shard_rows": 9}, "shard_rows was 8 and is 9"),
        ],
    )
    def test_refuses_other_options(self, change, said, model, photos, results):
        before = contents(results.folder)
        changed = {"methods": METHODS, **OPTIONS, **change}
        with pytest.raises(ValueError, match=f"holds results of another run: .*{said}.* Choose another folder"):
            tfxai.explain_dataset(model, photos, output=results.folder, **changed)
        assert contents(results.folder) == before

    def test_refuses_another_model_or_other_images(self, model, results, tmp_path):
        other = tree(tmp_path / "photos", pictures(21))
        with pytest.raises(ValueError, match="source rows was 22 and is 21"):
            tfxai.explain_dataset(model, other, METHODS, results.folder, **OPTIONS)
        changed = networks.small()
        changed.layers[-1].bias.assign(np.ones(5))
        changed.save(tmp_path / "small.keras")
        with pytest.raises(ValueError, match=r"model was '[0-9a-f]{16}' and is"):
            tfxai.explain_dataset(tmp_path / "small.keras", results.source().root, METHODS, results.folder, **OPTIONS)


class TestSeveralProcesses:
    def test_write_what_one_writes(self, model, photos, results, tmp_path):
        found = tfxai.explain_dataset(model, photos, METHODS, tmp_path / "out", workers=2, **OPTIONS)
        assert contents(found.folder) == contents(results.folder)

    def test_gpus_that_are_not_there(self, model, photos, tmp_path, monkeypatch):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
        with pytest.raises(ValueError, match="need 2 GPUs, and there are 1"):
            tfxai.explain_dataset(model, photos, METHODS, tmp_path / "out", workers=2, gpus_per_worker=1, **OPTIONS)


class TestInputsThatFail:
    @pytest.fixture
    def damaged(self, tmp_path):
        folder = tree(tmp_path / "photos", pictures())
        (folder / "a" / "003.png").write_bytes(b"no image")
        (folder / "a" / "004.png").write_bytes((folder / "a" / "005.png").read_bytes()[:90])
        (folder / "b" / "zzz.jpg").write_bytes(b"")
        return folder

    def test_are_listed_and_the_rest_goes_on(self, model, damaged, tmp_path):
        found = tfxai.explain_dataset(model, damaged, "grad_cam", tmp_path / "out", **OPTIONS, max_failures=3)
        assert [one.id for one in found.failures()] == ["a/003.png", "a/004.png", "b/zzz.jpg"]
        assert all("damaged" in one.reason for one in found.failures())
        assert found.complete
        assert found.seen == 23
        assert set(column(found, "id")) == {f"{'ab'[i >= 11]}/{i:03}.png" for i in range(22)} - {
            "a/003.png",
            "a/004.png",
        }
        before = contents(found.folder)
        assert sorted(before) == [
            "failed/00000.jsonl",
            "failed/00002.jsonl",
            "manifest.json",
            *(f"shards/0000{number}.parquet" for number in range(3)),
        ]
        found.files[0].unlink()
        tfxai.explain_dataset(model, damaged, "grad_cam", tmp_path / "out", **OPTIONS, max_failures=3)
        assert contents(found.folder) == before

    def test_too_many_stop_it(self, model, damaged, tmp_path):
        for allowed in (1, 0.05):  # of 23
            with pytest.raises(
                ValueError, match=r"2 of 8 inputs failed, and max_failures=.* allows 1. The first: 'a/0"
            ):
                tfxai.explain_dataset(model, damaged, "grad_cam", tmp_path / "out", **OPTIONS, max_failures=allowed)
            with pytest.raises(ValueError, match=r"allows 1.*'failed'"):  # again, and before anything is explained
                tfxai.explain_dataset(model, damaged, "grad_cam", tmp_path / "out", **OPTIONS, max_failures=allowed)
            (tmp_path / "out" / "manifest.json").unlink()
            (tmp_path / "out" / "shards" / "00000.parquet").unlink()

    def test_all_of_a_shard(self, model, tmp_path):
        x = inputs()
        x[:SHARD, 0, 0, 0] = np.nan
        options = {**OPTIONS, "preprocess": "none"}
        found = tfxai.explain_dataset(model, x, "grad_cam", tmp_path, **options, max_failures=SHARD)
        assert found.complete
        assert {one.reason for one in found.failures()} == {"It holds NaN or infinite values."}
        assert [ids[0] for ids, _ in found.explanations()] == ["8", "16"]

    def test_those_that_the_model_has_no_number_for(self, tmp_path):
        """They share a batch with others, whose maps are what they are without them."""
        x = keras.Input((4, 4, 3))
        y = ops.log(ops.mean(x, (1, 2)))
        keras.Model(x, y).save(tmp_path / "log.keras")
        data = np.random.default_rng(0).uniform(1, 2, (5, 4, 4, 3)).astype(np.float32)
        data[2] = 0
        options = {"verbose": 0, "max_failures": 1, "target": 0}
        found = tfxai.explain_dataset(tmp_path / "log.keras", data, "saliency", tmp_path / "out", **options)
        assert [one.id for one in found.failures()] == ["2"]
        assert "NaN or infinite" in next(found.failures()).reason
        ids, one = next(found.explanations())
        assert ids == ["0", "1", "3", "4"]
        truth = tfxai.Saliency(keras.models.load_model(tmp_path / "log.keras"))(np.delete(data, 2, 0), target=0)
        np.testing.assert_allclose(one.heatmaps(), truth.heatmaps(), atol=2e-3)


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"methods": []}, "at least one method"),
            ({"methods": ["grad_cam", "grad_cam"]}, "different methods"),
            ({"methods": "grad_cma"}, "Unknown method 'grad_cma'"),
            ({"methods": "saliency", "layer": "conv1"}, "takes one"),
            ({"layer": "conv9"}, "conv9"),
            ({"size": (8, 8)}, "takes images of 16 x 16, got size="),
            ({"engine": "spark"}, "Expected engine to be one of"),
            ({"shard_rows": 0}, "shard_rows to be a positive integer"),
            ({"max_failures": 1.5}, "a share from 0 to 1"),
            ({"max_failures": -1}, "Expected max_failures"),
            ({"model_path": "nothing.keras"}, "no model file 'nothing.keras'"),
            ({"source": np.ones((2, 16, 16, 3))}, "takes as they are: leave out preprocess="),
            ({"source": np.ones((2, 16, 16, 3)), "workers": 2, "preprocess": "none"}, "so it must be a path"),
            ({"verbose": 3}, "Expected verbose"),
        ],
    )
    def test_are_said_before_anything_is_written(self, options, said, model, photos, tmp_path):
        given = {"model_path": model, "source": photos, "output": tmp_path / "out", **OPTIONS, **options}
        if "verbose" in options:
            given["output"] = tmp_path  # which has a manifest by then
        with pytest.raises(ValueError, match=said):
            tfxai.explain_dataset(**given)
        assert not (tmp_path / "out").exists()

    def test_options_that_do_not_exist(self, model, photos, tmp_path):
        with pytest.raises(TypeError, match="batchsize"):
            tfxai.explain_dataset(model, photos, output=tmp_path, batchsize=3)
        with pytest.raises(TypeError, match="the same for all"):
            tfxai.explain_dataset(model, photos, output=tmp_path, target=[1, 2])

    def test_images_of_any_size_need_one(self, photos, tmp_path):
        x = keras.Input((None, None, 3))
        y = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(x)))
        keras.Model(x, y).save(tmp_path / "any.keras")
        with pytest.raises(ValueError, match="give size="):
            tfxai.explain_dataset(tmp_path / "any.keras", photos, output=tmp_path / "out", verbose=0)
        found = tfxai.explain_dataset(
            tmp_path / "any.keras", photos, output=tmp_path / "out", size=(9, 12), verbose=0, methods="saliency"
        )
        assert next(found.explanations())[1].values.shape == (22, 9, 12)

    def test_no_results(self, tmp_path):
        with pytest.raises(ValueError, match=r"Expected a folder of results with a manifest.json"):
            read(tmp_path)
        (tmp_path / "manifest.json").write_text("{}")
        with pytest.raises(ValueError, match="has none that can be read"):
            read(tmp_path)

    @pytest.mark.parametrize("engine", ["local", "ray"])
    def test_without_extras(self, engine, model, photos, tmp_path, monkeypatch):
        package = {"local": "pyarrow", "ray": "ray"}[engine]
        monkeypatch.setitem(__import__("sys").modules, package, None)
        extra = {"local": "scale", "ray": "ray"}[engine]
        with pytest.raises(ImportError, match=re.escape(f'need {package}: pip install "tfxai[{extra}]".')):
            tfxai.explain_dataset(model, photos, output=tmp_path, engine=engine, **OPTIONS)


class TestExplain:
    def test_pickles_as_strings(self, model):
        explain = Explain(model, "grad_cam", layer="conv1", batch_size=3)
        explain.open(images=True)
        sent = pickle.dumps(explain)
        assert len(sent) < 1000
        again = pickle.loads(sent)
        assert "view" not in vars(again)
        batch = {"id": ["x", "y", "z"], "input": [*inputs()[:2], b"no"]}
        one, other = explain(batch), again(batch)
        assert one["error"].tolist() == [""] * 2 + ["Expected an image file, but this one is damaged or not an image."]
        assert one["id"].tolist() == ["x", "y", "z"]
        for name in one:
            assert repr(one[name].tolist()) == repr(other[name].tolist())

    def test_says_which_columns_it_needs(self, model):
        with pytest.raises(ValueError, match=r"'input'. is missing"):
            Explain(model)({"id": [1]})


def test_how_many_may_fail():
    Allowed(0.5).add(5, 10, 10, [])
    with pytest.raises(ValueError, match="6 of 10"):
        Allowed(0.5).add(6, 10, 10, [])
    share = Allowed(0.1)  # of a source without a length
    share.add(1, 10, None, [])
    with pytest.raises(ValueError, match=r"3 of 20 inputs failed.*allows 2. The first: 'a': b"):
        share.add(2, 10, None, ["'a': b"])


def test_the_manifest_tells_seeds_and_versions(model, photos, tmp_path):
    methods = ["smooth_grad(grad_cam):samples=2,seed=7", "rise:masks=4"]
    found = tfxai.explain_dataset(model, photos, methods, tmp_path, **OPTIONS)
    told = json.loads((tmp_path / "manifest.json").read_text())["results"]
    assert [one["seed"] for one in told["methods"].values()] == [7, 0]
    assert set(told["versions"]) == {"tfxai", "tensorflow", "keras", "numpy", "pyarrow"}
    assert found.manifest["source_path"] == str(photos)
    assert told["shard_rows"] == SHARD
