"""How much a network needs some of its channels: its accuracy without them, and without as many others."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import tensorflow as tf

from tfxai import channels
from tfxai.brief import brief
from tfxai.checks import positive
from tfxai.metrics.statistics import mean_by_class
from tfxai.models import ModelView, open_model
from tfxai.models.head import one_each
from tfxai.models.view import traced
from tfxai.run import Run
from tfxai.runner import Runner
from tfxai.types import Inputs, Labels, Model, Verbose

Mode = Literal["union", "per_class"]
Scope = Literal["all", "conv"]
Pairs = list[tuple[str, int]]


class Accuracy(NamedTuple):
    """How well a network classifies images.

    Attributes
    ----------
    class_mean : float
        Mean over classes of the share of their images that are classified correctly.
    top_1 : float
        Share of all images that are classified correctly.
    probability : float
        Mean probability of the true class.
    """

    class_mean: float
    top_1: float
    probability: float

    def __sub__(self, other: Accuracy) -> Accuracy:
        return Accuracy(*(mine - its for mine, its in zip(self, other, strict=True)))


@dataclass(frozen=True)
class AblationReport:
    """What a network can do with and without some of its channels.

    Attributes
    ----------
    before : Accuracy
        Of the network as it is.
    after : Accuracy
        Without the channels that were given.
    random : Accuracy
        Without as many random channels of the same layers; mean over the random sets.
    random_std : Accuracy
        Its standard deviation over the random sets.
    removed : dict
        Layer to the number of channels that were removed there; in mode "per_class" the mean over classes.
    images : int
        How many images were classified.
    """

    before: Accuracy
    after: Accuracy
    random: Accuracy
    random_std: Accuracy
    removed: dict[str, float]
    images: int

    __repr__ = brief

    @property
    def drop(self) -> Accuracy:
        """What is lost without the channels that were given."""
        return self.before - self.after

    @property
    def random_drop(self) -> Accuracy:
        """What is lost without random channels, mean over the random sets."""
        return self.before - self.random

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("", "class mean", "top-1", "probability")]
        rows += [(name, *(f"{x:.3f}" for x in row)) for name, row in (("before", self.before), ("after", self.after))]
        spread = zip(self.random, self.random_std, strict=True)
        rows.append(("random", *(f"{mean:.3f} ± {std:.3f}" for mean, std in spread)))
        return "\n".join("  ".join([row[0].ljust(6), *(cell.rjust(13) for cell in row[1:])]) for row in rows)


def ablation(
    model: Model,
    features: Any,
    images: Inputs,
    labels: Labels | None = None,
    *,
    mode: Mode = "union",
    scope: Scope = "all",
    controls: int = 5,
    seed: int = 0,
    batch_size: int = 32,
    verbose: Verbose = "auto",
) -> AblationReport:
    """Classify images without some channels of a network, and without as many random ones.

    The measure of Oramas et al. (2019): channels that matter cost more accuracy than others. The map of a channel is
    set to zero as a whole, where the layer gives it out, and everything that depends on it is computed again; the
    channels may be in any layers. A random set has as many channels of each layer as were given, taken from the others
    as far as there are enough. The cost is one forward pass, and for each set one of what depends on the channels.

    Zero the maps after the activation: a zeroed convolution in front of a batch normalisation still lets its shift
    through. In residual networks zero them after the sum: what is zeroed in a branch before is partly restored by the
    way around it.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        A classifier; it is not changed.
    features : RelevantFeatures, dict or sequence
        What is removed: pairs (layer, channel); or a dict of class to such pairs; or an object with such a dict as its
        ``features_``. The layer is a name or a layer of the model, whose channels are on the last axis.
    images : array, tensor, list or dict of them, or tf.data.Dataset
        Inputs, as `Explainer.explain` takes them.
    labels : sequence of int, optional
        (n,) true classes; None: those of the dataset.
    mode : {"union", "per_class"}
        Remove the channels of all classes at once (default), or for each image those of its true class.
    scope : {"all", "conv"}
        Remove all channels that were given (default), or only those of layers whose output has positions.
    controls : int
        How many random sets. Default 5.
    seed : int
        Seed of the random sets.
    batch_size : int
        How many images at once.
    verbose : {"auto", 0, 1}
        Progress bar; "auto": if there is more than one batch.

    Returns
    -------
    AblationReport

    Raises
    ------
    ValueError, TypeError
        If features, labels or images do not fit the model, or nothing is to be removed.

    Examples
    --------
    >>> import tfxai
    >>> images, labels, _ = tfxai.datasets.flowers.make(n=24)
    >>> some = [("block3_relu", channel) for channel in range(24)]
    >>> report = tfxai.metrics.ablation(tfxai.datasets.flowers.load_model(), some, images, labels, verbose=0)
    >>> report.removed
    {'block3_relu': 24}
    >>> bool(report.before.top_1 > report.after.top_1)
    True
    """
    for name, value, known in (("mode", mode, get_args(Mode)), ("scope", scope, get_args(Scope))):
        if value not in known:
            raise ValueError(f"Expected {name} to be one of {known}, got {value!r}.")
    positive("controls", controls)
    view = open_model(model)
    groups = _groups(view, features, mode)
    stream = Runner(view).labelled(images, labels, batch_size, verbose)
    first = next(stream)
    layers = sorted({layer for pairs in groups.values() for layer, _ in pairs})
    shapes, classes = _shapes(view, layers, first[0])
    layers = [layer for layer in layers if scope == "all" or len(shapes[layer]) > 2]
    if not layers:
        raise ValueError("Expected channels to remove, got none" + (" in layers with positions." if groups else "."))
    selected = _selected(groups, {layer: shapes[layer][-1] for layer in layers}, classes if mode == "per_class" else 1)
    ablated = _Ablated(view, _with_controls(selected, controls, seed))

    rows = []
    for batch, given in itertools.chain([first], stream):
        truth = _true_classes(given)
        found = ablated.outcome(batch, truth, batch_size).found
        rows.append((truth, found["hits"], found["probability"]))
    truth, hits, probabilities = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    before, after, *random = (
        Accuracy(mean_by_class(hit, truth), float(hit.mean()), float(p.mean()))
        for hit, p in zip(hits.T, probabilities.T, strict=True)
    )
    removed = {layer: float(mask.sum(1).mean()) for layer, mask in selected.items()}
    removed = {layer: int(count) if count.is_integer() else count for layer, count in removed.items()}
    mean, std = (Accuracy(*map(float, f(random, axis=0))) for f in (np.mean, np.std))
    return AblationReport(before, after, mean, std, removed, len(truth))


class _Ablated(Runner):
    """Probability of the true class (n, sets), and whether it is the predicted one: of the model, and without channels.

    ``removed`` holds for each layer what each set removes, (sets, rows, channels) bool; with one row for all images, or
    one for each class.
    """

    def __init__(self, view: ModelView, removed: Mapping[str, np.ndarray]):
        super().__init__(view, score="auto", jit_compile=False)
        self.of_classes = True
        self.reads = tuple(removed)
        self.removed = {layer: tf.constant(masks) for layer, masks in removed.items()}

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        truth = run.goal.ids

        def measured(outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            p = tf.cast(outputs, tf.float32)
            p = p if run.scale == "probability" else tf.nn.softmax(p)
            return one_each(p, truth), tf.argmax(p, 1, tf.int32) == truth

        def without(removed: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            own = {k: mask if mask.shape[0] == 1 else tf.gather(mask, truth) for k, mask in removed.items()}
            return measured(channels.without(run.read, own, run.outputs))

        p, hits = measured(run.outputs)
        kinds = tf.TensorSpec(p.shape, p.dtype), tf.TensorSpec(hits.shape, hits.dtype)
        # one set after the other: in parallel, they would hold the activations of all of them at once
        each_p, each_hits = tf.map_fn(without, self.removed, fn_output_signature=kinds, parallel_iterations=1)
        p, hits = (tf.transpose(tf.concat([one[None], each], 0)) for one, each in ((p, each_p), (hits, each_hits)))
        return {"probability": p, "hits": hits}, {}


def _groups(view: ModelView, features: Any, mode: str) -> dict[int, Pairs]:
    """Row of the masks to the pairs it removes: class to its pairs, or 0 to all of them."""
    chosen = getattr(features, "features_", features)
    by_class = chosen if isinstance(chosen, Mapping) else {0: chosen}
    if mode == "per_class" and by_class is not chosen:
        raise ValueError(
            'mode="per_class" needs a dict of class to features, or a fitted RelevantFeatures, got a list.'
        )
    names: dict[Any, str] = {}  # to look for a layer takes a walk through the model
    found: dict[int, Pairs] = defaultdict(list)
    for row, pairs in by_class.items():
        for pair in pairs:
            if not (isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[1], Integral)):
                raise TypeError(f"Expected features as pairs (layer, channel), a name and a number, got {pair!r}.")
            layer, channel = pair
            if layer not in names:
                names[layer] = view.find(layer)
            found[row if mode == "per_class" else 0].append((names[layer], int(channel)))
    return found


def _selected(groups: Mapping[int, Pairs], channels: Mapping[str, int], rows: int) -> dict[str, np.ndarray]:
    """For each layer (rows, channels) bool, true where a channel is removed."""
    unknown = [row for row in groups if row not in range(rows)]
    if unknown:
        raise ValueError(f"Expected features of the classes 0 to {rows - 1}, got some of {unknown[0]!r}.")
    found = {layer: np.zeros((rows, count), bool) for layer, count in channels.items()}
    for row, pairs in groups.items():
        for layer, channel in pairs:
            if layer not in found:  # out of scope
                continue
            if not 0 <= channel < channels[layer]:
                raise ValueError(
                    f"The layer {layer!r} has channels 0 to {channels[layer] - 1}, so no channel {channel}."
                )
            found[layer][row, channel] = True
    return found


def _with_controls(selected: Mapping[str, np.ndarray], controls: int, seed: int) -> dict[str, np.ndarray]:
    """For each layer (1 + controls, rows, channels): what was selected, and random sets of as many channels."""
    found: dict[str, list[np.ndarray]] = {layer: [mask] for layer, mask in selected.items()}
    for control in range(controls):
        random = np.random.default_rng((seed, control))
        for layer, mask in selected.items():
            order = (random.random(mask.shape) + mask).argsort(1)  # at random, those that were selected last
            found[layer].append(order.argsort(1) < mask.sum(1, keepdims=True))
    return {layer: np.stack(masks) for layer, masks in found.items()}


def _shapes(view: ModelView, layers: Sequence[str], batch: Any) -> tuple[dict[str, tf.TensorShape], int]:
    """Shapes of the outputs of layers, and the number of classes."""
    view.prepare(batch)
    shapes, outputs = traced(
        view, layers, batch, lambda _, run: ({name: run.read[name].shape for name in layers}, run.outputs.shape)
    )
    for name, shape in shapes.items():
        if not shape.rank or shape[-1] is None:
            raise ValueError(f"The layer {name!r} has output {shape}, whose channel axis is unknown. Leave it out.")
    if outputs.rank != 2 or outputs[-1] is None:
        raise ValueError(f"Expected a classifier with outputs (n, classes), got {outputs}.")
    return shapes, max(outputs[-1], 2)  # a single sigmoid unit is two classes


def _true_classes(labels: np.ndarray | None) -> np.ndarray:
    truth = np.asarray(labels)
    if truth.ndim != 1 or truth.dtype.kind not in "iu":
        raise ValueError(
            "Expected labels as the number of the class of each image, (n,) integers; one-hot labels need argmax. "
            f"Got {truth.dtype} of shape {truth.shape}."
        )
    return truth
