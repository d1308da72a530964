"""Guided feature inversion: which part of the input a deep layer keeps, and which of that makes the class."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import tensorflow as tf

from tfxai.attribution.inversion.descent import Descent, Schedule, descend
from tfxai.attribution.inversion.mask import ChannelMask, blend
from tfxai.attribution.inversion.objective import losses
from tfxai.attribution.inversion.settings import Settings, resolve
from tfxai.baselines import Baseline, gaussian, references
from tfxai.explainer import Explainer, Facts
from tfxai.loops import accumulate, column, merge, split
from tfxai.models import Layer
from tfxai.run import Run, check_floating

START = 0.1  # of every weight
BLUR = 11 / 224  # sigma, as a share of the shorter side
SAME = 1e-5  # an input that differs from its background by a smaller share of itself is no different

PENALTIES = {
    "l1": lambda weights, mask: tf.reduce_sum(tf.abs(weights), 1),
    "l2": lambda weights, mask: tf.reduce_sum(tf.square(weights), 1),
    "area": lambda weights, mask: tf.reduce_mean(mask, [1, 2]),
    "scale_free": lambda weights, mask: tf.math.divide_no_nan(
        tf.reduce_sum(tf.abs(weights), 1), tf.norm(weights, axis=1) * weights.shape[1] ** 0.5
    ),
}
SCALE_FREE = ("area", "scale_free")

NO_MASK, NO_CONTRAST, BROKEN = 1, 2, 3  # kinds of degenerate cases


class GuidedFeatureInversion(Explainer):
    """The part of the input that a deep layer keeps and that makes the class: a mask made of a layer's channels.

    Du et al. (2018). The mask m is a sum of the channels of the base layer with weights w >= 0, scaled and enlarged; it
    lays the input x over a background p, x m + p (1 - m). The first stage seeks the w whose foreground gives the
    inversion layer the features of x, whatever the class. The second goes on from there, so that the foreground has the
    class and the background, x (1 - m) + p m, has it no longer.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    inversion_layer : str, keras layer or None
        Whose features are kept. None: the last one with spatial output (the paper: the last pooling).
    base_layer : str, keras layer or None
        Whose channels, by their positive part, make the mask. None: the layer before the inversion layer if that is a
        pooling (the paper: the last convolution), else the inversion layer.
    preset : {"tfxai", "paper", "authors"} or Settings
        The package's own parameters, those of the paper, or those of the authors' code, which differ.
    stages : {"both", "inversion", "target"}
        The first alone explains no class; the second alone starts from equal weights.
    head : {"softmax", "sigmoid"}, optional
        What makes probabilities of the model's logits, if not what it ends in, or a softmax where it ends in logits.
    **options
        Any attribute of `tfxai.attribution.inversion.Settings` in place of the preset's; and those of `Explainer`.

    Raises
    ------
    ValueError
        For unknown presets, choices or layers, models without gradients, and inputs that are no images.

    Notes
    -----
    ``values`` are masks at the input's size, in [0, 1]. In ``extras``, each with a row for each explanation:

    ``weights``, ``foreground``, ``background``
        The channels' weights, and the input laid over its background and the other way round.
    ``inversion_values``, ``inversion_weights``
        Mask and weights after the first stage.
    ``inversion_history/error``, ``inversion_history/penalty``, ``inversion_history/total``
        The first stage's loss and its terms at each step, with their factors; the second's are
        ``target_history/foreground``, ``/background``, ``/penalty`` and ``/total``.
    ``inversion_steps``, ``target_steps``
        Steps until the image stopped.
    ``degenerate``
        0, or 1: the base layer makes no mask, which is zero; 2: the input is its own background, so that nothing can be
        learnt; 3: the weights ran to zero or out of bounds and were brought back.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explainer = tfxai.GuidedFeatureInversion(tfxai.datasets.flowers.load_model(), target_steps=5)
    >>> explanation = explainer(images)
    >>> explanation.values.shape, explanation.extras["target_history/total"].shape
    ((2, 112, 112), (2, 5))
    """

    facts = Facts(
        "guided_feature_inversion",
        use="the part of the input that keeps the class when all else is blurred",
        cost="10 gradient passes up to the inversion layer and 50 whole ones",
        needs="images, and a layer with spatial output",
        drawback="slow; as coarse as the layer",
        reference="Du et al. 2018",
    )

    def __init__(
        self,
        model: Any,
        inversion_layer: Any = None,
        base_layer: Any = None,
        preset: str | Settings = "tfxai",
        stages: str = "both",
        head: str | None = None,
        **options: Any,
    ):
        own = {field.name for field in fields(Settings)} & options.keys()
        super().__init__(model, **{name: value for name, value in options.items() if name not in own})
        self.settings = resolve(preset, {name: options[name] for name in own})
        if stages not in ("both", "inversion", "target"):
            raise ValueError(f'Expected stages to be "both", "inversion" or "target", got {stages!r}.')
        if head not in (None, "softmax", "sigmoid"):
            raise ValueError(f'Expected head to be None, "softmax" or "sigmoid", got {head!r}.')
        self.stages = stages
        self.head = head
        self._wanted = tuple(
            None if layer is None else self.view.find(layer) for layer in (inversion_layer, base_layer)
        )
        self._logits = Explainer(self.view)
        if self.view.inputs is not None:
            self.settle(None)

    def settle(self, inputs: Any) -> None:
        if not self.reads:
            inversion, base = self._wanted
            inversion = inversion or self.view.last_spatial(inputs)
            if base is None:
                base = inversion if self.settings.one_layer else base_layer(inversion, self.view.layers(inputs))
            self.reads = (inversion, base)

    def describe(self) -> dict[str, Any]:
        inversion, base = self.reads
        return {"inversion_layer": inversion, "base_layer": base}

    def attribute(self, run: Run) -> tf.Tensor:
        settings = self.settings
        check_floating(run.image)
        if run.image.shape.rank != 4:
            raise ValueError(
                f"GuidedFeatureInversion needs images, (n, h, w, c), got shape {run.image.shape}. Use GradCAM."
            )
        mask, x = self._mask(run), run.pixels
        p = _background(settings.background, x)
        weights = tf.fill([run.count, mask.activations.shape[-1]], START)
        exists, contrast = mask.exists(weights), _differs(x, p)
        active, broken, moments = exists & contrast, tf.zeros([run.count], tf.bool), None

        if self.stages != "target":
            once = run.once()
            first = self._invert(once, p[:: run.repeats], active[:: run.repeats])
            first = tf.nest.map_structure(lambda rows: tf.repeat(rows, run.repeats, 0), first)
            weights, moments, broken = first.values, first.moments, first.broken
            run.extras |= {"inversion_values": mask(weights), "inversion_weights": weights}
            run.extras |= _told("inversion", first, ("error", "penalty"))
        if self.stages != "inversion":
            second = self._discriminate(run, p, active, weights, moments)
            weights, broken = second.values, broken | second.broken
            run.extras |= _told("target", second, ("foreground", "background", "penalty"))

        values = mask(weights)
        run.extras |= {
            "weights": weights,
            "foreground": blend(x, p, values),
            "background": blend(p, x, values),
            "degenerate": tf.where(~exists, NO_MASK, tf.where(~contrast, NO_CONTRAST, tf.where(broken, BROKEN, 0))),
        }
        return values

    def _mask(self, run: Run) -> ChannelMask:
        name = self.reads[1]
        if run.read[name].shape.rank != 4:
            raise ValueError(
                f"The base layer {name!r} has output {tuple(run.read[name].shape)}, which is no stack of maps "
                "(n, h, w, channels). Choose a layer that tfxai.layers(model) calls spatial."
            )
        return ChannelMask(run.read[name], run.image.shape[1:3], self.settings.scaling, self.settings.align_corners)

    def _invert(self, run: Run, p: tf.Tensor, active: tf.Tensor) -> Descent:
        """The first stage: keep the features. Nothing above the inversion layer is fetched, so it does not run."""
        settings, layer, mask = self.settings, self.reads[0], self._mask(run)
        wanted = tf.cast(run.read[layer], tf.float32)

        def evaluate(weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            masks = mask(weights)
            images = run.with_image(blend(run.pixels, p, masks), 1)
            error = _energy(tf.cast(self.view.forward(images, [layer]).read[layer], tf.float32) - wanted)
            if settings.loss == "relative":
                error = tf.math.divide_no_nan(error, _energy(wanted))
            penalty = settings.inversion_penalty * PENALTIES[settings.penalty](weights, masks)
            return tf.stack([error, penalty], 1), replace(run, score=error + penalty).gradients(weights)

        weights = tf.fill([run.count, mask.activations.shape[-1]], START)
        schedule = self._schedule(settings.inversion_steps)
        return descend(weights, evaluate, 2, schedule, self._project, mask.exists, active)

    def _discriminate(self, run: Run, p: tf.Tensor, active: tf.Tensor, weights: tf.Tensor, moments: Any) -> Descent:
        """The second stage: keep the class in the foreground, and out of the background."""
        settings, mask, x = self.settings, self._mask(run), run.pixels
        explainer = self._logits if run.goal.what is None else self

        def evaluate(weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            masks = mask(weights)

            def sides(index: tf.Tensor, active: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
                """Foreground (0), background (1) or both: the gradient of their losses, and these losses."""
                own = tf.identity(masks)
                foreground = column(tf.equal(index, 0), own[None])
                shares = merge(tf.where(foreground, own, 1 - own))
                copies = run.with_image(blend(_tiled(x, index), _tiled(p, index), shares), tf.size(index))
                again = explainer.rerun(run, copies, tf.size(index))
                keep, drop = (split(loss, run.count) for loss in losses(again, settings.objective, self.head))
                loss = tf.where(foreground[..., 0, 0], keep, settings.background_weight * drop) * active[:, None]
                gradient = replace(again, score=loss).gradients(own)
                return gradient, tf.tensordot(loss, tf.one_hot(index, 2), [[0], [0]])

            zeros = tf.zeros_like(masks), tf.zeros([run.count, 2])
            gradient, terms = accumulate(sides, zeros, 2, run.count, run.batch_size)
            penalty = settings.target_penalty * PENALTIES[settings.penalty](weights, masks)
            gradients = tf.gradients([masks, penalty], weights, [gradient, tf.ones_like(penalty)])[0]
            return tf.concat([terms, penalty[:, None]], 1), gradients

        first = settings.inversion_steps if settings.carry_optimizer_state and moments is not None else 0
        schedule = self._schedule(settings.target_steps, first)
        carried = moments if settings.carry_optimizer_state else None
        return descend(weights, evaluate, 3, schedule, self._project, mask.exists, active, carried)

    def _schedule(self, steps: int, first: int = 0) -> Schedule:
        s = self.settings
        return Schedule(steps, s.learning_rate, s.decay, s.patience, s.tolerance, s.keep_best, first)

    def _project(self, weights: tf.Tensor) -> tf.Tensor:
        weights = tf.nn.relu(weights)
        if self.settings.penalty in SCALE_FREE:  # nothing else holds the scale, to which the steps are relative
            weights = START * tf.math.divide_no_nan(weights, tf.reduce_mean(weights, 1, keepdims=True))
        return weights


def base_layer(inversion: str, layers: list[Layer]) -> str:
    """The layer before a pooling, whose maps are larger than the pooled ones; of any other layer, itself."""
    names = [layer.name for layer in layers]
    number = next((names.index(name) for name in names if name == inversion or name.endswith(f"/{inversion}")), None)
    if number is None or "Pool" not in layers[number].kind:
        return inversion
    pooled = layers[number].shape
    for layer in reversed(layers[:number]):
        if layer.spatial and len(layer.shape) == len(pooled) and layer.shape[-1] == pooled[-1]:
            return layer.name
    return inversion


def _background(spec: Baseline, x: tf.Tensor) -> tf.Tensor:
    if isinstance(spec, str) and spec == "blur":
        sigma = BLUR * min(x.shape[1:3])
        return gaussian(gaussian(x, sigma, 1), sigma, 2)
    found = references(spec, x, draws=1)
    if found.shape[0] != 1:
        raise ValueError(f"Expected one background for each image, got {found.shape[0]}.")
    return found[0]


def _differs(x: tf.Tensor, p: tf.Tensor) -> tf.Tensor:
    """(n,) whether images differ from their backgrounds by more than rounding."""
    return tf.reduce_max(tf.abs(x - p), [1, 2, 3]) > SAME * tf.reduce_max(tf.abs(x), [1, 2, 3])


def _energy(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(tf.square(x), list(range(1, x.shape.rank)))


def _tiled(x: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    return tf.tile(x, [tf.size(index), 1, 1, 1])


def _told(stage: str, descent: Descent, terms: tuple[str, ...]) -> dict[str, tf.Tensor]:
    """What a stage leaves for the user."""
    history = {f"{stage}_history/{term}": descent.history[..., number] for number, term in enumerate(terms)}
    total = {f"{stage}_history/total": tf.reduce_sum(descent.history, 2)}
    return history | total | {f"{stage}_steps": descent.steps}
