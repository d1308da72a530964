"""tfxai explain-all, as it is typed."""

import sys

import cv2
import networks
import numpy as np
import pytest

import tfxai
from tfxai import images
from tfxai.cli import main
from tfxai.scale import Explain, read

pytest.importorskip("pyarrow", reason='an extra of the package: pip install "tfxai[scale]"')


@pytest.fixture
def given(tmp_path):
    networks.known("small").save(tmp_path / "model.keras")
    drawn = np.random.default_rng(0).integers(0, 256, (5, 20, 18, 3), np.uint8)
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    for number, image in enumerate(drawn):
        cv2.imwrite(str(tmp_path / "photos" / ("deep" if number % 2 else ".") / f"{number}.png"), image)
    (tmp_path / "names.txt").write_text("oak\nelm\nash\nfir\nyew\n")
    return tmp_path


def words(given, *more):
    return ["explain-all", str(given / "model.keras"), str(given / "photos"), "--output", str(given / "out"), *more]


def test_a_folder_tree(given, capsys):
    more = ["--method", "grad_cam:layer=conv1", "--preprocess", "-1..1", "--classes", str(given / "names.txt")]
    more += ["--target", "elm", "--store", "uint8", "--shard-rows", "2", "--batch-size", "2", "--size", "16"]
    assert main(words(given, *more)) == 0
    said = capsys.readouterr()
    assert f"5 inputs explained by grad_cam:layer=conv1: {given / 'out' / 'shards'}" in said.out
    assert "5 of 5 inputs" in said.err
    found = read(given / "out")
    rows = [row for table in found.tables(columns=["id", "label"]) for row in table.to_pylist()]
    assert [row["id"] for row in rows] == ["0.png", "2.png", "4.png", "deep/1.png", "deep/3.png"]
    assert {row["label"] for row in rows} == {"elm"}
    assert main(words(given, *more)) == 0
    assert "5 of 5 inputs were done before" in capsys.readouterr().err


def test_the_middle_of_photographs(given):
    more = ["--method", "saliency", "--target", "1", "--crop", "0.5", "--store", "float32"]
    assert main(words(given, *more)) == 0
    (_, found), *_ = read(given / "out").explanations()
    files = [given / "photos" / name for name in ("0.png", "2.png", "4.png", "deep/1.png", "deep/3.png")]
    middle = np.array([cv2.imread(str(file))[5:14, 4:13, ::-1] for file in files])
    expected = tfxai.Saliency(networks.known("small"))(images.prepare(middle, (16, 16)), target=1)
    np.testing.assert_allclose(found.heatmaps(), expected.heatmaps(), atol=1e-5)
    with pytest.raises(ValueError, match="above 0 and at most 1, got 2"):
        Explain(given / "model.keras", crop=2)


def test_failures(given, capsys):
    (given / "photos" / "bad.jpg").write_bytes(b"")
    (given / "photos" / "worse.jpg").write_bytes(b"")
    method = ["--method", "grad_cam"]
    assert main(words(given, *method)) == 2
    assert "max_failures=0.01 (--max-failures) allows 0" in capsys.readouterr().err
    assert main(words(given, *method, "--max-failures", "30%")) == 1
    assert f"2 inputs failed: {given / 'out' / 'failed'}" in capsys.readouterr().out
    assert main(words(given, *method, "--max-failures", "many")) == 2
    assert "Expected --max-failures as a number or a share" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--size", "1", "2", "3"], "Expected size as height and width"),
        (["--target", "elm"], "Expected --classes"),
        (["--method", "grad_cma"], "Unknown method"),
        (["--method", "saliency", "--layer", "conv1"], "takes one"),
        (["--batch-size", "0"], "--batch-size to be at least 1"),
    ],
)
def test_errors(more, said, given, capsys):
    assert main(words(given, *more)) == 2
    assert said in capsys.readouterr().err
    assert not (given / "out").exists()


def test_a_missing_extra_is_one_sentence(given, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(words(given)) == 2
    error = capsys.readouterr().err
    assert error == 'tfxai: error: Results in shards need pyarrow: pip install "tfxai[scale]".\n'
