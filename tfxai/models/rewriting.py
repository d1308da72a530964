"""How TensorFlow rewrites a graph before its first run, which for large graphs takes longer than to run them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf
from tensorflow.python.eager import context  # has no public name; `tf.config.optimizer` is of all threads


@contextlib.contextmanager
def as_written() -> Iterator[None]:
    """Functions that this thread calls run as they were traced: for those that run a few times only."""
    here = context.context()
    before = here.function_call_options  # those of this thread
    config = tf.compat.v1.ConfigProto.FromString(before.config_proto_serialized)
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    here.function_call_options = context.FunctionCallOptions(before.executor_type, config)
    try:
        yield
    finally:
        here.function_call_options = before
