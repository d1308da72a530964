"""One image and its cloud pass through a model, and all its layers are scored: in the graph."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from tfxai.channels import at_peaks, named
from tfxai.loops import Seeded, collect, merge, split
from tfxai.models.blocks import channel_counts, default_layers
from tfxai.options import ModelOptions
from tfxai.resampling import moments, scores
from tfxai.resampling.clouds import open_cloud
from tfxai.resampling.kernels import kernel
from tfxai.resampling.settings import Settings
from tfxai.run import Run, gradients
from tfxai.runner import Runner
from tfxai.types import Layer, Model

TARGET, LEVEL, PERMUTED = 0, 1, 2  # columns that units are compared with; permuted targets are the last


class Observer(Runner, Seeded):
    """Scores of all channels of some layers, for each input; parameters as for `InputResampling`.

    It finds the standard deviation of the target over the cloud, "spread", and scores as "metric/layer".
    """

    def __init__(
        self,
        model: Model,
        layers: Sequence[Layer] | None,
        settings: Settings,
        seed: int,
        **options: Unpack[ModelOptions],
    ):
        Runner.__init__(self, model, **options)
        Seeded.__init__(self, seed)
        if self.view.opaque:
            raise ValueError("A Python function has no layers to look into. Give the model itself, or use Occlusion.")
        self.layers = named(self.view, layers)
        self.channels: dict[str, int] = {}  # of each layer, once there was an image
        self.settings = settings
        self.cloud = open_cloud(settings.perturbation, float(settings.sigma), settings.clip)

    def adapt(self, inputs: Any) -> None:
        """Before the first pass: which layers, and whether their channels can be told."""
        if not self.reads:
            layers = self.layers or default_layers(self.view, inputs)
            self.channels = dict(zip(layers, channel_counts(self.view, layers, inputs), strict=True))
            self.reads = layers

    def compute(self, run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
        columns, units, effects = self._moments(run)
        steady = scores.constant(columns)
        between = scores.with_level(columns, LEVEL)
        variance = tf.maximum(columns.products[:, TARGET, TARGET], 0) / columns.count
        found = {
            f"{metric}/{name}": score
            for name, layer in zip(self.reads, units, strict=True)
            for metric, score in self._scored(run, name, columns, layer, between).items()
        }
        found |= {
            f"effect/{name}": tf.abs(sums) / columns.count for name, sums in zip(self.reads, effects, strict=False)
        }
        return {"spread": tf.where(steady[:, TARGET], 0.0, tf.sqrt(variance)), "scores": found}, {"score": run.scale}

    def _moments(self, run: Run) -> tuple[moments.Columns, tuple[moments.Units, ...], tuple[tf.Tensor, ...]]:
        """Of all copies; and the sums of effects of channels, (n, channels) of each layer, if these are wanted."""
        samples = self.settings.samples
        rows = run.image.shape[0] or 1  # one image at a time, but for models with a fixed batch
        turns = math.ceil(samples / max(1, run.batch_size // rows))
        size = math.ceil(samples / turns)
        pixels, score = (tf.ensure_shape(x, [rows, *x.shape[1:]]) for x in (run.pixels, run.score))
        sample = self.cloud(pixels)

        def copies(index: tf.Tensor) -> tuple[Run, tf.Tensor]:
            """A pass of the copies with these numbers, and (k, rows) how far they are from the image."""
            images = run.with_padding(self.draw(index, sample), run.image)
            level = tf.sqrt(tf.reduce_mean(tf.math.squared_difference(images, pixels), range(2, images.shape.rank)))
            return self.rerun(run, run.with_image(merge(images), tf.size(index)), tf.size(index)), level

        def passed(index: tf.Tensor) -> tf.Tensor:
            return split(copies(index)[0].score, rows)

        permuted = []  # of the target, (rows, samples) each
        if self.settings.permutations:
            target = collect(passed, samples, rows, run.batch_size)
            permuted = [tf.gather(target, order, axis=1) for order in tf.unstack(self._orders())]

        wanted = self.reads if self.settings.effect else ()

        def turn(
            number: tf.Tensor,
            columns: moments.Columns,
            units: tuple[moments.Units, ...],
            effects: tuple[tf.Tensor, ...],
        ) -> tuple:
            index = number * size + tf.range(size)
            weights = tf.cast(index < samples, tf.float32)
            index = tf.minimum(index, samples - 1)  # the last turn is filled up
            again, level = copies(index)
            known = [tf.transpose(x) for x in (split(again.score, rows), level)]
            values = tf.stack([*known, *(tf.gather(one, index, axis=1) for one in permuted)], -1)
            maps = [_by_row(self._read(again, name), rows) for name in self.reads]
            more = self._effects(run, again, wanted)
            sums = tuple(old + tf.tensordot(weights, new, 1) for old, new in zip(effects, more, strict=True))
            return number + 1, *moments.add(columns, units, values, maps, weights), sums

        near = [tf.reduce_mean(one, 1) for one in permuted]
        columns = moments.start_columns(tf.stack([score, tf.zeros_like(score), *near], -1))
        begun = [_by_row(self._read(run, name), rows)[:, 0] for name in self.reads]
        units = tuple(moments.start_units(one, columns) for one in begun)
        effects = tuple(tf.zeros([rows, self.channels[name]]) for name in wanted)
        start = (0, columns, units, effects)
        return tf.while_loop(lambda number, *_: number < turns, turn, start, parallel_iterations=1)[1:]

    def _effects(self, run: Run, copies: Run, layers: Sequence[str]) -> list[tf.Tensor]:
        """What each copy loses without each channel of layers, to first order: (k, rows, channels)."""
        if not layers:
            return []
        rows, found = run.image.shape[0] or 1, []
        for name, slope in zip(layers, gradients(copies.score, [copies.read[name] for name in layers]), strict=True):
            lost = _sites(tf.cast(copies.read[name], tf.float32) * slope)
            lost = tf.reshape(lost, [-1, rows, tf.shape(lost)[1], lost.shape[2]])
            if self.settings.spatial == "peak":
                clean = tf.ensure_shape(_sites(run.read[name]), [rows, None, None])
                lost = tf.where(at_peaks(tf.ones_like(clean[:, 0], tf.bool), clean), lost, 0)
            found.append(tf.reduce_sum(lost, 2))
        return found

    def _orders(self) -> tf.Tensor:
        """(permutations, samples) numbers of copies."""
        shape = [self.settings.permutations, self.settings.samples]
        keys = tf.random.stateless_uniform(shape, tf.stack([self._seed.read_value(), -1]))
        return tf.argsort(keys)

    def _scored(
        self, run: Run, name: str, columns: moments.Columns, units: moments.Units, between: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Scores of the channels of one layer, (n, channels) each, and what is known of its sites."""
        settings, whole, read = self.settings, run.read[name], self._read(run, name)
        channels, places = read.shape[-1], tf.shape(read)[1:-1]

        def by_site(x: tf.Tensor) -> tf.Tensor:
            """(..., n, u) as (..., n, sites, channels)."""
            return tf.reshape(x, tf.concat([tf.shape(x)[:-1], [-1, channels]], 0))

        clean = _sites(tf.cast(whole, tf.float32))
        reduce = scores.reduction(settings.spatial, tf.argmax(_sites(read), 1))
        r, variances = scores.correlations(columns, units), scores.variance(columns, units)
        activity = tf.abs(tf.reduce_mean(by_site(units.mean), 1))
        targets = tf.concat([r[:LEVEL], r[PERMUTED:]], 0)  # all columns but the level
        own = tf.concat([between[:LEVEL], between[PERMUTED:]], 0)
        without = scores.partial(targets, r[LEVEL], own)
        found = {
            "activation_sum": tf.reduce_sum(clean, 1),
            "activation_var": tf.math.reduce_variance(clean, 1),
            "activity": activity,
            "peak": _place(tf.argmax(clean, 1), tf.shape(whole)[1:-1]),
        }
        varies = by_site(variances)
        spread = reduce(varies, tf.ones_like(varies, tf.bool))
        found["precision"] = scores.precision(spread, activity, settings.activity, settings.relative)
        for metric, values in (("correlation", targets), ("partial_correlation", without)):
            sizes = by_site(tf.abs(values))
            reduced = reduce(sizes, tf.math.is_finite(sizes))
            found[metric] = reduced[0]
            if settings.permutations:
                found[f"p_{metric}"] = scores.p_values(reduced)
        losses = tf.abs(by_site(scores.regression(columns, units, r, between, TARGET, LEVEL)))
        found["regression"] = reduce(losses, tf.math.is_finite(losses))
        matrix = kernel(run.image, whole)
        if matrix is not None:
            for metric, of in (("weight_sum", tf.reduce_sum), ("weight_var", tf.math.reduce_variance)):
                found[metric] = tf.zeros_like(activity) + of(matrix, 0)
        if settings.maps:
            shape = tf.concat([[-1], places, [channels]], 0)
            found["map_correlation"], found["map_variance"] = (tf.reshape(x, shape) for x in (r[TARGET], variances))
        return found

    def _read(self, run: Run, name: str) -> tf.Tensor:
        """The sites of a layer that are looked at, in float32."""
        layer = tf.cast(run.read[name], tf.float32)
        sizes = layer.shape[1:-1]
        if self.settings.sites is None or None in sizes:
            return layer
        step = next(s for s in itertools.count(1) if math.prod(-(-size // s) for size in sizes) <= self.settings.sites)
        if step == 1:
            return layer
        places = np.arange(math.prod(sizes)).reshape(sizes)[(slice(None, None, step),) * len(sizes)]
        flat = tf.reshape(layer, [-1, math.prod(sizes), layer.shape[-1]])  # slices with steps take much longer
        return tf.reshape(tf.gather(flat, places.ravel(), axis=1), [-1, *places.shape, layer.shape[-1]])


def _by_row(x: tf.Tensor, rows: int) -> tf.Tensor:
    """(k * rows, ..., channels) as (rows, k, u)."""
    units = x.shape[1:].num_elements() or tf.reduce_prod(tf.shape(x)[1:])
    if rows == 1:
        return tf.reshape(x, [1, -1, units])
    return tf.transpose(tf.reshape(x, [-1, rows, units]), [1, 0, 2])


def _sites(x: tf.Tensor) -> tf.Tensor:
    """(n, ..., channels) as (n, sites, channels)."""
    return tf.reshape(x, [tf.shape(x)[0], -1, x.shape[-1]])


def _place(site: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """(n, channels) numbers of sites as (n, channels, axes)."""
    axes: list[tf.Tensor] = []
    for axis in reversed(range(sizes.shape[0])):
        axes.insert(0, tf.cast(site, tf.int32) % sizes[axis])
        site = tf.cast(site, tf.int32) // sizes[axis]
    return tf.stack(axes, -1) if axes else tf.zeros([*tf.unstack(tf.shape(site)), 0], tf.int32)
