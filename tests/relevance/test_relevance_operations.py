"""Relevance through operations without weights, and rules that the user gives them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tfxai
from tfxai.relevance import AlphaBeta, Composite, Epsilon, Flat, Pass, ZPlus, depthwise, upto


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("f")


def relevance(model, x, target=1, composite="epsilon", **options):
    return tfxai.LRP(model, composite=composite, **options)(x, target)


def running_sum():
    return keras.Sequential([keras.Input((6,)), layers.Lambda(lambda x: tf.cumsum(x, 1), name="running")])


# A tensor that is taken twice, handed on, broadcast


def test_a_tensor_that_is_taken_twice_gets_its_relevance_once():
    inputs = keras.Input((3, 4))
    twice = [inputs + inputs, inputs * inputs, keras.ops.concatenate([inputs, inputs], -1)]
    twice += [keras.ops.einsum("nij,nkj->nik", inputs, inputs), keras.ops.stack([inputs, inputs])[0]]
    for output in twice:
        found = relevance(keras.Model(inputs, layers.Flatten()(output)), random(2, 3, 4))
        np.testing.assert_allclose(found.values.sum((1, 2)), found.score, rtol=1e-4)


def test_stopped_gradients_do_not_stop_relevance():
    dense = layers.Dense(2, use_bias=False)
    model = keras.Sequential([keras.Input((4,)), layers.Lambda(tf.stop_gradient), dense])
    found = relevance(model, random(2, 4))
    np.testing.assert_allclose(found.values.sum(1), found.score, rtol=1e-4)


@pytest.mark.parametrize("batch", [None, 2])
def test_what_was_broadcast_gets_the_sum(batch):
    maps = keras.Input(batch_shape=(batch, 3, 3, 2))
    column = keras.Input(batch_shape=(batch, 1, 1, 2))
    gated = keras.Model([maps, column], layers.Flatten()(maps * keras.ops.tanh(column) + column))
    x = [np.abs(random(2, 3, 3, 2)), np.abs(random(2, 1, 1, 2, seed=1))]
    total = relevance(gated, x, lambda outputs: tf.reduce_sum(outputs, 1))
    of_maps, of_column = total.values.values()
    np.testing.assert_allclose(of_column, 9 * x[1], rtol=1e-4)  # the gate gets nothing, the sum its part
    np.testing.assert_allclose(of_maps, x[0] * np.tanh(x[1]), rtol=1e-4)


def test_signals_of_recurrent_cells_get_what_their_gates_let_through():
    """Arras et al. (2017): sigmoid(i) * tanh(g) belongs to g."""
    two = [keras.Input((3,)), keras.Input((3,))]
    model = keras.Model(two, keras.ops.sigmoid(two[0]) * keras.ops.tanh(two[1]))
    found = relevance(model, [random(1, 3), random(1, 3, seed=1)])
    gate, signal = found.values.values()
    assert not gate.any()
    np.testing.assert_allclose(signal[0], [0, found.score[0], 0], rtol=1e-5)
    for cell in (layers.LSTM(5, unroll=True, use_bias=False), layers.GRU(5, unroll=True, use_bias=False)):
        recurrent = keras.Sequential([keras.Input((4, 3)), cell, layers.Dense(2, use_bias=False)])
        found = relevance(recurrent, random(2, 4, 3))
        np.testing.assert_allclose(found.values.sum((1, 2)), found.score, rtol=1e-3)


def test_unit_normalisation_keeps_relevance():
    model = keras.Sequential([keras.Input((6,)), layers.UnitNormalization()])
    found = relevance(model, random(2, 6))
    np.testing.assert_allclose(found.values, found.score[:, None] * np.eye(6)[1:2], rtol=1e-5)


def test_shifts_without_biases_keep_all_relevance():
    inputs = keras.Input((4,))
    same = layers.Dense(4, use_bias=False, kernel_initializer="identity")(inputs)
    model = keras.Model(inputs, 3 - keras.ops.relu(same) + 2)
    x = np.array([[1.0, 0.0, 2.0, -1.0]], "f")
    assert relevance(model, x, 1, Pass(), bias=False).values[0, 1] == 5  # x is 0: it would have no part of 5 - x
    assert relevance(model, x, 1, Pass()).values[0, 1] == 0
    np.testing.assert_allclose(relevance(model, x, 2, Pass()).values[0, 2], -2, rtol=1e-5)


def test_a_shift_of_the_inputs_hands_all_relevance_on(residual, x, labels):
    """Preprocessing inside of the model or outside of it comes to the same."""
    inside = keras.Sequential([keras.Input((16, 16, 3)), layers.Rescaling(1 / 127.5, offset=-1), residual])
    found = relevance(inside, 127.5 * (x + 1), labels, "epsilon_plus")
    expected = relevance(residual, x, labels, "epsilon_plus")
    assert expected.values.any()
    np.testing.assert_allclose(found.values, expected.values, atol=1e-4 * np.abs(expected.values).max())


# Rules that the user gives


@pytest.mark.parametrize("key", ["Cumsum", "running", "run*"])
def test_rules_for_operations(key):
    x = random(2, 6)
    by_part = relevance(running_sum(), x, 2, operations={key: Epsilon()})
    expected = x * (np.arange(6) <= 2)
    np.testing.assert_allclose(by_part.values, expected, rtol=1e-4, atol=1e-6)
    handed = relevance(running_sum(), x, 2, operations={key: Pass()}).values
    np.testing.assert_allclose(handed, by_part.score[:, None] * np.eye(6)[2:3], rtol=1e-5)

    def evenly(op, R):
        assert op.type == "Cumsum"
        return [tf.cumsum(R[0] / tf.range(1.0, 7), 1, reverse=True), None]

    even = relevance(running_sum(), x, 2, operations={key: evenly}).values
    np.testing.assert_allclose(even, by_part.score[:, None] / 3 * (np.arange(6) <= 2), rtol=1e-5, atol=1e-6)


def test_bad_rules_for_operations():
    x = random(1, 6)
    with pytest.raises(ValueError, match=r"operations=\{'Cumsum': rule\}"):
        relevance(running_sum(), x)
    with pytest.raises(TypeError, match="Expected Epsilon, Zero, Pass or a function"):
        relevance(running_sum(), x, operations={"Cumsum": ZPlus()})
    with pytest.raises(ValueError, match="each of its 2 inputs"):
        relevance(running_sum(), x, operations={"Cumsum": lambda op, R: R})
    both = keras.Sequential([keras.Input((6,)), layers.Lambda(lambda x: tf.add_n(tf.split(x, 2, 1)))])
    with pytest.raises(ValueError, match="2 outputs"):
        relevance(both, x, operations={"Split": Epsilon()})


def test_rules_for_operations_of_several_outputs_of_which_one_is_used():
    x = random(2, 6)
    split = keras.Sequential([keras.Input((6,)), layers.Lambda(lambda x: tf.split(x, 2, 1)[1])])
    found = relevance(split, x, 1, operations={"Split": Epsilon()}).values
    np.testing.assert_allclose(found, x * np.eye(6)[4], rtol=1e-4)


def test_layers_can_be_passed_over():
    model = keras.Sequential([keras.Input((5, 5, 3)), layers.DepthwiseConv2D(3, padding="same"), layers.Flatten()])
    x = random(2, 5, 5, 3)
    found = relevance(model, x, 7, Pass())
    np.testing.assert_allclose(found.values.reshape(2, -1), found.score[:, None] * np.eye(75)[7:8], rtol=1e-5)
    with pytest.raises(ValueError, match="needs outputs of the inputs' shape"):
        relevance(keras.Sequential([keras.Input((4,)), layers.Dense(3)]), random(1, 4), 1, Pass())


# Conditions


def test_conditions_on_depth_and_kind():
    inputs = keras.Input((6, 6, 3))
    x = layers.DepthwiseConv2D(3, name="deep")(layers.Conv2D(4, 1, name="stem")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="last")(layers.GlobalAveragePooling2D()(x)))
    chosen = {}

    def record(layer):
        chosen[layer.name.rsplit("/")[-1]] = layer
        return Epsilon()

    data = random(1, 6, 6, 3)
    relevance(model, data, 1, record)
    assert [name for name, layer in chosen.items() if depthwise(layer)] == ["deep"]
    assert [name for name, layer in sorted(chosen.items()) if upto(0.5)(layer)] == ["deep", "stem"]
    assert chosen["stem"].operation == "Conv2D"
    by_depth = Composite([(upto(0), Flat()), (upto(0.5), AlphaBeta(2, 1))], ZPlus())
    by_name = Composite([("stem", Flat()), ("deep", AlphaBeta(2, 1)), ("last", ZPlus())])
    np.testing.assert_array_equal(*(relevance(model, data, 1, rules).values for rules in (by_depth, by_name)))


def test_a_fourier_transform_is_a_sum():
    """A linear network, so relevance is gradient times input, layer by layer or not."""
    x = keras.Input((4, 6))
    mixed = layers.Lambda(lambda x: tf.math.real(tf.signal.fft2d(tf.cast(x, tf.complex64))))(x)
    model = keras.Model(x, layers.Dense(2, use_bias=False)(layers.Flatten()(mixed)))
    given = random(2, 4, 6)
    found = relevance(model, given, composite=Epsilon(1e-9))
    np.testing.assert_allclose(found.values, tfxai.GradientXInput(model)(given, 1).values, rtol=1e-3, atol=1e-5)
