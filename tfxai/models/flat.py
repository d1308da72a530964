"""A traced function as one flat graph, which can be pasted into another graph, whole, with its ReLUs bent.

Functions that it calls are replaced by what they do, so every tensor can be read and every operation bent. Variables
stay where they are: the flat graph refers to them, so that nothing is copied and new values are seen at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tensorflow.python.grappler import tf_optimizer  # has no public name; TensorFlow's own converters inline with it

from tfxai.models import overrides

CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_KEEP_APART = ("_noinline", "_XlaMustCompile")  # what keeps a function from being inlined


class FlatGraph:
    """One concrete function, flat.

    Parameters
    ----------
    function : tf.types.experimental.ConcreteFunction
        What is flattened; it is not changed.
    known : callable, optional
        Whether a custom gradient, given by name, is that of the function. The name of another process may by chance be
        taken here, by a gradient that has nothing to do with it.

    Attributes
    ----------
    inputs : list of str
        Names of the arguments' tensors.
    outputs : list of str
        Names of the results' tensors.
    """

    def __init__(self, function, known=None):
        arguments = len(function.inputs) - len(function.captured_inputs)
        self.inputs = [tensor.name for tensor in function.inputs[:arguments]]
        self.outputs = [tensor.name for tensor in function.outputs]
        self._captured = {tensor.name: index for index, tensor in enumerate(function.inputs[arguments:])}
        self._function = function
        self._graph_def = _inlined(function)
        for node in _nodes(self._graph_def):
            own = node.attr["_gradient_op_type"].s.decode() if "_gradient_op_type" in node.attr else ""
            if own and node.op not in CALLS and known is not None and not known(own):
                node.attr["_gradient_op_type"].s = f"{own}, which was not saved with the model".encode()

    def paste(self, inputs: Sequence[tf.Tensor], fetches: Sequence[str], rule: str | None = None) -> list[tf.Tensor]:
        """Run the function in the current graph, and return the tensors whose names in the flat graph are given."""
        graph = tf.compat.v1.get_default_graph()
        captured = self._function.captured_inputs
        feeds = dict(zip(self.inputs, inputs, strict=True))
        feeds |= {name: graph.capture(captured[index]) for name, index in self._captured.items()}
        graph_def = self._graph_def
        if rule:
            graph_def = tf.compat.v1.GraphDef.FromString(graph_def.SerializeToString())
            overrides.mark(_nodes(graph_def), rule)
        return tf.graph_util.import_graph_def(graph_def, feeds, fetches, name="model")

    def variables(self) -> dict[str, str]:
        """Name of the variable that an operation reads, by the name of the operation."""
        names = {id(variable.handle): variable.name for variable in self._function.variables}
        captured = self._function.captured_inputs
        held = {name.split(":")[0]: names.get(id(captured[index])) for name, index in self._captured.items()}
        readers = {}
        for node in self._graph_def.node:  # sorted: what a node needs stands before it
            variable = next((held[source] for source in node.input if held.get(source)), None)
            if variable:
                (held if node.op == "Identity" else readers)[node.name] = variable
        return readers


def _inlined(function) -> tf.compat.v1.GraphDef:
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
    meta = tf.compat.v1.train.export_meta_graph(graph_def=graph_def, graph=function.graph, clear_extraneous_savers=True)
    for name in list(meta.collection_def):
        del meta.collection_def[name]
    kept = [tensor.name for tensor in (*function.inputs, *function.outputs)]
    meta.collection_def["train_op"].node_list.value.extend(kept)
    config = tf.compat.v1.ConfigProto()
    rewrite = config.graph_options.rewrite_options
    rewrite.min_graph_nodes = -1
    rewrite.optimizers.append("function")
    rewrite.function_optimization = rewrite.AGGRESSIVE
    return tf_optimizer.OptimizeGraph(config, meta)


def _nodes(graph_def: tf.compat.v1.GraphDef) -> list:
    """Its nodes and those in the bodies of its functions."""
    return [*graph_def.node, *(node for body in graph_def.library.function for node in body.node_def)]
