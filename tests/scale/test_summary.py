"""What explanations of a data set have in common: a planted watermark is a group of its own."""

import numpy as np
import pytest
import watermark

import tfxai
from tfxai.scale import summarize
from tfxai.scale.clusters import clusters

pytest.importorskip("pyarrow", reason='an extra of the package: pip install "tfxai[scale]"')


METHODS = ["grad_cam", "integrated_gradients:steps=4", "occlusion:window=16,stride=16", "saliency"]
SEEDS = [3, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(3))]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    watermark.network().save(path)
    return path


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("method", METHODS)
def test_a_watermark_is_a_group_of_its_own(method, seed, model, tmp_path):
    images, has = watermark.photographs(20, seed=seed)  # a third of one class has it
    options = {"target": watermark.CLASS, "verbose": 0}
    found = tfxai.explain_dataset(model, images.astype(np.float32), method, tmp_path / "out", **options)
    (summary,) = summarize(found).classes
    assert (summary.label, summary.count, len(summary.ids)) == (f"class {watermark.CLASS}", 60, 60)
    stamped = has[np.array(summary.ids, int)]
    of = summary.clusters.of
    assert of.max() == 1  # two groups: with the stamp, and without
    best = max(range(of.max() + 1), key=lambda group: stamped[of == group].mean())
    assert stamped[of == best].mean() > 0.9  # purity
    assert stamped[of == best].sum() > 0.9 * stamped.sum()  # and all of them
    shares, typical, means = zip(*summary.groups(), strict=True)
    assert sum(shares) == pytest.approx(1)
    assert set(typical[best]) <= {name for name, is_stamped in zip(summary.ids, stamped, strict=True) if is_stamped}
    assert min(np.unravel_index(means[best].argmax(), (16, 16))) >= 12  # the corner of the stamp
    assert len(summary.unusual(3)) == 3


@pytest.mark.parametrize("count", [1, 2, 3])
def test_as_many_groups_as_there_are(count):
    """Of blots that lie in so many places, and of none where they lie anywhere."""
    random = np.random.default_rng(count)
    places = np.array([[4, 4], [12, 12], [4, 12]])[np.arange(90) % count] + random.normal(0, 0.7, (90, 2))
    rows, columns = np.indices((16, 16))
    across = np.square(rows - places[:, :1, None]) + np.square(columns - places[:, 1:, None])
    found = clusters(np.exp(-across / 18) + random.uniform(0, 0.3, (90, 16, 16)))
    assert len(found.typical) == count
    assert all(len(set(group % count)) == 1 for group in found.typical)
    assert int(np.argmax(found.silhouettes)) + 1 == count


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
