"""Passes of what stands behind a changed word equal full passes, where no token looks at those behind it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import token_networks
from keras import layers, ops

import tfxai
from tfxai import hidden_boxes
from tfxai.models.attention import find
from tfxai.models.suffix import Suffix
from tfxai.targets import Token

WORDS, TOKENS = 40, 24


@keras.saving.register_keras_serializable("tfxai_tests_suffix")
class Grouped(layers.Layer):
    """Attention written by hand: rotary positions, two heads that share keys and values, positions before heads."""

    def build(self, shape):
        self.q, self.k, self.v = (self.add_weight(shape=(shape[-1], size)) for size in (16, 8, 8))

    def call(self, x):
        b, t = ops.shape(x)[0], x.shape[1]
        q, k, v = ops.matmul(x, self.q), ops.matmul(x, self.k), ops.matmul(x, self.v)
        q = ops.transpose(ops.reshape(q, (b, t, 2, 8)), (0, 2, 1, 3))
        k, v = (ops.repeat(ops.transpose(ops.reshape(y, (b, t, 1, 8)), (0, 2, 1, 3)), 2, axis=1) for y in (k, v))
        angle = ops.cast(ops.arange(t), "float32")[:, None] / ops.power(100.0, ops.arange(4, dtype="float32") / 4)

        def turned(y):
            first, second = ops.split(y, 2, axis=-1)
            cos, sin = ops.cos(angle), ops.sin(angle)
            return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

        scores = ops.matmul(turned(q), ops.transpose(turned(k), (0, 1, 3, 2))) / 8**0.5
        later = ops.arange(t)[None, :] > ops.arange(t)[:, None]
        shares = ops.softmax(ops.where(later, -1e9, scores), -1)
        return ops.reshape(ops.transpose(ops.matmul(shares, v), (0, 2, 1, 3)), (b, t, 16))


def gpt(causal=True, padding=False, kind="keras", end="last", blocks=2):
    """A small language model's body with a classifier."""
    keras.utils.set_random_seed(3)
    words = keras.Input((TOKENS,), dtype="int32")
    x = layers.Embedding(WORDS, 16, mask_zero=padding)(words)
    places = layers.Embedding(TOKENS, 16)(ops.arange(TOKENS))
    x = layers.Add()([x, ops.expand_dims(places, 0)]) if not padding else _Placed()(x)
    for _ in range(blocks):
        y = layers.LayerNormalization()(x)
        attended = layers.MultiHeadAttention(2, 8)(y, y, use_causal_mask=causal) if kind == "keras" else Grouped()(y)
        x = layers.Add()([x, attended])
        y = layers.Dense(32, activation="gelu")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(16)(y)])
    x = layers.LayerNormalization()(x)
    x = {"last": lambda: x[:, -1], "mean": lambda: layers.GlobalAveragePooling1D()(x), "all": lambda: x}[end]()
    return keras.Model(words, layers.Dense(5)(x))


@keras.saving.register_keras_serializable("tfxai_tests_suffix")
class _Placed(layers.Layer):
    supports_masking = True

    def build(self, shape):
        self.places = self.add_weight(shape=shape[1:], name="places", initializer="normal")

    def call(self, x):
        return x + self.places


@pytest.fixture
def words():
    return np.random.default_rng(1).integers(1, WORDS, (3, TOKENS)).astype("int32")


def both(model, x, target=None, method=tfxai.Occlusion, batch_size=12, **options):
    """Explanations by full passes and by what the package chooses."""
    if method is tfxai.Occlusion:
        options = {"window": 1, "stride": 1, **options}
    full = method(model, **options, **({"incremental": False} if method is tfxai.Occlusion else {}))
    fast = method(model, **options)
    return full(x, target, batch_size=batch_size), fast(x, target, batch_size=batch_size)


def same(full, fast, worth=0.8):
    assert fast.facts["incremental"] < worth
    assert np.abs(full.values).max() > 1e-3
    np.testing.assert_allclose(fast.values, full.values, atol=1e-5)


@pytest.mark.parametrize("end", ["last", "mean", "all"])
@pytest.mark.parametrize("kind", ["keras", "grouped"])
def test_two_blocks(words, kind, end):
    same(*both(gpt(kind=kind, end=end), words, Token([1, 2, 3]) if end == "all" else None, fill=0))


def test_the_oracle_s_network():
    x, labels = token_networks.inputs("causal"), token_networks.oracle("causal_inputs")["labels"]
    same(*both(token_networks.known("causal"), x, Token(labels), fill=2), worth=0.9)


