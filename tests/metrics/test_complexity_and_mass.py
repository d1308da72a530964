"""How sparse maps are, and how much of them lies in masks: against the oracle, scikit-learn and by hand."""

import numpy as np
import pytest
from networks import oracle
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import tfxai
from tfxai.metrics import (
    effective_complexity,
    entropy,
    mass_accuracy,
    rank_accuracy,
    roc_auc,
    sparseness,
    top_k_intersection,
)
from tfxai.similarity import rank_correlation


@pytest.fixture(scope="module")
def theirs():
    return oracle("vit_metrics")


def test_the_oracles_numbers(theirs):
    maps, masks = theirs["map"], theirs["evidence"].astype(bool)
    for found, name in (
        (sparseness(maps), "sparseness_gini"),
        (entropy(maps), "complexity_entropy"),
        (mass_accuracy(maps, masks), "mass_accuracy_positive"),
        (mass_accuracy(maps, masks, part="absolute"), "mass_accuracy_absolute"),
        (rank_accuracy(maps, masks), "rank_accuracy"),
        (top_k_intersection(maps, masks, k=64), "rank_accuracy"),
    ):
        np.testing.assert_allclose(found, theirs[name], rtol=1e-5, err_msg=name)
    areas = [roc_auc_score(mask.ravel(), one.ravel()) for mask, one in zip(masks, maps, strict=True)]
    np.testing.assert_allclose(roc_auc(maps, masks), areas)
    tied = maps.round(2)
    areas = [roc_auc_score(mask.ravel(), one.ravel()) for mask, one in zip(masks, tied, strict=True)]
    np.testing.assert_allclose(roc_auc(tied, masks), areas)


def test_closed_forms():
    one, d = np.zeros((1, 4, 5)), 20
    one[0, 2, 3] = -7
    alike, nothing = np.full((1, 4, 5), 0.5), np.zeros((1, 4, 5))
    maps = np.concatenate([one, alike, nothing])
    np.testing.assert_allclose(sparseness(maps), [1 - 1 / d, 0, 0], atol=1e-12)
    np.testing.assert_allclose(entropy(maps), [0, np.log(d), 0])
    np.testing.assert_array_equal(effective_complexity(maps), [1, d, 0])
    np.testing.assert_array_equal(effective_complexity(np.array([[1, 2, 3, 4]]), threshold=0.5), [2])


def test_ties_are_read_row_by_row_and_constant_maps_find_nothing():
    masks = np.zeros((2, 2, 3), bool)
    masks[0, 0, :2] = masks[1, 1, 1:] = True
    ties = np.array([[1, 1, 1], [1, 1, 0]] * 2).reshape(2, 2, 3)
    np.testing.assert_array_equal(rank_accuracy(ties, masks), [1, 0])
    np.testing.assert_array_equal(top_k_intersection(ties, masks, k=4), [0.5, 0])
    for measure, nothing in ((rank_accuracy, 0), (top_k_intersection, 0), (mass_accuracy, 0), (roc_auc, 0.5)):
        np.testing.assert_array_equal(measure(0 * ties, masks), nothing)
    np.testing.assert_array_equal(roc_auc(ties, np.ones_like(masks)), 0.5)


def test_of_explanations(small, x):
    explanation = tfxai.Saliency(small)(x)
    masks = np.zeros(x.shape[:3], bool)
    masks[:, :8] = True
    magnitudes = np.abs(explanation.values).max(-1)
    expected = magnitudes[:, :8].sum((1, 2)) / magnitudes.sum((1, 2))
    np.testing.assert_allclose(mass_accuracy(explanation, masks), expected, rtol=1e-5)
    np.testing.assert_allclose(sparseness(explanation), sparseness(magnitudes), rtol=1e-5)


def test_what_does_not_fit():
    maps = np.ones((2, 3, 3))
    with pytest.raises(ValueError, match="one shape"):
        mass_accuracy(maps, np.ones((2, 3), bool))
    with pytest.raises(ValueError, match=r"none in the rows \[1\]"):
        rank_accuracy(maps, np.stack([np.ones((3, 3), bool), np.zeros((3, 3), bool)]))
    with pytest.raises(ValueError, match=r"masks > 0\.5"):
        roc_auc(maps, np.full((2, 3, 3), 0.3))
    with pytest.raises(ValueError, match="threshold"):
        effective_complexity(maps, threshold=1)


def test_large_maps_lose_no_ranks():
    """Sums of ranks go beyond what float32 holds, which SciPy gives ranks of float32 from 1.18 on."""
    random = np.random.default_rng(0)
    maps = random.normal(size=(2, 300, 300)).astype("float32")
    masks = random.random(maps.shape) < 0.3
    area = [roc_auc_score(mask.ravel(), one.ravel()) for one, mask in zip(maps, masks, strict=True)]
    np.testing.assert_allclose(roc_auc(maps, masks), area, rtol=1e-12)
    expected = spearmanr(maps[0].ravel().astype(float), maps[1].ravel().astype(float)).statistic
    np.testing.assert_allclose(rank_correlation(maps[:1], maps[1:]), expected, rtol=1e-9)
