"""RISE against slow loops, its mean by enumeration, and models whose answer is known."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy import stats

import tfxai
from tfxai.attribution.rise import balanced, block_of


@pytest.mark.parametrize("balanced", [True, False])
def test_masks(balanced, small):
    explainer = tfxai.RISE(small, probability=0.3, cells=5, balanced=balanced)
    draw = tf.function(lambda number: explainer.mask([33, 47], tf.stack([0, number])))
    masks = tf.map_fn(draw, tf.range(300, dtype=tf.int64), tf.float32).numpy()
    assert masks.shape == (300, 33, 47)
    assert masks.min() >= 0
    assert masks.max() <= 1
    np.testing.assert_allclose(masks.mean(0), 0.3, atol=0.12)  # everywhere, borders too
    np.testing.assert_allclose(masks.mean(), 0.3, atol=0.02)
    assert np.abs(np.corrcoef(masks.reshape(300, -1)) - np.eye(300)).mean() < 0.25


def test_slow_loop(small, x):
    explainer = tfxai.RISE(small, masks=11, seed=4)
    ours = explainer(x, 1)
    masks = [explainer.mask([16, 16], tf.constant([4, number], tf.int64)).numpy() for number in range(11)]
    scores = np.stack([small(x * mask[..., None])[:, 1] for mask in masks])
    np.testing.assert_allclose(ours.values, np.einsum("kn,khw->nhw", scores, masks) / (11 * 0.5), rtol=1e-3, atol=1e-4)


def test_it_finds_the_pixels_that_count():
    weights = np.zeros((24, 36, 1), "float32")
    weights[4:8, 26:32] = 1
    heatmap = tfxai.RISE(lambda x: (x * weights).sum((1, 2, 3))[:, None], masks=600)(
        np.ones((1, 24, 36, 1)), 0
    ).heatmaps()[0]
    rows, columns = np.nonzero(heatmap > 0.9)
    assert 2 <= rows.mean() <= 10
    assert 23 <= columns.mean() <= 34


def test_score_is_the_probability_where_there_is_one(x):
    inputs = keras.Input((16, 16, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(pooled))
    np.testing.assert_allclose(tfxai.RISE(model, masks=2)(x, 1).score, model(x)[:, 1], rtol=1e-5)
    logit = tfxai.RISE(model, masks=2, score="logit")(x, 1).score
    np.testing.assert_allclose(logit, tfxai.Saliency(model)(x, 1).score, rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [{"masks": 0}, {"masks": np.ones((3, 4))}, {"masks": np.ones((3, 4, 4))}, {"cells": 0}, {"probability": 1}],
)
def test_bad_options(small, x, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        tfxai.RISE(small, **options)(x)


def test_of_words_every_number_is_a_word_or_the_fill():
    ids = np.random.default_rng(0).integers(10, 500, (3, 12)).astype("int32")
    seen = []

    def watched(x):
        seen.append(x)
        return x.mean(1, keepdims=True)

    values = tfxai.RISE(watched, masks=40, fill=3)(ids, 0).values
    copies = np.concatenate([x.reshape(-1, 3, 12) for x in seen if len(x) > 3])  # not the first looks
    assert ((copies == ids) | (copies == 3)).all()
    assert 0.3 < (copies == 3).mean() < 0.7
    assert values.shape == ids.shape
    with pytest.raises(ValueError, match="masks of 0 and 1"):
        tfxai.RISE(watched, masks=np.full((2, 12), 0.5))(ids, 0)


def test_columns_of_a_table_are_drawn_alone():
    weights = np.array([0, 0, 5, 0, 0, 0, 0, 0, -5], "float32")
    explainer = tfxai.RISE(lambda x: x @ weights[:, None], masks=3000, seed=2, balanced=False)
    masks = np.stack([explainer.mask([9], tf.constant([2, n], tf.int64), "columns") for n in range(200)])
    assert np.isin(masks, (0, 1)).all()
    assert np.abs(np.corrcoef(masks.T) - np.eye(9)).max() < 0.3
    values = explainer(np.ones((1, 9), "float32"), 0, batch_size=512).values[0]
    np.testing.assert_allclose(values, weights / 2, atol=0.4)


def test_a_block_makes_no_error_where_columns_add_up_or_meet_in_pairs():
    """What eq. 6 is of sum_j w_j x_j in the mean: w_i x_i + sum_j w_j x_j / 2 over the others; pairs add a constant."""
    random = np.random.default_rng(3)
    weights, x = random.normal(size=(2, 11)).astype("float32")
    added = weights * x / 2 + (weights * x).sum() / 2
    for seed in range(3):
        explainer = tfxai.RISE(lambda x: x @ weights[:, None], masks=32, seed=seed)
        np.testing.assert_allclose(explainer(x[None], 0).values[0], added, atol=1e-5)

    def with_pair(x):
        return (x @ weights + 4 * x[:, 2] * x[:, 7])[:, None]

    pair = np.full(11, x[2] * x[7])
    pair[[2, 7]] *= 2
    ours = tfxai.RISE(with_pair, masks=64, seed=1)(x[None], 0).values[0]
    np.testing.assert_allclose(ours, added + pair, atol=1e-5)


@pytest.mark.parametrize("cells", [1, 8, 9])
def test_blocks_are_balanced(cells):
    block = block_of([cells])
    assert block == {1: 2, 8: 16, 9: 32}[cells]
    for seed in range(3):
        given = tf.constant([seed, 5], tf.int64)
        masks = np.stack([balanced(tf.constant(n, tf.int64), cells, block, given) for n in range(block)])
        np.testing.assert_array_equal(masks[::2], 1 - masks[1::2])
        for together in (1, 2, 3):
            for some in itertools.combinations(range(cells), together):
                assert masks[:, some].all(1).mean() == 0.5**together


def test_of_one_mask_cells_are_independent():
    """All 16 combinations of 4 cells, though the rows of the block that they come from have only 8."""
    seen = [
        int(np.dot(balanced(tf.constant(6, tf.int64), 4, 8, tf.constant([0, n], tf.int64)), [8, 4, 2, 1]))
        for n in range(400)
    ]
    assert stats.chisquare(np.bincount(seen, minlength=16)).pvalue > 0.001


@pytest.mark.parametrize("options", [{}, {"probability": 0.3}, {"balanced": False}])
def test_the_mean_is_that_of_the_paper(options):
    """Of 2 x 2 cells, by all 16 grids and all 6 shifts."""
    weights = np.random.default_rng(5).normal(size=(4, 6, 1)).astype("float32")

    def score(x):
        return np.exp((x * weights).sum((1, 2, 3)))[:, None]

    p = options.get("probability", 0.5)
    expected = 0
    for grid in itertools.product((0, 1), repeat=4):
        large = tf.image.resize(np.reshape(grid, (1, 2, 2, 1)).astype("float32"), (6, 9)).numpy()[0]
        chance = p ** sum(grid) * (1 - p) ** (4 - sum(grid)) / 6
        for down, right in itertools.product(range(2), range(3)):
            mask = large[down : down + 4, right : right + 6]
            expected = expected + chance * score(mask[None]) * mask[..., 0] / p
    explainer = tfxai.RISE(score, masks=8000, cells=2, uncertainty=True, seed=3, **options)
    ours = explainer(np.ones((1, 4, 6, 1), "float32"), 0, batch_size=4000)
    away = (ours.values - expected) / ours.uncertainty
    assert np.abs(away).max() < 4
    assert ours.uncertainty.max() < 0.05 * np.ptp(expected) + 0.05


def test_batches_and_masks_that_fill_no_block_change_nothing(small, x):
    explainer = tfxai.RISE(small, masks=75, cells=3, uncertainty=True, seed=2)
    all_at_once, few = explainer(x, 1, batch_size=512), explainer(x, 1, batch_size=3)
    np.testing.assert_allclose(few.values, all_at_once.values, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(few.uncertainty, all_at_once.uncertainty, rtol=1e-2, atol=1e-4)
    plain = tfxai.RISE(small, masks=75, cells=3, seed=2)(x, 1)
    np.testing.assert_allclose(plain.values, all_at_once.values, rtol=1e-4, atol=1e-5)
    sums = np.stack([sum_of_block(explainer, small, x, range(first, min(first + 32, 75))) for first in (0, 32, 64)])
    sizes = np.array([32, 32, 11])[:, None, None, None]
    squares = (sizes * np.square(sums / sizes - all_at_once.values)).sum(0) / 75
    np.testing.assert_allclose(all_at_once.uncertainty, np.sqrt(squares / 2), rtol=1e-2, atol=1e-4)


def sum_of_block(explainer, model, x, numbers):
    masks = [explainer.mask([16, 16], tf.constant([explainer.seed, n], tf.int64)).numpy() for n in numbers]
    return sum(2 * model(x * mask[..., None]).numpy()[:, 1, None, None] * mask for mask in masks)


def test_half_the_masks_do_for_what_parts_add():
    """Where parts add up, 128 balanced masks err less than 512 that are drawn alone, around what 4096 give."""
    weights = np.random.default_rng(0).normal(size=(28, 28, 1)).astype("float32")

    def score(x):
        return 30 + (x * weights).sum((1, 2, 3))[:, None]

    def found(seeds, **options):
        explainer = tfxai.RISE(score, **options)
        for explainer.seed in seeds:
            yield explainer(np.ones((1, 28, 28, 1), "float32"), 0, batch_size=2048).values.ravel()

    (truth,) = found([0], masks=4096)
    of_balanced, of_alone = (
        [stats.spearmanr(values, truth)[0] for values in found([1, 2, 3], masks=masks, balanced=balanced)]
        for masks, balanced in ((128, True), (512, False))
    )
    assert min(of_balanced) > max(of_alone)
