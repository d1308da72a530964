"""What is computed of passes by no explainer: batches, padding, labels, and what an error keeps."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfxai.outcome import keeping
from tfxai.runner import Runner
from tfxai.targets import Request, Rows, parse


class Doubled(Runner):
    """Twice the score; `passes` counts traces."""

    def __init__(self, model, **options):
        super().__init__(model, **options)
        self.passes = []

    def compute(self, run):
        self.passes.append(run.repeats)
        return {"doubled": 2 * run.score}, {"scale": run.scale}


def network(batch=None):
    inputs = keras.Input(batch_shape=(batch, 3))
    model = keras.Model(inputs, layers.Dense(4)(inputs))
    model.set_weights([np.arange(12.0).reshape(3, 4), np.zeros(4)])
    return model


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(5, 3)).astype("float32")


@pytest.mark.parametrize("fixed", [None, 4])
@pytest.mark.parametrize("rows", [None, 1, 2])
def test_every_row_comes_once_in_its_order(x, fixed, rows):
    runner = Doubled(network(fixed))
    outcomes = list(runner.outcomes(x, [[0, 1], [1, 2], [2, 3], [3, 0], [0, 2]], batch_size=4, verbose=0, rows=rows))
    ids = np.concatenate([one.found["ids"] for one in outcomes])
    np.testing.assert_array_equal(ids, [0, 1, 1, 2, 2, 3, 3, 0, 0, 2])
    expected = 2 * (x @ np.arange(12.0).reshape(3, 4)).repeat(2, 0)[np.arange(10), ids]
    np.testing.assert_allclose(np.concatenate([one.found["doubled"] for one in outcomes]), expected, rtol=1e-5)
    np.testing.assert_array_equal(np.concatenate([one.inputs for one in outcomes]), x.repeat(2, 0))
    at_once = fixed or rows
    assert all(len(one.inputs) <= (at_once or 4) for one in outcomes)
    assert len(runner.passes) == 1
    assert runner.passes == [1 if at_once else 2]
    assert all(one.known == {"scale": "logit"} and one.target == "output" for one in outcomes)


def test_one_batch_with_its_own_classes(x):
    runner = Doubled(network(4))
    found = runner.outcome(x[:3], np.array([3, 2, 1])).found
    np.testing.assert_allclose(found["doubled"], 2 * found["score"])
    np.testing.assert_array_equal(found["ids"], [3, 2, 1])


def test_labels_come_with_their_inputs(x):
    runner = Doubled(network())
    labels = np.arange(5)
    data = tf.data.Dataset.from_tensor_slices((x, labels)).batch(3)
    for inputs, own in ((x, labels), (data, None), (data.map(lambda x, y: x), labels)):
        batches = list(runner.labelled(inputs, own, 3, 0))
        np.testing.assert_array_equal(np.concatenate([batch for batch, _ in batches]), x)
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), labels)
    assert [y for _, y in runner.labelled(x, "predicted", 3, 0)] == [None, None]


@pytest.mark.parametrize("labels", [None, "predicted"])
def test_batches_longer_than_a_model_takes_are_cut(x, labels):
    runner = Doubled(network(2))
    data = tf.data.Dataset.from_tensor_slices((x, np.arange(5))).batch(5)
    batches = list(runner.labelled(data, labels, 32, 0))
    assert [len(batch) for batch, _ in batches] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate([batch for batch, _ in batches]), x)
    if labels is None:
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), np.arange(5))
    scores = np.concatenate([runner.outcome(batch, 3).found["score"] for batch, _ in batches])
    np.testing.assert_allclose(scores, x @ [3, 7, 11], rtol=1e-5)


@pytest.mark.parametrize("labels", [None, np.array([]), "predicted"])
def test_a_stream_without_batches_is_an_error(labels):
    empty = tf.data.Dataset.from_tensor_slices((np.zeros((0, 3), "float32"), np.zeros(0, int))).batch(2)
    runner = Doubled(network())
    with pytest.raises(ValueError, match="dataset is empty"):
        list(runner.labelled(empty, labels, 2, 0))
    with pytest.raises(ValueError, match="dataset is empty"):
        list(runner.outcomes(empty, verbose=0))


def test_an_error_keeps_what_was_done():
    with pytest.raises(KeyboardInterrupt) as caught, keeping([np.ones(2), np.zeros(1)], np.concatenate, "rows"):
        raise KeyboardInterrupt
    assert caught.value.partial.tolist() == [1, 1, 0]
    assert "3 rows" in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="first") as caught, keeping([], list, "rows"):
        raise ValueError("the first already")
    assert not hasattr(caught.value, "partial")


def test_requests():
    assert parse(None).count is None
    assert parse(3).rows(5, 8)[0].tolist() == [3, 3, 3]
    assert parse("b", ["a", "b"]).ids == 1
    two = parse([[0, 1], [2, 0]])
    assert (two.repeats, two.count, two.rows(1, 2)[0].tolist()) == (2, 2, [2, 0])

    def score(outputs, weights):
        return outputs[:, 0] * weights

    own = Request(np.array(-1), Rows(score, np.arange(4.0)))
    assert own.kind is score
    assert own.count == 4
    np.testing.assert_array_equal(own.rows(1, 3)[1], [1, 2])
