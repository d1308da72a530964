"""SavedModels of many kinds. Run as a program it writes them: ``python exports.py FOLDER``, so that tests explain what
another process has exported."""

from __future__ import annotations

import sys
from pathlib import Path

import networks
import numpy as np
import tensorflow as tf

IMAGES = [None, 16, 16, 3]


@tf.custom_gradient
def _tripled(x):
    return tf.identity(x), lambda g: 3 * g


@tf.custom_gradient
def _squared(x):
    """A gradient that refers to what was computed before it."""
    return tf.round(x), lambda g: g * x * x


class Zoo(tf.Module):
    """conv, ReLU, mean, dense, softmax, and everything that functions may have around these."""

    def __init__(self):
        random = np.random.default_rng(0)
        self.kernel = tf.Variable(random.normal(0, 0.3, (3, 3, 3, 4)).astype("f"), name="kernel")
        self.dense = tf.Variable(random.normal(0, 1, (4, 5)).astype("f"), name="dense")
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 2.0]), 0.0)

    def features(self, x):
        with tf.name_scope("features"):
            return tf.nn.relu(tf.nn.conv2d(x, self.kernel, 1, "SAME"), name="relu")

    def head(self, h):
        with tf.name_scope("head"):
            return tf.nn.softmax(tf.matmul(tf.reduce_mean(h, [1, 2]), self.dense))

    @tf.function(input_signature=[tf.TensorSpec(IMAGES)])
    def plain(self, x):
        return self.head(self.features(x))

    @tf.function
    def inner(self, x):
        return self.features(x)

    @tf.function
    def middle(self, x):
        return 2 * self.inner(x)

    @tf.function(input_signature=[tf.TensorSpec(IMAGES)])
    def nested(self, x):
        return self.head(self.middle(x))

    @tf.function(jit_compile=True)
    def compiled_features(self, x):
        return self.features(x)

    @tf.function(input_signature=[tf.TensorSpec(IMAGES)])
    def compiled(self, x):
        return self.head(self.compiled_features(x))

    @tf.function(input_signature=[tf.TensorSpec(IMAGES)])
    def loop(self, x):
        h = self.features(x)
        for _ in tf.range(3):
            h = h + tf.nn.relu(tf.sin(9 * h) - 0.2)
        return self.head(h)

    @tf.function(input_signature=[tf.TensorSpec(IMAGES)])
    def condition(self, x):
        h = self.features(x)
        h = tf.nn.relu(tf.sin(9 * h)) if tf.reduce_mean(h) < 100 else 2 * h
        return self.head(h)

    @tf.function(input_signature=[tf.TensorSpec([2, 16, 16, 3])])
    def fixed(self, x):
        return self.head(self.features(x))

    @tf.function(input_signature=[tf.TensorSpec(IMAGES, name="picture"), tf.TensorSpec([None, 5], name="bias")])
    def two(self, picture, bias):
        logits = tf.matmul(tf.reduce_mean(self.features(picture), [1, 2]), self.dense)
        return {"with_bias": logits + bias, "doubled": 2 * logits}

    @tf.function(input_signature=[tf.TensorSpec(IMAGES, tf.uint8)])
    def bytes(self, x):
        return self.head(self.features(tf.cast(x, tf.float32) / 255))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def strings(self, words):
        return tf.stack([self.table.lookup(words), 1 - self.table.lookup(words)], 1)

    @tf.function(input_signature=[tf.TensorSpec(IMAGES)])
    def lookup(self, x):
        return self.head(self.features(x)) * self.table.lookup(tf.constant("b"))

    @tf.function(input_signature=[tf.TensorSpec(IMAGES)])
    def rounding(self, x):
        return self.head(self.features(tf.round(9 * x)))

    @tf.function(input_signature=[tf.TensorSpec(IMAGES)])
    def without_gradient(self, x):
        return self.head(self.features(tf.raw_ops.AdjustContrastv2(images=x, contrast_factor=2.0)))

    @tf.function(input_signature=[tf.TensorSpec(IMAGES)])
    def custom(self, x):
        return self.head(self.features(_tripled(_squared(9 * x))))


SIGNATURES = (
    "plain",
    "nested",
    "compiled",
    "loop",
    "condition",
    "fixed",
    "two",
    "bytes",
    "strings",
    "lookup",
    "rounding",
)
UNSAVED = tf.saved_model.SaveOptions(experimental_custom_gradients=False)


def save_tensorflow_1(zoo: Zoo, folder: Path) -> None:
    """A graph as TensorFlow 1 wrote it: one weight is a variable, one frozen; an old loop on the way to one output."""
    kernel, dense = zoo.kernel.numpy(), zoo.dense.numpy()
    tf.compat.v1.disable_control_flow_v2()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, IMAGES, "image")
        with tf.compat.v1.variable_scope("Net"):
            weights = tf.compat.v1.get_variable("kernel", initializer=kernel)
            h = tf.nn.relu6(tf.nn.conv2d(x, weights, 1, "SAME"), name="Relu6")
            scores = tf.nn.softmax(tf.matmul(tf.reduce_mean(h, [1, 2]), tf.constant(dense)), name="Predictions")
            looped = tf.while_loop(lambda i, _: i < 2, lambda i, s: (i + 1, s * s), (0, scores))[1]
            outputs = {"scores": scores, "looped": tf.ensure_shape(looped, [None, 5])}
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(folder), {"image": x}, outputs)
    tf.compat.v1.enable_control_flow_v2()


def main(folder: Path) -> None:
    for name in ("plain", "residual", "nested", "subclassed", "shared"):
        getattr(networks, name)().export(folder / name, verbose=False)
    tf.saved_model.save(networks.residual(), str(folder / "residual_saved"))
    zoo = Zoo()
    tf.saved_model.save(zoo, str(folder / "zoo"), {name: getattr(zoo, name) for name in SIGNATURES})
    tf.saved_model.save(zoo, str(folder / "single"), {"only": zoo.plain})
    tf.saved_model.save(zoo, str(folder / "no_gradient"), zoo.without_gradient)
    tf.saved_model.save(zoo, str(folder / "custom"), zoo.custom)
    tf.saved_model.save(zoo, str(folder / "custom_unsaved"), zoo.custom, UNSAVED)
    save_tensorflow_1(zoo, folder / "tensorflow_1")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
