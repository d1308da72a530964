"""How TensorFlow rewrites a graph before its first run, which for large graphs takes longer than to run them."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import tensorflow as tf
from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
from tensorflow.python.eager import context  # has no public name; `tf.config.optimizer` is of all threads


def as_written() -> AbstractContextManager[None]:
    """Functions that this thread calls run as they were traced: for those that run a few times only."""
    return _calls_with(_nothing)


def briefly() -> AbstractContextManager[None]:
    """Functions that this thread calls are rewritten once over, and not for memory, where TensorFlow does so twice.

    The second time changes next to nothing and takes as long as a third of the first. What belongs to a function must
    be the same at each call, or it is rewritten anew.
    """
    return _calls_with(_once)


def _nothing(options: RewriterConfig) -> None:
    options.disable_meta_optimizer = True


def _once(options: RewriterConfig) -> None:
    options.meta_optimizer_iterations = RewriterConfig.ONE
    options.memory_optimization = RewriterConfig.NO_MEM_OPT


@functools.lru_cache
def _changed(executor: str | None, serialized: bytes, change: Callable[[RewriterConfig], None]) -> object:
    config = tf.compat.v1.ConfigProto.FromString(serialized)
    change(config.graph_options.rewrite_options)
    return context.FunctionCallOptions(executor, config)


@contextlib.contextmanager
def _calls_with(change: Callable[[RewriterConfig], None]) -> Iterator[None]:
    here = context.context()
    before = here.function_call_options  # those of this thread
    here.function_call_options = _changed(before.executor_type, before.config_proto_serialized, change)
    try:
        yield
    finally:
        here.function_call_options = before
