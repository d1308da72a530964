"""Random architectures: a SavedModel explains as the Keras model from which it was exported."""

import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from networks import settled

import tfxai

ACTIVATIONS = {
    "relu": lambda: layers.ReLU(),
    "relu6": lambda: layers.Activation("relu6"),
    "leaky": lambda: layers.LeakyReLU(negative_slope=0.1),
    "threshold": lambda: layers.ReLU(threshold=0.1, negative_slope=0.2),
    "prelu": lambda: layers.PReLU(alpha_initializer=keras.initializers.Constant(0.25), shared_axes=[1, 2]),
    "elu": lambda: layers.ELU(),
    "operation": lambda: keras.ops.relu,
    "silu": lambda: layers.Activation("silu"),
}
activations = st.sampled_from(sorted(ACTIVATIONS))

steps = st.one_of(
    st.tuples(st.just("conv"), st.integers(1, 3), st.integers(1, 2), st.booleans()),
    st.tuples(st.just("depthwise"), st.integers(2, 3)),
    st.tuples(st.just("norm")),
    st.tuples(st.just("activation"), activations),
    st.tuples(st.just("pool"), st.sampled_from(["MaxPooling2D", "AveragePooling2D"])),
    st.tuples(st.just("residual"), activations),
    st.tuples(st.just("branches"), activations),
    st.tuples(st.just("nested"), activations),
)


def conv(x, kernel=3, stride=1, bias=False):
    return layers.Conv2D(4, kernel, stride, padding="same", use_bias=bias, bias_initializer="normal")(x)


def norm(x):
    random = [keras.initializers.RandomUniform(0.5, 1.5, seed=seed) for seed in range(4)]
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    return layers.BatchNormalization(**{f"{name}_initializer": one for name, one in zip(names, random, strict=True)})(x)


def step(x, kind, *how):
    """One more part of the network; every part keeps four channels, so that all can follow each other."""
    if kind == "conv":
        return conv(x, *how)
    if kind == "depthwise":
        return layers.DepthwiseConv2D(*how, padding="same")(x)
    if kind == "norm":
        return norm(x)
    if kind == "activation":
        return ACTIVATIONS[how[0]]()(x)
    if kind == "pool":
        return getattr(layers, how[0])(2, padding="same")(x)
    if kind == "residual":
        return layers.Add()([x, ACTIVATIONS[how[0]]()(norm(conv(x)))])
    if kind == "branches":
        return conv(layers.Concatenate()([ACTIVATIONS[how[0]]()(conv(x, 1)), layers.MaxPooling2D(3, 1, "same")(x)]))
    inputs = keras.Input(x.shape[1:])
    return keras.Model(inputs, ACTIVATIONS[how[0]]()(conv(inputs)))(x)


# Every part and every activation, in networks that end in every way; nightly, random ones.
NETWORKS = [
    (
        [("conv", 2, 2, True), ("activation", "relu6"), ("pool", "MaxPooling2D"), ("residual", "leaky"), ("norm",)],
        True,
        True,
    ),
    ([("depthwise", 3), ("activation", "threshold"), ("branches", "prelu"), ("nested", "silu")], False, False),
    (
        [
            *(("nested", "relu"), ("pool", "AveragePooling2D"), ("residual", "operation"), ("depthwise", 2)),
            *(("norm",), ("activation", "elu"), ("conv", 1, 1, False)),
        ],
        True,
        False,
    ),
]


def agree(parts, pooled, softmax, seed, methods=("saliency", "guided_backprop", "grad_cam")):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((12, 12, 3))
    x = layers.ReLU()(conv(inputs, bias=True))  # one ReLU at least, so that there is something to modify
    for part in parts:
        x = step(x, *part)
    x = layers.GlobalAveragePooling2D()(x) if pooled else layers.Flatten()(x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax" if softmax else None)(x))
    images = np.random.default_rng(seed).normal(size=(2, 12, 12, 3)).astype("f")
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, verbose=False)
        loaded = tf.saved_model.load(folder)
        for method in methods:
            expected = tfxai.explain(model, images, method, target=1)
            found = tfxai.explain(loaded, images, method, target=1)
            scale = np.abs(expected.values).max()
            np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-5 * scale)
            np.testing.assert_allclose(found.score, expected.score, rtol=1e-5, atol=1e-6)
            assert {**settled(found.facts), "layer": None} == {**settled(expected.facts), "layer": None}


@pytest.mark.nightly
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(st.lists(steps, min_size=1, max_size=6), st.booleans(), st.booleans(), st.integers(0, 99))
def test_saved_models_of_random_networks_explain_as_their_keras_models(parts, pooled, softmax, seed):
    agree(parts, pooled, softmax, seed)


@pytest.mark.parametrize(("parts", "pooled", "softmax"), NETWORKS)
def test_saved_models_explain_as_their_keras_models(parts, pooled, softmax):
    agree(parts, pooled, softmax, 1, ("guided_backprop", "grad_cam"))  # the first takes all the way of a gradient
