"""Backward passes with modified gradients of ReLUs, and, if requested, without the grids of strided convolutions."""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.models.overrides import Pooling, Relus, Strided, backward_rules
from tfxai.options import InputOptions
from tfxai.run import Run
from tfxai.types import Model, Tensors


class GuidedBackprop(Explainer):
    """The gradient with every ReLU passing only positive signal through active units.

    Springenberg et al. (2014): at a ReLU with input a and arriving signal g, f'(a) * relu(g). ReLUs are found whatever
    way they are written; ``facts["modified_relus"]`` says how many there were. The signal starts from 1 at the score.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    strided : {"gradient", "resampled"}
        How signals pass a convolution with a stride. The gradient, as published, leaves a grid; "resampled" does not
        (Oramas et al. 2019): the signal is enlarged to the nearest value and passes as at stride 1.
    pooling : {"gradient", "switch", "repeat"}
        How signals pass max-pooling. Where windows overlap, the gradient adds up what several of them send to one
        maximum; with "switch" the last of them overwrites the others (Zeiler and Fergus 2013). With "repeat", whatever
        the maximum was, the signal is repeated over its window.
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        If the model has no ReLU, in which case the result would be the plain gradient.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explainer = tfxai.GuidedBackprop(tfxai.datasets.flowers.load_model())
    >>> explainer(images, target=tfxai.targets.Channel("block2_relu", 3)).values.shape
    (2, 112, 112, 3)
    """

    embeds = True
    facts = Facts.of("guided_backprop")
    polarity = "energy"
    relus: ClassVar[Relus] = "guided"

    def __init__(
        self,
        model: Model,
        *,
        strided: Strided = "gradient",
        pooling: Pooling = "gradient",
        **options: Unpack[InputOptions],
    ):
        super().__init__(model, **options)
        self.backward = backward_rules(self.relus, strided, pooling)
        self.strided, self.pooling = strided, pooling

    def attribute(self, run: Run) -> Tensors:
        return run.gradients()

    def describe(self) -> dict[str, Any]:
        return {"strided": self.strided, "pooling": self.pooling}


class Deconvnet(GuidedBackprop):
    """The network run backwards: transposed filters, max-pooling to where the maximum was, ReLUs on the signal.

    Zeiler and Fergus (2013): at a ReLU with arriving signal g, relu(g), whatever the forward pass did there. Start from
    a class, or from a unit or channel of a layer by ``target=tfxai.targets.Channel("block2_relu", 3)``.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    strided : {"gradient", "resampled"}
        How signals pass a convolution with a stride, as for `GuidedBackprop`.
    pooling : {"gradient", "switch", "repeat"}
        How signals pass max-pooling, as for `GuidedBackprop`. The paper's way is "switch".
    at : str or sequence of str, optional
        For integer inputs, such as words: which of them are explained at their embedding, or a layer after the
        embedding. Default: the input of words.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError
        If the model has no ReLU, in which case the result would be the plain gradient.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.Deconvnet(tfxai.datasets.flowers.load_model())(images).values.shape
    (2, 112, 112, 3)
    """

    facts = Facts.of("deconvnet")
    relus: ClassVar[Relus] = "deconvnet"
