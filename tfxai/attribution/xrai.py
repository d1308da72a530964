"""Regions of an image in the order of what they contribute."""

from __future__ import annotations

from typing import Literal, TypeAlias, Unpack

import numpy as np
import tensorflow as tf

from tfxai.attribution.gradients import nodes_and_weights
from tfxai.attribution.paths import integral, mean_score
from tfxai.baselines import Several, input_references
from tfxai.checks import one_of, positive
from tfxai.explainer import Explainer
from tfxai.facts import Facts
from tfxai.options import ModelOptions
from tfxai.run import Run, check_images, totals
from tfxai.segments import INSTEAD, felzenszwalb, numbered_apart, scaled_superpixels, scikit_image
from tfxai.types import Background, Model, Tensors

Segments: TypeAlias = Literal["superpixels", "felzenszwalb"] | np.ndarray
SCALES = (3, 4, 6, 8, 12)  # superpixels along each axis: from a third of the image to a twelfth; smaller ones are noise
SMALLEST = 0.001  # share of the image: what is new of a region must be no smaller, or it would be noise
REDUCTIONS = {"max": tf.reduce_max, "sum": tf.reduce_sum}
ROWS = "segments"  # the name in `Run.beside` of maps that differ between inputs


class XRAI(Explainer):
    """Whole regions of an image, by their mean contribution to the score.

    Kapishnikov et al. (2019): the mean of integrated gradients from a dark and a bright baseline, of each pixel the
    largest of its channels, is what pixels contribute, A. The image is cut into regions at several scales. Next comes
    the region whose pixels, of those that no region has had yet, have the largest mean of A, and these pixels get this
    mean; so it goes on until all are covered. The values sum to what A sums to.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained; images.
    background : array or list of baselines, or dict of these by input, optional
        Baselines for every input, (b, ...), to be averaged over. Default: the darkest and the brightest number of each
        channel of each image, because it is not known what black and white are in the model's own scale.
    segments : {"superpixels", "felzenszwalb"} or array
        Regions of like colour: superpixels, 3 to 12 along each axis (default), or the paper's, for which scikit-image
        is needed. Or maps of labels, (k, h, w) for all images or (n, k, h, w) for each.
    fast : bool
        Whether regions may overlap: each pixel gets the largest mean of all regions in which it lies. The values then
        sum to nothing known. Default False.
    reduction : {"max", "sum"}
        Over channels: the largest (default, as in the authors' code), or the sum. The values then sum to the change of
        the score, but for ``extras["completeness_gap"]``; but the noise that gradients of channels have, of either
        sign, makes small regions stand out.
    steps : int
        Points on the path from each baseline. Default 50.
    input : str, optional
        Which of several inputs is explained. Default: the only one with positions.
    **options
        As for `Explainer`.

    Raises
    ------
    ValueError, TypeError
        For segments that do not fit the images.
    ImportError
        For ``segments="felzenszwalb"`` without scikit-image.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> tfxai.XRAI(tfxai.datasets.flowers.load_model(), steps=5)(images).values.shape
    (2, 112, 112)
    """

    facts = Facts.of("xrai")

    def __init__(
        self,
        model: Model,
        *,
        background: Background | None = None,
        segments: Segments = "superpixels",
        fast: bool = False,
        reduction: Literal["max", "sum"] = "max",
        steps: int = 50,
        input: str | None = None,
        **options: Unpack[ModelOptions],
    ):
        super().__init__(model, **options)
        self.reference = None if background is None else Several(background)
        one_of("reduction", reduction, REDUCTIONS)
        self.fast, self.reduction, self.steps, self.input = fast, reduction, positive("steps", steps), input
        self.nodes, self.weights = nodes_and_weights("gauss_legendre", self.steps)
        self.segments: str | np.ndarray = segments if isinstance(segments, str) else label_maps(segments)
        if isinstance(self.segments, str):
            one_of("segments", segments, ["superpixels", "felzenszwalb"])
        elif self.segments.ndim == 4:
            self.beside = {ROWS: self.segments}
        if isinstance(segments, str) and segments == "felzenszwalb":
            scikit_image("felzenszwalb", INSTEAD)
            if self.jit_compile:
                raise ValueError(
                    'Segments by "felzenszwalb" are made outside TensorFlow, where XLA cannot compile them. Give '
                    "jit_compile=False, or leave segments= out."
                )

    def attribute(self, run: Run) -> tf.Tensor:
        image = run.image
        check_images(image, "XRAI")
        starts = dark_and_bright(run, image) if self.reference is None else input_references(run, image)
        pixels = self.among(run, image), self.among(run, starts)
        found = integral(self, run, *pixels, self.nodes, self.weights)
        contributions = found[run.name(image)] if isinstance(found, dict) else found
        channels = next(axis for axis in (1, 2, 3) if axis not in run.positions(image))
        contributions = REDUCTIONS[self.reduction](contributions, channels)
        labels, count = self.regions(run, image, channels)
        if self.fast:
            return largest_means(contributions, labels, count)
        values = densities(contributions, labels, count, self.jit_compile)
        if self.reduction == "sum":
            run.extras["completeness_gap"] = totals(values) - (run.score - mean_score(self, run, pixels[1]))
        return values

    def among(self, run: Run, x: tf.Tensor) -> Tensors:
        """Something of the image in the structure of inputs."""
        return {run.name(run.image): x} if isinstance(run.inputs, dict) else x

    def regions(self, run: Run, image: tf.Tensor, channels: int) -> tuple[tf.Tensor, int | tf.Tensor]:
        """(n or 1, k, h, w) numbers of regions, of which no two maps have one in common, and how many there are."""
        size = run.size(image)
        if isinstance(self.segments, np.ndarray):
            if list(self.segments.shape[-2:]) != size:
                raise ValueError(
                    f"Expected segments of the size of the images, {tuple(size)}, got {self.segments.shape[-2:]}."
                )
            if self.segments.ndim == 4 and ROWS not in run.beside:
                raise ValueError("Expected segments (k, h, w), the same for all images, inside another explainer.")
            labels = run.beside[ROWS] if self.segments.ndim == 4 else tf.constant(self.segments[None])
            return labels, int(self.segments.max()) + 1
        x = tf.transpose(run.pixels, [0, 2, 3, 1]) if channels == 1 else run.pixels
        if self.segments == "superpixels":
            return scaled_superpixels(x, SCALES), sum(min(n, size[0]) * min(n, size[1]) for n in SCALES)
        labels = tf.numpy_function(lambda x: numbered_apart(felzenszwalb(x)), [x], tf.int32, stateful=False)
        labels = tf.ensure_shape(labels, [None, None, *size])
        return labels, tf.reduce_max(labels) + 1