@pytest.mark.parametrize("left", [False, True])
def test_padding(words, left):
    """Queries that are padding look everywhere, as Keras writes it: where a change could reach them all runs again."""
    words[0, : TOKENS // 2 if left else 0] = 0
    words[1, TOKENS // 3 :] = 0 if not left else words[1, TOKENS // 3 :]
    same(*both(gpt(padding=True, end="mean"), words, fill=7))


def test_exported(words, tmp_path):
    gpt().export(tmp_path / "model", verbose=False)
    same(*both(tmp_path / "model", words, fill=0))


def test_wide_windows_and_refined_ones(words):
    model = gpt()
    same(*both(model, words, window=4, stride=2, fill=[0, 5]))
    full, fast = both(model, words, fill=0, refine=0.6)
    same(full, fast)
    np.testing.assert_array_equal(full.extras["asked"], fast.extras["asked"])


def test_vectors_in_place_of_words():
    model = gpt()
    x = np.random.default_rng(0).normal(size=(2, TOKENS, 16)).astype("float32")
    inputs = keras.Input((TOKENS, 16))
    y = layers.MultiHeadAttention(2, 8)(inputs, inputs, use_causal_mask=True)
    model = keras.Model(inputs, layers.Dense(3)(layers.Dense(16, activation="relu")(y)[:, -1]))
    same(*both(model, x))


def test_ablation_of_words(words, monkeypatch):
    model = gpt(padding=True, end="mean")
    words[1, -4:] = 0
    for groups in ("auto", 3):
        fast = tfxai.FeatureAblation(model, fill=7, groups=groups)(words, batch_size=12)
        with monkeypatch.context() as patch:
            patch.setattr(hidden_boxes, "WORTH", 0.0)
            full = tfxai.FeatureAblation(model, fill=7, groups=groups)(words, batch_size=12)
        assert full.facts["incremental"] is None
        same(full, fast)


def test_never_where_tokens_look_ahead(words):
    """By the cost that is known before, and, should that be wrong, by what a pass shows."""
    for model in (gpt(causal=False), gpt(causal=False, end="mean")):
        full, fast = both(model, words, fill=0)
        assert fast.facts["incremental"] is None
        np.testing.assert_array_equal(full.values, fast.values)
        with pytest.raises(ValueError, match="unless attention is causal"):
            tfxai.Occlusion(model, fill=0, incremental=True)(words)

    model, changed = gpt(causal=False), words.copy()
    changed[:, TOKENS // 2] = 0

    @tf.function(autograph=False)
    def believed(x, other):
        y = model(x, training=False)
        return Suffix(x, y, find([x], y), 0.5)(other, 1)

    spec = tf.TensorSpec([None, TOKENS], tf.int32)
    found = believed.get_concrete_function(spec, spec)(tf.constant(words), tf.constant(changed))
    np.testing.assert_allclose(found, model(changed), atol=1e-5)
    assert np.abs(model(changed) - model(words)).max() > 1e-3


def test_a_gate_by_the_mean_of_all_positions_is_not_passed_over(words):
    """What every position is changed by runs whole, though attention is causal."""
    inputs = keras.Input((TOKENS,), dtype="int32")
    x = layers.Embedding(WORDS, 16)(inputs)
    x = x * ops.sigmoid(ops.mean(x, 1, keepdims=True) * 9)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(x, x, use_causal_mask=True)])
    full, fast = both(keras.Model(inputs, layers.Dense(3)(x[:, -1])), words, fill=0)
    assert fast.facts["incremental"] is None
    np.testing.assert_array_equal(full.values, fast.values)


def test_only_later_positions_run(words):
    """Half as many numbers are multiplied if words change from the middle on."""
    model = gpt()
    copies = np.repeat(words[:1], 8, 0)
    copies[:, TOKENS // 2 :] = 3
    seen = []

    @tf.function(autograph=False)
    def passes(x, other):
        y = model(x, training=False)
        end = Suffix(x, y, find([x], y), 0.5)(other, 8)
        softmaxes = [op for op in end.graph.get_operations() if op.type == "Softmax"]
        seen[:] = [tf.shape(op.outputs[0]) for op in softmaxes]
        return end, *seen

    spec = tf.TensorSpec([None, TOKENS], tf.int32)
    found, *shapes = passes.get_concrete_function(spec, spec)(tf.constant(words[:1]), tf.constant(copies))
    np.testing.assert_allclose(found, model(copies), atol=1e-5)
    clean, again = np.array(shapes)[:2], np.array(shapes)[2:]
    np.testing.assert_array_equal(clean, [[1, 2, TOKENS, TOKENS]] * 2)
    np.testing.assert_array_equal(again, [[8, 2, TOKENS // 2, TOKENS]] * 2)
