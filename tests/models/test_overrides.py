"""Modified gradients of ReLUs, by hand and by us, in every variant."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai

# name -> (layer, derivative by hand)
VARIANTS = {
    "relu": (lambda: layers.Activation("relu"), lambda a: (a > 0) * 1.0),
    "relu6": (lambda: layers.Activation("relu6"), lambda a: ((a > 0) & (a < 6)) * 1.0),
    "ReLU(6)": (lambda: layers.ReLU(max_value=6), lambda a: ((a > 0) & (a < 6)) * 1.0),
    "ReLU(4)": (lambda: layers.ReLU(max_value=4), lambda a: ((a > 0) & (a < 4)) * 1.0),
    "leaky": (lambda: layers.LeakyReLU(negative_slope=0.3), lambda a: np.where(a > 0, 1, 0.3)),
    "ReLU(slope)": (lambda: layers.ReLU(negative_slope=0.2), lambda a: np.where(a > 0, 1, 0.2)),
    "threshold": (lambda: layers.ReLU(threshold=1.0), lambda a: (a > 1) * 1.0),
    "all options": (
        lambda: layers.ReLU(max_value=4, negative_slope=0.2, threshold=1.0),
        lambda a: np.where(a < 1, 0.2, (a < 4) * 1.0),
    ),
    "prelu": (
        lambda: layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25)),
        lambda a: np.where(a > 0, 1, 0.25),
    ),
    "elu": (lambda: layers.ELU(), lambda a: np.where(a > 0, 1, np.exp(a))),
    "fused activation layer": (
        lambda: layers.Dense(5, activation=layers.LeakyReLU(negative_slope=0.3), kernel_initializer="identity"),
        lambda a: np.where(a > 0, 1, 0.3),
    ),
}


def chain(activation):
    """Linear layers with one activation between: everything by hand. Weights are spread so that all parts are met."""
    rng = np.random.default_rng(0)
    first = rng.normal(size=(4, 5)).astype("float32") * 3
    second = rng.normal(size=(5, 2)).astype("float32")
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, use_bias=False), activation, layers.Dense(2, use_bias=False)]
    )
    model.layers[0].kernel.assign(first)
    model.layers[2].kernel.assign(second)
    return model, first, second


# Of functions only some: all models are looked into as graphs.
FORMS = [(name, "layers") for name in VARIANTS] + [(name, "graph") for name in ("relu", "all options", "prelu")]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_variants_by_hand(name, form):
    rng = np.random.default_rng(0)
    make, derivative = VARIANTS[name]
    model, first, second = chain(make())
    model = tf.function(model) if form == "graph" else model
    x = rng.normal(size=(40, 4)).astype("float32")
    a, g = x @ first, second[:, 1]
    plain = tfxai.Saliency(model)(x, target=1)
    np.testing.assert_allclose(plain.values, (derivative(a) * g) @ first.T, rtol=1e-4, atol=1e-5)
    guided = tfxai.GuidedBackprop(model)(x, target=1)
    np.testing.assert_allclose(guided.values, (derivative(a) * np.maximum(g, 0)) @ first.T, rtol=1e-4, atol=1e-5)
    deconvnet = tfxai.Deconvnet(model)(x, target=1)
    np.testing.assert_allclose(deconvnet.values, np.tile(np.maximum(g, 0) @ first.T, (40, 1)), rtol=1e-4, atol=1e-5)
    assert guided.facts["modified_relus"] == deconvnet.facts["modified_relus"] == 1
    # The forward pass is the model's own, bit for bit.
    np.testing.assert_array_equal(guided.score, plain.score)


class Hidden(layers.Layer):
    """A ReLU where no layer's own operations are: in a `tf.function`, a loop or a condition."""

    def __init__(self, where):
        super().__init__()
        self.where = where

    @tf.function
    def function(self, x):
        return tf.nn.relu(x)

    def call(self, x):
        if self.where == "function":
            return self.function(x)
        if self.where == "loop":
            return tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, tf.nn.relu(x)), (0, x))[1]
        return tf.cond(tf.size(x) > 0, lambda: tf.nn.relu(x), lambda: x)


@pytest.mark.parametrize("traced", [False, True], ids=["layers", "graph"])
@pytest.mark.parametrize("where", ["function", "loop", "condition"])
def test_hidden_relus_by_hand(where, traced):
    rng = np.random.default_rng(0)
    model, first, second = chain(Hidden(where))
    model = tf.function(model) if traced else model
    x, g = rng.normal(size=(40, 4)).astype("float32"), second[:, 1]
    guided = tfxai.GuidedBackprop(model)(x, target=1)
    expected = ((x @ first > 0) * np.maximum(g, 0)) @ first.T
    np.testing.assert_allclose(guided.values, expected, rtol=1e-4, atol=1e-5)
    assert guided.facts["modified_relus"] == 1
    deconvnet = tfxai.Deconvnet(model)(x, target=1)
    np.testing.assert_allclose(deconvnet.values, np.tile(np.maximum(g, 0) @ first.T, (40, 1)), rtol=1e-4, atol=1e-5)


def test_a_composed_relu_is_bent_as_a_whole_wherever_it_is_written():
    """A slope and a threshold, in bare operations: modifying each of these would turn the negative side around."""
    rng = np.random.default_rng(0)
    model, first, second = chain(layers.Lambda(lambda a: tf.nn.relu(a) - 0.2 * tf.nn.relu(-a)))
    x, g = rng.normal(size=(40, 4)).astype("float32"), second[:, 1]
    guided = tfxai.GuidedBackprop(model)(x, target=1)
    expected = (np.where(x @ first > 0, 1, 0.2) * np.maximum(g, 0)) @ first.T
    np.testing.assert_allclose(guided.values, expected, rtol=1e-4, atol=1e-5)
    assert guided.facts["modified_relus"] == 1


