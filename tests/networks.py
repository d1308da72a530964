"""Networks for tests: the oracle's two, re-written in every way in which people write them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

ORACLE = Path(__file__).parent / "oracle"
CAM_LAYER = {"plain": "relu2", "residual": "relu4"}


def oracle(name: str) -> dict[str, np.ndarray]:
    """One file of reference explanations, made by captum and pytorch-grad-cam."""
    with np.load(ORACLE / f"{name}.npz") as arrays:
        return dict(arrays)


@functools.cache
def known(name: str) -> keras.Model:
    """The network of this name, made once, for tests that leave its weights alone: what was traced of it is kept."""
    return globals()[name]()


def settled(facts: dict) -> dict:
    """Facts of an explanation but for those that say which model it is of."""
    return {name: fact for name, fact in facts.items() if name not in ("model", "model_kind", "model_path")}


def plain() -> keras.Model:
    inputs = x = keras.Input((16, 16, 3), name="input")
    x = layers.Conv2D(8, 3, padding="same", name="conv1")(x)
    x = layers.ReLU(name="relu1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(16, 3, padding="same", name="conv2")(x)
    x = layers.ReLU(name="relu2")(x)
    x = layers.AveragePooling2D(2, name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    return _weighted(keras.Model(inputs, layers.Dense(5, name="dense")(x), name="plain"), "plain")


def small() -> keras.Model:
    """The least that every method can explain, for what does not depend on the model: it is traced quickly."""
    inputs = x = keras.Input((16, 16, 3), name="input")
    x = layers.ReLU(name="relu1")(layers.Conv2D(6, 3, strides=2, padding="same", name="conv1")(x))
    x = layers.ReLU(name="relu2")(layers.Conv2D(8, 3, padding="same", name="conv2")(x))
    x = layers.Dense(5, name="dense")(layers.GlobalAveragePooling2D(name="gap")(x))
    model = keras.Model(inputs, x, name="small")
    random = np.random.default_rng(227)  # several classes are predicted, and class 1 is never unlikely
    for variable in model.weights:
        variable.assign(random.normal(0, 0.5, variable.shape))
    return model


def _conv(filters: int, name: str) -> layers.Layer:
    return layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name)


def _norm(name: str) -> layers.Layer:
    return layers.BatchNormalization(epsilon=1e-3, name=name)


def residual(relu: Callable[[str], Callable] = lambda name: layers.ReLU(name=name)) -> keras.Model:
    """The residual net; ``relu`` makes its activations, in whatever spelling."""
    inputs = keras.Input((16, 16, 3), name="input")
    x = relu("relu1")(_norm("bn1")(_conv(8, "conv1")(inputs)))
    branch = relu("relu2")(_norm("bn2")(_conv(8, "conv2")(x)))
    branch = _norm("bn3")(_conv(8, "conv3")(branch))
    x = relu("relu3")(layers.Add(name="add")([x, branch]))
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = relu("relu4")(_norm("bn4")(_conv(16, "conv4")(x)))
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return _weighted(keras.Model(inputs, layers.Dense(5, name="dense")(x), name="residual"), "residual")


def _trunk() -> tuple:
    inputs = keras.Input((8,), name="features")
    x = layers.Dense(12, activation="tanh", name="dense1")(inputs)
    return inputs, layers.Dense(10, activation="relu", name="dense2")(x)


def table() -> keras.Model:
    """A regression of eight columns."""
    inputs, x = _trunk()
    return _weighted(keras.Model(inputs, layers.Dense(1, name="value")(x), name="table"), "table")


def table_classes() -> keras.Model:
    """The same trunk with three classes."""
    inputs, x = _trunk()
    outputs = layers.Dense(3, activation="softmax", name="classes")(x)
    return _weighted(keras.Model(inputs, outputs, name="table_classes"), "table")


def nested() -> keras.Model:
    """The residual net as a model of models: a functional backbone inside a Sequential inside a functional model."""
    whole = residual()
    stem = keras.Model(whole.input, whole.get_layer("pool").output, name="stem")
    top_in = keras.Input(whole.get_layer("pool").output.shape[1:])
    top = top_in
    for name in ("conv4", "bn4", "relu4"):
        top = whole.get_layer(name)(top)
    backbone = keras.Sequential([stem, keras.Model(top_in, top, name="top")], name="backbone")
    inputs = keras.Input((16, 16, 3), name="input")
    x = whole.get_layer("gap")(backbone(inputs))
    return keras.Model(inputs, whole.get_layer("dense")(x), name="nested")


class Block(layers.Layer):
    """conv, norm, ReLU in a layer of its own; the ReLU is a bare TensorFlow function."""

    def __init__(self, conv: layers.Layer, norm: layers.Layer, activate: bool = True, **options):
        super().__init__(**options)
        self.conv, self.norm, self.activate = conv, norm, activate

    def call(self, x):
        x = self.norm(self.conv(x))
        return tf.nn.relu(x) if self.activate else x


class Subclassed(keras.Model):
    """The residual net as a subclass: blocks in a list, ``keras.ops.relu``, ``tf.maximum``, a compiled call."""

    def __init__(self):
        super().__init__(name="subclassed")
        self.blocks = [
            Block(_conv(8 if i < 4 else 16, f"conv{i}"), _norm(f"bn{i}"), i != 3, name=f"block{i}") for i in (1, 2, 3)
        ]
        self.last = Block(_conv(16, "conv4"), _norm("bn4"), False, name="block4")
        self.pool = layers.MaxPooling2D(2, name="pool")
        self.relu4 = layers.Activation("relu", name="relu4")
        self.head = keras.Sequential(
            [layers.GlobalAveragePooling2D(name="gap"), layers.Dense(5, name="dense")], name="head"
        )

    @tf.function
    def call(self, x):
        x = self.blocks[0](x)
        x = keras.ops.relu(x + self.blocks[2](self.blocks[1](x)))
        return self.head(self.relu4(self.last(self.pool(x))))


def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, 16, 16, 3), np.float32))
    return _weighted(model, "residual")


def shared() -> keras.Model:
    """A layer that runs twice, names that end in numbers, and activations that are no layers."""
    keras.utils.set_random_seed(0)
    conv = layers.Conv2D(3, 3, padding="same", name="conv")
    inputs = keras.Input((16, 16, 3))
    x = conv(layers.Conv2D(3, 3, padding="same", name="conv_1")(conv(inputs)))
    x = layers.GlobalAveragePooling2D(name="pool_7")(keras.ops.silu(x + 1.0))
    return keras.Model(inputs, layers.Dense(4, activation="softmax", name="conv_2")(x), name="shared")


def _weighted(model: keras.Model, name: str) -> keras.Model:
    """Give the model the oracle's weights, by the names of its layers, wherever they stand."""
    weights = oracle(f"{name}_weights")
    for variable in model.weights:
        layer = variable.path.split("/")[-2]
        if f"keras/{layer}/{variable.name}" in weights:  # the slopes of a PReLU are not
            variable.assign(weights[f"keras/{layer}/{variable.name}"])
    return model


