"""A prediction explained by relevant features: which of them speak for the class, and what each saw in the image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Unpack, cast, get_args

import numpy as np
import tensorflow as tf

from tfxai.channels import over_sites
from tfxai.checks import one_of, positive
from tfxai.choices import FeaturePreset
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.maps import Place, of_grid, of_layers, token_grids, unit
from tfxai.models.overrides import Pooling, Relus, Strided, backward_rules
from tfxai.neurons.evidence import FeatureExplanation
from tfxai.neurons.fitted import Fitted
from tfxai.options import ModelOptions
from tfxai.run import Run, check_images, gradients
from tfxai.token_maps import as_maps
from tfxai.types import Inputs, Target, Verbose


class PredictionByFeatures(Explainer):
    """The relevant features that speak for a prediction, with a heat-map of each.

    Oramas et al. (2019): a feature k contributes r_k = w_k x_k to class j, where x is the descriptor of the image and w
    the weights of the class over the sum of their absolute values. The maps of the features that contribute most go
    back to the image by guided backpropagation, whole, and without the grids of strided convolutions; of what arrives,
    the positive part counts, as its L2 norm over the colours. In the paper, the explanation is the maximum of these
    heat-maps. By default, a heat-map is the geometric mean of this and of the feature's own map, enlarged: what arrives
    is fine, but lies on edges, and where a feature responds is whole, but coarse. The explanation is the mean of the
    heat-maps, weighted by what their features contribute.

    A class without weights is explained by the features with the largest responses, with a warning.

    Parameters
    ----------
    features : RelevantFeatures
        After ``fit``; its model is explained.
    top : int
        How many features, at most. Default 3, as in the authors' demo.
    preset : {"tfxai", "paper"}
        How heat-maps are made and put together, see above. Default "tfxai", which found the parts that decide better
        than the paper's on each of fifteen networks of painted flowers.
    relus : {"guided", "deconvnet", "gradient"}
        How signals pass ReLUs. Default "guided", as in the paper; "gradient" for models that have none.
    strided : {"resampled", "gradient"}
        How signals pass a convolution with a stride, as for `GuidedBackprop`. Default "resampled", as in the paper.
    pooling : {"gradient", "switch", "repeat"}
        How signals pass max-pooling, as for `GuidedBackprop`. Default "repeat": what the paper does at strides, up to
        the nearest, done at poolings too. "gradient", as in the authors' code, leaves speckle below a pooling: the few
        brightest pixels set the scale of the map.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        If the features have not been fitted, the model has no ReLU, or its input is not an image.

    Notes
    -----
    An explanation is a `FeatureExplanation`; its ``evidence()`` puts together what ``extras`` holds for each input:

    * ``contributions``: (m,) of all features, in the order of ``features.index_``,
    * ``top``: (top,) their numbers, -1 where fewer contribute,
    * ``heatmaps``: (top, h, w) in [0, 1], zeros where fewer contribute,
    * ``fallback``: whether the class has no weights.

    Examples
    --------
    >>> import tfxai
    >>> from tfxai.neurons.prediction import PredictionByFeatures
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=24)
    >>> features = tfxai.RelevantFeatures(tfxai.datasets.flowers.load_model()).fit(images, labels, verbose=0)
    >>> explanation = PredictionByFeatures(features)(images[:2])
    >>> explanation.extras["heatmaps"].shape
    (2, 3, 112, 112)
    >>> explanation.evidence()[0][0].heatmap.shape
    (112, 112)
    """

    facts = Facts(
        "relevant_features",
        use="which features speak for the class, and where they are",
        cost="3 gradient passes (top)",
        needs="features fitted on labelled images, and ReLUs",
        drawback="only as good as the features are at telling classes apart",
        reference="Oramas et al. 2019",
    )
    explanation = FeatureExplanation
    without_relus = 'Give relus="gradient", which takes it as it is.'

    def __init__(
        self,
        features: Fitted,
        *,
        top: int = 3,
        preset: FeaturePreset = "tfxai",
        relus: Relus = "guided",
        strided: Strided = "resampled",
        pooling: Pooling = "repeat",
        **options: Unpack[ModelOptions],
    ):
        if not hasattr(features, "weights_"):
            raise ValueError("The features are not fitted: call fit(images, labels) first.")
        super().__init__(features.view, **options)
        one_of("preset", preset, get_args(FeaturePreset))
        self.of_classes = True
        self.features, self.preset = features, preset
        self.top = min(positive("top", top), len(features.weights_))
        self.backward = backward_rules(relus, strided, pooling)
        self.reads = tuple(features.layers_)
        self._back = {"relus": relus, "strided": strided, "pooling": pooling}
        self._weights = tf.constant(features.weights_.T, tf.float32)

    def describe(self) -> dict[str, Any]:
        channels = [int(n) for n in self.features.channels_]
        return {"layers": list(self.reads), "channels": channels, "preset": self.preset, **self._back}

    def explain(
        self, inputs: Inputs, target: Target = None, batch_size: int = 32, verbose: Verbose = "auto"
    ) -> FeatureExplanation:
        """As `Explainer.explain`, with a warning if no feature is relevant for a class."""
        found = cast(FeatureExplanation, super().explain(inputs, target, batch_size, verbose))
        without = np.asarray(found.extras["fallback"])
        if without.any():
            missing = sorted({found.label(int(row)) for row in np.flatnonzero(without)})
            warnings.warn(
                f"No feature is relevant for {', '.join(missing)}: shown are those that respond most.", stacklevel=2
            )
        return found

    def attribute(self, run: Run) -> tf.Tensor:
        check_images(run.image, "An explanation by relevant features")
        if run.goal.what is not None or run.outputs.shape[-1] != len(self._weights):
            raise ValueError(
                f"The features were fitted for {len(self._weights)} classes; expected one of these as target, and a "
                "model with as many outputs."
            )
        x = self.features.descriptors(run.read)
        w = tf.gather(self._weights, run.goal.ids)
        total = tf.norm(w, 1, 1, keepdims=True)
        fallback = total == 0
        r = tf.where(fallback, x, tf.math.divide_no_nan(w, total) * x)
        strongest, top = tf.math.top_k(r, self.top)  # of equals the first
        top = tf.where(strongest > 0, top, -1)
        maps = [tf.cast(run.read[name], tf.float32) for name in self.reads]
        laid = _laid(run, self.reads) if self.preset == "tfxai" else []

        def heatmap(number: tf.Tensor) -> tf.Tensor:
            """Of one feature of each input."""
            chosen = tf.split(tf.one_hot(top[:, number], len(self.features.weights_)), self.features.channels_, 1)
            # Half the sum of squares has the map itself as gradient.
            energy = [tf.reduce_sum(over_sites(c, A) * tf.square(A)) / 2 for c, A in zip(chosen, maps, strict=True)]
            signal = gradients(tf.add_n(energy), run.image)
            arrived = unit(tf.norm(tf.nn.relu(signal), axis=-1))
            return unit(tf.sqrt(arrived * _active(laid, chosen, arrived))) if laid else arrived

        heatmaps = tf.map_fn(heatmap, tf.range(self.top), parallel_iterations=1, fn_output_signature=tf.float32)
        run.extras |= {
            "contributions": r,
            "top": top,
            "heatmaps": tf.transpose(heatmaps, [1, 0, 2, 3]),
            "fallback": fallback[:, 0],
        }
        if self.preset == "paper":
            return tf.reduce_max(heatmaps, 0)
        speaks = tf.nn.relu(strongest)
        shares = tf.math.divide_no_nan(speaks, tf.reduce_sum(speaks, 1, keepdims=True))
        return tf.einsum("knhw,nk->nhw", heatmaps, shares)


def _laid(run: Run, layers: Sequence[str]) -> list[tuple[tf.Tensor, Place | None]]:
    """Of each layer the responses, (n, ..., c), and where its units lie in the image.

    A dense layer, and one whose units see the whole image each, lie nowhere.
    """
    name = run.name(run.image)
    tokens, places = token_grids(run.view, layers, run.inputs), of_layers(run.view, layers, run.inputs)
    shapes = {layer.name: layer.shape for layer in run.view.layers(run.view.one_row(run.inputs))}
    found = []
    for layer in layers:
        grid, place = tokens[layer].get(name), places[layer].get(name)
        if grid:
            place = of_grid(grid, run.image.shape, run.positions(run.image))
        x = run.read[layer]
        x = tf.ensure_shape(x, [None, *shapes.get(layer, x.shape)[1:]])  # rules for the way back lose it
        found.append((as_maps(x, tokens[layer]), place))
    return found


def _active(
    laid: Sequence[tuple[tf.Tensor, Place | None]], chosen: Sequence[tf.Tensor], elsewhere: tf.Tensor
) -> tf.Tensor:
    """(n, h, w) in [0, 1] how strongly the channel responds that is chosen for each input.

    ``elsewhere`` is what stands for channels that lie nowhere.
    """
    active = tf.zeros_like(elsewhere)
    for (maps, place), its in zip(laid, chosen, strict=True):
        if place is None:
            active += tf.reduce_sum(its, 1)[:, None, None] * elsewhere
            continue
        response = tf.abs(tf.einsum("n...c,nc->n...", maps, its))
        whole = place.laid(response, elsewhere.shape[1:], bounded=False)
        active += tf.math.divide_no_nan(whole, tf.reduce_max(whole, [1, 2], keepdims=True))
    return active
