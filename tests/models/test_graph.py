"""Questions to a graph, each on one of a few operations: what lies between, what all paths pass, what would be."""

import numpy as np
import pytest
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.calls import inlined_call
from tfxai.models.ending import Ending
from tfxai.models.head import find_head, scores

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def traced(call, shape=(None, 3)):
    """What ``call`` returns of a tensor, while it is traced."""
    found = []
    function = tf.function(lambda x: found.append(call(x)), autograph=False)
    function.get_concrete_function(tf.TensorSpec(shape))
    return found[0]


def named(path):
    return [op.type for op in path]


def test_between_are_the_operations_on_the_way():
    def ask(x):
        a = tf.nn.relu(x)
        tf.nn.tanh(a)  # leads nowhere
        return named(graph.between(x, tf.nn.sigmoid(a * 2.0)))

    assert traced(ask) == ["Relu", "Mul", "Sigmoid"]


@pytest.mark.parametrize(("beside", "expected"), [(False, ["Relu", "Add"]), (True, ["Add"])])
def test_cuts_are_what_all_paths_pass(beside, expected):
    def ask(x):
        a = tf.nn.relu(x)
        y = tf.raw_ops.Add(x=tf.nn.tanh(a), y=x if beside else tf.nn.sigmoid(a))
        names = {op.outputs[0].name: op.type for op in y.graph.get_operations() if op.outputs}
        passed = graph.cuts(graph.flow([x], y), y.name)
        assert graph.bypassed(a, y, [x]) == beside
        return [names[name] for name in passed if names[name] != "Placeholder"]

    assert traced(ask) == expected


def test_an_edit_runs_again_what_depends_on_it_and_nothing_else():
    @tf.function(autograph=False)
    def edited(x):
        a, b = x + 1.0, x * 2.0
        y = a * b
        before = len(y.graph.get_operations())
        found = graph.edited([(a, lambda a: a + 3.0)], y)
        assert named(y.graph.get_operations()[before:]) == ["Const", "AddV2", "Mul"]
        return found

    np.testing.assert_allclose(edited(X), (X + 4) * (X * 2), rtol=1e-6)
    with pytest.raises(ValueError, match="does not depend"):
        traced(lambda x: graph.rerun(tf.nn.relu(x), x, tf.nn.tanh(x)))


@pytest.mark.parametrize(("rows", "expected"), [(4, 10), (None, None)])
def test_values_of_constants_and_of_shapes_that_are_known_are_found(rows, expected):
    def ask(x):
        return graph.constant_value(tf.shape(x)[0] * tf.constant(2) + tf.reduce_sum(tf.ones([2], tf.int32)))

    assert traced(ask, (rows, 3)) == expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (lambda x: tf.shape(x)[1] > 2, "Relu"),
        (lambda x: tf.shape(x)[1] > 4, "Tanh"),
        (lambda x: tf.reduce_sum(x) > 0, None),
    ],
)
def test_the_branch_that_is_known_is_taken(test, expected):
    def ask(x):
        tf.cond(test(x), lambda: tf.nn.relu(x), lambda: tf.nn.tanh(x))
        (op,) = (op for op in x.graph.get_operations() if op.type in ("If", "StatelessIf"))
        found = graph.chosen_branch(op)
        return None if found is None else graph.between(x, found[0])[0].type

    assert traced(ask, (4, 3)) == expected


def test_calls_of_functions_are_opened_within_one_another():
    inner = tf.function(lambda x: tf.nn.relu(x), autograph=False)
    outer = tf.function(lambda x: inner(x) * 2.0, autograph=False)

    @tf.function(autograph=False)
    def opened(x):
        y = outer(x)
        call = y.op if y.op.inputs and "Call" in y.op.type else y.op.inputs[0].op
        (found,) = inlined_call(call)
        assert not [op.type for op in graph.between(x, found) if "Call" in op.type]
        return found

    np.testing.assert_allclose(opened(X), 2 * np.maximum(X, 0), rtol=1e-6)


W = np.random.default_rng(1).normal(size=(3, 5)).astype("float32")
ENDS = {
    "logits": (lambda z: z, "logit", None),
    "softmax": (tf.nn.softmax, "probability", "softmax"),
    "sigmoid": (tf.nn.sigmoid, "probability", "sigmoid"),
    "log-softmax": (tf.nn.log_softmax, "output", "softmax"),
    "by hand": (lambda z: tf.exp(z) / tf.reduce_sum(tf.exp(z), -1, keepdims=True), "probability", "softmax"),
    "erf": (lambda z: (1 + tf.math.erf(z)) / 2, "probability", None),
    "tanh": (tf.nn.tanh, "output", None),
    "relu": (tf.nn.relu, "output", None),
}


@pytest.mark.parametrize("end", ENDS)
def test_heads_are_told_from_one_another_and_stepped_over(end):
    made, scale, kind = ENDS[end]

    @tf.function(autograph=False)
    def logits(x):
        head = find_head(made(tf.matmul(x, W)))
        assert (head.scale, head.kind) == (scale, kind)
        return scores(head.outputs, "logit").values if kind else x

    found = logits(X)
    if kind:
        np.testing.assert_allclose(found, X @ W, atol=1e-4)


def test_an_ending_goes_back_to_the_last_weights():
    def ask(x):
        hidden = tf.nn.relu(tf.matmul(x, W))
        end = Ending(tf.nn.softmax(tf.reduce_mean(tf.reshape(hidden, [-1, 5, 1]), 2)))
        return [op.type for op in end.steps], [tensor.op.type for tensor in end.sources], end.curves

    steps, sources, curves = traced(ask)
    assert steps[:2] == ["Softmax", "Mean"]
    assert "Relu" in sources
    assert curves == {"Softmax"}
