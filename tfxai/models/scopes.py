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
from tfxai.models.operations import PASSING
from tfxai.models.stack import last_stack
from tfxai.models.view import Layer, unknown_layer

Path = tuple[str, ...]  # scopes from the outside to the inside

_CALL = re.compile(r"(Stateful)?PartitionedCall(_\d+)?")
_NUMBER = re.compile(r"_\d+$")
_AROUND_CALLS = "/Func/"  # what inlining a call leaves behind


class Scopes:
    """Names of what lies between the inputs and the output of a graph that was pasted into the current one.

    Layers are scopes, and operations that stand beside scopes. The output of a scope is the last tensor that leaves it.

    Parameters
    ----------
    inputs : sequence of tf.Tensor
        Inputs of the model.
    output : tf.Tensor
        Its output.
    variables : mapping
        Name of a variable by the name of the operation that reads it: tells whether Keras has numbered the scopes.

    Attributes
    ----------
    layers : list of Layer
        In the order in which they run; what is inside a scope comes before the scope.
    """

    def __init__(self, inputs: Sequence[tf.Tensor], output: tf.Tensor, variables: Mapping[str, str]):
        self._inputs, self._output = list(inputs), output
        path = _data_path(inputs, output)
        places = _places(path)
        self._numbered = _is_numbered(variables)

        inside: dict[Path, list[tf.Operation]] = defaultdict(list)
        for op, place in zip(path, places, strict=True):
            for depth in range(1, len(place)):
                inside[place[:depth]].append(op)
        layers = [scope for scope in inside if self._is_layer(scope, places)]
        holders = {(), *(scope[:-1] for scope in layers)}

        rows = []  # (order, name, kind, output)
        order = {op.name: number for number, op in enumerate(path)}
        for scope in layers:
            tensor = _exit(inside[scope], output)
            kind = "scope" if scope in holders else _kind(inside[scope])
            rows.append(((order[tensor.op.name], -len(scope)), self._clean(scope), kind, tensor))
        for op, place in zip(path, places, strict=True):
            if place[:-1] in holders:
                name = "/".join(filter(None, (self._clean(place[:-1]), place[-1])))
                rows.append(((order[op.name], -len(place)), name, op.type, _exit([op], output)))

        self.layers: list[Layer] = []
        self._tensors: dict[str, tf.Tensor] = {}
        rows.sort(key=lambda row: row[0])
        names = [name for _, name, _, _ in rows]
        for number, (_, name, kind, tensor) in enumerate(rows):
            if names.count(name) > 1:  # a shared layer, run by run
                name = f"{name}#{names[:number].count(name)}"
            self.layers.append(Layer(name, kind, tuple(tensor.shape) if tensor.shape.rank is not None else ()))
            self._tensors[name] = tensor

        self._aliases: dict[str, dict[str, tf.Tensor]] = defaultdict(dict)
        everything = [*inside.items(), *((place, [op]) for op, place in zip(path, places, strict=True))]
        everything += [(_place(op), [op]) for op in path]
        root = _place(path[0])[: len(_place(path[0])) - len(places[0])] if path else ()  # which the names leave out
        everything += [((*root, *scope), ops) for scope, ops in inside.items()]
        for place, ops in everything:
            tensor = _exit(ops, output)
            for alias in {"/".join(place), self._clean(place)}:
                self._aliases[alias][tensor.name] = tensor

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

    def last_spatial(self, model: str) -> str:
        """Name of the layer with the last maps, of a model that errors call so."""
        return last_stack(model, self._inputs, self._output, self._tensors.items())

    def _is_layer(self, scope: Path, places: Sequence[Path]) -> bool:
        if self._numbered:  # scopes that a layer's own operations open have no number
            return _NUMBER.search(scope[-1]) is not None
        beside = {place[: len(scope)] for place in places if place[: len(scope) - 1] == scope[:-1]}
        return len(beside) > 1 or len(scope) == 1  # what is alone in a scope is that scope's inside

    def _clean(self, scope: Path) -> str:
        return "/".join(_NUMBER.sub("", part) if self._numbered else part for part in scope)


def _data_path(inputs: Sequence[tf.Tensor], output: tf.Tensor) -> list[tf.Operation]:
    """Operations with floating-point results that lie between any input and the output."""
    names = {op.name for start in inputs for op in graph.between(start, output)}
    return [
        op
        for op in output.graph.get_operations()
        if op.name in names and any(tensor.dtype.is_floating for tensor in op.outputs) and not _between_calls(op)
    ]


def _between_calls(op: tf.Operation) -> bool:
    """Whether it only hands a value into or out of a function that was called."""
    *_, scope, _ = op.name.split("/")  # at least that into which the graph was pasted
    handed_out = op.type == "Identity" and (len(_place(op)) == 1 or _CALL.fullmatch(scope) is not None)
    return handed_out or _AROUND_CALLS in op.name


def _place(op: tf.Operation) -> Path:
    """Scopes and last name of an operation, without those of function calls and of the pasting."""
    return tuple(part for part in op.name.split("/")[1:] if not _CALL.fullmatch(part))


def _places(path: Sequence[tf.Operation]) -> list[Path]:
    """Place of each operation, without the outer scopes that all of them share."""
    places = [_place(op) for op in path]
    scopes = {place[:depth] for place in places for depth in range(len(place))}
    # A condition "cond" comes with operations "cond/...": it belongs to that scope.
    places = [(*place, op.type) if place in scopes else place for op, place in zip(path, places, strict=True)]
    shared = 0
    while places and all(len(place) > shared + 1 and place[shared] == places[0][shared] for place in places):
        shared += 1
    alone = shared > 1 and all(len(place) == shared + 1 for place in places)  # the innermost is the only layer
    return [place[shared - alone :] for place in places]


def _is_numbered(variables: Mapping[str, str]) -> bool:
    """Whether scopes are Keras 3's, which opens each scope twice, so that layer "conv" is in "conv_1"."""
    exact = numbered = 0
    for reader, variable in variables.items():
        layer = variable.split(":")[0].split("/")[-2:-1]
        scopes = reader.split("/")
        exact += any(scope in layer for scope in scopes)
        numbered += any(_NUMBER.sub("", scope) in layer for scope in scopes if scope not in layer)
    return numbered > exact


def _exit(ops: Sequence[tf.Operation], output: tf.Tensor) -> tf.Tensor:
    """The last floating-point tensor that leaves a group of operations."""
    own = {op.name for op in ops}
    tensors = [tensor for op in ops for tensor in op.outputs if tensor.dtype.is_floating]
    leaving = [
        tensor
        for tensor in tensors
        if tensor.name == output.name or any(user.name not in own for user in tensor.consumers())
    ]
    return (leaving or tensors)[-1]


def _kind(ops: Sequence[tf.Operation]) -> str:
    """What a layer is: its first operation that computes anything."""
    return next((op.type for op in ops if op.type not in PASSING), ops[0].type)


def _flat(tensor: tf.Tensor) -> str:
    """Name of a tensor before the graph was pasted."""
    return tensor.name.partition("/")[2]
