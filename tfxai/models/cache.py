"""How many rows of a batch a processor takes at a time."""

from __future__ import annotations

import tensorflow as tf

# What one operation writes is what the next one reads. As long as it stays in the last cache, which usual processors
# have this much of, large batches gain; behind it they lose: a pass of MobileNetV2 in a batch of 32 takes 1.5 times as
# long an image as in one of 4 (benchmarks/cache.py). Below a few rows, reading the weights begins to count.
CACHE = 32 * 2**20
FEWEST = 4


def rows_at_once(graph: tf.Graph) -> int:
    """For how many rows the largest value of a graph fits into the cache, if its number of rows is open."""
    values = [x for op in graph.get_operations() for x in op.outputs if x.shape.rank and x.shape[0] is None]
    sizes = [x.dtype.size * (x.shape[1:].num_elements() or 0) for x in values]
    return max(FEWEST, CACHE // max(1, *sizes, 1))
