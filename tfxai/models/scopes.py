"""Readable names for the tensors of a graph, from the scopes in which its operations were made.

A scope is what stands before a slash: ``model/block1/conv/Conv2D`` lies in ``conv``, which lies in ``block1``. Keras
opens one for each layer, TensorFlow for each function call, and `tf.name_scope` for whatever a user wants.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.view import Layer, unknown_layer

_CALL = re.compile(r"(Stateful)?PartitionedCall(_\d+)?")
_NUMBER = re.compile(r"_\d+$")
_AROUND_CALLS = "Func/"  # what inlining a call leaves behind


class Scopes:
    """Names of what lies between the inputs and the output of a graph.

    Layers are scopes, and operations that stand beside scopes. The output of a scope is the last tensor that leaves it.

    Parameters
    ----------
    inputs : sequence of tf.Tensor
        Inputs of the model.
    output : tf.Tensor
        Its output.
    variables : mapping
        Name of a variable by the name of the operation that reads it: tells whether Keras has numbered the scopes.
    """

    def __init__(self, inputs: Sequence[tf.Tensor], output: tf.Tensor, variables: Mapping[str, str]):
        path = _data_path(inputs, output)
        parts = {op.name: _parts(op.name) for op in path}
        shared = _common([names[:-1] for names in parts.values()])
        parts = {name: names[shared:] for name, names in parts.items()}
        numbered = _is_numbered(variables)

        members: dict[tuple[str, ...], list[tf.Operation]] = defaultdict(list)
        for op in path:
            for depth in range(1, len(parts[op.name])):
                members[parts[op.name][:depth]].append(op)
        exits = {scope: _exit(ops, output) for scope, ops in members.items()}
        layers = {scope for scope in members if _is_layer(scope, members, parts, numbered)}
        holders = {(), *(scope[:-1] for scope in layers)}

        def clean(scope: Sequence[str]) -> str:
            return "/".join(_NUMBER.sub("", part) for part in scope) if numbered else "/".join(scope)

        def name_of(op: tf.Operation) -> str:
            *scope, last = parts[op.name]
            return f"{clean(scope)}/{last}" if scope else last

        beside = [op for op in path if parts[op.name][:-1] in holders]  # operations that stand beside layers
        rows = [(clean(scope), exits[scope], _kind(members[scope], scope in holders)) for scope in layers]
        rows += [(name_of(op), op.outputs[0], op.type) for op in beside]
        order = {op.name: number for number, op in enumerate(path)}
        rows.sort(key=lambda row: (order[row[1].op.name], -row[0].count("/")))  # what is inside comes first

        names = [name for name, _, _ in rows]
        self.layers: list[Layer] = []
        self._tensors: dict[str, tf.Tensor] = {}
        for row, (name, tensor, kind) in enumerate(rows):
            unique = name if names.count(name) == 1 else f"{name}#{names[:row].count(name)}"  # shared: run by run
            self.layers.append(Layer(unique, kind, tuple(tensor.shape) if tensor.shape.rank is not None else ()))
            self._tensors[unique] = tensor
        self._aliases: dict[str, dict[str, tf.Tensor]] = defaultdict(dict)
        for scope, tensor in exits.items():
            for alias in {"/".join(scope), clean(scope)}:
                self._aliases[alias][tensor.name] = tensor
        for op in path:
            for alias in {"/".join(parts[op.name]), name_of(op)}:
                self._aliases[alias][op.outputs[0].name] = op.outputs[0]

    def find(self, name: str) -> str:
        """The flat graph's name of a layer, scope or operation, by its whole name or, where it is unique, its end."""
        if name in self._tensors:
            return _flat(self._tensors[name])
        found = self._aliases.get(name) or {
            tensor.name: tensor
            for alias, tensors in self._aliases.items()
            if alias.endswith(f"/{name}")
            for tensor in tensors.values()
        }
        if not found:
            raise unknown_layer(name, list(self._tensors))
        if len(found) > 1:
            known = [full for full, tensor in self._tensors.items() if tensor.name in found] or list(found)
            raise ValueError(f"The layer name {name!r} is ambiguous: {known}. Give the whole name.")
        return _flat(next(iter(found.values())))

    def last_spatial(self, rank: int) -> str | None:
        """Name of the last layer with maps, of a model whose inputs have so many axes."""
        seen: dict[str, str] = {}  # a model's output is that of its last layer: name the layer, which comes first
        for layer in self.layers:
            if layer.spatial and len(layer.shape) == rank:
                seen.setdefault(self._tensors[layer.name].name, layer.name)
        return list(seen.values())[-1] if seen else None


