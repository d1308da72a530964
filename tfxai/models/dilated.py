"""Dilated convolutions as TensorFlow writes them: positions to the batch, a convolution of neighbours, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.operations import CONVOLUTIONS
from tfxai.models.regions import Local, Reader, Region, boxes, lengths
from tfxai.models.span_rules import kernel


def chains(path: Sequence[tf.Operation]) -> dict[str, list[tf.Operation]]:
    """The operations of each such convolution on a path, by the name of the first."""
    users = defaultdict(list)
    for op in path:
        for tensor in op.inputs:
            users[tensor.name].append(op)
    found = {}
    for first in path:
        chain = [first]
        while first.type == "SpaceToBatchND" and chain[-1].type != "BatchToSpaceND":
            after = users[chain[-1].outputs[0].name]
            if len(after) != 1 or after[0].type not in CONVOLUTIONS | {"ExpandDims", "Squeeze", "BatchToSpaceND"}:
                break
            chain += after
        if chain[-1].type == "BatchToSpaceND" and sum(op.type in CONVOLUTIONS for op in chain) == 1:
            found[first.name] = chain
    return found


def local(chain: Sequence[tf.Operation], regions: Mapping[int, Region]) -> Local | None:
    """How such a convolution runs on a region; None if it takes its input whole."""
    first, last = chain[0], chain[-1]
    x, y = first.inputs[0], last.outputs[0]
    block, padding, crops = map(graph.constant_value, (first.inputs[1], first.inputs[2], last.inputs[2]))
    (conv,) = (op for op in chain if op.type in CONVOLUTIONS)
    strides, axes = conv.get_attr("strides"), x.shape.rank - 2
    if block is None or padding is None or crops is None or len(block) != axes:
        return None
    if set(strides) != {1} or conv.get_attr("padding") != b"VALID" or graph.channels_first(conv):
        return None
    sizes = kernel(conv, conv.outputs[0].shape.rank)[-1 - axes : -1]  # of series, a row of height 1 stands before
    reach, before = (np.array(sizes) - 1) * block, padding[:, 0] - crops[:, 0]
    found = boxes(regions[0].starts + before - reach, regions[0].ends - 1 + before, lengths(y))
    read = Region(found.starts - before, tuple((np.array(found.sizes) + reach).tolist()))
    missing = [[0, int(-size % b)] for size, b in zip(read.sizes, block, strict=True)]  # for blocks to be whole

    def compute(inputs: Sequence[tf.Tensor], reader: Reader) -> list[tf.Tensor]:
        values = tf.space_to_batch(inputs[0], block, missing)
        for op in chain[1:-1]:
            values = graph.again(op, [values, *map(graph.here, list(op.inputs)[1:])], custom=False)[0]
        return [tf.batch_to_space(values, block, missing)]

    return Local({0: read}, found, compute)
