"""The operations at the end of a model, which can be run by themselves."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfxai.models import graph
from tfxai.models.calls import inlined_call
from tfxai.models.operations import (
    ACTIVATIONS,
    ADDITIONS,
    AVERAGE_POOLINGS,
    CALLS,
    CLIPS,
    COMPARISONS,
    CONSTANTS,
    CONVOLUTIONS,
    EXPONENTIALS,
    NORMS,
    PARTS,
    PASSING,
    POWERS,
    PRODUCTS,
    QUOTIENTS,
    REDUCTIONS,
    RELUS,
    SELECTIONS,
    SIZES,
    SOFTMAXES,
    TRANSPOSED_CONVOLUTIONS,
)

# Operations of which the end of a model is made: those that leave a logit a logit, and those that do not.
_POOLING = frozenset({"Mean", "Sum"})
_ARRANGING = PASSING | SIZES | PARTS | {"BroadcastTo", "Fill", "IdentityN", "Range", "Tile"}
_LINEAR = _ARRANGING | ADDITIONS | _POOLING | {"AddN", "Mul", "Neg", "Sub"}
_STEPS = SELECTIONS | COMPARISONS - {"NotEqual"} | {"ClipByValue", "IsFinite", "Sign"}
_CHOOSING = REDUCTIONS - _POOLING | CLIPS | _STEPS
_SMOOTH = ACTIVATIONS - RELUS - {"Softsign"} | SOFTMAXES | EXPONENTIALS | POWERS | QUOTIENTS
_CURVED = _CHOOSING | _SMOOTH | {"Abs", "Erf", "MulNoNan", "Pow", "SquaredDifference"}
_WEIGHING = CONVOLUTIONS | TRANSPOSED_CONVOLUTIONS | PRODUCTS | NORMS | AVERAGE_POOLINGS | {"BiasAdd"}


class Ending:
    """The operations at the end of a model, back to its last layers.

    Attributes
    ----------
    outputs : tf.Tensor
        Of the model, with calls of functions replaced by what they do.
    steps : list of tf.Operation
        The last operation first.
    cuts : list of tf.Tensor
        Tensors that everything passes on its way to the outputs, the last one first.
    sources : list of tf.Tensor
        What the steps start from, but for constants.
    """

    def __init__(self, outputs: tf.Tensor):
        self.outputs = outputs
        while (call := self._walk()) is not None:
            depends = graph.ancestors([self.outputs])
            edits = [(old, lambda _, new=new: new) for old, new in zip(*call, strict=True) if old.op.name in depends]
            self.outputs = graph.edited(edits, self.outputs)

    def _walk(self) -> tuple[Sequence[tf.Tensor], Sequence[tf.Tensor]] | None:
        """Look back from the outputs; stops at a call of a function: what it returns, and the same without a call."""
        self.steps: list[tf.Operation] = []
        self.cuts: list[tf.Tensor] = []
        self.sources: list[tf.Tensor] = []
        order = {op.name: number for number, op in enumerate(self.outputs.graph.get_operations())}
        front = {self.outputs.name: self.outputs}
        while front:
            op = max((tensor.op for tensor in front.values()), key=lambda op: order[op.name])
            if op.type in CALLS and (inside := inlined_call(op)) is not None:
                return op.outputs, inside
            if len(front) == 1 and not self.sources:
                self.cuts.extend(front.values())
            reached = [front.pop(tensor.name) for tensor in op.outputs if tensor.name in front]
            if op.type in _LINEAR or op.type in _CURVED:
                self.steps.append(op)
                front |= {tensor.name: tensor for tensor in op.inputs if tf.get_static_value(tensor) is None}
            else:
                self.sources.extend(reached)
        return None

    @functools.cached_property
    def curves(self) -> set[str]:
        """Kinds of the steps that are not linear in what the model is given."""
        return {op.type for op in self.steps if op.type in _CURVED and any(map(_given, _curving(op)))}

    @property
    def linear(self) -> bool:
        """Whether the last layers weigh or pool, and nothing follows that bends."""
        pools = any(op.type in _POOLING for op in self.steps)
        given = [tensor.op.type for tensor in self.sources if _given(tensor)]
        weighed = all(kind in _WEIGHING or kind.startswith("_Fused") for kind in given)
        return bool(given) and not self.curves and (pools or weighed)

    def run(self, values: Mapping[str, np.ndarray]) -> np.ndarray | None:
        """The outputs if tensors had these values, by name, as float64; None if more than these is needed."""

        def again(fed: dict[str, tf.Tensor]) -> tf.Tensor:
            copies = dict(fed)

            def known(tensor: tf.Tensor) -> tf.Tensor | None:
                value = None if tensor.name in copies else tf.get_static_value(tensor)
                return copies.get(tensor.name) if value is None else tf.constant(value, tensor.dtype)

            for op in reversed(self.steps):
                inputs = [known(tensor) for tensor in op.inputs]
                if op.outputs[0].name not in copies and not any(x is None for x in inputs):
                    copies.update(zip((x.name for x in op.outputs), graph.again(op, inputs), strict=True))
            return copies[self.outputs.name]

        try:
            with tf.init_scope():  # at once, though the model is being traced
                specs = {name: tf.TensorSpec(value.shape, value.dtype) for name, value in values.items()}
                function = tf.function(again, autograph=False).get_concrete_function(specs)
                return function({name: tf.constant(x) for name, x in values.items()}).numpy().astype(np.float64)
        except (tf.errors.OpError, KeyError, ValueError):
            return None


def _curving(op: tf.Operation) -> Sequence[tf.Tensor]:
    """The inputs of an operation in which it is not linear."""
    return op.inputs[1:] if op.type in QUOTIENTS else op.inputs


def _given(tensor: tf.Tensor) -> bool:
    """Whether a tensor depends on anything but weights and constants."""
    seen: set[str] = set()
    waiting = [tensor.op]
    while waiting:
        op = waiting.pop()
        if op.name in seen or op.type in CONSTANTS:
            continue
        if not op.inputs and op.outputs[0].dtype != tf.resource:
            return True
        seen.add(op.name)
        waiting.extend(x.op for x in op.inputs)
    return False
