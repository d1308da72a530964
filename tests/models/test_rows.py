"""Which graphs are known to pass each row by itself: by hand, and by other rows beside one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai import steadiness
from tfxai.models.rows import independent_rows


def numbers(*shape):
    return tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)


WEIGHTS, KERNEL = numbers(3, 4), numbers(3, 3, 3, 4)
STATE = tf.Variable(1.0)

ALONE = {
    "arithmetic": lambda x: tf.nn.silu(2 * x - 1) / (1 + x**2),
    "a weight for each place": lambda x: x * numbers(1, 6, 6, 3),
    "convolution": lambda x: tf.nn.conv2d(x, KERNEL, 2, "SAME"),
    "transposed convolution": lambda x: tf.nn.conv2d_transpose(x, KERNEL[..., :3], tf.shape(x), 1),
    "pooling": lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID"),
    "padding": lambda x: tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]),
    "reductions": lambda x: tf.reduce_max(x, [1, 2]) - tf.reduce_mean(x, [-3, -2]),
    "the largest": lambda x: tf.argmax(x, -1),
    "softmax": lambda x: tf.nn.softmax(x),
    "flattened": lambda x: tf.reshape(x, [tf.shape(x)[0], 108]),
    "the same number of rows": lambda x: tf.reshape(x, [-1, 36, 3]),
    "axes added and taken away": lambda x: tf.squeeze(tf.expand_dims(x, -2), [3]),
    "turned": lambda x: tf.transpose(x, [0, 3, 1, 2]),
    "matrix": lambda x: tf.reduce_mean(x, [1, 2]) @ WEIGHTS,
    "attention": lambda x: tf.matmul(x, x, transpose_b=True),
    "Einstein": lambda x: tf.einsum("nijc,cd->nijd", x, WEIGHTS) + tf.einsum("nijc,nkjc->nikc", x, x)[..., :1],
    "joined": lambda x: tf.concat([x, 2 * x], -1),
    "cut": lambda x: x[:, 1:, ..., 0],
    "the end cut": lambda x: x[..., 0],
    "words": lambda x: tf.gather(WEIGHTS, tf.cast(x[:, 0, 0] > 0, tf.int32)),
    "resized": lambda x: tf.image.resize(x, [3, 3]),
    "custom gradient": tf.custom_gradient(lambda x: (2 * x, lambda signal: signal)),
    "half precision": lambda x: tf.cast(tf.cast(x, tf.float16), tf.float32),
    "normalized": lambda x: tf.compat.v1.nn.fused_batch_norm(
        x, tf.ones(3), tf.zeros(3), tf.zeros(3), tf.ones(3), is_training=False
    )[0],
}
TOGETHER = {
    "mean of all": lambda x: x - tf.reduce_mean(x, 0),
    "largest of all": lambda x: x / tf.reduce_max(x),
    "counted": lambda x: x / tf.cast(tf.shape(x)[0], tf.float32),
    "the product with all": lambda x: tf.matmul(x[:, 0, 0], x[:, 0, 0], transpose_b=True)[:, :1],
    "the matrix first": lambda x: tf.matmul(tf.ones([1, 1]), tf.reduce_mean(x, [1, 2])[:1]) + x[:, 0, 0],
    "softmax of all": lambda x: tf.nn.softmax(x, 0),
    "the other way round": lambda x: x[::-1],
    "cut behind all axes": lambda x: x[..., ::-1, :, :, :],
    "the last one": lambda x: x + x[-1:],
    "moved": lambda x: tf.roll(x, 1, 0),
    "summed up": lambda x: tf.cumsum(x, 0),
    "mixed": lambda x: tf.reshape(tf.transpose(x, [1, 0, 2, 3]), tf.shape(x)),
    "one axis": lambda x: tf.reduce_mean(tf.reshape(x, [-1, 4]), 1),
    "Einstein of all": lambda x: tf.einsum("nijc,mijc->nm", x, x)[:, :1],
    "one after the other": lambda x: tf.concat([x[:1], x[:-1]], 0),
    "quantized": lambda x: tf.quantization.quantize_and_dequantize_v2(x, 0.0, 0.0, range_given=False),
    "statistics of all": lambda x: tf.compat.v1.nn.fused_batch_norm(x, tf.ones(3), tf.zeros(3))[0],
    "numbered": lambda x: x[:, 0, 0] * tf.cast(tf.range(tf.shape(x)[0])[:, None], tf.float32),
}
MOVING = {
    "random": lambda x: x * tf.random.uniform([]),
    "random with a seed": lambda x: x * tf.random.stateless_uniform([], [1, 2]),
    "Python": lambda x: tf.ensure_shape(tf.numpy_function(np.sin, [x], tf.float32), x.shape),
    "a state": lambda x: x * STATE.assign_add(1.0),
    "a function": lambda x: tf.function(lambda y: y * tf.random.uniform([]))(x),
    "a loop": lambda x: tf.while_loop(lambda n, y: n < 2, lambda n, y: (n + 1, y[::-1]), (0, x))[1],
}


def passing(call):
    return tf.function(call, autograph=False).get_concrete_function(tf.TensorSpec([None, 6, 6, 3]))


def is_known(function):
    return independent_rows(function.graph.inputs[:1], function.graph.outputs[0])


def in_company(function):
    """By how much a row differs as others come before and behind it, or as others than these."""
    x = np.random.default_rng(1).normal(size=(4, 6, 6, 3)).astype("float32")
    y = np.concatenate([9 * x[2:3] + 1, x[:1], -5 * x[3:]])
    return np.abs(function(tf.constant(x))[0].numpy() - function(tf.constant(y))[1].numpy()).max()


@pytest.mark.parametrize("name", ALONE)
def test_rows_alone(name):
    function = passing(ALONE[name])
    assert in_company(function) < 1e-5
    assert is_known(function)


@pytest.mark.parametrize("name", TOGETHER)
def test_rows_that_depend_on_each_other(name):
    function = passing(TOGETHER[name])
    assert in_company(function) > 1e-3
    assert not is_known(function)


def test_of_a_diagonal_rows_have_the_number_of_their_places():
    function, x = passing(lambda x: tf.einsum("nnjc->njc", x)), numbers(6, 6, 6, 3)
    assert np.abs(function(x)[0].numpy() - function(x[::-1])[5].numpy()).max() > 1e-3
    assert not is_known(function)


@pytest.mark.parametrize("name", MOVING)
def test_what_may_change(name):
    assert not is_known(passing(MOVING[name]))


def network(*middle):
    return keras.Sequential([keras.Input((8, 8, 3)), *middle, layers.GlobalAveragePooling2D(), layers.Dense(3)])


class Own(layers.Layer):
    """A layer of a user's: who knows what its Python does the next time."""

    def call(self, x):
        return 2 * x


@pytest.mark.parametrize("method", [tfxai.GradCAM, tfxai.LRP, tfxai.Occlusion])
def test_models_of_keras_are_not_passed_to_see_it(monkeypatch, method):
    looked = []
    monkeypatch.setattr(steadiness, "check", lambda *given: looked.append(given))
    x = np.ones((2, 8, 8, 3), "float32")
    middle = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU(), layers.Dropout(0.5)]
    method(network(*middle))(x, 0)
    assert not looked
    double = layers.Lambda(lambda x: 2 * x, output_shape=lambda shape: shape)
    for layer in (Own(), double, layers.Activation(lambda x: 2 * x)):
        method(network(*middle, layer))(x, 0)
        assert looked.pop()


@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetV2B0", "ResNet50", "DenseNet121", "NASNetMobile"])
def test_networks_of_keras_are_known(name):
    side = 224 if name == "NASNetMobile" else 64
    model = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3))
    function = tf.function(lambda x: model(x, training=False), autograph=False)
    assert is_known(function.get_concrete_function(tf.TensorSpec([None, *model.input_shape[1:]])))