def label_maps(segments: np.ndarray) -> np.ndarray:
    """What users give as segments, checked, and numbered so that no two maps have a number in common."""
    labels = np.asarray(segments)
    if labels.ndim not in (3, 4) or not labels.size or labels.dtype.kind not in "iub":
        raise ValueError(
            "Expected segments to be maps of whole numbers, (k, h, w) or (n, k, h, w), got an array of shape "
            f"{labels.shape} and type {labels.dtype}."
        )
    return numbered_apart(labels)


def dark_and_bright(run: Run, image: tf.Tensor) -> tf.Tensor:
    """(2, n, h, w, c) the least and the largest number of each channel of each image."""
    ends = (tf.reduce_min, tf.reduce_max)
    return tf.stack([tf.zeros_like(image) + end(image, run.positions(image), keepdims=True) for end in ends])


def sums(values: tf.Tensor, labels: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """(n, count) sums of values (n, h, w) over each region of maps (n or 1, k, h, w)."""
    n = tf.shape(values)[0]
    own = labels + count * tf.range(n)[:, None, None, None]  # the regions of one image are not those of another
    each = tf.broadcast_to(values[:, None], tf.shape(own))
    return tf.reshape(tf.math.unsorted_segment_sum(each, own, count * n), [n, count])


def largest_means(values: tf.Tensor, labels: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """(n, h, w) the largest mean of all regions in which a pixel lies."""
    means = tf.math.divide_no_nan(sums(values, labels, count), sums(tf.ones_like(values), labels, count))
    labels = tf.broadcast_to(labels, tf.concat([tf.shape(values)[:1], tf.shape(labels)[1:]], 0))
    return tf.reduce_max(tf.gather(means, labels, axis=1, batch_dims=1), 1)


def densities(values: tf.Tensor, labels: tf.Tensor, count: int | tf.Tensor, compiled: bool = False) -> tf.Tensor:
    """(n, h, w) means of regions, of each over the pixels that none before it has had; largest means come first.

    ``compiled``: by XLA, which must know how many parts an image has; each pixel is one then.
    """
    least = max(1.0, SMALLEST * values.shape[1] * values.shape[2])
    pixels = tf.reshape(values, [-1, values.shape[1] * values.shape[2]])
    maps = tf.reshape(labels, [tf.shape(labels)[0], -1, pixels.shape[1]])

    def of_one(number: tf.Tensor) -> tf.Tensor:
        own = maps[tf.minimum(number, tf.shape(maps)[0] - 1)]
        if compiled:
            part, regions, area, total = tf.range(own.shape[1]), own, tf.ones_like(pixels[number]), pixels[number]
        else:
            part, regions, area, total = parts(pixels[number], own, count)

        def choose(going: tf.Tensor, free: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            left = in_regions(free * area, regions, count)
            mean = tf.where(
                left >= least, tf.math.divide_no_nan(in_regions(free * total, regions, count), left), -np.inf
            )
            best = tf.argmax(mean, 0, tf.int32)
            going = mean[best] > -np.inf
            inside = tf.reduce_any(regions == best, 0) & going & (free > 0)
            return going, tf.where(inside, 0.0, free), tf.where(inside, mean[best], found)

        start = tf.constant(True), tf.ones_like(area), tf.zeros_like(area)
        shapes = tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None])
        _, free, found = tf.while_loop(lambda going, *_: going, choose, start, shapes, parallel_iterations=1)
        scraps = tf.math.divide_no_nan(tf.reduce_sum(free * total), tf.reduce_sum(free * area))
        return tf.gather(tf.where(free > 0, scraps, found), part)

    kind = tf.TensorSpec([pixels.shape[1]], tf.float32)
    found = tf.map_fn(of_one, tf.range(tf.shape(pixels)[0]), fn_output_signature=kind)
    return tf.reshape(found, tf.shape(values))


def parts(
    values: tf.Tensor, labels: tf.Tensor, count: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The parts of an image that no region divides: far fewer than pixels.

    From values (P,) and maps of regions (k, P), of which no number reaches ``count``, to (P,) the part of each pixel,
    and for each part (k, parts) its regions, its area, and the sum of its values.
    """
    wide, size = tf.cast(labels, tf.int64), tf.cast(count, tf.int64)

    def divided(part: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.unique(part * size + own)[1], tf.int64)

    part = tf.cast(tf.foldl(divided, wide, tf.zeros_like(wide[0])), tf.int32)
    number = tf.reduce_max(part) + 1
    regions = tf.math.unsorted_segment_max(tf.transpose(labels), part, number)
    area, total = (tf.math.unsorted_segment_sum(one, part, number) for one in (tf.ones_like(values), values))
    return part, tf.transpose(regions), area, total


def in_regions(of_parts: tf.Tensor, regions: tf.Tensor, count: int | tf.Tensor) -> tf.Tensor:
    """(count,) sums over each region of what its parts have."""
    return tf.math.unsorted_segment_sum(tf.broadcast_to(of_parts, tf.shape(regions)), regions, count)
