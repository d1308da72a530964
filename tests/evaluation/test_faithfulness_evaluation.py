"""Methods measured on image files of which nothing is known, by the command line."""

import csv

import cv2
import numpy as np
import pytest

import tfxai
from tfxai.cli import main
from tfxai.metrics.judge import Judge


@pytest.fixture(scope="module")
def folder(tmp_path_factory, small):
    folder = tmp_path_factory.mktemp("faithfulness")
    small.save(folder / "model.keras")
    (folder / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 20, 24, 3), np.uint8)
    for number, image in enumerate(pixels):
        cv2.imwrite(str(folder / "photos" / f"{number}.png"), image[..., ::-1])
    return folder


def evaluate(folder, out, *more):
    files = ["--cache", str(out / "cache"), "--csv", str(out / "trust.csv"), "--figure", str(out / "trust.png")]
    given = [str(folder / "model.keras"), str(folder / "photos"), "--preprocess", "0..1", "--batch-size", "2"]
    methods = ["--method", "saliency", "grad_cam:layer=relu2", "--steps", "4", "--measure", "deletion", "insertion"]
    return main(["evaluate", "faithfulness", *given, *methods, *files, *more])


def table(out):
    with open(out / "trust.csv", newline="") as lines:
        return [{key: x for key, x in row.items() if key != "passes"} for row in csv.DictReader(lines)]


def test_the_table_is_what_trust_says_and_a_run_goes_on(folder, small, tmp_path, monkeypatch, capsys):
    judged, calls, most = Judge.__call__, [], 6

    def until(self, values, *given):
        if len(calls) == most:
            raise KeyboardInterrupt
        calls.append(len(values))
        return judged(self, values, *given)

    monkeypatch.setattr(Judge, "__call__", until)
    assert evaluate(folder, tmp_path) == 130
    most = np.inf
    assert evaluate(folder, tmp_path) == 0
    assert calls == [2, 2, 1] * 4  # of two methods and two maps that know nothing, nothing twice
    rows, text = table(tmp_path), capsys.readouterr().out
    assert "saliency: better than random and centre maps" in text
    assert (tmp_path / "trust.png").stat().st_size > 10_000
    pixels = [tfxai.images.read(folder / "photos" / f"{number}.png") for number in range(5)]
    x = tfxai.images.prepare(pixels, (16, 16), 3, "0..1")
    explanations = {"saliency": tfxai.Saliency(small)(x), "grad_cam:layer=relu2": tfxai.GradCAM(small, "relu2")(x)}
    report = tfxai.trust(explanations, small, measures=["deletion", "insertion"], steps=4)
    for measure in ("deletion", "insertion"):
        found = {row["method"]: float(row["mean"]) for row in rows if row["measure"] == measure}
        for name in explanations:
            np.testing.assert_allclose(found[name], report.values[measure][name].mean(), rtol=1e-4)
    before = table(tmp_path)
    assert evaluate(folder, tmp_path) == 0
    assert table(tmp_path) == before
    page = tmp_path / "trust.html"
    assert evaluate(folder, tmp_path, "--html", str(page)) == 0
    text = page.read_text()
    assert text.count("<table>") == 2
    assert text.count("data:image/png;base64") == 1
    assert f"{float(rows[0]['mean']):.3f}" in text
    assert "<script" not in text
    assert evaluate(folder, tmp_path, "--fill", "mean") == 2
    assert "fill was None and is 'mean'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--limit", "1"], "--limit to be 2 images or more"),
        (["--fill", "black"], "baseline"),
        (["--groups", "squares"], "groups to be one of"),
    ],
)
def test_what_does_not_fit(folder, tmp_path, capsys, options, message):
    assert evaluate(folder, tmp_path, *options) == 2
    assert message in capsys.readouterr().err
