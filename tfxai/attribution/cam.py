"""Class activation maps: the channels of a layer, weighted by what they mean for the score.

Throughout, A (n, h, w, c) is the output of the layer and G = dS/dA the gradient of the score; sums and means run over
positions. All work on any layer with spatial output, in one dimension (series) as in two or three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import tensorflow as tf

from tfxai.attribution.backprop import GuidedBackprop
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.maps import Place, of_layers, unit
from tfxai.models import graph
from tfxai.models.operations import PASSING
from tfxai.models.stack import check_maps
from tfxai.run import Run


class LayerMap(Explainer):
    """Base of the methods that make a map out of a layer. A subclass writes `map`.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    layer : str, keras layer, sequence of them, or None
        A layer with spatial output; None: the last that all paths to the output pass. For several, the mean of their
        heat-maps at the input's size.
        Runs of one layer (``"conv#0"``, ``"conv#1"``) are laid where they lie, as the frames of a clip do, and added;
        where they lie in several inputs, values are a dict with an array for each.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        If the layer does not exist or has no spatial output.
    """

    def __init__(self, model: Any, layer: Any = None, **options: Any):
        super().__init__(model, **options)
        if layer is not None:
            layers = layer if isinstance(layer, list | tuple) else [layer]
            if not layers:
                raise ValueError("Expected at least one layer, got an empty list.")
            self.reads = tuple(self.view.find(one) for one in layers)
        elif self.view.inputs is not None:
            self.reads = (self.view.last_spatial(),)

    def adapt(self, inputs: Any) -> None:
        if not self.reads:
            self.reads = (self.view.last_spatial(inputs),)

    @property
    def where(self) -> str | None:
        return self.reads[0] if len(self.reads) == 1 else None

    def describe(self) -> dict[str, Any]:
        layer = self.reads[0] if len(self.reads) == 1 else list(self.reads)
        return {"layer": layer, "rectified": True}  # of such maps, papers show the positive part

    def placed(self, run: Run, layer: str) -> tuple[Run, Place]:
        """Where a layer lies in the image that is masked or drawn on, and the run with that image chosen."""
        places = of_layers(run.view, [layer], run.inputs)[layer]
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
        stacks = {name: _spatial(name, run.read[name], run.inputs) for name in self.reads}
        maps = {name: run.unpadded(self.map(run, stack)) for name, stack in stacks.items()}
        if len(maps) == 1:
            return maps[self.reads[0]]
        return self.combined(run, maps)

    def combined(self, run: Run, maps: dict[str, tf.Tensor]) -> Any:
        """Maps of several layers over the input in which they lie; if there are several, a dict of them."""
        places = of_layers(run.view, tuple(maps), run.inputs)
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
        A, G = tf.cast(layer, tf.float32), run.gradients(layer)
        return self.weigh(run.unpadded(A), run.unpadded(G))

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        """(n, h, w) from activations and gradients, both (n, h, w, c)."""
        raise NotImplementedError


def map_facts(name: str, **changes: Any) -> Facts:
    """What holds for most methods of the family, but for ``changes``."""
    usual = {
        "use": "important parts of the input",
        "cost": "1 forward pass and the backward pass down to the layer",
        "needs": "a layer with spatial output",
        "drawback": "as coarse as the layer",
    }
    return Facts(name, **(usual | changes))


EXAMPLE = """
    Takes the parameters of `tfxai.attribution.cam.LayerMap`, ``model``, ``layer`` and the options of `Explainer`, and
    raises what it raises.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.{}(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 14, 14)
    """


class CAM(GradientMap):
    __doc__ = f"""Class activation map: the last maps, weighted by the classifier's own weights.

    Zhou et al. (2016): sum_k w_k A_k, for networks that end in global average pooling and at most one linear layer.
    Its spatial mean plus the bias is the logit. The architecture is checked in the graph.
    {EXAMPLE.format("CAM")}"""

    facts = map_facts(
        "cam",
        needs="global average pooling and one linear layer on top of the last maps",
        drawback="few architectures",
        reference="Zhou et al. 2016",
    )

    def map(self, run: Run, layer: tf.Tensor) -> tf.Tensor:
        _check_head(layer, run.outputs)
        return super().map(run, layer)

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        # Under global average pooling, each of the positions of G holds its share of w.
        return tf.reduce_sum(_sum(G) * A, -1)


class GradCAM(GradientMap):
    __doc__ = f"""Gradient-weighted class activation map.

    Selvaraju et al. (2017): sum_k mean(G_k) A_k; its positive part, which `Explanation.heatmaps` shows, is the paper's
    map. ``heatmaps("negative")`` shows the evidence against the class.
    {EXAMPLE.format("GradCAM")}"""

    facts = map_facts("grad_cam", reference="Selvaraju et al. 2017")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(_mean(G) * A, -1)


class GradCAMPlusPlus(GradientMap):
    __doc__ = f"""Grad-CAM with weights that count each position of an object, for several objects of a class.

    Chattopadhyay et al. (2018): sum_k (sum alpha relu(G)) A_k with alpha = 1 / (2 + sum(A) G), which is their eq. 19
    for Y = exp(S): the exponential cancels, so no score is too large, and so does G^2, so no gradient is too small.
    {EXAMPLE.format("GradCAMPlusPlus")}"""

    facts = map_facts("grad_cam_plus_plus", reference="Chattopadhyay et al. 2018")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        weights = _sum(tf.math.divide_no_nan(tf.nn.relu(G), 2 + _sum(A) * G))
        return tf.reduce_sum(weights * A, -1)


class XGradCAM(GradientMap):
    __doc__ = f"""Grad-CAM with gradients weighted by the activations, so that the map keeps the score best.

    Fu et al. (2020): sum_k (sum(G_k A_k) / sum(A_k)) A_k.
    {EXAMPLE.format("XGradCAM")}"""

    facts = map_facts("x_grad_cam", reference="Fu et al. 2020")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.math.divide_no_nan(_sum(G * A), _sum(A)) * A, -1)


class LayerCAM(GradientMap):
    __doc__ = f"""Every position weighted by its own positive gradient; sharp also in early layers.

    Jiang et al. (2021): sum_k relu(G_k) A_k.
    {EXAMPLE.format("LayerCAM")}"""

    facts = map_facts("layer_cam", reference="Jiang et al. 2021")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.nn.relu(G) * A, -1)


class HiResCAM(GradientMap):
    __doc__ = f"""Gradient times activation at every position: what the layer's positions add to the score.

    Draelos and Carin (2020): sum_k G_k A_k.
    {EXAMPLE.format("HiResCAM")}"""

    facts = map_facts("hi_res_cam", reference="Draelos and Carin 2020")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(G * A, -1)


class EigenCAM(LayerMap):
    __doc__ = f"""The first principal component of the layer's activations; depends on no class.

    Muhammad and Yeasin (2020): positions as rows, centred, projected on the first right singular vector. The sign of
    that vector is arbitrary; ours makes the largest magnitude positive.
    {EXAMPLE.format("EigenCAM")}"""

    facts = map_facts(
        "eigen_cam",
        use="what dominates the layer, whatever the class",
        cost="1 forward pass and an eigendecomposition",
        drawback="explains no class",
        reference="Muhammad and Yeasin 2020",
    )

    def map(self, run: Run, layer: tf.Tensor) -> tf.Tensor:
        return _first_component(tf.cast(layer, tf.float32))


class EigenGradCAM(GradientMap):
    __doc__ = f"""The first principal component of gradient times activation; EigenCAM for a class.

    As `EigenCAM`, on G * A.
    {EXAMPLE.format("EigenGradCAM")}"""

    facts = map_facts("eigen_grad_cam", drawback="its sign is a convention", reference="Muhammad and Yeasin 2020")

    def weigh(self, A: tf.Tensor, G: tf.Tensor) -> tf.Tensor:
        return _first_component(G * A)


class GuidedGradCAM(GradCAM):
    """Guided backpropagation where Grad-CAM is positive: fine detail that depends on the class.

    Selvaraju et al. (2017): guided backprop times the enlarged positive part of Grad-CAM.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    layer : str, keras layer, sequence of them, or None
        Layer of the Grad-CAM; None: the last with spatial output.
    interpolation : {"nearest", "linear"}
        How the map is enlarged. Default "nearest".
    strided, pooling
        As for `GuidedBackprop`.
    input : str, optional
        Which of several images is explained; default: the one in which the layer lies.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        As `GuidedBackprop` and `GradCAM`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.GuidedGradCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 112, 112, 3)
    """

    facts = map_facts(
        "guided_grad_cam",
        use="fine detail that speaks for a class",
        cost="2 gradient passes",
        needs="ReLUs and a layer with spatial output",
        drawback="detail comes from guided backprop, which hardly depends on the class",
        reference="Selvaraju et al. 2017",
    )
    polarity = "energy"

    def __init__(
        self,
        model: Any,
        layer: Any = None,
        interpolation: str = "nearest",
        strided: str = "gradient",
        pooling: str = "gradient",
        *,
        input: str | None = None,
        **options: Any,
    ):
        super().__init__(model, layer, **options)
        self.input = input
        if interpolation not in ("nearest", "linear"):
            raise ValueError(f'Expected interpolation to be "nearest" or "linear", got {interpolation!r}.')
        self.interpolation = interpolation
        self._guided = GuidedBackprop(self.view, strided, pooling, score=self.score, classes=self.classes)

    def describe(self) -> dict[str, Any]:
        return super().describe() | self._guided.describe()

    def attribute(self, run: Run) -> tf.Tensor:
        cam = super().attribute(run)
        if len(self.reads) == 1:
            chosen, place = self.placed(run, self.reads[0])
            cam = place.laid(tf.nn.relu(cam), chosen.image.shape[1:], self.interpolation)
        else:
            chosen = run
            cam = tf.nn.relu(cam[run.name(run.image)] if isinstance(cam, dict) else cam)
        guided = replace(self._guided.run(run.inputs, run.goal, run.batch_size), chosen=chosen.chosen)
        run.modified_relus, run.chosen = guided.modified_relus, chosen.chosen
        return guided.gradients(guided.image) * chosen.over(cam, chosen.image)

    @property
    def where(self) -> str | None:
        return None


def _mean_of_layers(places: dict[str, Place], maps: dict[str, tf.Tensor], size: Sequence[int]) -> tf.Tensor:
    """The mean of what each layer shows; the runs of one layer are on one scale, and add up, each where it lies."""
    runs: dict[str, list[str]] = {}
    for name in places:
        runs.setdefault(name.partition("#")[0], []).append(name)
    if len(runs) == 1:
        return tf.add_n([place.laid(maps[name], size) for name, place in places.items()])
    sums = [tf.add_n([places[name].laid(tf.nn.relu(maps[name]), size) for name in names]) for names in runs.values()]
    return tf.add_n([unit(one) for one in sums]) / len(sums)


def _axes(x: tf.Tensor) -> list[int]:
    return list(range(1, x.shape.rank - 1))


def _mean(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(x, _axes(x), keepdims=True)


def _sum(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(x, _axes(x), keepdims=True)


def _first_component(x: tf.Tensor) -> tf.Tensor:
    rows = tf.reshape(x, [-1, x.shape[1:-1].num_elements(), x.shape[-1]])
    rows -= tf.reduce_mean(rows, 1, keepdims=True)
    scale = tf.reduce_max(tf.abs(rows), [1, 2], keepdims=True)  # squares of small numbers would be lost
    rows = tf.math.divide_no_nan(rows, scale)
    # The first right singular vector v, by the smaller of the two Gram matrices, which is faster than all of an SVD.
    wide = rows.shape[1] < rows.shape[2]
    _, vectors = tf.linalg.eigh(tf.matmul(rows, rows, transpose_a=not wide, transpose_b=wide))
    top = vectors[:, :, -1:]
    v = tf.matmul(rows, top, transpose_a=True) if wide else top
    v = tf.math.divide_no_nan(v, tf.norm(v, axis=1, keepdims=True))
    scores = tf.matmul(rows * scale, v)[:, :, 0]
    flip = tf.reduce_max(-scores, 1, keepdims=True) > tf.reduce_max(scores, 1, keepdims=True)
    return tf.reshape(tf.where(flip, -scores, scores), [-1, *x.shape[1:-1]])


def _spatial(name: str, output: tf.Tensor, inputs: Any) -> tf.Tensor:
    if output.shape.rank < 3 or all(size == 1 for size in output.shape[1:-1]):
        raise ValueError(
            f"The layer {name!r} has output {tuple(output.shape)}, which is no stack of maps (n, h, w, channels). "
            "Choose a layer that tfxai.layers(model) calls spatial."
        )
    check_maps(name, output, tf.nest.flatten(inputs))
    return output


_LINEAR = {"MatMul", "BiasAdd", "AddV2", "Add", "Conv2D", "Neg", "ConcatV2"}
_SHAPES = {"Shape", "StridedSlice", "Pack", "Prod"}  # they compute the shape of a Reshape


def _check_head(layer: tf.Tensor, logits: tf.Tensor) -> None:
    """ValueError unless only global average pooling and linear operations lie between the layer and the logits."""
    pooled = False
    passing = PASSING | _SHAPES
    for op in graph.between(layer, logits):
        whole = op.type in ("Mean", "AvgPool") and all(size == 1 for size in _positions(op.outputs[0], layer))
        if whole and not pooled:
            pooled = True
        elif op.type not in passing and not (pooled and op.type in _LINEAR and not _joins(op, layer)):
            raise ValueError(
                "CAM needs a network that ends in global average pooling and one linear layer; after the layer there "
                f"is {op.name!r} ({op.type}). Choose the last spatial layer, or use GradCAM, which needs no such end."
            )
    if not pooled:
        raise ValueError("CAM needs global average pooling after the layer, and there is none. Use GradCAM.")


def _positions(pooled: tf.Tensor, layer: tf.Tensor) -> list[int | None]:
    """Spatial sizes that a pooling leaves: none if the axes are gone."""
    return (
        list(pooled.shape[1:-1]) if pooled.shape.rank == layer.shape.rank else [] if pooled.shape.rank == 2 else [None]
    )


def _joins(op: tf.Operation, layer: tf.Tensor) -> bool:
    """Whether a sum or product joins two branches that both come from the layer."""
    return op.type in ("AddV2", "Add", "MatMul") and all(layer.op.name in graph.ancestors([x]) for x in op.inputs)
