"""Occlusion and RISE against slow loops and models whose answer is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.attribution.occlusion import cover


def weighing(weights):
    """A model that is a weighted sum of its pixels: what a window adds is known."""
    inputs = keras.Input(weights.shape)
    return keras.Model(
        inputs,
        layers.Lambda(
            lambda x: tf.stack([tf.zeros(tf.shape(x)[0]), tf.tensordot(x, tf.constant(weights), weights.ndim)], 1)
        )(inputs),
    )


@pytest.mark.parametrize(
    ("shape", "window", "stride"),
    [((9, 13, 2), (4, 5), (3, 2)), ((8, 8, 1), 3, 3), ((7, 20, 3), (2, 20), 1), ((15, 2), 4, 3), ((5, 6, 7, 2), 3, 2)],
)
def test_slow_loop(shape, window, stride):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=shape).astype("float32")
    x = rng.normal(size=(3, *shape)).astype("float32")
    model = weighing(weights)
    size = shape[:-1]
    windows = np.broadcast_to(window, len(size))
    strides = np.broadcast_to(stride, len(size))
    starts = [np.arange(-(-max(0, n - w) // s) + 1) * s for n, w, s in zip(size, windows, strides, strict=True)]
    total, count = np.zeros((3, *size)), np.zeros(size)
    for corner in np.stack(np.meshgrid(*starts, indexing="ij"), -1).reshape(-1, len(size)):
        where = tuple(slice(c, c + w) for c, w in zip(corner, windows, strict=True))
        hidden = x.copy()
        hidden[(slice(None), *where)] = 0.3
        drop = ((x - hidden) * weights).reshape(3, -1).sum(1)
        total[(slice(None), *where)] += drop.reshape(-1, *[1] * len(size))
        count[where] += 1
    ours = tfxai.Occlusion(model, window=window, stride=stride, fill=0.3)(x, 1)
    np.testing.assert_allclose(ours.values, total / np.maximum(count, 1), rtol=1e-3, atol=1e-4)
    assert ours.extras["drops"].shape == (3, *(len(one) for one in starts))
    assert count.min() > 0  # every position is covered


def test_all_channels_are_filled():
    weights = np.zeros((8, 8, 3), "float32")
    weights[..., 2] = 1  # only the last channel counts
    values = tfxai.Occlusion(weighing(weights), window=2, stride=2)(np.ones((1, 8, 8, 3)), 1).values
    np.testing.assert_allclose(values, 4, rtol=1e-5)


def test_one_pixel():
    weights = np.zeros((9, 21, 1), "float32")
    weights[2, 15] = 1
    values = tfxai.Occlusion(weighing(weights), window=1, stride=1)(np.ones((1, 9, 21, 1)), 1).values
    np.testing.assert_allclose(values[0], weights[..., 0], atol=1e-6)


def test_default_window_and_stride():
    drops = tfxai.Occlusion(weighing(np.ones((32, 48, 1), "float32")))(np.ones((1, 32, 48, 1)), 1).extras["drops"]
    assert drops.shape == (1, 15, 15)  # windows of 4 x 6, steps of 2 x 3
    np.testing.assert_allclose(drops, 24, rtol=1e-4)


def test_fill_by_the_image_itself_changes_nothing(small, x):
    ours = tfxai.Occlusion(small, window=4, fill=lambda x: x)(x)
    np.testing.assert_allclose(ours.values, 0, atol=1e-5)


@pytest.mark.parametrize("fill", ["mean", "blur", "noise", 0.5, np.full((16, 16, 3), 0.5), [0.0, 1.0]])
def test_fills(small, x, fill):
    values = tfxai.Occlusion(small, window=4, fill=fill)(x, 1).values
    assert np.isfinite(values).all()
    assert np.abs(values).max() > 0.01
    if isinstance(fill, list):  # several fills are averaged
        each = [tfxai.Occlusion(small, window=4, fill=one)(x, 1).values for one in fill]
        np.testing.assert_allclose(values, np.mean(each, 0), rtol=1e-3, atol=1e-5)


def test_drop_of_the_probability(x):
    inputs = keras.Input((16, 16, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(pooled))
    hidden = x.copy()
    hidden[:, :8, :8] = 0
    ours = tfxai.Occlusion(model, window=8, stride=8, score="probability")(x, 2)
    expected = model(x)[:, 2] - model(hidden)[:, 2]
    np.testing.assert_allclose(ours.extras["drops"][:, 0, 0], expected, rtol=1e-3, atol=1e-6)  # nothing is rounded


@pytest.mark.parametrize(
    "options", [{"window": 0}, {"window": (2, 3, 4)}, {"stride": -1}, {"stride": 1.5}, {"stride": 9, "window": 5}]
)
def test_bad_windows(small, x, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        tfxai.Occlusion(small, **options)(x)


def test_cover_reaches_the_border():
    np.testing.assert_array_equal(cover(5, 2, 2), [[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]])
    np.testing.assert_array_equal(cover(3, 7, 2), [[1, 1, 1]])


class TestRISE:
    def test_masks(self, small):
        explainer = tfxai.RISE(small, probability=0.3, cells=5)
        masks = np.stack([explainer.mask([33, 47], tf.constant([0, number], tf.int64)) for number in range(300)])
        assert masks.shape == (300, 33, 47)
        assert masks.min() >= 0
        assert masks.max() <= 1
        np.testing.assert_allclose(masks.mean(0), 0.3, atol=0.12)  # everywhere, borders too
        np.testing.assert_allclose(masks.mean(), 0.3, atol=0.02)
        assert np.abs(np.corrcoef(masks.reshape(300, -1)) - np.eye(300)).mean() < 0.25

    def test_slow_loop(self, small, x):
        explainer = tfxai.RISE(small, masks=11, seed=4)
        ours = explainer(x, 1)
        masks = [explainer.mask([16, 16], tf.constant([4, number], tf.int64)).numpy() for number in range(11)]
        scores = np.stack([small(x * mask[..., None])[:, 1] for mask in masks])
        np.testing.assert_allclose(
            ours.values, np.einsum("kn,khw->nhw", scores, masks) / (11 * 0.5), rtol=1e-3, atol=1e-4
        )

    def test_it_finds_the_pixels_that_count(self):
        weights = np.zeros((24, 36, 1), "float32")
        weights[4:8, 26:32] = 1
        heatmap = tfxai.RISE(weighing(weights), masks=600)(np.ones((1, 24, 36, 1)), 1).heatmaps()[0]
        rows, columns = np.nonzero(heatmap > 0.9)
        assert 2 <= rows.mean() <= 10
        assert 23 <= columns.mean() <= 34

    def test_score_is_the_probability_where_there_is_one(self, x):
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
    def test_bad_options(self, small, x, options):
        with pytest.raises(ValueError, match=next(iter(options))):
            tfxai.RISE(small, **options)(x)

    def test_of_words_every_number_is_a_word_or_the_fill(self):
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

    def test_columns_of_a_table_are_drawn_alone(self):
        weights = np.array([0, 0, 5, 0, 0, 0, 0, 0, -5], "float32")
        explainer = tfxai.RISE(lambda x: x @ weights[:, None], masks=3000, seed=2)
        masks = np.stack([explainer.mask([9], tf.constant([2, n], tf.int64), "columns") for n in range(200)])
        assert np.isin(masks, (0, 1)).all()
        assert np.abs(np.corrcoef(masks.T) - np.eye(9)).max() < 0.3
        values = explainer(np.ones((1, 9), "float32"), 0, batch_size=512).values[0]
        np.testing.assert_allclose(values, weights / 2, atol=0.4)


class TestTables:
    weights = np.array([2.0, -1, 0.5, 3, -2], "float32")
    x = np.random.default_rng(1).normal(size=(3, 5)).astype("float32")

    def product(self, x):
        """Of the last two columns, whose group is more than its columns."""
        return np.stack([x @ self.weights, x[:, 3] * x[:, 4]], 1)

    def test_each_column_is_hidden_alone(self):
        ours = tfxai.Occlusion(self.product, fill=0.5)(self.x, 0)
        np.testing.assert_allclose(ours.values, self.weights * (self.x - 0.5), atol=1e-5)
        np.testing.assert_allclose(ours.extras["drops"], ours.values)

    @pytest.mark.parametrize("groups", [{"pair": [3, 4]}, [[3, 4]], {"pair": np.array([4, 3])}])
    def test_groups_are_hidden_together(self, groups):
        ours = tfxai.Occlusion(self.product, fill=0.5, groups=groups, window=1)(self.x, 1)
        drop = self.x[:, 3] * self.x[:, 4] - 0.25
        np.testing.assert_allclose(ours.values[:, 3:], np.stack([drop, drop], 1) / 2, atol=1e-6)
        np.testing.assert_allclose(ours.values[:, :3], 0, atol=1e-6)
        np.testing.assert_allclose(ours.extras["drops"][:, 3], drop, atol=1e-6)
        assert ours.extras["drops"].shape == (3, 4)

    def test_windows_of_columns_that_lie_side_by_side(self):
        ours = tfxai.Occlusion(self.product, window=2, stride=2)(self.x, 0)
        assert ours.extras["drops"].shape == (3, 3)

    def test_what_is_wrong(self, small, x):
        with pytest.raises(ValueError, match="groups= or windows, got both; leave out window=2"):
            tfxai.Occlusion(self.product, groups=[[0]], window=2)
        with pytest.raises(ValueError, match="which is no column"):
            tfxai.Occlusion(self.product, groups=[[5]])(self.x, 0)
        with pytest.raises(ValueError, match="groups= of a table"):
            tfxai.Occlusion(small, groups=[[0]])(x)
