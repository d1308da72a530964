"""Occlusion against slow loops and models whose answer is known."""

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
        with pytest.raises(ValueError, match="which is not a column"):
            tfxai.Occlusion(self.product, groups=[[5]])(self.x, 0)
        with pytest.raises(ValueError, match="groups= of a table"):
            tfxai.Occlusion(small, groups=[[0]])(x)
