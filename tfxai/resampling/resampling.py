"""InputResampling: which channels drive a prediction, and which are stable, over perturbed copies of the image."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfxai.checks import positive
from tfxai.facts import Facts
from tfxai.goal import name
from tfxai.models import open_model
from tfxai.models.receptive_field import ReceptiveField, receptive_fields
from tfxai.resampling.clouds import open_cloud
from tfxai.resampling.observer import Observer
from tfxai.resampling.patches import Projector
from tfxai.resampling.result import Resampling, nested
from tfxai.resampling.scores import SPATIAL
from tfxai.runner import Outcome, keeping

FEWEST = 3  # copies of which a correlation means anything


class InputResampling:
    """Which channels of a network drive a prediction, and which are stable.

    Lengerich et al. (2017): around an image lies a cloud of perturbed copies. The influence of a channel is how far its
    activation a goes with the output y over the cloud, the precision how little it changes::

        correlation = mean over sites of |Pearson(a, y)|,    precision = 1 / mean over sites of Var(a),

    sites being the positions of the channel's map. Where the two choose other channels, the decision rests on features
    that are not stable. All layers are scored by one pass of each copy, and memory does not depend on their number.

    Parameters
    ----------
    model : keras.Model, SavedModel, tf.function or path
        What is looked into; it is never changed.
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
    n : int
        Copies of each image, itself included. Default 50 (authors' code). The correlation of a site has a standard
        error of about 1 / sqrt(n - 1): more copies make rankings steadier.
    sigma : float
        Strength of the perturbation. Default 0.1 (authors' code).
    clip : (float, float), optional
        What values may reach; default: anything, as in the authors' code.
    spatial : {"mean", "max", "peak"}
        How the sites of a channel are put together: their mean (default, the authors'), which dilutes what is decisive
        at one place; the maximum; or the site where the image excites the channel most.
    activity : float
        Channels with a mean activation below this have no precision, for what is dead is stable. Default 0.1 (authors'
        code), which depends on the scale of the network.
    relative : bool
        Whether ``activity`` is a share of the median activity of the layer's channels instead.
    permutations : int
        Of the outputs over the copies, for p-values of the correlations. Default 0: none. Each takes as much memory
        as the activations of one copy, and the cloud passes through the model twice.
    sites : int, optional
        Most sites that are looked at in a layer: of larger maps every second, third ... row and column. Default 256
        (ours): on photographs channels are then ranked as another seed ranks them, in half the time. None: all, for
        the true peaks and for maps of each site.
    maps : bool
        Whether correlation and variance of every site are kept, which takes the memory of two copies for each image.
    seed : int
        The same seed gives the same cloud, for every image and in every batch.
    **options
        As for `Explainer`: ``output``, ``signature``, ``score``, ``classes``, ``jit_compile``.

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

    Other scores, to compare with: sum and variance of the activations of the image itself (``"activation_sum"``,
    ``"activation_var"``), and of the weights of the channel's kernel (``"weight_sum"``, ``"weight_var"``).

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> result = tfxai.InputResampling(tfxai.datasets.flowers.load_model(), n=20)(images, verbose=0)
    >>> result.scores["correlation"]["block3_relu"].shape
    (2, 48)
    >>> result.top("precision", 5)["block3_relu"].shape
    (2, 5)
    >>> 0 <= result.compare("correlation", "precision").overlap(0).jaccard <= 1
    True
    """

    facts = Facts(
        "input_resampling",
        use="which channels drive a prediction, and which are stable",
        cost="1 forward pass a copy, and what reading the layers takes",
        needs="layers with channels",
        drawback="what correlates need not cause",
        reference="Lengerich et al. 2017",
        kind="neurons",
    )

    def __init__(
        self,
        model: Any,
        layers: Sequence[Any] | None = None,
        perturbation: Any = "multiplicative_ramp",
        n: int = 50,
        sigma: float = 0.1,
        *,
        clip: tuple[float, float] | None = None,
        spatial: str = "mean",
        activity: float = 0.1,
        relative: bool = False,
        permutations: int = 0,
        sites: int | None = 256,
        maps: bool = False,
        seed: int = 0,
        output: str | int | None = None,
        signature: str | None = None,
        **options: Any,
    ):
        if positive("n", n) < FEWEST:
            raise ValueError(f"Expected n to be at least {FEWEST} copies, of which correlations are made, got {n}.")
        if not 0 < sigma < np.inf:
            raise ValueError(f"Expected sigma to be positive, got {sigma!r}: without noise nothing varies.")
        if spatial not in SPATIAL:
            raise ValueError(f"Expected spatial to be one of {SPATIAL}, got {spatial!r}.")
        if not 0 <= activity < np.inf:
            raise ValueError(f"Expected activity to be 0 or more, got {activity!r}.")
        if clip is not None and not (len(clip) == 2 and clip[0] < clip[1]):
            raise ValueError(f"Expected clip to be the lowest and the highest value, got {clip!r}.")
        if layers is not None and (isinstance(layers, str) or not len(layers)):
            raise ValueError(f"Expected layers to be a list of at least one layer, got {layers!r}.")
        if permutations:
            positive("permutations", permutations)
        if sites is not None:
            positive("sites", sites)
        self.view = open_model(model, output, signature)
        if self.view.opaque:
            raise ValueError("A Python function has no layers to look into. Give the model itself, or Occlusion it.")
        self.layers = None if layers is None else tuple(dict.fromkeys(self.view.find(one) for one in layers))
        self.n, self.permutations = n, permutations
        self.options = options
        self.settings = {
            "perturbation": perturbation if isinstance(perturbation, str) else repr(perturbation),
            **{"n": n, "sigma": sigma, "spatial": spatial, "activity": activity, "relative": relative, "seed": seed},
        }
        self._projectors: dict[tuple[str, str], Projector] = {}
        self._fields: dict[Any, dict[str, ReceptiveField]] = {}
        cloud = open_cloud(perturbation, float(sigma), clip)
        self._observer = Observer(
            self.view, self.layers, cloud, n, spatial, activity, relative, permutations, sites, maps, seed, **options
        )

    @property
    def seed(self) -> int:
        return self._observer.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._observer.seed = seed
        self.settings["seed"] = seed

    def __call__(
        self, images: Any, target: Any = None, batch_size: int = 32, verbose: str | int = "auto"
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

    @property
    def channels(self) -> dict[str, int]:
        """How many channels each layer has; nothing before the first image."""
        return self._observer.channels

    def projector(self, layer: str, projection: str) -> Projector:
        """What leads from channels of a layer back to the image; kept, for its graph is traced once."""
        key = layer, projection
        if key not in self._projectors:
            self._projectors[key] = Projector(self.view, layer, self.channels[layer], projection)
        return self._projectors[key]

    def fields(self, inputs: Any, layers: tuple[str, ...]) -> dict[str, ReceptiveField]:
        """What the units of layers see of images of this size."""
        rows = self.view.batch_size or 1
        specs = tf.nest.map_structure(lambda x: tf.TensorSpec([rows, *x.shape[1:]], x.dtype), inputs)
        key = layers, tuple(tf.nest.flatten(specs))
        if key not in self._fields:
            self._fields[key] = receptive_fields(self.view, layers, specs)
        return self._fields[key]

    def _result(self, parts: Sequence[Outcome]) -> Resampling:
        first = parts[0]

        def joined(*arrays: np.ndarray) -> np.ndarray:
            return np.concatenate(arrays)

        found = tf.nest.map_structure(joined, *(part.found for part in parts))
        what = first.request.what
        return Resampling(
            dict(self.channels),
            nested(found["scores"]),
            found["ids"] if what is None else name(what),
            found["score"],
            found["spread"],
            tf.nest.map_structure(joined, *(part.inputs for part in parts)),
            self._observer.classes,
            self.settings | {"score": first.known["score"]},
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
