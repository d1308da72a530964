"""How many rows of a batch a processor takes at a time."""

from __future__ import annotations

import tensorflow as tf

from tfxai.models.view import ModelView

# What one operation writes is what the next one reads. As long as it stays in the last cache, which usual processors
# have this much of, large batches gain; behind it they lose: a pass of MobileNetV2 in a batch of 32 takes 1.5 times as
# long an image as in one of 4 (benchmarks/cache.py). Below a few rows, reading the weights begins to count.
CACHE = 32 * 2**20
FEWEST = 4


def rows_at_once(view: ModelView, graph: tf.Graph) -> int | None:
    """For how many rows the largest value of a graph, in which the model has passed, fits into the cache; None: all.

    All are for GPUs, for models that take no other number, and for functions, whose values are not seen.
    """
    if view.opaque or view.batch_size or tf.config.list_physical_devices("GPU"):
        return None
    values = [x for op in graph.get_operations() for x in op.outputs if x.shape.rank and x.shape[0] is None]
    largest = max((x.dtype.size * (x.shape[1:].num_elements() or 0) for x in values), default=0)
    return max(FEWEST, CACHE // max(1, largest))
