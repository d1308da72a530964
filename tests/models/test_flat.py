"""One flat graph of a function: what it computes, which of its ReLUs are composed, and integers as floats."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tfxai.models import graph
from tfxai.models.composed import composed_relu
from tfxai.models.flat import FlatGraph

X = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")


def flattened(model):
    function = tf.function(model, autograph=False).get_concrete_function(tf.TensorSpec([None, 6]))
    return FlatGraph(function)


def pasted(flat, **options):
    """What a flat graph computes when it is pasted, and kinds and types of the operations that do."""
    kinds = []

    @tf.function(autograph=False)
    def run(x):
        (found,) = flat.paste([x], flat.outputs, **options)
        needed = graph.ancestors([found])
        kinds.extend((op.type, op.outputs[0].dtype) for op in x.graph.get_operations() if op.name in needed)
        return found

    return run(X).numpy(), kinds


@pytest.mark.parametrize("rule", [None, "flat"])
def test_functions_within_functions_are_replaced_by_what_they_do(rule):
    weights = tf.Variable(np.ones((6, 2), "float32"))
    inner = tf.function(lambda x: tf.matmul(x, weights), autograph=False)
    flat = flattened(lambda x: tf.nn.relu(inner(x)))
    values, kinds = pasted(flat, backward=rule)
    assert not [kind for kind in kinds if "Call" in kind[0]]
    np.testing.assert_allclose(values, np.maximum(X.sum(1, keepdims=True), 0) * [1, 1], rtol=1e-5)
    assert set(flat.variables().values()) == {weights.name}
    weights.assign(2 * weights)
    np.testing.assert_allclose(pasted(flat, backward=rule)[0], 2 * values, rtol=1e-5)


COMPOSED = {
    "threshold": layers.ReLU(threshold=0.5),
    "all": layers.ReLU(max_value=2.0, negative_slope=0.25, threshold=0.5),
    "prelu": layers.PReLU(alpha_initializer=keras.initializers.Constant(0.3)),
}


@pytest.mark.parametrize("name", COMPOSED)
def test_relus_of_several_operations_are_found_as_a_whole(name):
    inputs = keras.Input((6,))
    flat = flattened(keras.Model(inputs, COMPOSED[name](inputs)))
    nodes = {node.name: node for node in flat._graph_def.node}
    assert {composed_relu(node, nodes) for node in nodes.values()} - {None} == {flat.inputs[0].partition(":")[0]}


@pytest.mark.parametrize("kind", ["Maximum", "AddV2"])
def test_sums_and_maxima_of_other_things_are_no_relus(kind):
    flat = flattened(lambda x: getattr(tf.raw_ops, kind)(x=tf.nn.tanh(x), y=tf.nn.sigmoid(x)))
    nodes = {node.name: node for node in flat._graph_def.node}
    assert [composed_relu(node, nodes) for node in flat._graph_def.node if node.op == kind] == [None]


def test_products_of_scaled_integers_are_written_in_floats():
    weights = np.random.default_rng(1).integers(-5, 6, size=(6, 3)).astype("int32")

    def quantized(x):
        scale = 127 / tf.reduce_max(tf.abs(x), 1, keepdims=True)
        rounded = tf.cast(tf.round(x * scale), tf.int32)
        return tf.cast(tf.matmul(rounded, weights), tf.float32) / scale

    flat = flattened(quantized)
    (integers, kinds), (floats, changed) = pasted(flat), pasted(flat, backward="flat")
    assert [dtype for kind, dtype in kinds if kind == "MatMul"] == [tf.int32]
    assert [dtype for kind, dtype in changed if kind == "MatMul"] == [tf.float32]
    np.testing.assert_allclose(floats, integers, rtol=1e-5)
