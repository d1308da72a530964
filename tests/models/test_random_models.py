"""Models that are random in inference, and models whose rows depend on each other, are noticed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tfxai

X = np.full((2, 8, 8, 3), 0.7, "float32")


class Middle(keras.Model):
    """A small network, with something in its middle."""

    def __init__(self, middle, *parts):
        super().__init__()
        keras.utils.set_random_seed(0)
        self.conv, self.pool, self.head = layers.Conv2D(8, 3), layers.GlobalAveragePooling2D(), layers.Dense(3)
        self.parts, self.middle = list(parts), middle

    def call(self, x):
        return self.head(self.middle(self.pool(self.conv(x)), *self.parts))


def with_layer(layer):
    return Middle(lambda x, part: part(x, training=True), layer)


def drop_by_hand(x):
    return x * tf.cast(tf.random.uniform(tf.shape(x)) > 0.5, x.dtype)


class Sampling(keras.layers.Layer):
    """As in a variational autoencoder."""

    def __init__(self):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(1)

    def call(self, mean):
        return mean + keras.random.normal(ops.shape(mean), seed=self.seeds)


RANDOM = {
    "dropout": lambda: with_layer(layers.Dropout(0.5)),
    "noise": lambda: with_layer(layers.GaussianNoise(0.5)),
    "sampling layer": lambda: Middle(lambda x, part: part(x), Sampling()),
    "one number for a batch": lambda: Middle(lambda x: x * tf.random.uniform([])),
    "operation in a lambda": lambda: Middle(lambda x, part: part(x), layers.Lambda(drop_by_hand)),
    "inside a function": lambda: Middle(tf.function(drop_by_hand)),
    "numpy": lambda: lambda x: np.random.default_rng().normal(size=(len(x), 3)),
    "tf.function": lambda: tf.function(lambda x: drop_by_hand(x[:, 0, 0])),
}


def ready(name):
    model = RANDOM[name]()
    if isinstance(model, keras.Model):
        model(X)
    return model


@pytest.mark.parametrize("name", RANDOM)
def test_random_models_are_refused(name):
    for options in ({}, {"batch_size": 1}) if name in ("dropout", "one number for a batch", "numpy") else ({},):
        with pytest.raises(ValueError, match=r"random in inference.*training=False.*draws=50"):
            tfxai.Occlusion(ready(name), window=4, fill=0.7)(X, 0, **options)


@pytest.mark.parametrize("make", [tfxai.Saliency, tfxai.SmoothGrad, tfxai.GradCAM, tfxai.LRP])
def test_every_method_refuses(make):
    with pytest.raises(ValueError, match="random in inference"):
        make(ready("dropout"))(X, 0)


def test_random_models_with_a_fixed_batch_are_refused():
    conv = layers.Conv2D(3, 3)
    for size in (1, 3):
        inputs = keras.Input(batch_shape=(size, 8, 8, 3))
        model = keras.Model(inputs, Sampling()(layers.GlobalAveragePooling2D()(conv(inputs))))
        with pytest.raises(ValueError, match="random in inference"):
            tfxai.Saliency(model)(X, 0)


def test_a_random_model_from_a_file_is_refused(tmp_path):
    ready("sampling layer").export(tmp_path / "saved", verbose=False)
    for options in ({}, {"draws": 3}):
        with pytest.raises(ValueError, match=r"random in inference|seeds of this one are fixed"):
            tfxai.Saliency(tmp_path / "saved", **options)(X, 0)


def alone(x):
    return x - tf.reduce_mean(x, 0)


def batch_statistics(x, norm):
    return norm(x, training=True)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Middle(alone),
        lambda: Middle(batch_statistics, layers.BatchNormalization()),
        lambda: lambda x: x[:, 0, 0] / x.mean(),
        lambda: tf.function(lambda x: x[:, 0, 0] / tf.reduce_max(x)),
    ],
)
def test_rows_that_depend_on_each_other_are_refused_in_company_only(make):
    model = make()
    if isinstance(model, keras.Model):
        model(X)
    x = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype("float32")
    explainer = tfxai.Occlusion(model, window=4)
    for rows in (x, x[:1]):
        with pytest.raises(ValueError, match=r"depend on each other.*batch_size=1"):
            explainer(rows, 0)
    together = explainer(x, 0, batch_size=1, verbose=0).values
    np.testing.assert_allclose(together[1], explainer(x[1:], 0, batch_size=1).values[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["dropout", "inside a function"])  # seeds of Keras, and none
def test_the_mean_over_draws_approaches_the_explanation_of_the_mean(name):
    """Nothing is hidden, so all drops are 0 on average; the gradient is that without dropout."""
    model = ready(name)
    one, many = (
        np.abs(tfxai.Occlusion(model, window=4, fill=0.7, draws=draws)(X, 0).extras["drops"]).mean()
        for draws in (1, 60)
    )
    assert many < one / 3
    gradients = tfxai.Saliency(model, draws=100)(X, 0)
    expected = tfxai.Saliency(Middle(lambda x: x if name != "inside a function" else x / 2))
    plain = expected.view.model
    plain(X)
    plain.set_weights(model.get_weights()[:4])
    np.testing.assert_allclose(gradients.values, expected(X, 0).values, atol=0.3 * np.abs(gradients.values).max())
    assert gradients.facts["options"]["draws"] == 100


def test_models_that_keras_makes_steady_and_half_precision_pass():
    functional = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.RandomFlip(),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    assert np.isfinite(tfxai.Saliency(functional)(X, 0).values).all()
    half = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(16, 3, dtype="mixed_float16"), layers.Flatten()])
    assert np.isfinite(tfxai.Saliency(half)(X, 0).values).all()


@pytest.mark.parametrize("name", ["dropout", "noise", "operation in a lambda"])
def test_random_models_are_refused_where_relevance_goes_back_through_them(name):
    rules = dict.fromkeys(["Cast", "GreaterEqual", "Greater", "SelectV2"], tfxai.relevance.Pass())
    with pytest.raises(ValueError, match=r"random in inference.*training=False.*draws=50"):
        tfxai.LRP(ready(name), operations=rules)(X, 0)


def test_looking_leaves_the_seeds_as_they_were():
    model = ready("dropout")
    before = [np.array(v) for v in model.non_trainable_variables]
    tfxai.Saliency(model, draws=3)(X, 0)
    for was, variable in zip(before, model.non_trainable_variables, strict=True):
        np.testing.assert_array_equal(was, variable)
