"""RelevantFeatures: the few channels of a network that tell its classes apart."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, Unpack, get_args

import numpy as np
import tensorflow as tf

from tfxai import archive
from tfxai.brief import made
from tfxai.channels import named
from tfxai.checks import one_of
from tfxai.choices import FeaturePreset
from tfxai.facts import Facts
from tfxai.inputs import one_hot
from tfxai.models.overrides import Pooling, Relus, Strided
from tfxai.neurons import bounds, lasso
from tfxai.neurons.average import CROPS, Display, Strength
from tfxai.neurons.bounds import PathPoint
from tfxai.neurons.descriptor import LayerNorm, Response, Responses, chosen_layers, describe
from tfxai.neurons.evidence import FeatureExplanation
from tfxai.neurons.fitted import Feature
from tfxai.neurons.gram import Stream, Sums, row_weights
from tfxai.neurons.interpretation import Interpretation, interpret
from tfxai.neurons.prediction import PredictionByFeatures
from tfxai.neurons.summary import summary
from tfxai.options import ModelOptions
from tfxai.provenance import strict
from tfxai.runner import Runner
from tfxai.types import Inputs, Labels, Layer, Model, Target, Verbose

SETTINGS = ("response", "layer_norm", "global_norm", "positive")
RESULTS = ("weights_", "counts_", "active_", "residual_")


class RelevantFeatures:
    """The few channels of a network whose responses tell its classes apart.

    Oramas et al. (2019): each image is described by the responses x of all channels of some layers. The weights w of a
    class minimise the sum of (x'w - l)^2 over all images, l = 1 for those of the class and 0 for others, with
    ||w||_1 <= mu. The bound makes most weights zero; the channels with other weights are the relevant features.

    The images pass through the model once, in any number: only sums of products of responses are kept, and at most 2000
    descriptors, of images that are held out to choose mu. Memory is about 16 m^2 bytes for m channels.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function or path
        A classifier; it is never changed.
    layers : sequence of str or layers, optional
        Which layers. Default: one for each block of the model, after its activation, but for the block that makes the
        classes. A depthwise convolution begins no block, because it repeats the channels before it.
    mu : float or "auto"
        Bound of the L1 norm. "auto" (default): of 1, 2, 3, 5, 10, 20, 50, 100 the smallest whose features classify the
        images held out as well as those of the best, within twice the standard error of the difference, by a linear
        discriminant. The authors take 10 for ImageNet, MNIST and Fashion144k, and 5 for an8Flower.
    response : {"l2sq", "l2"}
        How strongly a channel responds to an image: the squared L2 norm of its map, as in the authors' code (default),
        or the norm.
    layer_norm : {"l1", None}
        Divide the responses of each layer by their sum (default), or leave them. Without it, the layer with the largest
        values gets nearly all weights.
    global_norm : bool
        Divide the whole descriptor by its L2 norm. Default True, as in the authors' code.
    positive : bool
        Only weights that are not negative, so that features speak for classes and none against. Default True, as in the
        later code of the authors' group; the paper states no sign.
    class_weight : sequence of float, optional
        The weight of an image of each class, such as one over the number of images of the class. Default: 1.
    seed : int
        Chooses the images held out.
    **options
        As for `Explainer`: ``output``, ``signature``, ``score``, ``classes``, ``jit_compile``, ``draws``,
        ``preprocessor``.

    Attributes
    ----------
    view : ModelView
        The model.
    layers_ : tuple of str
        Names of the layers.
    channels_ : tuple of int
        How many channels each has.
    index_ : list of (str, int)
        Layer and channel of each feature.
    weights_ : ndarray
        (m, C) float32.
    features_ : dict
        Class to its features (layer, channel), largest weight first.
    mu_ : float
        The bound.
    active_ : ndarray
        (C,) whether the weights of a class touch the bound; if not, they are those of least squares.
    residual_ : ndarray
        (C,) share of the sum of l^2 that is left over; 0 for a class without images.
    counts_ : ndarray
        (C,) images of each class.

    Raises
    ------
    ValueError
        For unknown options or layers.

    Examples
    --------
    >>> import tfxai
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=24)
    >>> features = tfxai.RelevantFeatures(tfxai.datasets.flowers.load_model()).fit(images, labels, verbose=0)
    >>> features.weights_.shape
    (216, 6)
    >>> layer, channel = features.features_[0][0]
    """

    facts = Facts.of("relevant_features")

    @functools.partial(strict, base=Runner.__init__)
    def __init__(
        self,
        model: Model,
        layers: Sequence[Layer] | None = None,
        *,
        mu: float | Literal["auto"] = "auto",
        response: Response = "l2sq",
        layer_norm: LayerNorm = "l1",
        global_norm: bool = True,
        positive: bool = True,
        class_weight: Sequence[float] | None = None,
        seed: int = 0,
        **options: Unpack[ModelOptions],
    ):
        if mu != "auto" and not bounds.is_bound(mu):
            raise ValueError(f'Expected mu to be a positive number or "auto", got {mu!r}.')
        one_of("response", response, get_args(Response))
        one_of("layer_norm", layer_norm, ("l1", None))
        self._responses = Responses(model, self.descriptors, **options)
        self.view, self.classes = self._responses.view, self._responses.classes
        self.layers = named(self.view, layers)
        self.mu = mu
        self.response: Response = response
        self.layer_norm: LayerNorm = layer_norm
        self.global_norm = bool(global_norm)
        self.positive = bool(positive)
        self.class_weight = class_weight
        self.seed = seed
        self.options = options
        self._sums: Sums | None = None
        self._explainers: dict[Any, PredictionByFeatures] = {}  # kept, for their graphs are traced once

    def __repr__(self) -> str:
        return made(self, {"layers": self.layers, "mu": self.mu, "response": self.response})

    def fit(
        self, images: Inputs, labels: Labels | None = None, batch_size: int = 32, verbose: Verbose = "auto"
    ) -> RelevantFeatures:
        """Fit the features.

        Parameters
        ----------
        images : array, tensor, list or dict of them, or tf.data.Dataset
            As for `Explainer.explain`; a dataset of batches, of images or of (images, labels), is streamed.
        labels : array or "predicted", optional
            Classes of the images, (n,); or (n, C) of 0 and 1, where an image may have several. "predicted": those that
            the model predicts, which explains the model rather than the task. Default: those of the dataset.
        batch_size : int
            How many images pass through the model at once.
        verbose : {"auto", 0, 1}
            Progress bar; "auto": if there is more than one batch.

        Returns
        -------
        RelevantFeatures

        Raises
        ------
        ValueError, TypeError
            For images or labels that do not fit the model, missing labels, too many channels, NaN.
        """
        sums: Stream | None = None
        for batch, own in self._responses.labelled(images, labels, batch_size, verbose):
            if sums is None:
                self.layers_, self.channels_ = chosen_layers(self.view, self.layers, batch)
                self._responses.reads = self.layers_
            found = self._responses.outcome(batch, batch_size=batch_size).found
            outputs = found["outputs"]
            sums = sums or Stream(self.channels_, outputs.shape[1], self.seed)
            rows = one_hot(outputs.argmax(1) if own is None else own, len(outputs), outputs.shape[1])
            sums.add(found["descriptors"], rows, row_weights(rows, self.class_weight))
        assert sums is not None  # a stream without batches is an error
        self._explainers = {}
        self._sums = sums.close()
        self.counts_ = self._sums.counts
        self.mu_ = bounds.choose(self._sums, self.positive) if self.mu == "auto" else float(self.mu)
        gram, cross = self._sums.totals()
        (weights,), (self.active_,) = lasso.solve(gram, cross, [self.mu_], self.positive)
        self.residual_ = lasso.residual(gram, cross, self._sums.squares, weights)
        self.weights_ = weights.astype(np.float32)
        self._index()
        return self

    def path(self, mus: Sequence[float] = bounds.MUS) -> list[PathPoint]:
        """Solutions for several bounds, with what `fit` has kept: the images are not needed again.

        Parameters
        ----------
        mus : sequence of float
            The bounds.

        Returns
        -------
        list of PathPoint

        Raises
        ------
        ValueError
            If it is not fitted, or was loaded from a file, which does not hold the sums.

        Examples
        --------
        >>> import tfxai
        >>> images, labels, _ = tfxai.datasets.flowers.make(n=24)
        >>> features = tfxai.RelevantFeatures(tfxai.datasets.flowers.load_model()).fit(images, labels, verbose=0)
        >>> few, many = features.path([0.5, 5])
        >>> bool(few.selected.sum() < many.selected.sum())
        True
        """
        if self._sums is None:
            raise ValueError("There are no sums to solve for: call fit(images, labels) first; files do not hold them.")
        if not len(mus) or not all(map(bounds.is_bound, mus)):
            raise ValueError(f"Expected mus to be positive numbers, got {mus!r}.")
        return bounds.path(self._sums, mus, self.positive)

    def report(self, top: int = 3) -> str:
        """What was found, as text: the layers that are used, and for each class its strongest features.

        Parameters
        ----------
        top : int
            How many features are named for each class, with their shares of its weights.

        Returns
        -------
        str
        """
        self._check_fitted()
        return summary(self, top)

    def interpret(
        self,
        images: Inputs,
        labels: Labels | None = None,
        *,
        classes: Sequence[int] | None = None,
        top: int | None = None,
        crops: int = CROPS,
        response: Strength = "l2",
        display: Display | None = None,
        size: tuple[int, int] | None = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
    ) -> Interpretation:
        """Average images of the features of each class: what they look for.

        Parameters
        ----------
        images : array, tensor or tf.data.Dataset
            Images as the model takes them; a dataset of batches is streamed.
        labels : array or "predicted", optional
            Classes of the images. If given, a class is shown by its own images alone; else by those of any class.
        classes : sequence of int, optional
            Which classes are shown; default: all that have a feature.
        top : int, optional
            How many features of each class, largest weight first; default: all.
        crops, response, display, size, batch_size, verbose
            As for `tfxai.neurons.average_images`.

        Returns
        -------
        Interpretation

        Raises
        ------
        ValueError
            If it is not fitted, a class does not exist, or none of them has a feature; else as `average_images`.

        Examples
        --------
        >>> import tfxai
        >>> images, labels, _ = tfxai.datasets.flowers.make(n=24)
        >>> features = tfxai.RelevantFeatures(tfxai.datasets.flowers.load_model()).fit(images, labels, verbose=0)
        >>> interpretation = features.interpret(images, top=3, crops=20, verbose=0)
        >>> figure = interpretation.plot([0, 1], crops=9)
        """
        self._check_fitted()
        how: dict[str, Any] = {"crops": crops, "response": response, "display": display, "size": size}
        how |= {"batch_size": batch_size, "verbose": verbose}
        return interpret(self, images, labels, classes=classes, top=top, **how)

    def explain(
        self,
        images: Inputs,
        target: Target = None,
        batch_size: int = 32,
        verbose: Verbose = "auto",
        *,
        top: int = 3,
        preset: FeaturePreset = "tfxai",
        relus: Relus = "guided",
        strided: Strided = "resampled",
        pooling: Pooling = "repeat",
    ) -> FeatureExplanation:
        """Explain predictions by the features that speak for them, with a heat-map of each.

        A class without features is explained by those that respond most, with a warning.

        Parameters
        ----------
        images, target, batch_size, verbose
            As for `Explainer.explain`; the target is a class.
        top, preset, relus, strided, pooling
            As for `tfxai.neurons.prediction.PredictionByFeatures`.

        Returns
        -------
        FeatureExplanation
            An `Explanation` with ``evidence()`` and ``plot_prediction()``.

        Raises
        ------
        ValueError
            If it is not fitted, or the model has no ReLU or does not take images.
        """
        key = top, preset, relus, strided, pooling
        if key not in self._explainers:
            self._explainers[key] = PredictionByFeatures(
                self, top=top, preset=preset, relus=relus, strided=strided, pooling=pooling, **self.options
            )
        return self._explainers[key].explain(images, target, batch_size, verbose)

    def descriptors(self, maps: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """(n, m) descriptors from the outputs of all ``layers_``, in the graph."""
        chosen = [maps[name] for name in self.layers_]
        return describe(chosen, self.response, self.layer_norm, self.global_norm)

    def save(self, path: str | PathLike) -> None:
        """Write the features to a ``.npz`` file, without the model and without the sums that `path` needs."""
        self._check_fitted()
        header = {name: getattr(self, name) for name in SETTINGS}
        header |= {"mu": self.mu_, "layers": self.layers_, "channels": self.channels_}
        arrays = {name: getattr(self, name) for name in RESULTS}
        archive.write(path, header, arrays)

    @classmethod
    def load(cls, path: str | PathLike, model: Model, **options: Unpack[ModelOptions]) -> RelevantFeatures:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
            The file.
        model : keras.Model, SavedModel, tf.function or path
            The model that the features belong to.
        **options
            As for `Explainer`.

        Returns
        -------
        RelevantFeatures

        Raises
        ------
        ValueError
            If the file is missing or holds no features, or the model has no such layers.
        """
        try:
            header, arrays = archive.read(path)
            settings = {name: header[name] for name in SETTINGS}
            results = {name: arrays[name] for name in RESULTS}
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{str(path)!r} holds no relevant features: {error}") from error
        features = cls(model, header["layers"], mu=header["mu"], **settings, **options)
        features.layers_, features.channels_ = tuple(header["layers"]), tuple(header["channels"])
        features.mu_ = header["mu"]
        for name, array in results.items():
            setattr(features, name, array)
        features._index()
        return features

    def _index(self) -> None:
        """Name the features, and list those of each class."""
        self.index_: list[Feature] = [
            (name, k) for name, count in zip(self.layers_, self.channels_, strict=True) for k in range(count)
        ]
        self.features_: dict[int, list[Feature]] = {
            j: [self.index_[k] for k in numbers] for j, numbers in enumerate(bounds.selected(self.weights_))
        }

    def _check_fitted(self) -> None:
        if not hasattr(self, "weights_"):
            raise ValueError("The features are not fitted: call fit(images, labels) first.")
