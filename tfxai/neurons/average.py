"""Average images: the mean of the parts of images that excite a channel most, as Oramas et al. (2019) show features.

What a unit sees is its receptive field. Around the strongest unit of each of the images that excite the channel most,
that part is cut out; the mean of the parts shows what they have in common.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import cv2
import numpy as np
import tensorflow as tf

from tfxai import images as files
from tfxai import inputs as given
from tfxai.brief import brief
from tfxai.channels import fields as seen
from tfxai.checks import one_of, positive
from tfxai.display import composite
from tfxai.models.head import scores
from tfxai.models.receptive_field import ReceptiveField
from tfxai.run import Run
from tfxai.runner import Runner
from tfxai.types import Inputs, Labels, Layer, Model, Verbose

CROPS = 100  # that are averaged: Oramas et al. (2019)
Strength: TypeAlias = Literal["l2", "max"]
STRENGTHS: dict[Strength, Callable[[tf.Tensor], tf.Tensor]] = {
    "l2": lambda maps: tf.norm(maps, axis=1),
    "max": lambda maps: tf.reduce_max(maps, 1),
}
Display: TypeAlias = Callable[[Any], Any] | Sequence[np.ndarray]  # from a batch to images, or photographs


class Part(NamedTuple):
    """What one image shows to the unit that it excites most.

    Attributes
    ----------
    response : float
        Of the channel to the image.
    image : int
        Number of the image.
    unit : tuple of int
        Row and column of the unit in the layer.
    pixels : ndarray
        uint8, (h, w, 3), what lies within the image.
    corner : tuple of int
        Row and column of these pixels in the part.
    size : tuple of int
        Height and width of the part, of which some may lie beyond the image.
    """

    response: float
    image: int
    unit: tuple[int, ...]
    pixels: np.ndarray
    corner: tuple[int, int]
    size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class AverageImage:
    """What one channel responds to.

    Attributes
    ----------
    layer : str
        Name of the layer.
    channel : int
        Number of the channel.
    average : ndarray
        float32, (h, w, 3), in 0..255: at each place the mean of the crops that have pixels there, and the mean of all
        of it where none has. Zeros if no image excites the channel.
    parts : tuple of Part
        What was averaged, strongest first.
    """

    layer: str
    channel: int
    average: np.ndarray
    parts: tuple[Part, ...]

    __repr__ = brief

    @property
    def images(self) -> np.ndarray:
        """(n,) numbers of the images."""
        return np.array([part.image for part in self.parts], int)

    @property
    def responses(self) -> np.ndarray:
        """(n,) responses of the channel to them."""
        return np.array([part.response for part in self.parts], np.float32)

    @property
    def units(self) -> np.ndarray:
        """(n, 2) row and column, in the layer, of the unit that each excites most."""
        return np.array([part.unit for part in self.parts], int)

    @property
    def crops(self) -> np.ndarray:
        """(n, h, w, 3) uint8, what was averaged; beyond the image, the mean colour of the crop."""
        return np.array([crop for crop, _ in self._crops()], np.uint8).reshape(-1, *self.average.shape)

    @property
    def covered(self) -> np.ndarray:
        """(n, h, w) which pixels of the crops lie within the image."""
        return np.array([inside for _, inside in self._crops()], bool).reshape(-1, *self.average.shape[:2])

    def _crops(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (_crop(part, self.average.shape[:2]) for part in self.parts)


def average_images(
    model: Model,
    features: Sequence[tuple[Layer, int]],
    images: Inputs,
    labels: Labels | None = None,
    *,
    classes: Sequence[int] | None = None,
    crops: int = CROPS,
    response: Strength = "l2",
    display: Display | None = None,
    size: tuple[int, int] | None = None,
    batch_size: int = 32,
    verbose: Verbose = "auto",
) -> list[AverageImage]:
    """Average the parts of images that excite each of several channels most.

    Each image passes through the model once. In memory are kept the parts that are the strongest so far, at most
    ``crops`` for each channel.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function, path or ModelView
        A model of images, channels last.
    features : sequence of (layer, channel)
        What is shown: a channel of a layer with maps, or a unit of a dense layer.
    images : array, tensor or tf.data.Dataset
        Images as the model takes them; a dataset of batches is streamed.
    labels : array or "predicted", optional
        With ``classes``: (n,) classes of the images, or (n, classes) with 1 where an image has a class. Not needed for
        a dataset of images and labels.
    classes : sequence of int, optional
        For each feature the class whose images show it: other images do not count.
    crops : int
        How many parts are averaged, each of another image; default 100 (Oramas et al. 2019). Images that do not excite
        a channel have none.
    response : {"l2", "max"}
        How strongly a channel responds to an image: L2 norm over all positions (Oramas et al.), or largest value. The
        part that is cut out lies around the largest value.
    display : callable, or sequence of ndarray, optional
        What is cut, if inputs are preprocessed: photographs of any size, one for each image; or a function that takes a
        batch of inputs and returns images. Default: the inputs, each as `display.composite` shows it alone.
    size : (int, int), optional
        Height and width to which crops are scaled; default: that of the receptive field, or of the image where the
        field is larger.
    batch_size : int
        How many images pass through the model at once.
    verbose : {"auto", 0, 1}
        Progress bar; "auto": if there is more than one batch.

    Returns
    -------
    list of AverageImage
        One for each feature, in their order.

    Raises
    ------
    ValueError
        If a layer or channel does not exist, options are none of the above, the inputs are not images, or labels are
        missing or not as many as images.

    Examples
    --------
    >>> import tfxai
    >>> from tfxai.neurons.average import average_images
    >>> images, _, _ = tfxai.datasets.flowers.make(n=12)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> found = average_images(model, [("block3_relu", 5)], images, crops=4)[0]
    >>> found.average.shape, found.crops.shape
    ((18, 18, 3), (4, 18, 18, 3))
    """
    one_of("response", response, get_args(Strength))
    if labels is not None and classes is None:
        raise ValueError("Expected classes=, the class of each feature, together with labels=.")
    peaks, crops = _Peaks(model, features, response), positive("crops", crops)
    strongest: list[list[Part]] = [[] for _ in features]
    fields: dict[tuple[int, ...], dict[str, ReceptiveField]] = {}  # by the size of the images
    known = "predicted" if classes is None else labels  # which needs none
    done = 0
    for batch, own in peaks.labelled(images, known, batch_size, verbose):
        numbers = np.arange(done, done := done + given.count(batch))
        found = peaks.outcome(batch, _no_score, batch_size).found
        members = None if classes is None else _members(found["predicted"] if own is None else own, classes)
        image = next(x for x in tf.nest.flatten(batch) if x.ndim > 2)
        if image.shape[1:3] not in fields:
            fields[image.shape[1:3]] = seen(peaks.view, peaks.reads, batch)
        picture = _pictures(batch, image, numbers, display)
        for place, ((layer, _), parts) in enumerate(zip(peaks.features, strongest, strict=True)):
            responses = found["responses"][:, place]
            excited = responses > (parts[-1].response if len(parts) == crops else 0)
            rows = np.flatnonzero(excited if members is None else excited & members[:, place])
            for row in rows[np.argsort(-responses[rows], kind="stable")][:crops].tolist():
                field, unit = fields[image.shape[1:3]][layer], found["units"][row, place].tolist()
                parts.append(_part(picture(row), field, float(responses[row]), int(numbers[row]), unit))
            parts.sort(key=lambda part: -part.response)  # of equals the first image stays first
            del parts[crops:]
    averages = []
    for (layer, channel), parts in zip(peaks.features, strongest, strict=True):
        sizes = [np.minimum(one[layer].size, one[layer].image) for one in fields.values()]
        height, width = size or np.max(sizes, axis=0).tolist()
        averages.append(AverageImage(layer, channel, _average(parts, (height, width)), tuple(parts)))
    return averages


class _Peaks(Runner):
    """How strongly channels respond to each input, and the units where they are largest."""

    def __init__(self, model: Model, features: Sequence[tuple[Layer, int]], response: Strength):
        super().__init__(model)
        if not len(features):
            raise ValueError("Expected at least one feature, got none.")
        self.features = [(self.view.find(layer), int(channel)) for layer, channel in features]
        self.reads = tuple(dict.fromkeys(layer for layer, _ in self.features))
        self.response = STRENGTHS[response]

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        if run.image.shape.rank != 4:
            raise ValueError(f"Expected a model of images, (n, h, w, channels), this one takes {run.image.shape}.")
        places = {feature: number for number, feature in enumerate(dict.fromkeys(self.features))}
        ordered = sorted(places, key=lambda feature: self.reads.index(feature[0]))
        back = [ordered.index(feature) for feature in self.features]
        found = [
            self._layer(layer, run.read[layer], [c for name, c in ordered if name == layer]) for layer in self.reads
        ]
        responses, units = (tf.gather(tf.concat(parts, 1), back, axis=1) for parts in zip(*found, strict=True))
        predicted = {"predicted": tf.argmax(scores(run.outputs).values, 1)} if run.outputs.shape.rank == 2 else {}
        return {"responses": responses, "units": units} | predicted, {}

    def _layer(self, name: str, output: tf.Tensor, channels: Sequence[int]) -> tuple[tf.Tensor, tf.Tensor]:
        """(n, channels) responses, and (n, channels, 2) row and column of the largest value."""
        known = output.shape[-1]
        if not 0 <= min(channels) <= max(channels) < known:
            raise ValueError(f"The layer {name!r} has channels 0 to {known - 1}, got {channels}.")
        maps = tf.cast(tf.gather(output, channels, axis=-1), tf.float32)
        while maps.shape.rank < 4:
            maps = tf.expand_dims(maps, -2)
        shape = tf.shape(maps)
        flat = tf.reshape(maps, [shape[0], -1, len(channels)])
        behind, best = tf.reduce_prod(shape[3:-1]), tf.argmax(flat, 1, tf.int32)
        # tf.unravel_index is no operation for XLA.
        return self.response(flat), tf.stack([best // (behind * shape[2]), best // behind % shape[2]], -1)


def _no_score(outputs: tf.Tensor) -> tf.Tensor:
    return tf.zeros(tf.shape(outputs)[:1])


def _members(labels: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """(n, features) whether an image has the class of a feature."""
    if labels.ndim == 1:
        return labels[:, None] == np.asarray(classes)
    if labels.ndim != 2:
        raise ValueError(f"Expected labels of shape (n,) or (n, classes), got {labels.shape}.")
    return labels[:, np.asarray(classes, int)] > 0


def _pictures(batch: Any, image: np.ndarray, numbers: np.ndarray, display: Any) -> Callable[[int], np.ndarray]:
    """From a row of the batch to what is shown of it, uint8, (h, w, 3), in the size that the model saw."""
    source: Any = image
    if callable(display):
        source = display(batch)
    elif display is not None:
        source = display[numbers[0] : numbers[-1] + 1]
    if len(source) != len(image):
        raise ValueError(f"Expected a picture for each of images {numbers[0]} to {numbers[-1]}, got {len(source)}.")

    @functools.cache
    def picture(row: int) -> np.ndarray:
        (one,) = composite(np.asarray(source[row])[None])[0]
        if one.shape[:2] != image.shape[1:3]:
            one = np.round(files.prepare([one], image.shape[1:3])[0]).astype(np.uint8)
        return one.copy()  # alone, for the rest of the batch need not stay in memory

    return picture


def _part(picture: np.ndarray, field: ReceptiveField, response: float, image: int, unit: Sequence[int]) -> Part:
    """What a unit sees, or the whole picture along an axis where that is larger."""
    left, top, right, bottom = field.box(*unit)
    rows = (top, bottom) if bottom - top < picture.shape[0] else (0, picture.shape[0])
    columns = (left, right) if right - left < picture.shape[1] else (0, picture.shape[1])
    first = max(rows[0], 0), max(columns[0], 0)
    pixels = picture[first[0] : max(rows[1], 0), first[1] : max(columns[1], 0)]
    pixels = pixels if pixels.shape == picture.shape else pixels.copy()  # whole pictures are kept only once
    corner = first[0] - rows[0], first[1] - columns[0]
    return Part(response, image, tuple(unit), pixels, corner, (rows[1] - rows[0], columns[1] - columns[0]))


def _crop(part: Part, size: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """A part in a given size, its own mean colour beyond the image; and which of its pixels lie within."""
    (top, left), (h, w) = part.corner, part.pixels.shape[:2]
    crop, inside = np.empty((*part.size, 3), np.uint8), np.zeros(part.size, np.uint8)
    crop[:] = np.round(part.pixels.mean((0, 1))) if part.pixels.size else 0
    crop[top : top + h, left : left + w] = part.pixels
    inside[top : top + h, left : left + w] = 1
    if tuple(size) == part.size:
        return crop, inside > 0
    height, width = size
    return cv2.resize(crop, (width, height)), cv2.resize(inside, (width, height)) > 0


def _average(parts: Sequence[Part], size: tuple[int, int]) -> np.ndarray:
    total, count = np.zeros((*size, 3)), np.zeros((*size, 1))
    for part in parts:
        crop, inside = _crop(part, size)
        total += crop * inside[..., None]
        count += inside[..., None]
    mean = total.sum((0, 1)) / max(count.sum(), 1)
    return np.where(count > 0, total / np.maximum(count, 1), mean).astype(np.float32)
