"""What explanations of a data set have in common: a planted watermark is a group of its own."""

import numpy as np
import pytest
import watermark

import tfxai
from tfxai.scale import summarize
from tfxai.scale.clusters import clusters

pytest.importorskip("pyarrow", reason='an extra of the package: pip install "tfxai[scale]"')


def test_a_watermark_is_a_group_of_its_own(tmp_path):
    images, rows = watermark.photographs(360, 20)  # a third of one class has it
    watermark.network().save(tmp_path / "model.keras")
    options = {"target": watermark.CLASS, "verbose": 0}
    own = np.flatnonzero(tfxai.datasets.flowers.make(n=360, seed=3)[1] == watermark.CLASS)
    found = tfxai.explain_dataset(
        tmp_path / "model.keras", images[own].astype(np.float32), "saliency", tmp_path / "out", **options
    )
    (summary,) = summarize(found).classes
    assert (summary.label, summary.count, len(summary.ids)) == (f"class {watermark.CLASS}", 60, 60)
    stamped = np.isin(own[np.array(summary.ids, int)], rows)
    of = summary.clusters.of
    best = max(range(of.max() + 1), key=lambda group: stamped[of == group].mean())
    assert stamped[of == best].mean() > 0.9  # purity
    assert stamped[of == best].sum() > 0.9 * stamped.sum()  # and all of them
    shares, typical, means = zip(*summary.groups(), strict=True)
    assert sum(shares) == pytest.approx(1)
    assert set(typical[best]) <= {name for name, is_stamped in zip(summary.ids, stamped, strict=True) if is_stamped}
    assert np.unravel_index(means[best].argmax(), (16, 16)) >= (13, 13)  # the corner of the stamp
    assert len(summary.unusual(3)) == 3


def test_groups_that_are_there():
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(3), 40)
    maps = np.eye(3)[truth] @ np.eye(9)[:3] + random.normal(0, 0.05, (120, 9))
    found = clusters(maps)
    assert len(found.typical) == 3
    assert all(len(set(truth[group])) == 1 for group in found.typical)
    alone = np.concatenate([maps, np.eye(9)[8:]])
    assert clusters(alone).distance.argmax() == 120
    assert len(clusters(maps[:20]).typical) == 1  # too few to divide
