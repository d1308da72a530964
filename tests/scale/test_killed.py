"""A run that is killed at any moment and started again gives what one gives that was never killed, to the byte."""

import multiprocessing
import os
import random
import signal
import time

import networks
import numpy as np
import pytest
from data_sets import contents, pictures, tree

import tfxai
from tfxai.evaluation import heatmaps
from tfxai.scale import read

pytest.importorskip("pyarrow", reason='an extra of the package: pip install "tfxai[scale]"')
ROWS, SHARD = 120, 3
SHARDS = ROWS // SHARD


def explain(model, source, output):
    """In a process of its own."""
    options = {"shard_rows": SHARD, "batch_size": 3, "preprocess": "0..1", "max_failures": 5, "verbose": 0}
    tfxai.explain_dataset(model, source, "integrated_gradients:steps=3", output, **options)


@pytest.fixture(scope="module")
def context():
    """Children begin with the package imported, which a server does once; nothing of TensorFlow has run there."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["tfxai.public"])
    first = found.Process(target=int)
    first.start()
    first.join()
    return found


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.nightly)])
def test_killed_at_random_moments(kills, context, tmp_path):
    networks.known("small").save(tmp_path / "small.keras")
    source = tree(tmp_path / "photos", pictures(ROWS))
    (source / "a" / "004.png").write_bytes(b"no image")
    given = tmp_path / "small.keras", source
    whole = context.Process(target=explain, args=(*given, tmp_path / "whole"))
    whole.start()
    whole.join()
    truth = contents(tmp_path / "whole")
    assert whole.exitcode == 0
    assert len(truth) == 1 + 1 + SHARDS

    chance, output = random.Random(kills), tmp_path / "output"
    for number in range(kills):
        child = context.Process(target=explain, args=(*given, output))
        child.start()
        there = len(shards(output))
        until = chance.randint(there, max(there, (number + 1) * (SHARDS - 8) // kills))
        while len(shards(output)) < until:
            time.sleep(0.001)
            assert child.is_alive()
        time.sleep(chance.uniform(0, 0.03))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        for name, content in contents(output).items():  # whole, or not at all
            assert name.endswith(".unfinished") or content == truth[name]
        assert len(shards(output)) < SHARDS
    last = context.Process(target=explain, args=(*given, output))
    last.start()
    last.join()
    assert last.exitcode == 0
    assert contents(output) == truth


def shards(output):
    return [*output.glob("shards/*.parquet")]


def test_ids_are_there_once(context, tmp_path):
    """Killed after its first shards, then finished by another process: nothing twice, nothing lost."""
    networks.known("small").save(tmp_path / "small.keras")
    source = tree(tmp_path / "photos", pictures(ROWS))
    child = context.Process(target=explain, args=(tmp_path / "small.keras", source, tmp_path / "out"))
    child.start()
    while not (tmp_path / "out" / "shards" / "00002.parquet").exists():
        time.sleep(0.005)
        assert child.is_alive()
    child.kill()
    child.join()
    assert not read(tmp_path / "out").complete
    explain(tmp_path / "small.keras", source, tmp_path / "out")
    ids = [name for table in read(tmp_path / "out").tables() for name in table["id"].to_pylist()]
    assert sorted(ids) == sorted(path.relative_to(source).as_posix() for path in source.rglob("*.png"))
    assert np.unique(ids).size == ROWS


class Pictures:
    """As an evaluation has them."""

    size, keys = (16, 16), [str(number) for number in range(ROWS)]
    x = np.random.default_rng(0).uniform(size=(ROWS, 16, 16, 3)).astype(np.float32)

    def __len__(self):
        return ROWS

    def __getitem__(self, rows):
        return self.x[rows]


def evaluate(model, output):
    """In a process of its own, in shards of 8 batches."""
    heatmaps.MANY = 0
    explainer = tfxai.IntegratedGradients(model, steps=3)
    maps, _ = heatmaps.heatmaps("integrated_gradients", explainer, Pictures(), None, output, {}, 1)
    np.save(f"{output}.npy", maps)


def test_an_evaluation_that_is_killed(context, tmp_path):
    networks.known("small").save(tmp_path / "small.keras")
    whole = context.Process(target=evaluate, args=(tmp_path / "small.keras", tmp_path / "whole"))
    child = context.Process(target=evaluate, args=(tmp_path / "small.keras", tmp_path / "out"))
    child.start()
    while len(shards(tmp_path / "out")) < 3:
        time.sleep(0.001)
        assert child.is_alive()
    child.kill()
    child.join()
    assert 3 <= len(shards(tmp_path / "out")) < 15
    whole.start()
    whole.join()
    kept = {file: file.stat().st_mtime_ns for file in shards(tmp_path / "out")}
    child = context.Process(target=evaluate, args=(tmp_path / "small.keras", tmp_path / "out"))
    child.start()
    child.join()
    assert whole.exitcode == child.exitcode == 0
    assert {file: file.stat().st_mtime_ns for file in kept} == kept  # nothing is explained twice
    seconds = [f"seconds/{number:05}.json" for number in range(15)]
    one, other = contents(tmp_path / "whole"), contents(tmp_path / "out")
    assert {name for name in one if name in seconds} == set(seconds)
    assert {name: x for name, x in one.items() if name not in seconds} == {
        name: x for name, x in other.items() if name not in seconds
    }
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), np.load(tmp_path / "whole.npy"))