class _TensorFlowRelu(layers.Layer):
    def call(self, x):
        return tf.nn.relu(x)


# Ways to write a ReLU; each a function of the layer's name.
SPELLINGS: dict[str, Callable[[str], Callable]] = {
    "layers.ReLU": lambda name: layers.ReLU(name=name),
    "Activation": lambda name: layers.Activation("relu", name=name),
    "keras.activations.relu": lambda name: layers.Activation(keras.activations.relu, name=name),
    "keras.ops.relu": lambda name: keras.ops.relu,
    "Lambda tf.nn.relu": lambda name: layers.Lambda(tf.nn.relu, name=name),
    "subclass": lambda name: _TensorFlowRelu(name=name),
    "maximum": lambda name: layers.Lambda(lambda x: tf.maximum(x, 0.0), name=name),
    "keras.ops.maximum": lambda name: lambda x: keras.ops.maximum(0.0, x),
    "LeakyReLU 0": lambda name: layers.LeakyReLU(negative_slope=0.0, name=name),
    "threshold": lambda name: layers.ReLU(threshold=1e-30, name=name),
    "high ceiling": lambda name: layers.ReLU(max_value=1e9, name=name),
    "PReLU": lambda name: layers.PReLU(alpha_initializer="zeros", trainable=False, name=name),
}
