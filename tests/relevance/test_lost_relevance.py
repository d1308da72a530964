"""Relevance on its way through rounding, integers, choices and normalisations: right, or refused, and never lost."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.relevance import Epsilon, Pass, Zero

RNG = np.random.default_rng(0)
N = 6
W = RNG.normal(size=(N, 3)).astype("float32")
V = RNG.normal(size=(4, 3)).astype("float32")
TABLE = RNG.normal(size=(8, 3)).astype("float32")
X = (3 * RNG.normal(size=(4, N))).astype("float32")
WAYS = {
    "lrp": lambda model: tfxai.LRP(model, composite="epsilon"),
    "deep_lift": tfxai.DeepLift,
    "reveal_cancel": lambda model: tfxai.DeepLift(model, rule="reveal_cancel"),
}


def function(f, *shape):
    return tf.function(f, input_signature=[tf.TensorSpec([None, *(shape or (N,))])])


def integers(x):
    return tf.cast(x, tf.int32)


def floats(x):
    return tf.cast(x, tf.float32)


# What is rounded keeps the relevance of the rounded number: x -> the numbers that meet the weights W.
ROUNDED = {
    "rounded in part": lambda x: tf.concat([tf.round(x[:, :3]), x[:, 3:]], 1),
    "floor": tf.floor,
    "sign in part": lambda x: tf.concat([x[:, :2], tf.sign(x[:, 2:])], 1),
    "there and back": lambda x: floats(integers(x)),
    "integers joined": lambda x: floats(tf.concat([integers(x[:, :3]), integers(10 * x[:, 3:])], 1)),
    "whole division": lambda x: floats(integers(10 * x) // 3),
    "straight-through estimator": lambda x: x + tf.stop_gradient(tf.round(x) - x),
    "fake quantisation": lambda x: tf.quantization.fake_quant_with_min_max_args(x, -6, 6),
    "quantised and back": lambda x: tf.quantization.quantize_and_dequantize_v2(x, 0.0, 0.0, range_given=False),
    "largest magnitude": lambda x: (lambda s: floats(integers(tf.round(s * x))) / s)(scale(x) + 1e-3),
    "where": lambda x: tf.where(x > 0, x, 0.0),
    "gate": lambda x: x * floats(x > 0),
}


def scale(x):
    return 127 / (tf.reduce_max(tf.abs(x), -1, keepdims=True) + 1e-6)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ROUNDED)
def test_each_input_gets_what_its_rounded_value_adds(form, way):
    found = WAYS[way](function(lambda x: ROUNDED[form](x) @ W))(X, 1)
    np.testing.assert_allclose(found.values, ROUNDED[form](X) * W[:, 1], atol=2e-3 * np.abs(found.values).max())


# Products of integers: x -> what they are, but for rounding of x to one part in 100.
PRODUCTS = {
    "by a constant": lambda x: floats(tf.matmul(integers(tf.round(100 * x)), integers(tf.round(100 * W)))) / 1e4,
    "a sum of integers": lambda x: floats(tf.reduce_sum(integers(100 * x)[:, :, None] * integers(100 * W), 1)) / 1e4,
    "by the largest": lambda x: (
        lambda s: floats(tf.matmul(integers(tf.round(s * x)), integers(tf.round(100 * W)))) / (s * 100)
    )(scale(x)),
    "divided by a step": lambda x: (
        lambda s: floats(tf.matmul(integers(tf.round(x / s)), integers(tf.round(100 * W)))) * (s * 0.01)
    )(1 / scale(x)),
    "of the whole batch": lambda x: (
        lambda s: floats(tf.matmul(integers(tf.round(s * x)), integers(tf.round(100 * W)))) / s / 100
    )(tf.reduce_min(scale(x))),
}


# An affine layer knows no rule for activations, so one form is enough for the second of DeepLIFT.
AFFINE = [(form, way) for form in PRODUCTS for way in ("lrp", "deep_lift")]


@pytest.mark.parametrize(("form", "way"), [*AFFINE, ("by the largest", "reveal_cancel")])
def test_a_product_of_integers_is_an_affine_layer(form, way):
    found = WAYS[way](function(PRODUCTS[form]))(X, 1)
    np.testing.assert_allclose(found.values, X * W[:, 1], atol=0.02 * np.abs(X * W[:, 1]).max())
    np.testing.assert_allclose(found.values.sum(1), found.score, rtol=1e-4)


def test_a_convolution_of_integers():
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(3, 3, 2, 4)).astype("float32")

    def model(x):
        y = tf.nn.conv2d(integers(tf.round(100 * x)), integers(tf.round(100 * kernel)), 1, "SAME")
        return tf.reduce_mean(floats(y) / 1e4, [1, 2])

    def usual(x):
        return tf.reduce_mean(tf.nn.conv2d(x, kernel, 1, "SAME"), [1, 2])

    x = rng.normal(size=(2, 5, 6, 2)).astype("float32")
    for name in ("lrp", "deep_lift"):
        found, expected = (WAYS[name](function(one, 5, 6, 2))(x, 2).values for one in (model, usual))
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())


# Numbers that are made of a choice alone, and the operation in which relevance would be lost.
BUCKETS = [-1.0, 0.0, 1.0]
LOST = {
    "buckets": (lambda x: tf.one_hot(tf.raw_ops.Bucketize(input=x[:, 0], boundaries=BUCKETS), 4) @ V, "Bucketize"),
    "a table": (lambda x: tf.gather(TABLE, tf.clip_by_value(integers(x[:, 0] + 4), 0, 7)), "GatherV2"),
    "a class": (lambda x: tf.one_hot(tf.argmax(x[:, :4], 1), 4) @ V, "ArgMax"),
    "truth values": (lambda x: floats(x > 0) @ W, "Greater"),
    "two constants": (lambda x: tf.where(x > 0, 1.0, -1.0) @ W, "Greater"),
    "whether it is missing": (lambda x: floats(tf.math.is_nan(x)) @ W, "IsNan"),
    "counts": (
        lambda x: (
            tf.math.bincount(
                tf.clip_by_value(integers(x + 3), 0, 5), minlength=6, maxlength=6, axis=-1, dtype=tf.float32
            )
            @ W
        ),
        "DenseBincount",
    ),
    "a remainder": (lambda x: floats(integers(10 * x) % 3) @ W, "FloorMod"),
    "integers by integers": (lambda x: floats(integers(9 * x) // (1 + tf.abs(integers(x[:, :1])))) @ W, "FloorDiv"),
}


# Both rules of DeepLIFT refuse by what they have in common, so one form is enough for the second.
REFUSED = [(form, beside, way) for form in LOST for beside in (True, False) for way in ("lrp", "deep_lift")]
REFUSED += [("truth values", beside, "reveal_cancel") for beside in (True, False)]


@pytest.mark.parametrize(("form", "beside", "way"), REFUSED)
def test_what_is_lost_is_not_given_to_the_rest(form, beside, way):
    made, operation = LOST[form]
    with pytest.raises(ValueError, match=operation):
        WAYS[way](function(lambda x: made(x) + (x @ W if beside else 0)))(X, 1)


def test_columns_that_keras_sorts_into_buckets():
    number, other = keras.Input((1,)), keras.Input((3,))
    buckets = layers.Discretization([-1.0, 0.0, 1.0], output_mode="one_hot")(number)
    model = keras.Model([number, other], layers.Dense(2)(layers.Concatenate()([layers.Flatten()(buckets), other])))
    for way in WAYS.values():
        with pytest.raises(ValueError, match="Relevance would be lost"):
            way(model)([X[:, :1], X[:, :3]], 1)


def test_a_rule_is_given_for_what_is_lost():
    """The advice of the error: functions that share the relevance of a choice."""
    made, _ = LOST["truth values"]

    def evenly(op, R):
        return [tf.zeros_like(op.inputs[0]) if R[0] is None else R[0], None]

    model = function(lambda x: made(x) + x @ W)
    found = tfxai.LRP(model, composite="epsilon", operations={"Greater": evenly})(X, 1)
    np.testing.assert_allclose(found.values, (X + (X > 0)) * W[:, 1], rtol=1e-3, atol=1e-4)


# Choices that lose nothing: what they choose among or scale has all.
CHOICES = {
    "the largest": lambda x: x @ W + tf.gather(x, tf.argmax(x, 1), batch_dims=1)[:, None] * W[:1],
    "a gate for all": lambda x: (x @ W) * (0.5 + floats(tf.reduce_sum(x, 1, keepdims=True) > 0)),
    "what is missing": lambda x: tf.where(tf.math.is_nan(x), 0.0, x) @ W,
    "an expert": lambda x: tf.einsum("ne,nf,efo->no", tf.one_hot(tf.argmax(x[:, :2], 1), 2), x, tf.stack([W, 2 * W])),
    "the size": lambda x: x @ W * floats(tf.shape(x)[1]),
    "a mean of what is there": lambda x: x @ W / (1 + tf.reduce_sum(floats(x != 0), 1, keepdims=True)),
}


@pytest.mark.parametrize("form", CHOICES)
def test_choices_lose_nothing(form):
    found = tfxai.LRP(function(CHOICES[form]), composite="epsilon")(X, 1)
    np.testing.assert_allclose(found.values.sum(1), found.score, rtol=1e-3, atol=1e-4)


def test_masks_before_a_softmax_lose_nothing():
    rng = np.random.default_rng(1)

    def attention(x, masked):
        scores = tf.matmul(x, x, transpose_b=True)
        if masked:
            scores += -1e9 * (1 - floats(tf.reduce_any(x != 0, 2))[:, None])
        return tf.reduce_sum(tf.nn.softmax(scores) @ x, 1)

    x = rng.normal(size=(2, 5, 3)).astype("float32")
    padded = np.concatenate([x, np.zeros((2, 2, 3), "float32")], 1)
    plain = tfxai.LRP(function(lambda x: attention(x, False), 5, 3), composite="epsilon")(x, 1).values
    found = tfxai.LRP(function(lambda x: attention(x, True)[:, :], 7, 3), composite="epsilon")(padded, 1).values
    assert np.isfinite(found).all()
    assert plain.any()
    np.testing.assert_allclose(found[:, 5:], 0, atol=1e-6)


# Models that Keras has quantised


def attentive():
    inputs = keras.Input((6, 5))
    x = layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", activation="relu")(inputs)
    x = layers.Dense(7, activation="relu")(layers.Reshape((6, 6))(x))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))


@pytest.fixture(scope="module", params=["int8", "int8 saved"])
def quantised(request, tmp_path_factory):
    """A model and the same quantised, and inputs whose relevance hangs on no difference that rounding changes."""
    rng = np.random.default_rng(4)
    keras.utils.set_random_seed(0)
    model, other = attentive(), attentive()
    for variable in model.trainable_variables:
        if variable.name == "bias":
            variable.assign(rng.uniform(0, 0.2, variable.shape))
    other.set_weights(model.get_weights())
    with pytest.warns(UserWarning, match="quantize"):
        other.quantize("int8")
    if request.param.endswith("saved"):
        path = tmp_path_factory.mktemp("quantised")
        other.export(path, verbose=False)
        other = str(path)
    return model, other, rng.normal(size=(3, 6, 5)).astype("float32")


QUANTISED = {
    "lrp": lambda model: tfxai.LRP(model, composite="epsilon_plus", bias=False),
    "deep_taylor": lambda model: tfxai.LRP(model, composite="deep_taylor"),
    "deep_lift": tfxai.DeepLift,
    "deep_lift from the mean": lambda model: tfxai.DeepLift(model, baseline="mean"),
}


@pytest.mark.parametrize("name", QUANTISED)
def test_a_quantised_model_is_explained_as_before(quantised, name):
    model, other, x = quantised
    before, after = QUANTISED[name](model)(x, 1), QUANTISED[name](other)(x, 1)
    assert np.corrcoef(before.values.ravel(), after.values.ravel())[0, 1] > 0.99
    if "completeness_gap" in after.extras:
        np.testing.assert_allclose(after.extras["completeness_gap"], 0, atol=1e-5)


def test_a_quantised_layer_by_hand():
    model = keras.Sequential([keras.Input((8,)), layers.Dense(1, use_bias=False)])
    x = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0]], "float32")
    expected = x * model.layers[0].kernel.numpy()[:, 0]
    with pytest.warns(UserWarning, match="quantize"):
        model.quantize("int8")
    for way in WAYS.values():
        np.testing.assert_allclose(way(model)(x, 0).values, expected, atol=0.01)


def test_eight_bit_floats_are_refused_in_one_sentence():
    model = keras.Sequential([keras.Input((5, 5, 1)), layers.Flatten(), layers.Dense(3, activation="relu")])
    with pytest.warns(UserWarning, match="quantize"):
        model.quantize("float8")
    for method in ("lrp", "deep_lift", "guided_backprop"):
        with pytest.raises(ValueError, match="float8"):
            tfxai.explain(model, np.ones((1, 5, 5, 1)), method)
    assert tfxai.explain(model, np.ones((1, 5, 5, 1)), "occlusion", window=2, stride=2).values.shape == (1, 5, 5)


# Normalisations behind what they cannot be folded into

NUMBERS = [tf.constant(RNG.uniform(0.5, 1.5, 4), tf.float32) for _ in range(4)]
KERNELS = [RNG.normal(size=shape).astype("float32") for shape in ((3, 3, 2, 4), (3, 3, 4, 3))]


def normalised(norm, x):
    y = norm(tf.nn.relu(tf.nn.conv2d(x, KERNELS[0], 1, "SAME")))
    return tf.reduce_mean(tf.nn.conv2d(y, KERNELS[1], 1, "SAME"), [1, 2])


def fused(kind):
    gamma, beta, mean, variance = NUMBERS

    def norm(y):
        made = getattr(tf.raw_ops, kind)(
            x=y, scale=gamma, offset=beta, mean=mean, variance=variance, epsilon=0.1, is_training=False
        )
        return made.y

    return function(lambda x: normalised(norm, x), 6, 5, 2)


def written_out():
    gamma, beta, mean, variance = NUMBERS
    scale = gamma * tf.math.rsqrt(variance + 0.1)
    return function(lambda x: normalised(lambda y: y * scale + (beta - mean * scale), x), 6, 5, 2)


NORMALISED = {
    "lrp": tfxai.LRP,
    "lrp without biases": lambda model: tfxai.LRP(model, bias=False),
    "deep_taylor": tfxai.DeepTaylor,
    "deep_lift": lambda model: tfxai.DeepLift(model, baseline=0.1),
}


@functools.cache
def of_several_operations(name):
    x = np.random.default_rng(1).uniform(size=(2, 6, 5, 2)).astype("float32")
    return x, NORMALISED[name](written_out())(x, 1).values


@pytest.mark.parametrize("kind", ["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"])
@pytest.mark.parametrize("name", NORMALISED)
def test_a_normalisation_in_one_operation_is_what_it_is_in_several(kind, name):
    x, expected = of_several_operations(name)
    found = NORMALISED[name](fused(kind))(x, 1).values
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("rule", [Epsilon(), Zero(), Pass()])
def test_a_rule_can_be_given_for_a_normalisation(rule):
    rng = np.random.default_rng(1)
    x = rng.uniform(size=(2, 6, 5, 2)).astype("float32")
    found = tfxai.LRP(fused("FusedBatchNormV3"), operations={"FusedBatchNormV3": rule})(x, 1)
    assert np.isfinite(found.values).all()
    assert found.values.any()


def test_trained_recurrent_layers_are_unrolled_by_an_attribute():
    """The advice of the error, followed."""
    rng = np.random.default_rng(1)
    model = keras.Sequential([keras.Input((4, 3)), layers.LSTM(5, name="lstm"), layers.Dense(2)])
    x = rng.normal(size=(2, 4, 3)).astype("float32")
    for method in (tfxai.LRP, tfxai.DeepLift):
        with pytest.raises(ValueError, match=r"layer\.unroll = True"):
            method(model)(x, 0)
    model.get_layer("lstm").unroll = True
    for method in (tfxai.LRP, tfxai.DeepLift):
        assert method(model)(x, 0).values.any()


def test_an_overflow_of_a_rule_blames_the_rule():
    """Contributions of 10,000 and -9,999 in layer after layer."""
    model = keras.Sequential([keras.Input((2,)), *(layers.Dense(2, use_bias=False) for _ in range(12))])
    model.set_weights([np.array([[1e4, -9999], [-9999, 1e4]])] * 12)
    with pytest.raises(ValueError, match="epsilon_plus"):
        tfxai.LRP(model, composite="epsilon")(np.ones((1, 2), "float32"), 0)
