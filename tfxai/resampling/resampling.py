"""InputResampling: which channels drive a prediction, and which are stable, over perturbed copies of the image."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import tensorflow as tf

from tfxai import channels
from tfxai.brief import made
from tfxai.explanation import Explanation
from tfxai.facts import Facts
from tfxai.goal import name
from tfxai.models.blocks import channel_counts
from tfxai.models.receptive_field import ReceptiveField
from tfxai.options import ModelOptions
from tfxai.outcome import Outcome, keeping
from tfxai.provenance import plain, strict
from tfxai.resampling.ablation import score_changes
from tfxai.resampling.clouds import Perturbation
from tfxai.resampling.observer import Observer
from tfxai.resampling.patches import Projector, WayBack
from tfxai.resampling.result import Resampling
from tfxai.resampling.scores import Spatial
from tfxai.resampling.selection import nested
from tfxai.resampling.settings import Settings
from tfxai.runner import Runner
from tfxai.types import Inputs, Layer, Model, Target, Verbose


class InputResampling:
    """Which channels of a network drive a prediction, and which are stable.

    Lengerich et al. (2017): around an image lies a cloud of perturbed copies. The influence of a channel is how far its
    activation a correlates with the output y over the cloud, the precision how little it changes::

        correlation = mean over sites of |Pearson(a, y)|,    precision = 1 / mean over sites of Var(a),

    sites being the positions of the channel's map. Where the two choose different channels, the decision rests on
    features that are not stable. All layers are scored by one pass of each copy, and memory does not depend on their
    number.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function or path
        What is explained; it is never changed.
    layers : sequence of str or layers, optional
        Which layers. Default: one for each block of the model, after its activation, but for that which makes the
        classes.
    perturbation : str or callable
        What a copy is. Copy number 0 is the image, in all of them.

        * ``"multiplicative_ramp"`` (default, the authors'): x (1 + i e), e ~ N(0, sigma^2) for each value, i the number
          of the copy. Where x is 0, such as mid-grey after subtraction of a mean, nothing changes.
        * ``"multiplicative"``: x (1 + e), for all copies.
        * ``"additive"``: x + r e, with the range r of the image's values.
        * ``"mask_superpixel"``: regions of like colour, about 49, are each replaced by the mean colour with
          probability sigma.
        * ``"crop_shift"``: parts of (1 - sigma) of the height and width, anywhere, enlarged to the whole.
        * a function of images (n, ...) and a seed, two integers of which the second is the number of the copy, for
          TensorFlow's stateless random numbers; it returns images of the same shape.
    samples : int
        Copies of each image, itself included, n. Default 50 (authors' code). The correlation of a site has a standard
        error of about 1 / sqrt(n - 1): more copies make rankings steadier.
    sigma : float
        Strength of the perturbation, as described there. Default 0.1 (authors' code).
    clip : (float, float), optional
        Bounds of the values; default: none, as in the authors' code.
    spatial : {"mean", "max", "peak"}
        How the sites of a channel are combined: their mean (default, the authors'), which dilutes what is decisive at
        one place; the maximum; or the site where the image excites the channel most.
    activity : float
        Channels with a mean activation below this have no precision, since what is dead is stable. Default 0.1
        (authors' code), which depends on the scale of the network.
    relative : bool
        Whether ``activity`` is a share of the median activity of the layer's channels instead.
    permutations : int
        How many permutations of the outputs over the copies, for p-values of the correlations. Default 0: none. Each
        takes as much memory as the activations of one copy, and the cloud passes through the model twice.
    sites : int, optional
        The maximum number of sites to look at in a layer: in larger maps every second, third ... row and column.
        Default 256 (ours): on photographs channels are then ranked as another seed ranks them, in half the time. None:
        all, for the true peaks and for maps of each site.
    maps : bool
        Whether correlation and variance of every site are kept, which takes the memory of two copies for each image.
    effect : bool
        Whether the score ``"effect"`` is computed, see below, which takes a gradient of every copy.
    seed : int
        The same seed gives the same cloud, for every image and in every batch.
    **options
        As for `Explainer`: ``output``, ``signature``, ``score``, ``classes``, ``jit_compile``, ``draws``,
        ``preprocessor``.

    Attributes
    ----------
    view : ModelView
        The model.
    settings : Settings
        All parameters but the layers, the seed and those of the model.
    seed : int
        May be changed; then another cloud is drawn.

    Raises
    ------
    ValueError
        For unknown layers or options, fewer than 3 copies, a sigma that is not positive.

    Notes
    -----
    On a ramp both activations and output drift with the level of noise, which makes all correlations large. The score
    ``"partial_correlation"`` takes that out, linearly; the level is the root mean square of what was added to the
    image.
    Independent noise has a mean \\|r\\| of about sqrt(2 / (pi n)), see `Resampling.chance`.

    Two scores ask what the output would lose without a channel, instead of what correlates with it (both ours)::

        effect = |mean over copies of sum over sites of a dy/da|,
        regression = mean over sites of |b mean(a)|.

    The first is the effect of ablation to first order, exact where the output is linear in the channel; with
    ``spatial="peak"`` it is that of the one unit. In the second, b is the slope of the output in a, both freed of the
    level; it costs nothing more, but takes for a cause what merely accompanies one, as correlations do.

    Other scores, for comparison: sum and variance of the activations of the image itself (``"activation_sum"``,
    ``"activation_var"``), and of the weights of the channel's kernel (``"weight_sum"``, ``"weight_var"``).

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> result = tfxai.InputResampling(tfxai.datasets.flowers.load_model(), samples=20)(images, verbose=0)
    >>> result.scores["correlation"]["block3_relu"].shape
    (2, 48)
    >>> result.top("precision", 5)["block3_relu"].shape
    (2, 5)
    >>> 0 <= result.compare("correlation", "precision").overlap(0).jaccard <= 1
    True
    """

    facts = Facts.of("input_resampling")

    @functools.partial(strict, base=Runner.__init__)
    def __init__(
        self,
        model: Model,
        layers: Sequence[Layer] | None = None,
        *,
        perturbation: Perturbation = "multiplicative_ramp",
        samples: int = 50,
        sigma: float = 0.1,
        clip: tuple[float, float] | None = None,
        spatial: Spatial = "mean",
        activity: float = 0.1,
        relative: bool = False,
        permutations: int = 0,
        sites: int | None = 256,
        maps: bool = False,
        effect: bool = False,
        seed: int = 0,
        **options: Unpack[ModelOptions],
    ):
        self.settings = Settings(
            perturbation, samples, sigma, clip, spatial, activity, relative, permutations, sites, maps, effect
        )
        self._observer = Observer(model, layers, self.settings, seed, **options)
        self.view = self._observer.view
        self._options = options
        self._projectors: dict[tuple[str, WayBack], Projector] = {}  # kept, for their graphs are traced once
        self._fields: dict[Any, dict[str, ReceptiveField]] = {}

    def __repr__(self) -> str:
        return made(self, {"seed": self.seed})

    @property
    def seed(self) -> int:
        return self._observer.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._observer.seed = seed

    def __call__(
        self, images: Inputs, target: Target = None, batch_size: int = 32, verbose: Verbose = "auto"
    ) -> Resampling:
        """Score the channels for each image.

        Parameters
        ----------
        images : array, tensor, list or dict of them, or tf.data.Dataset
            As for `Explainer.explain`.
        target : None, int, str, sequence, callable, Neuron or Channel
            As for `Explainer.explain`: the predicted class, a class, one for each image, several for each image, or
            what else is to be explained.
        batch_size : int
            How many copies pass through the model at once: bounds the memory.
        verbose : {"auto", 0, 1}
            Progress bar; "auto": if there is more than one image.

        Returns
        -------
        Resampling

        Raises
        ------
        ValueError, TypeError
            For images or targets that do not fit the model, or images that differ in size. The error's attribute
            ``partial`` holds the result of the images before.

        Warns
        -----
        UserWarning
            If the output is the same for all copies of an image, so that nothing correlates with it; or if no channel
            of a layer is active enough to have a precision.
        """
        parts: list[Outcome] = []
        with keeping(parts, self._result, "images"):
            for outcome in self._observer.outcomes(images, target, batch_size, verbose, rows=1):
                sizes = tf.nest.map_structure(lambda x: x.shape[1:], outcome.inputs)
                if parts and sizes != tf.nest.map_structure(lambda x: x.shape[1:], parts[0].inputs):
                    done = sum(len(part.found["ids"]) for part in parts)
                    raise ValueError(
                        f"Expected images of one size, got some of {sizes} after the first {done}. Resample each size "
                        "by itself."
                    )
                parts.append(outcome)
        result = self._result(parts)
        _warn(result)
        return result

    def project(self, inputs: Inputs, layer: str, channels: Any, projection: WayBack) -> Explanation:
        """The way back from the strongest site of channels into the inputs, see `Resampling.project`."""
        key = layer, projection
        if key not in self._projectors:
            known = self._observer.channels  # none yet, if the result comes from a file
            count = known.get(layer) or channel_counts(self.view, (layer,), inputs)[0]
            self._projectors[key] = Projector(self.view, layer, count, projection)
        return self._projectors[key](inputs, channels, verbose=0)

    def fields(self, inputs: Inputs, layers: tuple[str, ...]) -> dict[str, ReceptiveField]:
        """What the units of layers see of inputs of this size."""
        key = layers, tuple(x.shape[1:] for x in tf.nest.flatten(inputs))
        if key not in self._fields:
            self._fields[key] = channels.fields(self.view, layers, inputs)
        return self._fields[key]

    def score_changes(
        self,
        inputs: Inputs,
        ids: np.ndarray,
        what: Any,
        removed: Mapping[str, np.ndarray],
        batch_size: int,
        units: bool = False,
    ) -> np.ndarray:
        """Scores of the inputs minus those without channels or units, see `tfxai.resampling.ablation.score_changes`."""
        return score_changes(self.view, inputs, ids, what, removed, batch_size, units, **self._options)

    def _result(self, parts: Sequence[Outcome]) -> Resampling:
        first = parts[0]

        def joined(*arrays: np.ndarray) -> np.ndarray:
            return np.concatenate(arrays)

        found = tf.nest.map_structure(joined, *(part.found for part in parts))
        what = first.request.what
        return Resampling(
            dict(self._observer.channels),
            nested(found["scores"]),
            found["ids"] if what is None else name(what),
            found["score"],
            found["spread"],
            tf.nest.map_structure(joined, *(part.inputs for part in parts)),
            self._observer.classes,
            plain(vars(self.settings)) | {"seed": self.seed, "score": first.known["score"]},
            self,
            what,
        )


def _warn(result: Resampling) -> None:
    steady = np.flatnonzero(result.spread == 0)
    if len(steady):
        warnings.warn(
            f"The output is the same for all copies of the images {steady[:5].tolist()}, so nothing correlates with "
            'it. Raise sigma, choose another perturbation or target, or score="logit".',
            stacklevel=3,
        )
    idle = [layer for layer, found in result.scores["precision"].items() if np.isnan(found).all(1).any()]
    if idle:
        warnings.warn(
            f"No channel of {', '.join(idle)} is active enough for a precision in all images. Lower activity, or give "
            "relative=True, for activations of another scale.",
            stacklevel=3,
        )
