"""The last maps of a model: of all layers, the one that explains most of what the model sees, and still where.

It is the last stack of maps that all paths from the input to the output pass through. Padding has no place in the
input; what only scales the input knows nothing yet; and where the output has positions too, what makes it is the
output.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.attention import find
from tfxai.models.operations import PRODUCTS
from tfxai.models.positions import WEIGHING, Positions, axes_of_input, dimensions, has_positions, positions

MOST_NAMES = 12  # in an error


def last_stack(
    model: str, inputs: Sequence[tf.Tensor], output: tf.Tensor, layers: Iterable[tuple[str, tf.Tensor]]
) -> str:
    """Name of the layer with the last maps.

    Parameters
    ----------
    model : str
        What errors call it.
    inputs : sequence of tf.Tensor
        Inputs of the model.
    output : tf.Tensor
        The output that is explained, in the same graph.
    layers : iterable of (str, tf.Tensor)
        Names and outputs, in the order in which they run; of several names of one tensor, the first counts.

    Raises
    ------
    ValueError
        If there are no maps, or none that all paths pass, with the names of those to choose from; or if the last that
        all paths pass are tokens of an image.
    """
    begin = {tensor.name for tensor in inputs}
    end = graph.origin(output, begin)
    known = positions(graph.flow(inputs, output), inputs)
    starts = _starts(inputs, output, known)
    steps = graph.flow(starts, output)
    maps = _maps(layers, steps, known, inputs, output)
    inside = _before_head(steps, known, end)
    maps = {key: name for key, name in maps.items() if key in inside} or maps
    most = max((len(known[key].dimensions) for key in maps), default=0)
    if most == 1 and max(len(dimensions(axes_of_input(tensor))) for tensor in starts) > 1:
        maps = {}  # a sequence that was made of images has no place in these
    maps = {key: name for key, name in maps.items() if len(known[key].dimensions) == most}
    maps = {key: name for key, name in maps.items() if known[key].upright} or maps

    passed = graph.cuts(steps, end.name)
    common = [key for key in passed if key in maps]
    last = common[-1] if common else None
    cut_by_hand = not maps and _image(inputs) and find(inputs, output)  # patches of no convolution
    if cut_by_hand or _are_tokens_after(last, passed, steps, known):
        raise _tokens(model, maps[last] if last else None, inputs)
    if last is not None:
        return maps[last]
    if maps:
        ends = _ends(maps, steps)
        raise _branches(model, [maps[key] for key in maps if key in ends])
    raise ValueError(
        f"{_capital(model)} has no layer with spatial output, so there is no map to weight. {instead(inputs)}"
    )


def no_maps(name: str, layer: tf.Tensor, inputs: Sequence[tf.Tensor]) -> str | None:
    """Why the positions of a layer are known to be no grid of the input's; None if they may be one."""
    begin = {tensor.name for tensor in inputs}
    known = positions(graph.flow(inputs, layer), inputs).get(graph.origin(layer, begin).name)
    images = _image(inputs)
    if known is None or (not known.dimensions and not (images and layer.shape.rank == 3)):
        return None  # of values that nothing is known of, the user knows
    sequence = images and layer.shape.rank == 3
    if sequence or known.holds_tokens():
        what = "tokens or steps, (n, tokens, features), and which part of the image each stands for cannot be derived"
        if layer.shape.rank == 3:
            what += ". If they do, say how many rows and columns there are, such as grid=(14, 14)"
    elif not known.is_map(layer):
        what = "something other than maps, (n, h, w, channels), such as heads of attention"
    else:
        return None
    return (
        f"The layer {name!r} of output {tuple(layer.shape)} holds {what}. Choose a layer with maps, (n, h, w, c), "
        f"before or after it. {instead(inputs)}"
    )


def instead(inputs: Sequence[tf.Tensor]) -> str:
    """What works on a model with such inputs, and needs no layer."""
    if all(tensor.dtype.is_floating for tensor in inputs):
        methods = "Saliency or IntegratedGradients"
    else:
        methods = "Occlusion" if len(inputs) == 1 else "Occlusion with input="
    return f"Use a method that needs no layer, such as {methods}."


def _image(inputs: Sequence[tf.Tensor]) -> bool:
    """Whether an input has more than one axis of positions."""
    return any(len(dimensions(axes_of_input(tensor))) > 1 for tensor in inputs)


