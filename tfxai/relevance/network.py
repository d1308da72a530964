"""The part of a graph between inputs and an output, and what goes back through it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from tfxai.models import graph
from tfxai.relevance.affine import Affine, find_affine, shaped_as
from tfxai.relevance.composites import LayerFacts, fits
from tfxai.relevance.flow import Flow
from tfxai.relevance.given import shares_by
from tfxai.relevance.operations import Conventions, Share, shares, way_out

RuleOf = Callable[[Affine], Callable[[Affine, tf.Tensor], tf.Tensor]]


class Network:
    """Operations between inputs and an output.

    Parameters
    ----------
    inputs, output : tensors
        Where they begin and end.
    operations : dict, optional
        Rules that the user gives, by type or by pattern of names.
    embedded : bool
        Whether the inputs are embeddings. Then no shift is one of their units, even if it comes before all layers.

    Attributes
    ----------
    output : tf.Tensor
        The output.
    between : set of str
        Names of all operations that depend on the inputs and on which the output depends.
    path : list of tf.Operation
        Those through which values flow, in an order in which they can run; see `Flow`.
    on_path : set of str
        Names of these, and of the operations that make the inputs.
    layers : dict of Affine
        Affine layers by the name of their linear operation, in the same order.
    behind : set of str
        Names of these operations, and of those that depend on one.
    """

    def __init__(
        self,
        inputs: Sequence[tf.Tensor],
        output: tf.Tensor,
        operations: Mapping[str, Any] | None = None,
        embedded: bool = False,
    ):
        self.output, self.embedded = output, embedded
        self.between = {op.name for x in inputs for op in graph.between(x, output)}
        self.operations = operations or {}
        self.path = Flow(inputs, output, self.between, lambda op: self._given(op) is not None).path
        self.on_path = {op.name for op in self.path} | {x.op.name for x in inputs}
        found = (find_affine(op, self.on_path) for op in self.path)
        self.layers = {layer.op.name: layer for layer in found if layer is not None}
        self.behind = set(self.layers)
        for op in self.path:
            if any(x.op.name in self.behind for x in op.inputs):
                self.behind.add(op.name)

    def _given(self, op: tf.Operation) -> Any:
        """The rule that the user has given for an operation; None if there is none."""
        return next((rule for key, rule in self.operations.items() if op.type == key or fits(scope(op), key)), None)

    def facts(self) -> dict[str, LayerFacts]:
        """What the conditions of composites ask, by the name of each layer's operation."""
        last = max(1, len(self.layers) - 1)
        return {
            name: LayerFacts(
                scope(layer.op),
                "convolution" if "onv" in layer.op.type else "dense",
                number / last,
                layer.source.op.name not in self.behind,
                layer.op.type,
            )
            for number, (name, layer) in enumerate(self.layers.items())
        }

    def parts(self) -> dict[str, tuple[Affine, tf.Tensor | None]]:
        """The layer that an operation ends or goes on, and the tensor of the layer that a scale or shift works on."""
        return {
            tensor.op.name: (layer, earlier)
            for layer in self.layers.values()
            for tensor, earlier in zip(layer.through, (None, *layer.through), strict=False)
        }

    def propagate(self, R: tf.Tensor, rule_of: RuleOf, conventions: Conventions) -> dict[str, tf.Tensor]:
        """Relevance of every tensor, by its name, given that of the output and the rule of each affine layer.

        Parameters
        ----------
        R : tf.Tensor
            Relevance of the output.
        rule_of : callable
            The rule of an affine layer.
        conventions : Conventions
            What is a matter of choice where operations belong to no affine layer.

        Raises
        ------
        ValueError
            For an operation without a sound rule.
        """
        parts = self.parts()

        def step(op: tf.Operation, signals: list[tf.Tensor | None]) -> list[Share]:
            if op.name not in parts:
                return self._shares(op, signals, conventions)
            layer, earlier = parts[op.name]
            signal = next(one for one in signals if one is not None)
            if earlier is not None:
                return [(earlier, shaped_as(signal, earlier))]
            return [(layer.source, rule_of(layer)(layer, signal))]

        return self.walk_back(R, step)

    def walk_back(self, end: Any, step: Callable[[tf.Operation, list], list[tuple[tf.Tensor, Any]]]) -> dict[str, Any]:
        """From the output to the inputs: what each operation hands back to what it takes, added up by tensor.

        Parameters
        ----------
        end : nested tensors
            What the output gets.
        step : callable
            Takes an operation and what its outputs got, None where nothing, and returns pairs of a tensor and what it
            gets.

        Returns
        -------
        dict
            What tensors got, by their names.
        """
        found = {self.output.name: end}
        for op in reversed(self.path):
            signals = [found.get(tensor.name) for tensor in op.outputs]
            arrived = [tensor for tensor in tf.nest.flatten(signals) if tensor is not None]
            if arrived:
                with tf.control_dependencies(arrived):  # else all layers would begin at once, and fill the memory
                    handed = step(op, signals)
                for tensor, share in handed:
                    known = found.get(tensor.name)
                    found[tensor.name] = share if known is None else tf.nest.map_structure(tf.add, known, share)
        return found

    def _shares(self, op: tf.Operation, signals: list[tf.Tensor | None], conventions: Conventions) -> list[Share]:
        if (rule := self._given(op)) is not None:
            return shares_by(rule, op, signals, self.on_path)
        if not self.embedded and op.name not in self.behind:  # a shift of the inputs changes their unit, no more
            conventions = replace(conventions, bias=False)
        found = shares(op, signals, self.on_path, conventions)
        if found is None:
            raise ValueError(
                f"There is no sound relevance rule for the operation {op.name!r} ({op.type}). {way_out(op)}Give one: "
                f"operations={{{op.type!r}: rule}}, where tfxai.relevance.Epsilon() shares relevance by contribution, "
                "Pass() hands it on, and a function (operation, relevance of its outputs) returns that of its inputs. "
                "Or use IntegratedGradients."
            )
        return found


def scope(op: tf.Operation) -> str:
    """Scopes of an operation without what tracing has added: calls and, from Keras, numbers."""
    parts = [part for part in op.name.split("/")[1:-1] if "PartitionedCall" not in part]
    return "/".join(re.sub(r"_\d+$", "", part) for part in parts)
