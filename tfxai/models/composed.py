"""ReLUs that a flat graph composes of several operations: with a threshold, a slope or a ceiling, and PReLU.

To modify the gradient of each of these operations would be wrong; they are found here, and modified as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import tensorflow as tf

from tfxai.models.operations import CONSTANTS

Node: TypeAlias = tf.compat.v1.NodeDef
Nodes: TypeAlias = Mapping[str, Node]  # by name


def modify_composed(graph_def: tf.compat.v1.GraphDef, operation: str, gradient: str) -> tuple[dict[str, str], set[str]]:
    """Put an operation with two inputs, x and f(x), after every composed ReLU f; it hands f(x) on.

    Parameters
    ----------
    graph_def : GraphDef
        Is changed.
    operation, gradient : str
        Type of the operation, and the name of its gradient.

    Returns
    -------
    dict
        What stands now for the output of each composed ReLU.
    set
        Names of the operations of which these are composed.
    """
    nodes = {node.name: node for node in graph_def.node}
    inside: set[str] = set()
    found: dict[str, str] = {}  # the last operation of a ReLU -> its input
    for node in reversed(graph_def.node):  # the outermost first
        x = None if node.name in inside else composed_relu(node, nodes)
        if x is not None:
            found[node.name] = x
            inside |= _members(node.name, x, nodes)
    moved = {root: f"{root}/modified:1" for root in found}
    for node in graph_def.node:
        node.input[:] = [moved.get(source.removesuffix(":0"), source) for source in node.input]
    for root, x in found.items():
        modified = graph_def.node.add(name=f"{root}/modified", op=operation, input=[moved.get(x, x), root])
        modified.attr["T"].list.type.extend([nodes[root].attr["T"].type] * 2)
        modified.attr["_gradient_op_type"].s = gradient.encode()
    return {f"{root}:0": name for root, name in moved.items()}, inside


def composed_relu(node: Node, nodes: Nodes) -> str | None:
    """Name of the input of a composed ReLU that ends in ``node``; None if there is none.

    Recognised is what ``keras.layers.ReLU`` and ``PReLU`` make: a positive part, minus or plus a slope times relu(-x).
    """
    if node.op in ("Sub", "AddV2"):
        left, right = (_get(source, nodes) for source in node.input)
        positive, negative = _positive_part(left, nodes), _negative_part(right, nodes)
        return positive if positive is not None and positive == negative else None
    return _positive_part(node, nodes) if node.op in ("SelectV2", "Maximum") else None


def _positive_part(node: Node | None, nodes: Nodes) -> str | None:
    """x, if the node is relu(x), relu6(x), x above a threshold and else 0, or one of these with a ceiling."""
    if node is None:
        return None
    if node.op in ("Relu", "Relu6"):
        return node.input[0]
    if node.op == "SelectV2":
        above, x, _ = node.input
        test = _get(above, nodes)
        kept = test is not None and test.op == "Greater" and x in test.input and _constant(node.input[2], nodes)
        return x if kept else None
    if node.op == "Maximum":
        ceiling, floor = (_get(source, nodes) for source in node.input)
        if ceiling is not None and ceiling.op == "Minimum" and _constant(floor.name if floor else "", nodes):
            return _positive_part(_get(ceiling.input[0], nodes), nodes)
    return None


def _negative_part(node: Node | None, nodes: Nodes) -> str | None:
    """x, if the node is a slope times relu(-x) or relu(threshold - x)."""
    if node is None or node.op != "Mul":
        return None
    for slope, part in (node.input, reversed(node.input)):
        relu = _get(part, nodes)
        if relu is not None and relu.op == "Relu" and _constant(slope, nodes):
            inner = _get(relu.input[0], nodes)
            if inner is not None and inner.op == "AddV2":
                inner = _get(inner.input[0], nodes)
            return inner.input[0] if inner is not None and inner.op == "Neg" else None
    return None


def _constant(source: str, nodes: Nodes) -> bool:
    """Whether a value does not depend on the data: a constant, a variable, or computed of these alone."""
    node = _get(source, nodes)
    if node is None or node.op in CONSTANTS:
        return node is not None
    return node.op in ("Neg", "Cast", "Identity") and all(_constant(source, nodes) for source in node.input)


def _get(source: str, nodes: Nodes) -> Node | None:
    return nodes.get(source.removesuffix(":0"))


def _members(root: str, x: str, nodes: Nodes) -> set[str]:
    """Operations between ``x`` and ``root``, which is one of them."""
    members: set[str] = set()
    waiting: list[str] = [root]
    while waiting:
        name = waiting.pop()
        if name != x and name in nodes and name not in members:
            members.add(name)
            waiting += _data(nodes[name].input)
    return members


def _data(sources: Iterable[str]) -> list[str]:
    return [source.removesuffix(":0") for source in sources if not source.startswith("^")]
