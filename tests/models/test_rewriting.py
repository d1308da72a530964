"""How often graphs are rewritten is of the calls in a block alone, and changes nothing that they give."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.eager import context

from tfxai.models import rewriting


def options():
    serialized = context.context().function_call_options.config_proto_serialized
    return tf.compat.v1.ConfigProto.FromString(serialized).graph_options.rewrite_options


@pytest.mark.parametrize("block", [rewriting.as_written, rewriting.briefly])
def test_options_are_those_of_the_block(rewritten, block):
    before = options()
    with block():
        within = options()
    with pytest.raises(tf.errors.InvalidArgumentError), block():
        tf.linalg.inv(tf.zeros([2, 2]))
    assert options() == before
    once = within.meta_optimizer_iterations == RewriterConfig.ONE
    assert (once, within.disable_meta_optimizer) == (block is rewriting.briefly, block is rewriting.as_written)


def test_what_the_user_has_switched_off_stays_off(rewritten):
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    with rewriting.briefly():
        assert options().disable_meta_optimizer


def test_values_are_the_same(rewritten):
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 9, 9, 3)).astype("float32"))
    kernel = tf.constant(np.random.default_rng(1).normal(size=(3, 3, 3, 4)).astype("float32"))

    @tf.function(autograph=False)
    def step(x):
        return tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") * 2.0 + 1.0)

    expected = step(x).numpy()
    with rewriting.briefly():
        np.testing.assert_allclose(step(x).numpy(), expected, rtol=1e-5, atol=1e-5)
