"""The oracle's networks of tokens: of texts, of images, and a language model; and what was computed of them."""

from __future__ import annotations

import functools

import keras
import numpy as np
from keras import layers, ops
from networks import oracle

register = keras.saving.register_keras_serializable("tfxai_tests")
WIDTHS = {"text": 16, "causal": 24}


@register
class Positions(layers.Layer):
    """Add a learnt vector to each position."""

    def build(self, shape):
        self.embeddings = self.add_weight(shape=shape[1:], name="embeddings")

    def call(self, x):
        return x + self.embeddings


@register
class ClassToken(layers.Layer):
    """Put a learnt token before the others."""

    def build(self, shape):
        self.tokens = self.add_weight(shape=(1, shape[-1]), name="tokens")

    def call(self, x):
        tokens = ops.broadcast_to(self.tokens[None], (ops.shape(x)[0], 1, x.shape[-1]))
        return ops.concatenate([tokens, x], axis=1)

    def compute_output_shape(self, shape):
        return shape[0], shape[1] + 1, shape[2]


@register
class First(layers.Layer):
    def call(self, x):
        return x[:, 0]


@register
class MaskedMean(layers.Layer):
    def call(self, x, mask):
        weights = ops.cast(mask, x.dtype)
        return ops.sum(x * weights[..., None], 1) / ops.sum(weights, 1, keepdims=True)

    def compute_output_shape(self, x_shape, mask_shape=None):
        return x_shape[0], x_shape[2]


@register
class RotaryAttention(layers.Layer):
    """Causal attention of two heads with rotary positions, without biases."""

    def build(self, shape):
        self.size = shape[-1] // 2
        for part in ("query", "key", "value", "output"):
            dense = layers.Dense(shape[-1], use_bias=False, name=part)
            dense.build(shape)
            setattr(self, f"{part}_dense", dense)

    def rotate(self, x):
        half = self.size // 2
        angle = np.arange(x.shape[1])[:, None] * 10000.0 ** (-np.arange(half) / half)
        cos, sin = (f(angle)[:, None].astype("float32") for f in (np.cos, np.sin))
        a, b = x[..., :half], x[..., half:]
        return ops.concatenate([a * cos - b * sin, b * cos + a * sin], -1)

    def call(self, x):
        steps = x.shape[1]
        q, k, v = (
            ops.reshape(part(x), (-1, steps, 2, self.size))
            for part in (self.query_dense, self.key_dense, self.value_dense)
        )
        scores = ops.einsum("nqhd,nkhd->nhqk", self.rotate(q), self.rotate(k)) * self.size**-0.5
        scores = ops.where(np.tril(np.ones((steps, steps), bool)), scores, -1e9)
        mixed = ops.einsum("nhqk,nkhd->nqhd", ops.softmax(scores), v)
        return self.output_dense(ops.reshape(mixed, (-1, steps, x.shape[-1])))

    def compute_output_shape(self, shape):
        return shape


def text() -> keras.Model:
    """Two blocks of a BERT: norm behind attention, padding by a mask that is an input, mean over tokens."""
    ids = keras.Input((12,), dtype="int32", name="token_ids")
    mask = keras.Input((12,), dtype="bool", name="padding_mask")
    x = layers.Embedding(40, 16, name="token_embedding")(ids)
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(Positions(name="positions")(x))
    for i in (1, 2):
        y = layers.MultiHeadAttention(2, 8, name=f"attention{i}")(x, x, attention_mask=ops.expand_dims(mask, 1))
        x = layers.LayerNormalization(epsilon=1e-6, name=f"norm{i}a")(layers.Add()([x, y]))
        y = layers.Dense(16, name=f"down{i}")(layers.Dense(32, activation="gelu", name=f"up{i}")(x))
        x = layers.LayerNormalization(epsilon=1e-6, name=f"norm{i}b")(layers.Add()([x, y]))
    x = MaskedMean(name="pool")(x, mask)
    return keras.Model({"token_ids": ids, "padding_mask": mask}, layers.Dense(3, name="head")(x), name="text")


def vit() -> keras.Model:
    """Two blocks of a vision transformer: norm before attention, patches of 4 pixels, a class token."""
    image = keras.Input((16, 16, 3), name="image")
    x = layers.Reshape((16, 16), name="to_tokens")(layers.Conv2D(16, 4, strides=4, name="patches")(image))
    x = Positions(name="positions")(ClassToken(name="prefix")(x))
    for i in (1, 2):
        y = layers.LayerNormalization(epsilon=1e-6, name=f"norm{i}a")(x)
        x = layers.Add(name=f"add{i}a")([x, layers.MultiHeadAttention(2, 8, name=f"attention{i}")(y, y)])
        y = layers.LayerNormalization(epsilon=1e-6, name=f"norm{i}b")(x)
        y = layers.Dense(16, name=f"down{i}")(layers.Dense(32, activation="gelu", name=f"up{i}")(y))
        x = layers.Add(name=f"add{i}b")([x, y])
    x = First(name="class_token")(layers.LayerNormalization(epsilon=1e-6, name="norm")(x))
    return keras.Model(image, layers.Dense(5, name="head")(x), name="vit")


def causal() -> keras.Model:
    """Two blocks of a Llama: RMS norm, rotary positions, gated units."""
    ids = keras.Input((10,), dtype="int32", name="token_ids")
    x = layers.Embedding(30, 24, name="token_embedding")(ids)
    for i in (1, 2):
        y = RotaryAttention(name=f"attention{i}")(layers.RMSNormalization(epsilon=1e-6, name=f"norm{i}a")(x))
        x = layers.Add()([x, y])
        y = layers.RMSNormalization(epsilon=1e-6, name=f"norm{i}b")(x)
        gate = layers.Dense(32, activation="silu", use_bias=False, name=f"gate{i}")(y)
        y = layers.Multiply()([gate, layers.Dense(32, use_bias=False, name=f"up{i}")(y)])
        x = layers.Add(name=f"add{i}b")([x, layers.Dense(24, use_bias=False, name=f"down{i}")(y)])
    x = layers.Dense(30, use_bias=False, name="head")(layers.RMSNormalization(epsilon=1e-6, name="norm")(x))
    return keras.Model(ids, x, name="causal")


@functools.cache
def known(name: str) -> keras.Model:
    """The network with its weights, made once."""
    model, given = {"text": text, "causal": causal, "vit": vit}[name](), oracle(f"{name}_weights")
    for variable in model.weights:
        variable.assign(given["keras/" + variable.path.removeprefix(f"{model.name}/")])
    return model


def inputs(name: str) -> dict[str, np.ndarray] | np.ndarray:
    given = oracle(f"{name}_inputs")
    if name == "vit":
        return given["x"]
    return given["token_ids"] if name == "causal" else {key: given[key] for key in ("token_ids", "padding_mask")}
