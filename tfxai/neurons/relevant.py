"""RelevantFeatures: the few channels of a network that tell its classes apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai import archive
from tfxai.explanation import Explanation
from tfxai.facts import Facts
from tfxai.inputs import one_hot
from tfxai.models.blocks import channel_counts, default_layers
from tfxai.neurons import bounds, lasso
from tfxai.neurons.bounds import NONZERO, PathPoint
from tfxai.neurons.descriptor import POOLINGS, describe
from tfxai.neurons.gram import Stream, Sums
from tfxai.neurons.interpretation import Interpretation, interpret
from tfxai.neurons.prediction import PredictionByFeatures
from tfxai.neurons.summary import summary
from tfxai.run import Run
from tfxai.runner import Runner

MOST_FEATURES = 20_000  # their Gram matrix has 3.2 GB
SETTINGS = ("pooling", "layer_norm", "global_norm", "positive")
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
        classes. A depthwise convolution begins no block, for it repeats the channels before it.
    mu : float or "auto"
        Bound of the L1 norm. Default 10, the authors' for ImageNet, MNIST and Fashion144k (theirs is 5 for an8Flower).
        "auto": of 1, 2, 5, 10, 20, 50, 100 the smallest whose accuracy on the images held out is within one standard
        error of the best.
    pooling : {"l2sq", "l2"}
        Response of a channel: the squared L2 norm of its map, as in the authors' code (default), or the norm.
    layer_norm : {"l1", None}
        Divide the responses of each layer by their sum (default), or leave them. Without it, the layer with the largest
        values gets nearly all weights.
    global_norm : bool
        Divide the whole descriptor by its L2 norm. Default True, as in the authors' code.
    positive : bool
        Only weights that are not negative, so that features speak for classes and none against. Default True, as in the
        later code of the authors' group; the paper states no sign.
    class_weight : sequence of float, optional
        What an image of each class counts, such as one over the images of the class. Default: 1.
    seed : int
        Chooses the images held out.
    **options
        As for `Explainer`: ``output``, ``signature``, ``score``, ``classes``, ``jit_compile``.

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
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=60)
    >>> features = tfxai.RelevantFeatures(tfxai.datasets.flowers.load_model(), mu=5).fit(images, labels, verbose=0)
    >>> features.weights_.shape
    (216, 6)
    >>> layer, channel = features.features_[0][0]
    """

    facts = Facts(
        "relevant_features",
        use="the few channels whose responses tell the classes apart",
        cost="1 forward pass an image to fit",
        needs="labelled images, or the predictions of the model",
        drawback="of channels that respond alike only some are chosen",
        reference="Oramas et al. 2019",
        kind="neurons",
    )

    def __init__(
        self,
        model: Any,
        layers: Sequence[Any] | None = None,
        mu: float | str = 10,
        *,
        pooling: str = "l2sq",
        layer_norm: str | None = "l1",
        global_norm: bool = True,
        positive: bool = True,
        class_weight: Sequence[float] | None = None,
        seed: int = 0,
        **options: Any,
    ):
        if mu != "auto" and not _is_positive(mu):
            raise ValueError(f'Expected mu to be a positive number or "auto", got {mu!r}.')
        if pooling not in POOLINGS:
            raise ValueError(f"Expected pooling to be one of {POOLINGS}, got {pooling!r}.")
        if layer_norm not in ("l1", None):
            raise ValueError(f'Expected layer_norm to be "l1" or None, got {layer_norm!r}.')
        if layers is not None and (isinstance(layers, str) or not len(layers)):
            raise ValueError(f"Expected layers to be a list of at least one layer, got {layers!r}.")
        self._responses = _Responses(model, self.descriptors, **options)
        self.view, self.classes = self._responses.view, self._responses.classes
        self._options = {name: options[name] for name in ("score", "classes", "jit_compile") if name in options}
        self.layers = None if layers is None else tuple(dict.fromkeys(self.view.find(one) for one in layers))
        self.mu = mu
        self.pooling = pooling
        self.layer_norm = layer_norm
        self.global_norm = bool(global_norm)
        self.positive = bool(positive)
        self.class_weight = class_weight
        self.seed = seed
        self._sums: Sums | None = None
        self._explainers: dict[Any, PredictionByFeatures] = {}

    def fit(
        self, images: Any, labels: Any = None, batch_size: int = 32, verbose: str | int = "auto"
    ) -> RelevantFeatures:
        """Find the features.

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
            Itself.

        Raises
        ------
        ValueError, TypeError
            For images or labels that do not fit the model, missing labels, too many channels, NaN.
        """
        sums: Stream | None = None
        for batch, own in self._responses.labelled(images, labels, batch_size, verbose):
            if sums is None:
                self._choose_layers(batch)
            found = self._responses.outcome(batch, batch_size=batch_size).found
            outputs = found["outputs"]
            sums = sums or Stream(self.channels_, outputs.shape[1], self.seed)
            rows = one_hot(outputs.argmax(1) if own is None else own, len(outputs), outputs.shape[1])
            sums.add(found["descriptors"], rows, self._row_weights(rows))
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
            In the order of ``mus``.

        Raises
        ------
        ValueError
            If it is not fitted, or was loaded from a file, which does not hold the sums.

        Examples
        --------
        >>> import tfxai
        >>> images, labels, _ = tfxai.datasets.flowers.make(n=60)
        >>> features = tfxai.RelevantFeatures(tfxai.datasets.flowers.load_model()).fit(images, labels, verbose=0)
        >>> few, many = features.path([0.5, 5])
        >>> bool(few.selected.sum() < many.selected.sum())
        True
        """
        if self._sums is None:
            raise ValueError("There are no sums to solve for: call fit(images, labels) first; files do not hold them.")
        if not len(mus) or not all(map(_is_positive, mus)):
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

    def interpret(self, images: Any, labels: Any = None, **options: Any) -> Interpretation:
        """Average images of the features of each class; see `tfxai.neurons.interpretation.interpret`."""
        self._check_fitted()
        return interpret(self, images, labels, **{"names": self.classes} | options)

    def explain(
        self, images: Any, target: Any = None, batch_size: int = 32, verbose: str | int = "auto", **options: Any
    ) -> Explanation:
        """Predictions, the features that speak for them and their heat-maps; see `PredictionByFeatures`.

        Parameters
        ----------
        images, target, batch_size, verbose
            As for `Explainer.explain`; the target is a class.
        **options
            As for `PredictionByFeatures`, such as ``top``.

        Returns
        -------
        Explanation
        """
        key = tuple(sorted(options.items()))
        if key not in self._explainers:  # kept, for their graphs are traced once
            self._explainers[key] = PredictionByFeatures(self, **self._options | options)
        return self._explainers[key](images, target, batch_size, verbose)

    def descriptors(self, maps: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """(n, m) descriptors from the outputs of all ``layers_``, in the graph."""
        chosen = [maps[name] for name in self.layers_]
        return describe(chosen, self.pooling, self.layer_norm, self.global_norm)

    def save(self, path: str | PathLike) -> None:
        """Write the features to a ``.npz`` file, without the model and without the sums that `path` needs."""
        self._check_fitted()
        header = {name: getattr(self, name) for name in SETTINGS}
        header |= {"mu": self.mu_, "layers": self.layers_, "channels": self.channels_}
        arrays = {name: getattr(self, name) for name in RESULTS}
        archive.write(path, header, arrays)

    @classmethod
    def load(cls, path: str | PathLike, model: Any, **options: Any) -> RelevantFeatures:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
            The file.
        model : keras.Model, SavedModel, tf.function or path
            The model that the features are of.
        **options
            As for `Explainer`.

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
        features = cls(model, header["layers"], header["mu"], **settings, **options)
        features.layers_, features.channels_ = tuple(header["layers"]), tuple(header["channels"])
        features.mu_ = header["mu"]
        for name, array in results.items():
            setattr(features, name, array)
        features._index()
        return features

    def _choose_layers(self, batch: Any) -> None:
        self.view.prepare(batch)
        self.layers_ = self.layers or default_layers(self.view, batch)
        self.channels_ = channel_counts(self.view, self.layers_, batch)
        total = sum(self.channels_)
        if total > MOST_FEATURES:
            late = [n for n in range(len(self.layers_)) if sum(self.channels_[n:]) <= MOST_FEATURES]
            hint = f"the last {len(self.layers_) - late[0]}, from {self.layers_[late[0]]!r} on" if late else "others"
            raise ValueError(
                f"The {len(self.layers_)} layers have {total} channels, and memory grows with their square: expected "
                f"at most {MOST_FEATURES}. Give fewer as layers=[...], such as {hint}: {list(self.layers_)}."
            )
        self._responses.reads = self.layers_

    def _row_weights(self, rows: np.ndarray) -> np.ndarray | None:
        """What each image counts: the mean over its classes."""
        if self.class_weight is None:
            return None
        weights = np.asarray(self.class_weight, np.float32)
        if weights.shape != rows.shape[1:] or not (weights > 0).all():
            raise ValueError(
                f"Expected class_weight to be {rows.shape[1]} positive numbers, got {self.class_weight!r}."
            )
        return rows @ weights / np.maximum(rows.sum(1), 1)

    def _index(self) -> None:
        """Name the features, and list those of each class."""
        self.index_ = [
            (name, k) for name, count in zip(self.layers_, self.channels_, strict=True) for k in range(count)
        ]
        sizes = np.abs(self.weights_)
        orders = np.argsort(-sizes, axis=0, kind="stable")
        counts = (sizes > NONZERO).sum(0)
        self.features_ = {
            j: [self.index_[k] for k in orders[:count, j].tolist()] for j, count in enumerate(counts.tolist())
        }

    def _check_fitted(self) -> None:
        if not hasattr(self, "weights_"):
            raise ValueError("The features are not fitted: call fit(images, labels) first.")


class _Responses(Runner):
    """Descriptors of inputs, and the outputs of the model."""

    def __init__(self, model: Any, descriptors: Callable, **options: Any):
        super().__init__(model, **options)
        self.descriptors = descriptors

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"descriptors": self.descriptors(run.read), "outputs": run.outputs}, {}


def _is_positive(mu: Any) -> bool:
    return isinstance(mu, int | float | np.number) and not isinstance(mu, bool) and bool(0 < mu < np.inf)
