"""The workers of a Ray cluster of two nodes, both on this machine, do what this process does, to the bit."""

import importlib.util
import os
import signal
import subprocess
import sys
import time

import networks
import pytest
from data_sets import contents, pictures, tree

import tfxai
from tfxai.scale import read

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        not (importlib.util.find_spec("ray") and importlib.util.find_spec("pyarrow")),
        reason='an extra of the package: pip install "tfxai[scale,ray]"',
    ),
    pytest.mark.filterwarnings("ignore"),  # of Ray, about its own files and sockets
]
ROWS, SHARD = 120, 3
METHODS = ["grad_cam", "smooth_grad:samples=3"]
OPTIONS = {"shard_rows": SHARD, "batch_size": 2, "preprocess": "0..1", "max_failures": 5, "verbose": 0}
DRIVER = """
import sys, tfxai
from test_ray import METHODS, OPTIONS
model, source, output, address = sys.argv[1:]
if __name__ == "__main__":
    tfxai.explain_dataset(model, source, METHODS, output, engine="ray", address=address, **OPTIONS)
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("given")
    networks.known("small").save(folder / "small.keras")
    source = tree(folder / "photos", pictures(ROWS))
    (source / "a" / "004.png").write_bytes(b"no image")
    return folder / "small.keras", source


@pytest.fixture(scope="module")
def truth(given, tmp_path_factory):
    return contents(tfxai.explain_dataset(*given, METHODS, tmp_path_factory.mktemp("local"), **OPTIONS).folder)


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 10**8})
    found.add_node(num_cpus=1, object_store_memory=10**8)
    yield found
    found.shutdown()


@pytest.fixture
def connected(cluster):
    import ray

    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    yield ray
    ray.shutdown()


def workers(ray):
    """Process ids of the actors that are alive."""
    table = ray._private.state.state.actor_table(None)  # the public list needs a server of its own
    return {one["Pid"] for one in table.values() if one["State"] == "ALIVE"}


def test_is_equal_to_this_process(given, truth, connected, tmp_path):
    found = tfxai.explain_dataset(*given, METHODS, tmp_path / "out", engine="ray", **OPTIONS)
    assert found.complete
    assert contents(tmp_path / "out") == truth
    assert [one.id for one in found.failures()] == ["a/004.png"]


def test_a_worker_is_killed(given, truth, connected, tmp_path, monkeypatch):
    """By the driver itself, once it hears of the third shard."""
    from tfxai.progress import Lines

    killed = []

    def add(self, rows, failed):
        self.done += rows
        if self.done == 3 * SHARD:
            killed.extend(sorted(workers(connected))[:1])
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(Lines, "add", add)
    tfxai.explain_dataset(*given, METHODS, tmp_path / "out", engine="ray", **OPTIONS)
    assert killed
    assert contents(tmp_path / "out") == truth


def test_the_driver_is_killed_and_started_again(given, truth, cluster, tmp_path):
    (tmp_path / "driver.py").write_text(DRIVER)
    paths = [os.path.dirname(__file__), os.path.dirname(networks.__file__), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, tmp_path / "driver.py", *given, tmp_path / "out", cluster.address]
    driver = subprocess.Popen(command, env=environment)
    begin = time.monotonic()
    while len([*tmp_path.glob("out/shards/*.parquet")]) < 4:
        time.sleep(0.01)
        assert driver.poll() is None
        assert time.monotonic() - begin < 300
    driver.kill()
    driver.wait()
    before = read(tmp_path / "out")
    assert not before.complete
    subprocess.run(command, env=environment, check=True)
    assert contents(tmp_path / "out") == truth
    table = read(tmp_path / "out").to_pandas("grad_cam")
    names = {path.relative_to(given[1]).as_posix() for path in given[1].rglob("*.png")}
    assert sorted(table["id"]) == sorted(names - {"a/004.png"})


def test_errors(given, connected, tmp_path):
    with pytest.raises(ValueError, match=r"5 workers of 1 CPUs and 0 GPUs do not fit .* room for 2"):
        tfxai.explain_dataset(*given, METHODS, tmp_path / "out", engine="ray", workers=5, **OPTIONS)
    with pytest.raises(ValueError, match="conv99"):  # of the worker, as if it had happened here
        tfxai.explain_dataset(*given, "grad_cam:layer='conv99'", tmp_path / "more", engine="ray", **OPTIONS)
