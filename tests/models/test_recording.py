"""A Keras model is traced once for all that is asked about its layers, and freed after it."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.models import open_model
from tfxai.models.blocks import channel_counts, default_layers
from tfxai.models.receptive_field import receptive_fields
from tfxai.models.view import traced

X = np.random.default_rng(0).uniform(size=(2, 12, 12, 3)).astype("float32")


class Counting(layers.Layer):
    """Counts how often the model is traced."""

    traces = 0

    def call(self, x):
        self.traces += not tf.executing_eagerly()
        return x


class Subclass(keras.Model):
    def __init__(self):
        super().__init__()
        self.count, self.conv = Counting(name="count"), layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")
        self.pool, self.head = layers.GlobalAveragePooling2D(), layers.Dense(3)

    def call(self, x):
        return self.head(self.pool(self.conv(self.count(x))))


def subclass():
    model = Subclass()
    model(X)
    return model, model.count


def functional(rows=None):
    count = Counting(name="count")
    inputs = keras.Input((12, 12, 3), batch_size=rows)
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(count(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)))
    count.traces = 0
    return model, count


@pytest.mark.parametrize("make", [functional, subclass, lambda: functional(rows=2)])
def test_relevance_goes_back_through_the_trace_that_is_looked_at_for_steadiness(make):
    model, count = make()
    before, lrp = count.traces, tfxai.LRP(model, composite="epsilon")
    values = lrp(X).values
    assert count.traces == before + 1
    model.get_layer("conv").activation = keras.activations.linear
    other = tfxai.LRP(model, composite="epsilon")(X).values
    assert count.traces == before + 2
    assert np.abs(values - other).max() > 1e-4


@pytest.mark.parametrize("make", [functional, subclass, lambda: functional(rows=2)])
def test_one_trace_answers_all_questions_of_all_views(make):
    model, count = make()
    before, view = count.traces, open_model(model)
    assert [one.name for one in view.layers(X)][:2] == ["count", "conv"]
    assert open_model(model).last_spatial(X) == "conv"
    assert default_layers(view, X) == ("conv",)
    assert channel_counts(view, ["conv", "count"], X) == (4, 3)
    field = receptive_fields(view, ["conv"], tf.TensorSpec([2, 12, 12, 3]))["conv"]
    assert (field.size, field.stride) == ((3, 3), (2, 2))
    assert traced(view, ["conv"], X, lambda given, run: (given.shape[1:], run.read["conv"].shape[1:])) == (
        (12, 12, 3),
        (5, 5, 4),
    )
    assert count.traces - before == 1


def test_methods_share_it_and_compute_in_traces_of_their_own():
    model, count = functional()
    for number, method in enumerate((tfxai.GradCAM, tfxai.LayerCAM, tfxai.HiResCAM), 1):
        method(model)(X, 0, verbose=0)
        tfxai.layers(model), tfxai.receptive_field(model)
        assert count.traces == 1 + number


def test_inputs_of_another_size_are_another_question():
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    view = open_model(keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x))))
    sizes = [view.layers(x)[0].shape for x in (None, X, X[:, :8], X)]
    assert sizes == [(None, None, None, 4), (None, 10, 10, 4), (None, 6, 10, 4), (None, 10, 10, 4)]


def test_only_the_last_recordings_are_kept():
    inputs = keras.Input((None, None, 3))
    view = open_model(keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))))
    alive = [weakref.ref(view.recorded(X[:, : 3 + size])[0]) for size in range(9)]
    gc.collect()
    assert [one() is None for one in alive] == [True] + [False] * 8


def test_a_model_that_is_changed_is_traced_again():
    model, count = subclass()
    view, before = open_model(model), count.traces
    assert view.recorded(X, ["conv"])[1].read["conv"].op.type == "Relu"
    model.conv.activation = tf.nn.tanh
    assert view.recorded(X, ["conv"])[1].read["conv"].op.type == "Tanh"
    model.head.quantize("int8")
    view.layers(X)
    assert count.traces == before + 3


@pytest.mark.parametrize("make", [functional, subclass])
def test_models_are_freed_after_their_explainers(make):
    model, _ = make()
    explainers = [tfxai.GradCAM(model), tfxai.GuidedBackprop(model)]
    for explainer in explainers:
        explainer(X, 0, verbose=0)
    tfxai.layers(model, inputs=X)
    receptive_fields(open_model(model), ["conv"], tf.TensorSpec([1, 12, 12, 3]))
    alive = weakref.ref(model)
    del model, explainer, explainers
    gc.collect()
    assert alive() is None


def test_the_pass_of_a_table_shows_that_it_holds_no_words(monkeypatch):
    """So nothing is recorded for it; numbers that a model rounds may be words, and functions are not looked into."""
    recorded = []
    monkeypatch.setattr("tfxai.models.embedded.in_flat_graph", lambda *given: recorded.append(given))
    table = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="tanh"), layers.Dense(2)])
    for method in ("saliency", "smooth_grad:samples=2", "lrp", "integrated_gradients:steps=3"):
        assert np.isfinite(tfxai.explain(table, X[:, 0, :4, 0], method, 0).values).all()
    assert not recorded
    words = keras.Sequential([keras.Input((4,)), layers.Embedding(9, 3), layers.Flatten(), layers.Dense(2)])
    function = tf.function(lambda x: tf.cast(x, tf.int32))
    hidden = keras.Sequential([keras.Input((4,)), layers.Lambda(function, output_shape=(4,), dtype="int32")])
    for model in (words, keras.Sequential([*hidden.layers, *words.layers])):
        assert not recorded
        with pytest.raises(ValueError, match="no gradient"):
            tfxai.Saliency(model)(np.ones((2, 4)), 0)
        assert recorded.pop()
