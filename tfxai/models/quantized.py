"""Products of integers in a flat graph, written with floating-point numbers of the same value.

A layer that is quantised on the fly scales its input x by a number s that depends on x, rounds it to integers q, takes
the product q W of integers, and divides by s and by the scale k of the weights. Of this is made (q / s) W / k: a
rounding of x, and an affine layer.
"""

from __future__ import annotations

from collections.abc import Collection

import tensorflow as tf

from tfxai.models.composed import Node, Nodes
from tfxai.models.operations import CLIPS, PRODUCTS, RESHAPES, SCALES

_PRODUCTS = PRODUCTS | {"Conv2D"}  # the only convolution of integers
_ARRANGING = RESHAPES | {"Identity", "Transpose"}
_ROUNDING = _ARRANGING | CLIPS | {"Cast", "Rint", "Round"}


def write_in_floats(graph_def: tf.compat.v1.GraphDef, inputs: Collection[str]) -> None:
    """Rewrite the products of a flat graph whose integers are scaled by what depends on the inputs.

    Parameters
    ----------
    graph_def : GraphDef
        Is changed; what a node needs stands before it.
    inputs : collection of str
        Names of the nodes that hold the inputs.
    """
    if not any(node.op in _PRODUCTS and _is_integer(node) for node in graph_def.node):
        return
    nodes = {node.name: node for node in graph_def.node}
    depending = set(inputs)
    for node in graph_def.node:
        if any(_node(source) in depending for source in node.input):
            depending.add(node.name)
    added: dict[str, list] = {}  # new nodes by the name of the node before which they stand
    for node in graph_def.node:
        if node.op in SCALES:
            for side in (0,) if node.op == "RealDiv" else (0, 1):
                _rewrite(node, side, nodes, depending, added)
    ordered = [new for node in graph_def.node for new in (*added.get(node.name, ()), node)]
    if added:
        copies = [tf.compat.v1.NodeDef.FromString(node.SerializeToString()) for node in ordered]
        del graph_def.node[:]
        graph_def.node.extend(copies)


def _rewrite(end: Node, side: int, nodes: Nodes, depending: Collection[str], added: dict[str, list]) -> None:
    """Rewrite the product that ends in this multiplication or division by a scale, if it is one."""
    behind, found = _chain(end.input[side], _ARRANGING | {"Cast"}, nodes)
    product = nodes.get(_node(found))
    if product is None or product.op not in _PRODUCTS or not _is_integer(product):
        return
    data, weights = product.input[:2]
    if _node(data) not in depending or _node(weights) in depending:
        return
    arranged, integers = _chain(data, _ARRANGING, nodes)
    _, found = _chain(integers, _ROUNDING, nodes)
    scaling = nodes.get(_node(found))
    if scaling is None or {scaling.op, end.op} != SCALES or end.attr["T"].type != tf.float32:
        return
    for scale in scaling.input[1 if scaling.op == "RealDiv" else 0 :]:
        rest = _without(end.input[1 - side], scale, nodes, depending)
        if rest is not None and _node(scale) in depending:
            break
    else:
        return
    types = [product.attr[key if key in product.attr else "T"].type for key in ("Ta", "Tb")]
    new = [_cast(f"{product.name}_data", integers, types[0]), _cast(f"{product.name}_weights", weights, types[1])]
    new.append(_floating(end, f"{product.name}_rounded", [new[0].name, scale]))
    for node in reversed(arranged):
        new.append(_floating(node, f"{product.name}_{len(new)}", [new[-1].name, *node.input[1:]]))
    new.append(_floating(product, f"{product.name}_float", [new[-1].name, new[1].name]))
    for node in reversed(behind):
        if node.op != "Cast":
            new.append(_floating(node, f"{product.name}_{len(new)}", [new[-1].name, *node.input[1:]]))
    added[end.name] = new
    if rest:
        end.input[side], end.input[1 - side] = new[-1].name, rest
    else:
        end.op, end.input[:] = "Identity", [new[-1].name]


def _without(source: str, scale: str, nodes: Nodes, depending: Collection[str]) -> str | None:
    """What remains of a product without one factor; "" if nothing does, None if it is no factor."""

    def is_scale(factor: str) -> bool:
        return _chain(factor, _ARRANGING, nodes)[1] == _chain(scale, _ARRANGING, nodes)[1]

    if is_scale(source):
        return ""
    node = nodes.get(_node(source))
    if node is None or node.op != "Mul":
        return None
    first, second = node.input
    rest = second if is_scale(first) else first if is_scale(second) else None
    return None if rest is None or _node(rest) in depending else rest


def _chain(source: str, kinds: Collection[str], nodes: Nodes) -> tuple[list, str]:
    """Nodes of these kinds that lead to a tensor, the last first, and the tensor that they begin with."""
    found = []
    while (node := nodes.get(_node(source))) is not None and node.op in kinds:
        found.append(node)
        source = node.input[0]
    return found, source


def _cast(name: str, source: str, kind: int) -> Node:
    node = tf.compat.v1.NodeDef(name=name, op="Cast", input=[source])
    node.attr["SrcT"].type, node.attr["DstT"].type = kind, tf.float32.as_datatype_enum
    return node


def _floating(like: Node, name: str, inputs: list[str]) -> Node:
    """A node like another, in float32."""
    node = tf.compat.v1.NodeDef(name=name, op=like.op.replace("V3", "V2"), input=inputs)
    for key, value in like.attr.items():
        if key not in ("Ta", "Tb", "Tout") and not key.startswith("_"):
            node.attr[key].CopyFrom(value)
    node.attr["T"].type = tf.float32.as_datatype_enum
    return node


def _is_integer(node: Node) -> bool:
    return any(tf.as_dtype(node.attr[key].type).is_integer for key in ("T", "Ta") if key in node.attr)


def _node(source: str) -> str:
    return source.removeprefix("^").partition(":")[0]
