"""A prediction explained by relevant features: which of them speak for the class, and what each saw in the image."""

from __future__ import annotations

import warnings
from typing import Any, Unpack, cast

import numpy as np
import tensorflow as tf

from tfxai.channels import over_sites
from tfxai.checks import positive
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.maps import unit
from tfxai.models.overrides import Pooling, Relus, Strided, backward_rules
from tfxai.neurons.evidence import FeatureExplanation
from tfxai.neurons.fitted import Fitted
from tfxai.options import ModelOptions
from tfxai.run import Run, check_images, gradients
from tfxai.types import Inputs, Target, Verbose


class PredictionByFeatures(Explainer):
    """The relevant features that speak for a prediction, with a heat-map of each.

    Oramas et al. (2019): a feature k contributes r_k = w_k x_k to class j, where x is the descriptor of the image and w
    the weights of the class over the sum of their absolute values. The maps of the features that contribute most go
    back to the image by guided backpropagation, whole, and without the grids of strided convolutions; of what arrives,
    the positive part counts, as its L2 norm over the colours. The explanation is the maximum of these heat-maps.

    A class without weights is explained by the features with the largest responses, with a warning.

    Parameters
    ----------
    features : RelevantFeatures
        After ``fit``; its model is explained.
    top : int
        How many features, at most. Default 3, as in the authors' demo.
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
        drawback="as good as the features tell the classes apart",
        reference="Oramas et al. 2019",
    )
    explanation = FeatureExplanation
    without_relus = 'Give relus="gradient", which takes it as it is.'

    def __init__(
        self,
        features: Fitted,
        *,
        top: int = 3,
        relus: Relus = "guided",
        strided: Strided = "resampled",
        pooling: Pooling = "repeat",
        **options: Unpack[ModelOptions],
    ):
        if not hasattr(features, "weights_"):
            raise ValueError("The features are not fitted: call fit(images, labels) first.")
        super().__init__(features.view, **options)
        self.of_classes = True
        self.features = features
        self.top = min(positive("top", top), len(features.weights_))
        self.backward = backward_rules(relus, strided, pooling)
        self.reads = tuple(features.layers_)
        self._back = {"relus": relus, "strided": strided, "pooling": pooling}
        self._weights = tf.constant(features.weights_.T, tf.float32)

    def describe(self) -> dict[str, Any]:
        return {"layers": list(self.reads), "channels": [int(n) for n in self.features.channels_], **self._back}

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
                f"The features were fitted for {len(self._weights)} classes; expected one of these as target, of a "
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

        def heatmap(number: tf.Tensor) -> tf.Tensor:
            """What arrives from one feature of each input."""
            chosen = tf.split(tf.one_hot(top[:, number], len(self.features.weights_)), self.features.channels_, 1)
            # Half the sum of squares has the map itself as gradient.
            energy = [tf.reduce_sum(over_sites(c, A) * tf.square(A)) / 2 for c, A in zip(chosen, maps, strict=True)]
            signal = gradients(tf.add_n(energy), run.image)
            return unit(tf.norm(tf.nn.relu(signal), axis=-1))

        heatmaps = tf.map_fn(heatmap, tf.range(self.top), parallel_iterations=1, fn_output_signature=tf.float32)
        run.extras |= {
            "contributions": r,
            "top": top,
            "heatmaps": tf.transpose(heatmaps, [1, 0, 2, 3]),
            "fallback": fallback[:, 0],
        }
        return tf.reduce_max(heatmaps, 0)
