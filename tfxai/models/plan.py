"""Which operations are to run on regions only, by what that is estimated to cost."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfxai.models import dilated, graph
from tfxai.models.operations import CONVOLUTIONS, COPIES, POOLINGS, PRODUCTS, TRANSPOSED_CONVOLUTIONS
from tfxai.models.regions import Local, Reader, Region, lengths, local

# An operation runs on a region if this is at most such a share of all places. The cheapest of these plans is taken.
SHARES = (0.9, 0.75, 0.6, 0.45, 0.3)
MOVED = 16  # multiply-adds that take as long as to write a number
PUT_TOGETHER = 3  # so many numbers are written for each that is put together: of the first pass, of the change, of both
STARTED = 2e5  # multiply-adds that take as long as to start the operations of that, shared by a batch


@dataclass(frozen=True)
class Step:
    """One operation, or a chain of them that is one: how it runs.

    Attributes
    ----------
    chain : sequence of tf.Operation
        The operations, each of which takes what the one before it gives.
    local : Local, optional
        How it runs on regions; None: it runs whole.
    """

    chain: Sequence[tf.Operation]
    local: Local | None = None

    @property
    def inputs(self) -> Sequence[tf.Tensor]:
        return self.chain[0].inputs

    @property
    def outputs(self) -> Sequence[tf.Tensor]:
        return self.chain[-1].outputs

    @property
    def region(self) -> Region | None:
        """Where its outputs are computed; None: everywhere."""
        return self.local.region if self.local else None

    @property
    def outside(self) -> float:
        return self.local.outside if self.local else 0.0

    def reads(self, number: int) -> Region | None:
        """Where it reads an input that changes; None: everywhere."""
        return self.local.reads[number] if self.local else None

    def changed(self, known: Collection[str]) -> list[str]:
        """Names of the outputs that change if those inputs do that are known to."""
        if self.chain[-1].type in COPIES:
            return [y.name for x, y in zip(self.inputs, self.outputs, strict=True) if x.name in known]
        return [y.name for y in self.outputs]

    def run(self, inputs: Sequence[tf.Tensor], reader: Reader) -> list[tf.Tensor]:
        return self.local.compute(inputs, reader) if self.local else graph.again(self.chain[0], inputs, custom=False)


class Plan(NamedTuple):
    """What runs from a start to an end, and what one copy takes.

    Attributes
    ----------
    steps : list of Step
        One after the other.
    cost : float
        Multiply-adds.
    held : int
        Most numbers that a step reads and writes.
    """

    steps: list[Step]
    cost: float
    held: int


def cheapest(start: tf.Tensor, end: tf.Tensor, region: Region) -> tuple[Plan, Plan]:
    """The plan for a start of which a region changes, and that of full passes."""
    path = graph.between(start, end)
    chains = dilated.chains(path)
    inner = {op.name for chain in chains.values() for op in chain[1:]}
    units = [chains.get(op.name, [op]) for op in path if op.name not in inner]
    found: dict[str, Local | None] = {}
    plans = [_plan(units, {start.name: region}, most, found) for most in SHARES]
    return min(plans, key=lambda plan: plan.cost), _plan(units, {start.name: None}, 0.0, {})


def _plan(
    units: Sequence[Sequence[tf.Operation]],
    known: dict[str, Region | None],
    most: float,
    found: dict[str, Local | None],
) -> Plan:
    """How each operation runs, if none runs on more than such a share of all places.

    What runs locally has the same regions in every plan, so what was ``found`` for one serves the next.
    """
    steps, cost, held = [], 0.0, 0
    for chain in units:
        regions = {number: known[x.name] for number, x in enumerate(chain[0].inputs) if x.name in known}
        own = {number: one for number, one in regions.items() if one is not None}
        name = chain[0].name
        if len(own) == len(regions) and name not in found:
            found[name] = local(chain[0], own) if len(chain) == 1 else dilated.local(chain, own)
        step = Step(chain, found[name] if len(own) == len(regions) else None)
        if step.region is not None and _share(step.region, step.outputs[0]) > most:
            step = Step(chain)
        cost += _cost(chain) if step.local is None else _share(step.region, step.outputs[0]) * _cost(chain)
        numbers = _numbers(step.outputs[0], step.region)
        for number, has in regions.items():
            x, read = step.inputs[number], step.reads(number)
            together = has is not None and not (read or _all(x, has)).same(has)
            if together:
                cost += STARTED + PUT_TOGETHER * MOVED * _numbers(x, read)
            numbers += _numbers(x, read) * (PUT_TOGETHER if together else 1)
        held = max(held, numbers)
        for part in [step] if step.local else [Step([op]) for op in chain]:
            known |= dict.fromkeys(part.changed(known), part.region)
            steps.append(part)
    return Plan(steps, cost, held)


def _all(x: tf.Tensor, region: Region) -> Region:
    return Region(np.zeros_like(region.starts), tuple(lengths(x)))


def _numbers(x: tf.Tensor, region: Region | None) -> int:
    """How many numbers a copy has in a region; None: in all."""
    if region is None:
        return math.prod(size or 1 for size in x.shape[1:]) if x.shape.rank else 1
    return math.prod(region.sizes) * x.shape[-1]


def _share(region: Region | None, x: tf.Tensor) -> float:
    return math.prod(region.sizes) / math.prod(lengths(x)) if region else 0.0


def _cost(chain: Sequence[tf.Operation]) -> float:
    """Multiply-adds of one row, and as many as writing what comes out takes time for."""
    return _numbers(chain[-1].outputs[0], None) * (sum(map(_products, chain)) + len(chain) * MOVED)


def _products(op: tf.Operation) -> int:
    """Multiply-adds, or comparisons, for each number that an operation gives."""
    if op.type in CONVOLUTIONS | TRANSPOSED_CONVOLUTIONS:
        filters = op.inputs[1].shape.as_list()
        return math.prod(filters[:-2] if op.type == "DepthwiseConv2dNative" else filters[:-1])
    if op.type in POOLINGS and "ksize" in op.node_def.attr:
        return math.prod(op.get_attr("ksize"))
    return (op.inputs[0].shape[-1] or 1) if op.type in PRODUCTS else 0
