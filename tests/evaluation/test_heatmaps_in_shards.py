"""Heat-maps of an evaluation in shards: the numbers of those in batches, and no more work than what is missing."""

import sys

import numpy as np
import pytest

import tfxai
from tfxai.cli import main
from tfxai.evaluation import heatmaps as module
from tfxai.evaluation.heatmaps import heatmaps

pytest.importorskip("pyarrow", reason='an extra of the package: pip install "tfxai[scale]"')
N, BATCH, SHARD = 21, 2, 16
TARGET = np.arange(N) % 5


class Images:
    """Images in memory, with keys as files have them."""

    size = (16, 16)

    def __init__(self, n: int = N, change: int | None = None):
        self.x = np.random.default_rng(0).uniform(size=(n, 16, 16, 3)).astype(np.float32)
        self.keys = [f"{number}.png {'changed' if number == change else number}" for number in range(n)]

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: slice) -> np.ndarray:
        return self.x[rows]


@pytest.fixture
def many(monkeypatch):
    """Any number of heat-maps counts as many."""
    monkeypatch.setattr(module, "MANY", 0)


@pytest.fixture
def explained(monkeypatch):
    """How many images each call of an explainer was given; too many in all are an interruption."""
    explain = tfxai.Explainer.explain

    def counted(self, inputs, *arguments):
        if sum(counted.calls) + len(inputs) > counted.most:
            raise KeyboardInterrupt
        counted.calls.append(len(inputs))
        return explain(self, inputs, *arguments)

    counted.most, counted.calls = np.inf, []
    monkeypatch.setattr(tfxai.Explainer, "explain", counted)
    return counted


def made(folder, model, n=N, explainer=None, facts=None, change=None):
    facts = {"model": "m", "preprocess": "none"} if facts is None else facts
    explainer = explainer or tfxai.GradCAM(model)
    return heatmaps("grad_cam", explainer, Images(n, change), TARGET[:n], folder, facts, BATCH)


def contents(folder):
    """Without what was measured in time."""
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in files.items() if not name.startswith("seconds")}


@pytest.mark.parametrize("method", ["grad_cam", "saliency", "integrated_gradients:steps=2", "occlusion:window=8"])
def test_numbers_are_those_in_batches(method, small, tmp_path, monkeypatch):
    explainer = tfxai.api.named(method).make(small)
    few, _ = made(tmp_path / "few", small, explainer=explainer)
    assert len([*(tmp_path / "few").glob("*.npz")]) == 11
    monkeypatch.setattr(module, "MANY", 0)
    many, seconds = made(tmp_path / "many", small, explainer=explainer)
    assert not [*(tmp_path / "many").glob("*.npz")]
    np.testing.assert_allclose(many, few, atol=1e-6)  # enlarged in larger batches, which add in another order
    np.testing.assert_allclose(few, explainer(Images().x, TARGET, batch_size=BATCH, verbose=0).heatmaps(), atol=1e-6)
    assert 0 < seconds < 60


def test_large_results_are_in_shards(small, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MANY", N * 16 * 16 * 4)
    made(tmp_path / "one less", small, N - 1)
    made(tmp_path / "all", small)
    assert not (tmp_path / "one less" / "shards").exists()
    assert len([*(tmp_path / "all" / "shards").iterdir()]) == 2


def test_one_reader_reads_them(many, small, tmp_path):
    maps, _ = made(tmp_path, small)
    found = tfxai.scale.read(tmp_path)
    assert found.complete
    assert found.methods == ["grad_cam"]
    assert [name for ids, _ in found.explanations() for name in ids] == Images().keys
    np.testing.assert_array_equal(np.concatenate([one.heatmaps() for _, one in found.explanations()]), maps)
    np.testing.assert_array_equal(np.concatenate([one.target for _, one in found.explanations()]), TARGET)
    assert main(["summarize", str(tmp_path)]) == 0
    assert "grad_cam" in (tmp_path / "summary.html").read_text()
    with pytest.raises(ValueError, match="a training run or an evaluation"):
        found.source()


def test_a_run_goes_on_where_it_was_interrupted(many, small, tmp_path, explained, capsys):
    truth, _ = made(tmp_path / "whole", small)
    explained.calls.clear()
    explained.most = SHARD + BATCH
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "out", small)
    (tmp_path / "out" / "shards" / "00001.parquet.77.unfinished").write_bytes(b"half")  # of one that was killed
    explained.most = np.inf
    explained.calls.clear()
    found, _ = made(tmp_path / "out", small)
    assert explained.calls == [2, 2, 1]
    assert f"{SHARD} of {N} images are stored" in capsys.readouterr().out
    np.testing.assert_array_equal(found, truth)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    explained.calls.clear()
    np.testing.assert_array_equal(made(tmp_path / "out", small)[0], truth)
    assert explained.calls == []


def test_more_and_fewer_images(many, small, tmp_path, explained):
    truth = tfxai.GradCAM(small)(Images().x, TARGET, batch_size=BATCH, verbose=0).heatmaps()
    explained.calls.clear()
    for n, calls in ((5, [2, 2, 1]), (N, [2] * 8), (3, []), (N, [])):
        np.testing.assert_allclose(made(tmp_path, small, n)[0], truth[:n], atol=1e-5)
        assert explained.calls == calls
        assert tfxai.scale.read(tmp_path).complete
        explained.calls.clear()


def test_what_has_changed_is_noticed(many, small, tmp_path, explained):
    made(tmp_path, small)
    explained.calls.clear()
    with pytest.raises(ValueError, match=r"preprocess was 'none' and is 'caffe'. Choose another folder by --cache"):
        made(tmp_path, small, facts={"model": "m", "preprocess": "caffe"})
    with pytest.raises(ValueError, match=r"the image was '17.png 17' and is '17.png changed'"):
        made(tmp_path, small, change=17)
    assert explained.calls == []


def test_a_damaged_file_is_told(many, small, tmp_path):
    made(tmp_path, small)
    (tmp_path / "shards" / "00001.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(ValueError, match=r"00001.parquet': .* Delete it, and run again"):
        made(tmp_path, small)


def test_a_folder_keeps_its_kind(small, tmp_path, monkeypatch):
    made(tmp_path / "few", small, 4)
    monkeypatch.setattr(module, "MANY", 0)
    made(tmp_path / "few", small)
    assert not (tmp_path / "few" / "shards").exists()
    made(tmp_path / "many", small, 4)
    monkeypatch.setattr(module, "MANY", 2**27)
    made(tmp_path / "many", small)
    assert not [*(tmp_path / "many").glob("*.npz")]


def test_without_pyarrow(many, small, tmp_path, monkeypatch):
    made(tmp_path / "shards", small)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    made(tmp_path / "batches", small)
    assert [*(tmp_path / "batches").glob("*.npz")]
    with pytest.raises(ImportError, match=r'Results in shards need pyarrow: pip install "tfxai\[scale\]"'):
        made(tmp_path / "shards", small)
