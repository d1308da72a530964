"""Gradients of convolutions, for every processor, and with the signal spread as one likes.

Where TensorFlow leaves oneDNN off (most AMD processors, all without AVX-512), a convolution with groups or dilations
runs, but not its gradient, and with groups not the single kernel that TensorFlow makes of a convolution and the bias
behind it. Keras has XLA compile grouped convolutions, each as a function of its own; a flat graph has no such
functions. So there they are kept apart from what comes after, and their gradients are written as convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry  # has no public name
from tensorflow.python.ops import handle_data_util  # nor has this

Size: TypeAlias = int | tf.Tensor  # a number that may be known only when the graph runs

GRADIENT = "Tfxai_Conv2D"
_BACK = {
    "Conv2D": tf.raw_ops.Conv2DBackpropInput,
    "DepthwiseConv2dNative": tf.raw_ops.DepthwiseConv2dNativeBackpropInput,
}
_AT_STRIDE_1 = _BACK | {"Conv3D": tf.raw_ops.Conv3DBackpropInputV2}


def kept_apart(graph_def: tf.compat.v1.GraphDef, captured: Mapping[str, tf.Tensor]) -> tf.compat.v1.GraphDef:
    """The same flat graph, with a barrier after every grouped convolution.

    Parameters
    ----------
    graph_def : GraphDef
        The flat graph.
    captured : dict
        Name of a placeholder to what it stands for, such as a variable, whose shape is to be known.
    """
    if not any(node.op == "Conv2D" for node in graph_def.node):
        return graph_def
    with tf.Graph().as_default() as scratch:  # whether a convolution has groups is told by shapes
        feeds = {name: _standing_for(tensor) for name, tensor in captured.items()}
        tf.graph_util.import_graph_def(graph_def, feeds, name="")
        grouped = filter(is_grouped, scratch.get_operations())
        barriers = {op.name: unfused(op.outputs[0], f"{op.name}_apart").op.node_def for op in grouped}
    changed = tf.compat.v1.GraphDef(versions=graph_def.versions, library=graph_def.library)
    for node in graph_def.node:
        sources = (barriers.get(source.removesuffix(":0")) for source in node.input)
        node.input[:] = [old if new is None else new.name for old, new in zip(node.input, sources, strict=True)]
        changed.node.extend([node, barriers[node.name]] if node.name in barriers else [node])
    return changed


def _standing_for(tensor: tf.Tensor) -> tf.Tensor:
    placeholder = tf.compat.v1.placeholder(tensor.dtype, tensor.shape)
    handle_data_util.copy_handle_data(tensor, placeholder)
    return placeholder


def unfused(y: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """The output of a convolution, to which TensorFlow fuses nothing."""
    return tf.raw_ops.EnsureShape(input=y, shape=[None] * y.shape.rank, name=name)


def is_grouped(op: tf.Operation) -> bool:
    return op.type == "Conv2D" and groups(op) > 1


def groups(op: tf.Operation) -> int:
    """Into how many groups a convolution divides its channels; 1 if that is not known."""
    x, kernel = (tensor.shape for tensor in op.inputs)
    axis = op.get_attr("data_format").index(b"C")
    known = x.rank and kernel.rank and x[axis] and kernel[-2]
    return x[axis] // kernel[-2] if known else 1


@tf.RegisterGradient(GRADIENT)
def gradient(op: tf.Operation, g: tf.Tensor) -> list[tf.Tensor]:
    """The ordinary gradient of a convolution, at its input and its kernel, in operations that run everywhere."""
    if not _lacks_kernels(op):
        return gradient_registry.lookup(op.type)(op, g)
    return [sent_back(op, g, _with_zeros), _for_kernel(op, g)]


def pulled_back(op: tf.Operation, g: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor | None:
    """The ordinary gradient of a convolution at its input, with another kernel; None where `gradient` is to be asked.

    That would make the gradient at the kernel too, and needs the convolution with that kernel to be in the graph.
    """
    make = _BACK.get(op.type)
    if make is None or _lacks_kernels(op):
        return None
    names = ("strides", "explicit_paddings", "dilations")
    return make(
        input_sizes=tf.shape(op.inputs[0]),
        filter=kernel,
        out_backprop=g,
        padding=op.get_attr("padding").decode(),
        data_format=op.get_attr("data_format").decode(),
        **{name: op.get_attr(name) for name in names},
    )


def sent_back(
    op: tf.Operation, g: tf.Tensor, spread: Callable[[tf.Tensor, int, int, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """A signal at the output of a convolution, sent back to its input as if the stride were 1.

    Parameters
    ----------
    op : tf.Operation
        The convolution.
    g : tf.Tensor
        The signal.
    spread : callable
        Takes a signal, an axis, the stride and a size, and spreads the signal along this axis, to this size.
    """
    x, kernel = op.inputs
    strides, dilations = op.get_attr("strides"), op.get_attr("dilations")
    sizes, extents = tf.unstack(tf.shape(x)), tf.shape(kernel)
    begin = [0] * len(sizes)
    signal = g
    for number, axis in enumerate(spatial_axes(op)):
        extent = (extents[number] - 1) * dilations[axis] + 1
        begin[axis], after = padding(op, axis, sizes[axis], tf.shape(g)[axis], extent)
        sizes[axis] += begin[axis] + after
        signal = spread(signal, axis, strides[axis], sizes[axis] - extent + 1)
    if _lacks_kernels(op):
        padded = _turned(op, signal)
    else:
        padded = _AT_STRIDE_1[op.type](
            input_sizes=tf.stack(sizes),
            filter=kernel,
            out_backprop=signal,
            strides=[1] * len(sizes),
            padding="VALID",
            data_format=op.get_attr("data_format").decode(),
            dilations=dilations,
        )
    return tf.ensure_shape(tf.slice(padded, tf.stack(begin), tf.shape(x)), x.shape)


def spatial_axes(op: tf.Operation) -> list[int]:
    """Axes that are positions, in the inputs of a convolution or pooling."""
    return [axis for axis, letter in enumerate(op.get_attr("data_format").decode()) if letter in "DHW"]


def padding(op: tf.Operation, axis: int, before: Size, after: Size, extent: Size) -> tuple[Size, Size]:
    """What an operation with such windows adds to both ends of an axis, of these sizes before and after it."""
    kind = op.get_attr("padding")
    if kind == b"VALID":
        return 0, 0
    if kind == b"EXPLICIT":
        return tuple(op.get_attr("explicit_paddings")[2 * axis : 2 * axis + 2])
    total = tf.maximum((after - 1) * op.get_attr("strides")[axis] + extent - before, 0)
    return total // 2, total - total // 2


def _lacks_kernels(op: tf.Operation) -> bool:
    """Whether some processors that run a convolution have no kernel for its gradient."""
    if op.type != "Conv2D" or op.get_attr("data_format") != b"NHWC":
        return False
    return groups(op) > 1 or max(op.get_attr("dilations")) > 1


def _turned(op: tf.Operation, signal: tf.Tensor) -> tf.Tensor:
    """The convolution whose kernel is turned around and takes output channels to input channels, in each group."""
    kernel, count, dilations = op.inputs[1], groups(op), op.get_attr("dilations")
    h, w, inner, outer = tf.unstack(tf.shape(kernel))
    by_group = tf.reshape(kernel[::-1, ::-1], [h, w, inner, count, outer // count])
    turned = tf.reshape(tf.transpose(by_group, [0, 1, 4, 3, 2]), [h, w, outer // count, count * inner])
    around = [[0, 0], [(h - 1) * dilations[1]] * 2, [(w - 1) * dilations[2]] * 2, [0, 0]]
    return unfused(tf.nn.conv2d(tf.pad(signal, around), turned, 1, "VALID", dilations=dilations[1:3]))


def _with_zeros(x: tf.Tensor, axis: int, stride: int, wanted: tf.Tensor) -> tf.Tensor:
    """x[i] at position i * stride, and zeros between and behind: the gradient of a stride."""
    if stride == 1:
        return x
    position = tf.range(wanted)
    place, size = position // stride, tf.shape(x)[axis]
    holds = (position % stride == 0) & (place < size)
    spread = tf.gather(x, tf.minimum(place, size - 1), axis=axis)
    return tf.where(tf.reshape(holds, [-1] + [1] * (x.shape.rank - 1 - axis)), spread, 0)


def _for_kernel(op: tf.Operation, g: tf.Tensor) -> tf.Tensor:
    """The gradient at the kernel: what was under each of its places, times the signal."""
    x, kernel = op.inputs
    (h, w, inner, outer), count = kernel.shape, groups(op)
    strides, dilations = op.get_attr("strides"), op.get_attr("dilations")
    extents = [0, (h - 1) * dilations[1] + 1, (w - 1) * dilations[2] + 1, 0]
    around = [padding(op, axis, tf.shape(x)[axis], tf.shape(g)[axis], extents[axis]) for axis in (1, 2)]
    patches = tf.image.extract_patches(tf.pad(x, [[0, 0], *around, [0, 0]]), [1, h, w, 1], strides, dilations, "VALID")
    taken = tf.reshape(patches, [*tf.unstack(tf.shape(g)[:3]), h * w, count, inner])
    given = tf.reshape(g, [*tf.unstack(tf.shape(g)[:3]), count, outer // count])
    return tf.reshape(tf.einsum("nijkgc,nijgd->kcgd", taken, given), [h, w, inner, outer])