def _data_path(inputs: Sequence[tf.Tensor], output: tf.Tensor) -> list[tf.Operation]:
    """Operations with floating-point results that lie between any input and the output."""
    names = {op.name for start in inputs for op in graph.between(start, output)}
    return [
        op
        for op in output.graph.get_operations()
        if op.name in names and op.outputs and op.outputs[0].dtype.is_floating and not _between_calls(op)
    ]


def _between_calls(op: tf.Operation) -> bool:
    """Whether it only hands a value into or out of a function that was called."""
    scope = op.name.split("/")[-2]  # at least that into which the graph was pasted
    handed_out = op.type == "Identity" and (len(_parts(op.name)) == 1 or _CALL.fullmatch(scope) is not None)
    return handed_out or f"/{_AROUND_CALLS}" in op.name


def _parts(name: str) -> tuple[str, ...]:
    """Scopes and last name, without those of function calls, and without the scope into which the graph was pasted."""
    return tuple(part for part in name.split("/")[1:] if not _CALL.fullmatch(part))


def _flat(tensor: tf.Tensor) -> str:
    """Name of a tensor before the graph was pasted."""
    return tensor.name.partition("/")[2]


def _common(scopes: Sequence[tuple[str, ...]]) -> int:
    """How many scopes all share, but for the innermost if all lie in one."""
    shared = 0
    while scopes and all(len(scope) > shared and scope[shared] == scopes[0][shared] for scope in scopes):
        shared += 1
    return shared - 1 if scopes and all(len(scope) == shared for scope in scopes) and shared else shared


def _is_numbered(variables: Mapping[str, str]) -> bool:
    """Whether scopes are Keras 3's, which opens each scope twice, so that layer "conv" is in "conv_1"."""
    exact = numbered = 0
    for reader, variable in variables.items():
        layer = variable.split(":")[0].split("/")[-2:-1]
        scopes = reader.split("/")
        exact += any(scope in layer for scope in scopes)
        numbered += any(_NUMBER.sub("", scope) in layer for scope in scopes if scope not in layer)
    return numbered > exact


def _is_layer(scope: tuple[str, ...], members: Mapping, parts: Mapping, numbered: bool) -> bool:
    if numbered:  # scopes that a layer's own operations open have no number
        return bool(_NUMBER.search(scope[-1]))
    inside = {parts[op.name][: len(scope)] for op in members[scope[:-1]]} if len(scope) > 1 else set()
    return len(inside) != 1  # what is alone in a scope is that scope's inside


def _exit(ops: Sequence[tf.Operation], output: tf.Tensor) -> tf.Tensor:
    """The last tensor that leaves a scope."""
    own = {op.name for op in ops}
    leaving = [
        tensor
        for op in ops
        for tensor in op.outputs
        if tensor.name == output.name or any(user.name not in own for user in tensor.consumers())
    ]
    return leaving[-1] if leaving else ops[-1].outputs[0]


def _kind(ops: Sequence[tf.Operation], holder: bool) -> str:
    """What a scope is: its first operation that computes anything."""
    if holder:
        return "scope"
    return next((op.type for op in ops if op.type not in graph.PASSING), ops[0].type)