def test_the_signal_starts_from_one():
    """Maps must not scale with the score, nor turn where it is negative."""
    rng = np.random.default_rng(0)
    model, first, second = chain(layers.ReLU())
    x = rng.normal(size=(20, 4)).astype("float32")
    guided = tfxai.GuidedBackprop(model)(x, target=0)
    assert (guided.score < 0).any()
    np.testing.assert_allclose(
        guided.values, ((x @ first > 0) * np.maximum(second[:, 0], 0)) @ first.T, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("method", [tfxai.GuidedBackprop, tfxai.Deconvnet, tfxai.GuidedGradCAM])
def test_a_model_without_relus_is_an_error(method):
    inputs = keras.Input((8, 8, 3))
    conv = layers.Conv2D(4, 3, activation="swish")(inputs)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(conv)))
    with pytest.raises(ValueError, match="the model has none"):
        method(model)(np.ones((1, 8, 8, 3), "float32"))


def test_maximum_of_two_branches_is_no_relu():
    rng = np.random.default_rng(0)
    inputs = keras.Input((4,))
    a, b = layers.Dense(3)(inputs), layers.Dense(3)(inputs)
    merged = keras.Model(inputs, layers.Dense(2)(layers.Maximum()([a, b])))
    x = rng.normal(size=(5, 4)).astype("float32")
    with pytest.raises(ValueError, match="the model has none"):
        tfxai.GuidedBackprop(merged)(x)
    # Beside a ReLU it keeps its own gradient, also where it broadcasts.
    scaled = keras.ops.maximum(layers.Dense(1)(inputs), b)
    mixed = keras.Model(inputs, layers.Dense(2, kernel_initializer="ones")(keras.ops.relu(keras.ops.abs(scaled))))
    plain = tfxai.Saliency(mixed)(x, target=0)
    guided = tfxai.GuidedBackprop(mixed)(x, target=0)
    np.testing.assert_allclose(guided.values, plain.values, rtol=1e-5)  # all signals and units are positive
    assert guided.facts["modified_relus"] == 1


def test_all_positive_network_equals_the_gradient():
    model = keras.Sequential(
        [keras.Input((6,))]
        + [layers.Dense(4, activation="relu", kernel_initializer="ones", bias_initializer="ones") for _ in range(3)]
    )
    x = np.ones((2, 6), "float32")
    np.testing.assert_allclose(tfxai.GuidedBackprop(model)(x, 1).values, tfxai.Saliency(model)(x, 1).values)


def test_deconvnet_has_no_bias_leak():
    """A unit that gets no signal sends none, whatever the biases are."""
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(3, 3, activation="relu", bias_initializer="ones"),
            layers.Flatten(),
            layers.Dense(2, kernel_initializer="zeros", bias_initializer="ones"),
        ]
    )
    x = rng.normal(size=(2, 8, 8, 1)).astype("float32")
    assert not tfxai.Deconvnet(model)(x, 0).values.any()


def test_max_pooling_by_its_switches():
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            layers.MaxPooling2D(2),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(1, kernel_initializer="ones"),
        ]
    )
    x = rng.permutation(16).astype("float32").reshape(1, 4, 4, 1) + 1
    expected = np.zeros((4, 4))
    for row in (0, 2):
        for column in (0, 2):
            window = x[0, row : row + 2, column : column + 2, 0]
            i, j = np.unravel_index(window.argmax(), (2, 2))
            expected[row + i, column + j] = 1
    np.testing.assert_array_equal(tfxai.Deconvnet(model)(x, 0).values[0, ..., 0], expected)


def test_channel_and_neuron_stay_in_the_receptive_field(residual, x):
    neuron = tfxai.GuidedBackprop(residual)(x, target=tfxai.targets.Neuron("relu1", (5, 9, 2)))
    support = np.abs(neuron.values).sum((0, 3)) > 0
    inside = np.zeros((16, 16), bool)
    inside[4:7, 8:11] = True  # one 3 x 3 convolution
    assert support.any()
    assert not (support & ~inside).any()


def test_deconvnet_sends_back_the_whole_map_of_a_channel():
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            layers.Conv2D(2, 3, activation="relu", use_bias=False, name="conv"),
            layers.GlobalAveragePooling2D(),
        ]
    )
    x = rng.normal(size=(1, 6, 6, 1)).astype("float32")
    kernel = model.layers[0].kernel.numpy()[:, :, 0, 1]
    channel = np.maximum(model.layers[0](x).numpy()[0, ..., 1], 0)
    expected = np.zeros((6, 6))
    for i in range(4):
        for j in range(4):
            expected[i : i + 3, j : j + 3] += channel[i, j] * kernel
    deconvnet = tfxai.Deconvnet(model)(x, target=tfxai.targets.Channel("conv", 1))
    np.testing.assert_allclose(deconvnet.values[0, ..., 0], expected, rtol=1e-4, atol=1e-6)
    assert deconvnet.target == "channel 1 of conv"


def test_tapes_of_the_process_are_not_affected():
    x = tf.constant([-1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = -tf.nn.relu(x)
    np.testing.assert_array_equal(tape.gradient(y, x), [0, -1])
