"""What every view can do: tell how many rows the model takes, and fill up a batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfxai.models import open_model
from tfxai.models.predict import predict, predictor
from tfxai.models.view import padded


def _fixed(rows):
    inputs = keras.Input((4,), batch_size=rows)
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(inputs))


@pytest.mark.parametrize("rows", [None, 5])
def test_batch_size_is_what_the_model_fixes(rows):
    model = _fixed(rows)
    function = tf.function(model, input_signature=[tf.TensorSpec([rows, 4])])
    assert open_model(model).batch_size == open_model(function).batch_size == rows


def test_a_model_that_has_seen_nothing_fixes_no_batch_size():
    assert open_model(lambda x: x).batch_size is None


def test_padded_repeats_the_last_row_of_every_array():
    arrays = {"a": np.array([[1, 2], [3, 4]]), "b": (np.array([5, 6]),)}
    found = padded(arrays, 4)
    np.testing.assert_array_equal(found["a"], [[1, 2], [3, 4], [3, 4], [3, 4]])
    np.testing.assert_array_equal(found["b"][0], [5, 6, 6, 6])
    assert padded(arrays, 2)["a"].dtype == arrays["a"].dtype


@pytest.mark.parametrize("rows", [None, 5])
def test_predictions_come_in_order_whatever_the_batches(rows):
    model = _fixed(rows)
    x = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
    expected = np.concatenate([model(np.tile(row, (rows or 1, 1))).numpy()[:1] for row in x])
    np.testing.assert_allclose(predict(open_model(model), x, 7).values, expected, atol=1e-6)


def test_a_predictor_is_traced_once_for_batches_of_any_size(monkeypatch):
    model, traced = _fixed(None), []
    view = open_model(model)
    forward = view.forward
    monkeypatch.setattr(view, "forward", lambda x: (traced.append(x.shape), forward(x))[1])
    predicted = predictor(view, 4)
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    expected = model(x).numpy()
    for rows in (9, 3, 2):  # in batches of 4, 3, 2 and 1
        np.testing.assert_allclose(predicted(x[:rows]).values, expected[:rows], atol=1e-6)
    assert [tuple(shape) for shape in traced] == [(None, 4)]
