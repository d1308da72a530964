"""Maps made out of a layer: which layer, where it lies in the input, and several of them as one."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import tensorflow as tf

from tfxai.explainer import Explainer
from tfxai.maps import Place, of_grid, of_layers, unit
from tfxai.models.graph import channel_axis
from tfxai.models.stack import TokensAreLast
from tfxai.options import ModelOptions
from tfxai.run import Run
from tfxai.token_maps import as_maps, grids, last_layer
from tfxai.types import Layer, Model, Tensors


class LayerMap(Explainer):
    """Base of the methods that make a map out of a layer. A subclass writes `map`.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    layer : str, keras layer or sequence of them, optional
        A layer with spatial output; for several, the mean of their heat-maps at the input's size. Default: the last one
        that all paths to the output pass through. Runs of one layer (``"conv#0"``, ``"conv#1"``) are laid where they
        lie, as the frames of a clip do, and added; where they lie in several inputs, values are a dict with an array
        for each.
    grid : (int, int), optional
        For a layer of tokens: how many rows and columns of them (the last ones) stand for places, if the graph does not
        tell.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        If the layer does not exist or has no spatial output.
    """

    def __init__(
        self,
        model: Model,
        layer: Layer | Sequence[Layer] | None = None,
        *,
        grid: Sequence[int] | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, **options)
        self.grid = None if grid is None else tuple(grid)
        if layer is not None:
            layers = layer if isinstance(layer, list | tuple) else [layer]
            if not layers:
                raise ValueError("Expected at least one layer, got an empty list.")
            self.reads = tuple(self.view.find(one) for one in layers)
        elif self.view.inputs is not None:
            with contextlib.suppress(TokensAreLast):  # which of them stand for places is seen with the first batch
                self.reads = (self.view.last_spatial(),)

    def adapt(self, inputs: Any) -> None:
        if not self.reads:
            self.reads = (last_layer(self.view, inputs),)

    @property
    def where(self) -> str | None:
        return self.reads[0] if len(self.reads) == 1 else None

    def describe(self) -> dict[str, Any]:
        layer = self.reads[0] if len(self.reads) == 1 else list(self.reads)
        return {"layer": layer, "rectified": True}  # of such maps, papers show the positive part

    def places_of(self, run: Run, layer: str) -> dict[str, Place]:
        """Where the maps of a layer lie, by the names of inputs."""
        known = grids(run, layer, self.grid)
        if not known:
            return of_layers(run.view, [layer], run.inputs)[layer]
        return {
            name: of_grid(grid, run.given(name).shape, run.positions(run.given(name))) for name, grid in known.items()
        }

    def places(self, run: Run, values: Any) -> dict[str, Place] | None:
        if self.where is None or not grids(run, self.where, self.grid):
            return super().places(run, values)
        return self.places_of(run, self.where)

    def as_maps(self, run: Run, layer: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """(n, h, w, c) float32 of what has the shape of a layer: tokens are laid out as the grid in which they lie."""
        known = grids(run, self.name(run, layer), self.grid)
        maps = as_maps(x, known)
        return maps if known else _channels_last(maps, channel_axis(layer))

    def name(self, run: Run, layer: tf.Tensor) -> str:
        """Which of the layers that are read has this output."""
        return next(name for name in self.reads if run.read[name] is layer)

    def placed(self, run: Run, layer: str) -> tuple[Run, Place]:
        """Where a layer lies in the image that is masked or drawn on, and the run with that image chosen."""
        places = self.places_of(run, layer)
        if run.chosen is None and isinstance(run.inputs, dict) and len(places) == 1:
            run = replace(run, chosen=next(iter(places)))
        name = run.name(run.image)
        if name not in places:
            raise ValueError(
                f"The layer {layer!r} has no places in the input {name!r}; it has some in {list(places) or 'none'}."
            )
        return run, places[name]

    def map(self, run: Run, layer: tf.Tensor) -> tf.Tensor:
        """(n, h, w) of one layer, signed; ``layer`` is its output as it came, in the model's precision."""
        raise NotImplementedError

    def attribute(self, run: Run) -> tf.Tensor:
        for name in self.reads:
            _check_spatial(name, run.read[name])
        maps = {name: run.unpadded(self.map(run, run.read[name])) for name in self.reads}
        if len(maps) == 1:
            return maps[self.reads[0]]
        return self.combined(run, maps)

    def combined(self, run: Run, maps: dict[str, tf.Tensor]) -> Tensors:
        """Maps of several layers over the input in which they lie; if there are several, a dict of them."""
        places = {name: self.places_of(run, name) for name in maps}
        for name, found in places.items():
            if not found:
                raise ValueError(
                    f"The units of the layer {name!r} have no places in the input, since each of them sees all of it. "
                    "Leave it out, or explain it alone."
                )
        names = dict.fromkeys(name for found in places.values() for name in found)
        over = {
            name: _mean_of_layers(
                {layer: places[layer][name] for layer in maps if name in places[layer]}, maps, run.given(name).shape[1:]
            )
            for name in names
        }
        return over if len(over) > 1 else next(iter(over.values()))


class GradientMap(LayerMap):
    """Base of the methods that need A and G only. A subclass writes `weigh`."""

    def map(self, run: Run, layer: tf.Tensor) -> tf.Tensor:
        A, G = (self.as_maps(run, layer, x) for x in (layer, run.gradients(layer)))
        return self.weigh(run.unpadded(A), run.unpadded(G))

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        """(n, h, w) from activations and gradients, both (n, h, w, c)."""
        raise NotImplementedError


def _channels_last(x: tf.Tensor, axis: int) -> tf.Tensor:
    """A stack of maps whose channels are those of an axis, (n, h, w, c)."""
    rank = x.shape.rank
    return x if axis == rank - 1 else tf.transpose(x, [*(other for other in range(rank) if other != axis), axis])


def _mean_of_layers(places: dict[str, Place], maps: dict[str, tf.Tensor], size: Sequence[int]) -> tf.Tensor:
    """The mean of what each layer shows; the runs of one layer are on one scale, and add up, each where it lies."""
    runs: dict[str, list[str]] = {}
    for name in places:
        runs.setdefault(name.partition("#")[0], []).append(name)
    if len(runs) == 1:
        return tf.add_n([place.laid(maps[name], size) for name, place in places.items()])
    sums = [tf.add_n([places[name].laid(tf.nn.relu(maps[name]), size) for name in names]) for names in runs.values()]
    return tf.add_n([unit(one) for one in sums]) / len(sums)


def _check_spatial(name: str, output: tf.Tensor) -> None:
    if output.shape.rank < 3 or all(size == 1 for size in output.shape[1:-1]):
        raise ValueError(
            f"The layer {name!r} has output {tuple(output.shape)}, which is not a stack of maps (n, h, w, channels). "
            "Choose a layer that tfxai.layers(model) calls spatial."
        )
