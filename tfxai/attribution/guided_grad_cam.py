"""Guided Grad-CAM: where, from one method, times what, from another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, TypeAlias, Unpack, get_args

import tensorflow as tf

from tfxai.attribution.backprop import GuidedBackprop
from tfxai.attribution.cam import GradCAM
from tfxai.checks import one_of
from tfxai.facts import Facts
from tfxai.models.overrides import Pooling, Strided
from tfxai.options import ModelOptions
from tfxai.run import Run
from tfxai.types import Layer, Model

Interpolation: TypeAlias = Literal["nearest", "linear"]  # cubic would be negative beside a peak


class GuidedGradCAM(GradCAM):
    """Guided backpropagation where Grad-CAM is positive: fine detail that depends on the class.

    Selvaraju et al. (2017): guided backprop times the enlarged positive part of Grad-CAM.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    layer : str, keras layer or sequence of them, optional
        Layer of the Grad-CAM. Default: the last one with spatial output that all paths to the output pass through.
    interpolation : {"nearest", "linear"}
        How the map is enlarged. Default "nearest".
    strided : {"gradient", "resampled"}
        How signals of guided backprop pass a convolution with a stride, as for `GuidedBackprop`.
    pooling : {"gradient", "switch", "repeat"}
        How they pass max-pooling, as for `GuidedBackprop`.
    input : str, optional
        Which of several images is explained. Default: the one in which the layer lies.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        As for `GuidedBackprop` and `GradCAM`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.GuidedGradCAM(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 112, 112, 3)
    """

    facts = Facts.of("guided_grad_cam")
    polarity = "energy"

    def __init__(
        self,
        model: Model,
        layer: Layer | Sequence[Layer] | None = None,
        *,
        interpolation: Interpolation = "nearest",
        strided: Strided = "gradient",
        pooling: Pooling = "gradient",
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, layer, **options)
        self.input = input
        one_of("interpolation", interpolation, get_args(Interpolation))
        self.interpolation = interpolation
        self._guided = GuidedBackprop(
            self.view, strided=strided, pooling=pooling, score=self.score, classes=self.classes
        )

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
