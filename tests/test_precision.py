"""Passes in fewer bits: maps are those of float32 but for what 8 or 11 bits can tell apart."""

import functools

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from scipy.stats import spearmanr

import tfxai
from tfxai.coalitions import Channels

LOW = ["bfloat16", "float16"]
METHODS = {
    "occlusion": (tfxai.Occlusion, {"window": 28, "stride": 14}),
    "whole_passes": (tfxai.Occlusion, {"window": 28, "stride": 14, "incremental": False}),
    "rise": (tfxai.RISE, {"masks": 60}),
    "kernel_shap": (tfxai.KernelSHAP, {"groups": 38, "budget": 100}),
    "feature_ablation": (tfxai.FeatureAblation, {"groups": 38}),
    "channels": (tfxai.FeatureAblation, {"groups": Channels("block5_relu")}),
}


@pytest.fixture(scope="module")
def explained():
    """Explanations of flowers by the name of a method, in a precision; each made once."""
    model, images = tfxai.datasets.flowers.load_model(), tfxai.datasets.flowers.make(n=3)[0]

    @functools.cache
    def explained(name, **given):
        method, options = METHODS[name]
        return method(model, **given, **options)(images, [1, 2, 3])

    return explained


@pytest.mark.parametrize("precision", LOW)
@pytest.mark.parametrize("name", METHODS)
def test_maps_are_alike(explained, name, precision):
    exact, found = explained(name), explained(name, precision=precision)
    assert found.values.dtype == found.score.dtype == np.float32
    assert found.facts["precision"] == precision
    assert "precision" not in exact.facts
    error = found.extras["precision_error"]
    np.testing.assert_allclose(error, np.abs(found.score - exact.score), atol=1e-4)
    assert error.max() > 0  # it did run in fewer bits
    bits = {"bfloat16": 8, "float16": 11}[precision]
    scale = np.abs(exact.values).max()
    assert np.abs(found.values - exact.values).max() < 2.0 ** (4 - bits) * scale
    assert spearmanr(found.values.ravel(), exact.values.ravel())[0] > {"bfloat16": 0.97, "float16": 0.995}[precision]


def test_more_bits_are_closer(explained):
    exact = explained("occlusion").values
    low, high = (np.abs(explained("occlusion", precision=one).values - exact).max() for one in LOW)
    assert high < low / 2


@pytest.mark.parametrize("precision", LOW)
def test_what_is_sensitive_stays_in_single_precision(precision):
    """Products run in fewer bits, and softmaxes, norms and means do not."""
    inputs = keras.Input((8, 4))
    x = layers.LayerNormalization()(inputs)
    x = layers.Dense(6, activation="relu")(layers.MultiHeadAttention(2, 4)(x, x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling1D()(x)))
    seen = {}

    class Looks(tfxai.Occlusion):
        def attribute(self, run):
            for op in tf.compat.v1.get_default_graph().get_operations():
                if op.name in tfxai.models.graph.ancestors([run.score]) and op.type != "Cast":
                    seen.setdefault(op.type, set()).update(y.dtype for y in op.outputs if y.dtype.is_floating)
            return super().attribute(run)

    x = np.random.default_rng(0).normal(size=(2, 8, 4)).astype("float32")
    Looks(model, precision=precision)(x)
    low = tf.as_dtype(precision)
    for kind in ("Softmax", "Rsqrt", "SquaredDifference", "Mean"):
        assert seen.get(kind, {tf.float32}) == {tf.float32}, kind
    assert seen["Einsum"] == {low}
    assert low in seen["MatMul"]


def test_exported_models_and_words(tmp_path):
    words = keras.Input((12,), dtype="int32")
    x = layers.Embedding(20, 8)(words)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)])
    model = keras.Model(words, layers.Dense(3)(layers.Dense(16, activation="gelu")(x)[:, -1]))
    model.export(tmp_path / "model", verbose=False)
    x = np.random.default_rng(0).integers(0, 20, (2, 12)).astype("int32")
    for one in (model, tmp_path / "model"):
        exact = tfxai.Occlusion(one, window=1)(x)
        for precision in LOW:
            found = tfxai.Occlusion(one, window=1, precision=precision)(x)
            assert found.facts["incremental"] < 0.9
            assert np.corrcoef(found.values.ravel(), exact.values.ravel())[0, 1] > 0.97
            assert found.extras["precision_error"].max() > 0


def test_where_it_is_refused():
    model = networks.residual()
    with pytest.raises(ValueError, match="precision='float16' is for Occlusion, RISE and the methods of coalitions"):
        tfxai.GradCAM(model, precision="float16")
    with pytest.raises(ValueError, match="a Python function runs in the model's own types"):
        tfxai.Occlusion(lambda x: x.mean((1, 2)), precision="bfloat16")
    with pytest.raises(ValueError, match="Expected precision to be one of"):
        tfxai.RISE(model, precision="float8")
