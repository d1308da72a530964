"""A traced function as one flat graph, which can be pasted into another graph, whole, with gradients modified.

Functions that it calls are replaced by what they do, so every tensor can be read and every gradient modified. Variables
stay where they are: the flat graph refers to them, so that nothing is copied and new values are seen at once.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf.device_properties_pb2 import DeviceProperties, NamedDevice
from tensorflow.python.eager import context  # has no public name
from tensorflow.python.grappler import cluster, tf_optimizer  # have no public names; TensorFlow's converters use them

from tfxai.models import convolutions, custom_gradients, overrides, quantized
from tfxai.models.custom_gradients import ConcreteFunction
from tfxai.models.operations import CALLS

EIGHT_BITS = {types_pb2.DT_FLOAT8_E4M3FN, types_pb2.DT_FLOAT8_E5M2}
_COPIES = itertools.count()
_KEEP_APART = ("_noinline", "_XlaMustCompile")  # what keeps a function from being inlined


class FlatGraph:
    """One concrete function, flat.

    Parameters
    ----------
    function : tf.types.experimental.ConcreteFunction
        What is flattened; it is not changed.
    loaded : bool
        Whether it came with a SavedModel.
    gradients : bool
        Whether gradients will be taken: to keep custom ones costs as much as the rest.

    Attributes
    ----------
    inputs : list of str
        Names of the arguments' tensors.
    outputs : list of str
        Names of the results' tensors.
    """

    def __init__(self, function: ConcreteFunction, loaded: bool = False, gradients: bool = True):
        arguments = len(function.inputs) - len(function.captured_inputs)
        self.inputs = [tensor.name for tensor in function.inputs[:arguments]]
        self.outputs = [tensor.name for tensor in function.outputs]
        self._captured = [tensor.name for tensor in function.inputs[arguments:]]
        self._function = function
        self._pasted = itertools.count()
        self._graph_def = _inlined(function)
        if any(op.type in CALLS or convolutions.is_grouped(op) for op in function.graph.get_operations()):
            captured = dict(zip(self._captured, function.captured_inputs, strict=True))
            self._graph_def = convolutions.kept_apart(self._graph_def, captured)
        casts = {node.attr["DstT"].type for node in _nodes(self._graph_def) if node.op == "Cast"}
        for node in _nodes(self._graph_def):
            if "_gradient_op_type" in node.attr and not gradients:
                del node.attr["_gradient_op_type"]
            elif "_gradient_op_type" in node.attr and node.op not in CALLS:
                if casts & EIGHT_BITS:
                    raise _unwritable("its 8-bit numbers have custom gradients")
                gradient = node.attr["_gradient_op_type"]
                gradient.s = custom_gradients.adopt(gradient.s.decode(), function, loaded, FlatGraph).encode()

    def paste(
        self,
        inputs: Sequence[tf.Tensor],
        fetches: Sequence[str],
        captured: Callable[[tf.Tensor], tf.Tensor] | None = None,
        backward: overrides.Backward | None = None,
        replaced: Mapping[str, tf.Tensor] | None = None,
    ) -> list[tf.Tensor]:
        """Run the function in the current graph.

        Parameters
        ----------
        inputs : sequence of tf.Tensor
            Arguments.
        fetches : sequence of str
            Names, in the flat graph, of the tensors to return.
        captured : callable, optional
            From what the function refers to outside of it, to a tensor of the current graph.
        backward : str or tuple of str, optional
            Backward rules of its operations.
        replaced : mapping, optional
            Tensors of the current graph that stand in the place of some of its own, by the names of these.
        """
        captured = captured or tf.compat.v1.get_default_graph().capture
        feeds = dict(zip(self.inputs, inputs, strict=True))
        feeds |= zip(self._captured, map(captured, self._function.captured_inputs), strict=True)
        feeds |= replaced or {}
        graph_def, present = _needed(self._graph_def, fetches, without={_node(name) for name in feeds})
        feeds = {name: tensor for name, tensor in feeds.items() if _node(name) in present}
        moved = overrides.modify_gradients(graph_def, backward)
        if backward == "flat":
            quantized.write_in_floats(graph_def, {_node(name) for name in self.inputs})
        wanted = [moved.get(name, name) for name in fetches]
        self._own_functions(graph_def)
        return tf.graph_util.import_graph_def(graph_def, feeds, wanted, name="model")

    def _own_functions(self, graph_def: tf.compat.v1.GraphDef) -> None:
        """Give the bodies of loops and conditions names of their own, if it is not the first time that they are pasted.

        Gradients of loops derive names from theirs, which would meet. TensorFlow hands imported functions on to the
        graph they are imported to, and not to those around it, so these are made known to all.
        """
        known = {body.signature.name for body in graph_def.library.function}
        if not known or next(self._pasted) == 0:
            return
        suffix = f"_{next(_COPIES)}"
        for body in graph_def.library.function:
            body.signature.name += suffix
        for node in _nodes(graph_def):
            for value in node.attr.values():
                for function in (value.func, *value.list.func):
                    if function.name in known:
                        function.name += suffix
        for body in graph_def.library.function:
            context.context().add_function_def(body)
            weakref.finalize(self, context.context().remove_function, body.signature.name).atexit = False

    def paste_modified(
        self,
        inputs: Sequence[tf.Tensor],
        fetches: Sequence[str],
        backward: overrides.Backward | None,
        replaced: Mapping[str, tf.Tensor] | None = None,
        captured: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> tuple[list[tf.Tensor], int]:
        """The same, and how many ReLUs have a modified gradient."""
        operations = tf.compat.v1.get_default_graph().get_operations
        first = len(operations())
        tensors = self.paste(inputs, fetches, captured, backward, replaced)
        return tensors, overrides.count_modified(operations()[first:]) if overrides.relu_gradient(backward) else 0

    def has(self, name: str) -> bool:
        """Whether it has a tensor of this name."""
        return any(node.name == _node(name) for node in self._graph_def.node)

    def is_closed(self, fetch: str) -> bool:
        """Whether the loops and conditions of TensorFlow 1 lead to a tensor: they work only where they were made."""
        return any(node.op in ("Enter", "Switch") for node in _needed(self._graph_def, [fetch])[0].node)

    def variables(self) -> dict[str, str]:
        """Name of the variable that an operation reads, by the name of the operation."""
        names = {id(variable.handle): variable.name for variable in self._function.variables}
        captured = zip(self._captured, self._function.captured_inputs, strict=True)
        held = {_node(name): names.get(id(tensor)) for name, tensor in captured}
        readers: dict[str, str] = {}
        for node in self._graph_def.node:  # sorted: what a node needs stands before it
            variable = next((held[source] for source in node.input if held.get(source)), None)
            if variable:
                (held if node.op == "Identity" else readers)[node.name] = variable
        return readers

    def last_read(self) -> list[tuple[int, tf.Variable]]:
        """Each variable that is read, and the number of the last operation that does, in the order of the graph."""
        numbers = {id(tensor): number for number, tensor in enumerate(self._function.captured_inputs)}
        held = {_node(name): number for number, name in enumerate(self._captured)}
        last: dict[int, int] = {}
        for place, node in enumerate(self._graph_def.node):  # sorted: what a node needs stands before it
            for source in {_node(source) for source in node.input} & held.keys():
                last[held[source]] = place
                if node.op == "Identity":
                    held[node.name] = held[source]
        own = ((numbers.get(id(one.handle)), one) for one in self._function.variables)
        return [(last[number], one) for number, one in own if number in last]


def _inlined(function: ConcreteFunction) -> tf.compat.v1.GraphDef:
    graph_def = function.graph.as_graph_def()
    lowered = "_lower_using_switch_merge"  # loops and conditions stay operations, which gradients can pass
    for node in _nodes(graph_def):
        for name in _KEEP_APART:
            node.attr.pop(name, None)
        if lowered in node.attr:
            node.attr[lowered].b = False
    for body in graph_def.library.function:
        for name in (*_KEEP_APART, "api_implements"):
            body.attr.pop(name, None)
    meta = tf.compat.v1.MetaGraphDef(graph_def=graph_def)
    kept = [tensor.name for tensor in (*function.inputs, *function.outputs)]
    meta.collection_def["train_op"].node_list.value.extend(kept)
    config = tf.compat.v1.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    rewrite.min_graph_nodes = -1
    rewrite.optimizers.append("function")
    rewrite.function_optimization = rewrite.AGGRESSIVE
    # An imagined device: to ask for the real ones takes time, and TensorFlow would write about it.
    device = NamedDevice(name="/device:CPU:0", properties=DeviceProperties(type="CPU"))
    imagined = cluster.Cluster(devices=[device])
    try:
        return _loosened(tf_optimizer.OptimizeGraph(config, meta, verbose=False, cluster=imagined))
    except tf.errors.UnimplementedError as error:
        raise _unwritable(error.message.splitlines()[0]) from error


def _unwritable(why: str) -> ValueError:
    return ValueError(
        f"TensorFlow cannot write this model as one flat graph: {why}. 8-bit floating-point "
        'numbers, as from quantize("float8"), are one reason. Use a model without them, such as one from '
        'quantize("int8"), or a method that modifies no gradient, such as Saliency or IntegratedGradients.'
    )


def _loosened(graph_def: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Leave out what only says where and when something runs: devices, side effects in order."""
    barriers = {f"^{node.name}" for node in graph_def.node if node.op in ("NoOp", "Placeholder")}
    for node in graph_def.node:
        node.device = ""
        node.attr.pop("_class", None)
        node.input[:] = [source for source in node.input if source not in barriers]
    return graph_def


def _needed(
    graph_def: tf.compat.v1.GraphDef, fetches: Sequence[str], without: Collection[str] = ()
) -> tuple[tf.compat.v1.GraphDef, set[str]]:
    """The part of a graph that computes tensors, down to nodes that are left out, and the names of all of these."""
    nodes = {node.name: node for node in graph_def.node}
    present: set[str] = set()
    waiting = [_node(name) for name in fetches]
    while waiting:
        name = waiting.pop()
        if name not in present:
            present.add(name)
            if name not in without:
                waiting.extend(_node(source) for source in nodes[name].input)
    kept = [node for node in graph_def.node if node.name in present and node.name not in without]
    return tf.compat.v1.GraphDef(node=kept, versions=graph_def.versions, library=graph_def.library), present


def _node(name: str) -> str:
    """Name of the node of an input or a tensor: "^a" and "a:0" are of "a"."""
    return name.removeprefix("^").partition(":")[0]


def _nodes(graph_def: tf.compat.v1.GraphDef) -> list:
    """Its nodes and those in the bodies of its functions."""
    return [*graph_def.node, *(node for body in graph_def.library.function for node in body.node_def)]
