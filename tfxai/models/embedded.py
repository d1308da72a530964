"""A model as a function of the embeddings of its words.

In the place of an input of integers stands its embedding, (n, steps, width): gradients are taken there, and what
methods make of it, on a way or with noise, goes into the model there. Whatever else the model makes of the integers,
such as positions and masks, stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from tfxai.models import graph
from tfxai.models.embeddings import Embedding, apart, embedding, joined, of_tokens
from tfxai.models.overrides import Backward
from tfxai.models.receptive_field import in_flat_graph
from tfxai.models.view import Forward, ModelView, Recording


@dataclass(frozen=True)
class _Names:
    """The tensors of an embedding in the flat graph."""

    tensors: tuple[str, ...]
    like: tuple[tf.TensorSpec, ...]


class EmbeddedModel:
    """A model whose words are given as numbers. It is traced once, and pasted wherever it runs.

    Parameters
    ----------
    view : ModelView
        The model.
    inputs : tf.Tensor or dict
        A batch in the current graph.
    reads : sequence of str
        Layers that are read.
    at : sequence of str, optional
        Which inputs are explained where they are embedded, or a layer that is read and depends on one of them. Default:
        the input of words; where there is none, integers as numbers.

    Attributes
    ----------
    embedded : dict
        Input to what its embedding is; empty if there is none.
    rows : dict
        How many integers the model knows, by input; None where that is not known.

    Raises
    ------
    ValueError
        If it is not known which of several inputs of words is meant.
    """

    def __init__(self, view: ModelView, inputs: Any, reads: Sequence[str], at: Sequence[str] | None):
        self._reads = tuple(reads)
        recorded = view.recorded if view.draw is None else ModelView.recorded.__get__(view)  # the one that draws
        recording, forward = recorded(view.specs_like(inputs), self._reads)
        self._recording: Recording = recording
        self.embedded: dict[str, _Names] = {}
        self.rows: dict[str, int | None] = {}

        def look(named: dict[str, tf.Tensor], ends: dict[str, tf.Tensor], output: tf.Tensor) -> None:
            for name, one in _chosen(named, ends, at).items():
                names = tuple(x.name.removeprefix("model/") for x in one.tensors)
                self.embedded[name] = _Names(names, tuple(tf.TensorSpec(x.shape, x.dtype) for x in one.tensors))
                self.rows[name] = one.rows

        in_flat_graph(view, self._reads, view.specs_like(inputs), look)
        self._fetches = [recording.flat_name(x) for x in (forward.outputs, *forward.read.values())]
        self._masks = [x.name for x in forward.masks if recording.flat.has(x.name)]

    def forward(
        self, inputs: Any, backward: Backward | None = None, numbers: Mapping[str, tf.Tensor] | None = None
    ) -> tuple[Forward, dict[str, tf.Tensor]]:
        """Run the model in the current graph, and its embeddings by the names of inputs.

        Parameters
        ----------
        inputs : tf.Tensor or dict
            What the model takes.
        backward : str or tuple of str, optional
            How gradients are modified, see `ModelView.forward`.
        numbers : mapping, optional
            What the embeddings are to be; default: what they are.
        """
        if numbers is None and any(one.like[0].dtype != tf.float32 or len(one.like) > 1 for one in self._all):
            numbers = {name: self.embed(inputs, name) for name in self.embedded}
        feeds: dict[str, tf.Tensor] = {}
        for name, values in (numbers or {}).items():
            one = self.embedded[name]
            feeds |= zip(one.tensors, apart(values, one.like), strict=True)
        own = [one.tensors[0] for one in self._all] if numbers is None else []
        fetches = [*self._fetches, *self._masks, *own]
        tensors, modified = self._flat.paste_modified(tf.nest.flatten(inputs), fetches, backward, feeds)
        outputs, *rest = tensors[: len(self._fetches)]
        masks = tensors[len(self._fetches) : len(self._fetches) + len(self._masks)]
        found = Forward(outputs, dict(zip(self._reads, rest, strict=True)), modified, masks)
        values = tensors[len(self._fetches) + len(self._masks) :]
        return found, dict(numbers or zip(self.embedded, values, strict=True))

    def embed(self, inputs: Any, name: str) -> tf.Tensor:
        """The embedding of one of the inputs."""
        return joined(self._flat.paste(tf.nest.flatten(inputs), self.embedded[name].tensors))

    @property
    def _all(self) -> list[_Names]:
        return list(self.embedded.values())

    @property
    def _flat(self) -> Any:
        return self._recording.with_gradients


def _chosen(
    inputs: Mapping[str, tf.Tensor], layers: Mapping[str, tf.Tensor], at: Sequence[str] | None
) -> dict[str, Embedding]:
    if at is None:
        found = of_tokens(inputs)
        if len({one.table for one in found.values()}) > 1 and all(one.looked_up for one in found.values()):
            raise ValueError(
                f"The model looks up numbers for several inputs, {list(found)}. Say which of them are explained, such "
                f"as at={next(iter(found))!r} or at={list(found)}."
            )
        return found
    chosen: dict[str, Embedding] = {}
    for name in at:
        if name in inputs:
            found = {name: one} if (one := embedding(inputs[name])) is not None else {}
        else:
            layer = graph.origin(layers[name])
            before = graph.ancestors([layer])
            found = {
                token: one._replace(tensors=(layer,))
                for token, one in of_tokens(inputs).items()
                if inputs[token].op.name in before and layer.shape.rank == inputs[token].shape.rank + 1
            }
        if len(found) != 1:
            raise ValueError(
                "Expected at= to name an input of integers that are embedded, here "
                f"{list(of_tokens(inputs))}, or a layer with a vector for each of them, got {name!r}."
            )
        chosen |= found
    return chosen
