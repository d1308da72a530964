"""The part of a graph between inputs and an output, and relevance on its way back through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfxai.attribution.relevance.affine import Affine, find_affine
from tfxai.attribution.relevance.operations import shares
from tfxai.models import graph

RuleOf = Callable[[Affine], Callable[[Affine, tf.Tensor], tf.Tensor]]


class Network:
    """Operations between inputs and an output.

    Attributes
    ----------
    path : list of tf.Operation
        In an order in which they can run.
    layers : dict of Affine
        Affine layers by the name of their linear operation, in the same order.
    """

    def __init__(self, inputs: Sequence[tf.Tensor], output: tf.Tensor):
        names = {op.name for x in inputs for op in graph.between(x, output)}
        self.output = output
        self.path = [op for op in output.graph.get_operations() if op.name in names]
        self._on_path = names | {x.op.name for x in inputs}
        found = (find_affine(op, self._on_path) for op in self.path)
        self.layers = {layer.op.name: layer for layer in found if layer is not None}

    def propagate(self, R: tf.Tensor, rule_of: RuleOf, bias: bool = True) -> dict[str, tf.Tensor]:
        """Relevance of every tensor, by its name, given that of the output and the rule of each affine layer.

        Parameters
        ----------
        R : tf.Tensor
            Relevance of the output.
        rule_of : callable
            The rule of an affine layer.
        bias : bool
            Whether constants that are added, but belong to no affine layer, take their part.

        Raises
        ------
        ValueError
            For an operation without a sound rule.
        """
        relevance = {self.output.name: R}

        def add(tensor: tf.Tensor, share: tf.Tensor) -> None:
            known = relevance.get(tensor.name)
            relevance[tensor.name] = share if known is None else known + share

        folded = {name for layer in self.layers.values() for name in layer.operations}
        for op in reversed(self.path):
            if op.name in self.layers:
                layer = self.layers[op.name]
                arrived = relevance.get(layer.through[-1].name)
                if arrived is not None:
                    relevance |= {tensor.name: tf.reshape(arrived, tf.shape(tensor)) for tensor in layer.through}
                    add(layer.source, rule_of(layer)(layer, relevance[layer.through[0].name]))
            elif op.name not in folded:
                signals = [relevance.get(tensor.name) for tensor in op.outputs]
                if any(r is not None for r in signals):
                    for tensor, share in self._shares(op, signals, bias):
                        add(tensor, share)
        return relevance

    def _shares(
        self, op: tf.Operation, signals: list[tf.Tensor | None], bias: bool
    ) -> list[tuple[tf.Tensor, tf.Tensor]]:
        found = shares(op, signals, self._on_path, bias)
        if found is None:
            raise ValueError(
                f"There is no sound relevance rule for the operation {op.name!r} ({op.type}). "
                "Explain a part of the model without it, or use IntegratedGradients."
            )
        return found
