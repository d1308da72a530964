"""Relevant features by count: the shards name them, and the summary counts what the features themselves say."""

import re
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

import tfxai
from tfxai.cli import main
from tfxai.datasets import flowers
from tfxai.scale import summarize

pq = pytest.importorskip("pyarrow.parquet", reason='an extra of the package: pip install "tfxai[scale]"')

NAMES = flowers.CLASSES["single-6c"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Explanations of a few flowers, in shards and at once; of class 5 no feature is relevant."""
    folder = tmp_path_factory.mktemp("features")
    model = flowers.load_model()
    model.save(folder / "model.keras")
    images, labels, _ = flowers.make(n=60, size=48)
    features = tfxai.RelevantFeatures(model, mu=2, classes=NAMES).fit(images, labels, verbose=0)
    features.weights_[:, 5] = 0
    features.save(folder / "features.npz")
    features = tfxai.RelevantFeatures.load(folder / "features.npz", model, classes=NAMES)
    methods = ["saliency", f"relevant_features:features='{folder}/features.npz',top=2"]
    pairs = tf.data.Dataset.from_tensor_slices((images.astype(np.float32), labels)).batch(20)
    options = {"target": "column:label", "classes": NAMES, "shard_rows": 16, "verbose": 0}
    with pytest.warns(UserWarning, match="No feature is relevant for"):
        truth = features.explain(images, labels, top=2, verbose=0)
    with pytest.warns(UserWarning, match="No feature is relevant for"):
        results = tfxai.explain_dataset(folder / "model.keras", pairs, methods, folder / "out", **options)
    return results, truth


def test_shards_name_them(made):
    results, truth = made
    rows = [row for table in results.tables(results.methods[1]) for row in table.to_pylist()]
    assert len(rows) == len(truth) == 60
    for row, evidence, fallback in zip(rows, truth.evidence(), truth.extras["fallback"], strict=True):
        own = [] if fallback else evidence
        assert row["features"] == [f"{one.layer} {one.channel}" for one in own]
        np.testing.assert_allclose(row["contributions"], [one.contribution for one in own], rtol=1e-4)
    assert {row["label"] for row in rows if not row["features"]} == {NAMES[5]}
    others = [row for table in results.tables("saliency") for row in table.to_pylist()]
    assert {row["features"] for row in others} == {None}


def test_they_are_counted_by_class(made):
    results, truth = made
    found = {one.label: one for one in summarize(results, results.methods[1]).classes}
    assert len(found) == 6
    for number, name in enumerate(NAMES):
        evidence = [own for own, target in zip(truth.evidence(), truth.target, strict=True) if target == number]
        counts = Counter(f"{one.layer} {one.channel}" for own in evidence for one in own) if number != 5 else {}
        assert {one.feature: one.inputs for one in found[name].features} == counts
        assert [one.inputs for one in found[name].features] == sorted(counts.values(), reverse=True)
        for one in found[name].features:
            said = [e.contribution for own in evidence for e in own if f"{e.layer} {e.channel}" == one.feature]
            assert one.contribution == pytest.approx(np.mean(said), rel=1e-4)
    assert all(one.features == [] for one in summarize(results, "saliency").classes)


def test_the_page_tells_them(made, capsys, tmp_path):
    results, _ = made
    first = summarize(results, results.methods[1]).classes[0]
    command = ["summarize", str(results.folder), "--method", results.methods[1], "--html", str(tmp_path / "page.html")]
    assert main(command) == 0
    assert f"{first.features[0].feature} ({first.features[0].inputs / first.count:.0%})" in capsys.readouterr().out
    html = (tmp_path / "page.html").read_text("utf-8")
    rows = re.findall(r'<td class="name">([^<]+)</td><td class="number">(\d+)</td>', html)
    assert rows[0] == (first.features[0].feature, str(first.features[0].inputs))
    assert html.count("<h3>relevant features</h3>") == 5  # none of the class without
