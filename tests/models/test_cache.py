"""How many rows pass through a model at a time."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.models import cache


class View(SimpleNamespace):
    """What is asked of a view."""

    opaque, batch_size = False, None


def test_the_largest_value_decides(monkeypatch):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 512, 512])  # 1 MB a row
        assert cache.rows_at_once(View(), graph) == 32
        tf.concat([x] * 4, 1)
        assert cache.rows_at_once(View(), graph) == 8
        tf.cast(tf.concat([x] * 6, 1), tf.float64)  # 12 MB
        assert cache.rows_at_once(View(), graph) == cache.FEWEST
        tf.zeros([5000, 5000])  # has no rows
    assert cache.rows_at_once(View(), tf.Graph()) == cache.CACHE
    assert cache.rows_at_once(View(opaque=True), graph) is None
    assert cache.rows_at_once(View(batch_size=16), graph) is None
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert cache.rows_at_once(View(), graph) is None


@keras.saving.register_keras_serializable("tests")
class AtMost(layers.Layer):
    """Refuses more rows than four."""

    def call(self, x):
        with tf.control_dependencies([tf.debugging.assert_less_equal(tf.shape(x)[0], 4)]):
            return tf.identity(x)


@pytest.fixture
def strict():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu")(AtMost()(inputs))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


METHODS = {
    "saliency": {},
    "integrated_gradients": {"steps": 7},
    "smooth_grad": {"samples": 6, "seed": 0},
    "rise": {"masks": 32, "seed": 0},
    "occlusion": {"window": 4, "stride": 4, "incremental": False},
    "grad_cam": {},
    "guided_feature_inversion": {"inversion_steps": 2, "target_steps": 2},
    "kernel_shap": {"groups": 4, "budget": 14, "seed": 0},
}


@pytest.mark.parametrize("name", METHODS)
def test_no_more_pass_at_a_time_than_fit_and_the_values_are_the_same(name, strict, monkeypatch):
    x = np.random.default_rng(0).normal(size=(10, 8, 8, 3)).astype(np.float32)
    explain = tfxai.methods()[name](strict, **METHODS[name]).explain
    with pytest.raises(Exception, match="assertion failed"):
        explain(x, verbose=0)
    monkeypatch.setattr(cache, "CACHE", 1)
    found = tfxai.methods()[name](strict, **METHODS[name]).explain(x, verbose=0)
    alone = [explain(x[row : row + 1], batch_size=4, verbose=0) for row in range(10)]
    np.testing.assert_allclose(found.values, np.concatenate([one.values for one in alone]), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.score, np.concatenate([one.score for one in alone]), rtol=1e-5)


@pytest.mark.parametrize("name", ["saliency", "smooth_grad", "guided_feature_inversion"])
def test_the_classes_of_an_input_stay_together(name, strict, monkeypatch):
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)
    explainer = tfxai.methods()[name](strict, **METHODS[name])
    alone = [explainer.explain(x, target, batch_size=1, verbose=0).values for target in range(3)]
    monkeypatch.setattr(cache, "CACHE", 1)
    found = tfxai.methods()[name](strict, **METHODS[name]).explain(x, np.tile(np.arange(3), (5, 1)), verbose=0)
    expected = np.stack(alone, 1).reshape(found.values.shape)
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-6)