def _starts(inputs: Sequence[tf.Tensor], output: tf.Tensor, known: Mapping[str, Positions]) -> list[tf.Tensor]:
    """The inputs of which maps are made: those that have positions, or else those that are lifted to images."""
    for raw in (False, True):
        starts = []
        for start in inputs:
            outputs = [y for step in graph.flow([start], output) for y in step.outputs]
            starts += [start] if any(known[y.name].is_map(y) and known[y.name].raw <= raw for y in outputs) else []
        if starts:
            return [start for start in starts if has_positions(start)] or starts
    return []


def _maps(
    layers: Iterable[tuple[str, tf.Tensor]],
    steps: Sequence[graph.Step],
    known: Mapping[str, Positions],
    inputs: Sequence[tf.Tensor],
    output: tf.Tensor,
) -> dict[str, str]:
    """Layers that hold features at positions of the input, by the names of their tensors; else those that cut it."""
    begin, sizes = {tensor.name for tensor in inputs}, [tensor.shape[1:-1] for tensor in inputs]
    names = {y.name for step in steps for y in step.outputs}
    features: dict[str, str] = {}
    parts: dict[str, str] = {}
    for name, tensor in layers:
        if tensor.graph is not output.graph:
            continue  # inside a loop or a condition
        tensor = graph.origin(tensor, begin)
        one = known[tensor.name]._replace(raw=False) if tensor.name in names else None
        if one is not None and one.holds_features(tensor):
            if not known[tensor.name].raw:
                features.setdefault(tensor.name, name)
            elif tensor.shape[1:-1] not in sizes:
                parts.setdefault(tensor.name, name)
    return features or parts


def _before_head(steps: Sequence[graph.Step], known: Mapping[str, Positions], end: tf.Tensor) -> set[str]:
    """Names of tensors; where the output has positions, only of those that further weights follow."""
    names = {y.name for step in steps for y in step.outputs}
    held = zip(known[end.name].axes, end.shape, strict=True) if end.name in names else ()
    if not any(dimensions((axis,)) and size != 1 for axis, size in held):
        return names
    inside: set[str] = set()
    for step in reversed(steps):
        if step.op.type in WEIGHING or any(y.name in inside for y in step.outputs):
            inside.update(name for _, name in step.sources)
    return inside


def _are_tokens_after(
    last: str | None, passed: Sequence[str], steps: Sequence[graph.Step], known: Mapping[str, Positions]
) -> bool:
    """Whether after the last maps all paths pass through tokens that have met, as by attention."""
    met = False
    waiting = last is not None
    for step in steps:
        if not waiting:
            met = met or _meets(step, known)
            if met and any(y.name in passed and known[y.name].holds_tokens() for y in step.outputs):
                return True
        waiting = waiting and all(y.name != last for y in step.outputs)
    return False


def _meets(step: graph.Step, known: Mapping[str, Positions]) -> bool:
    """Whether a product brings positions together: those of two tensors, or all tokens of a grid."""
    if step.op.type not in PRODUCTS:
        return False
    before, after = (max(map(len, known[name].axes)) for name in (step.sources[0][1], step.outputs[0].name))
    return len(step.sources) > 1 or before > max(after, 1)


def _ends(maps: Collection[str], steps: Sequence[graph.Step]) -> set[str]:
    """Those maps from which no other is made: the last of each branch."""
    before: set[str] = set()
    for step in reversed(steps):
        if any(y.name in before or y.name in maps for y in step.outputs):
            before.update(name for _, name in step.sources)
    return set(maps) - before


class TokensAreLast(ValueError):
    """The last layers that all paths pass hold tokens, and no maps."""


def _tokens(model: str, layer: str | None, inputs: Sequence[tf.Tensor]) -> TokensAreLast:
    before = f"Give the layer before them, {layer!r}. Or u" if layer else "U"
    return TokensAreLast(
        f"The last layers of {model} that all paths pass through hold tokens, (n, tokens, features), and which part of "
        f"the image a token stands for cannot be derived. {before}{instead(inputs)[1:]}"
    )


def _branches(model: str, names: Sequence[str]) -> ValueError:
    shown = ", ".join(map(repr, names[:MOST_NAMES])) + (", ..." if len(names) > MOST_NAMES else "")
    return ValueError(
        f"{_capital(model)} has no maps that all paths from the input to the output pass through, so no layer is "
        f"taken by default. Choose one of these: {shown}. They are the last of its branches, members or runs of a "
        "shared layer."
    )


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]
