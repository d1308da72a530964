"""Guided feature inversion: which part of the input a deep layer keeps, and which of that makes the class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Literal, TypeAlias, Unpack, get_args

import tensorflow as tf

from tfxai.checks import one_of
from tfxai.descent import Evaluated, Schedule, State, begin, descend
from tfxai.facts import Facts
from tfxai.inversion.background import background, differs
from tfxai.inversion.base_layer import default_base_layer
from tfxai.inversion.contrast import Contrast
from tfxai.inversion.evidence import evidence
from tfxai.inversion.mask import ChannelMask, blend
from tfxai.inversion.objective import Head, distance, reported
from tfxai.inversion.settings import Penalty, Preset, Settings, SettingsOptions, resolve
from tfxai.loops import repeated
from tfxai.run import Run, check_places, gradients
from tfxai.token_maps import as_maps, grids, last_layer
from tfxai.types import Layer, Model

START = 0.1  # of every weight
BLUR = 11 / 224  # sigma, as a share of the shorter side

PENALTIES: dict[Penalty, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "l1": lambda weights, mask: tf.reduce_sum(tf.abs(weights), 1),
    "l2": lambda weights, mask: tf.reduce_sum(tf.square(weights), 1),
    "area": lambda weights, mask: tf.reduce_mean(mask, list(range(1, mask.shape.rank))),
    "scale_free": lambda weights, mask: tf.math.divide_no_nan(
        tf.reduce_sum(tf.abs(weights), 1), tf.norm(weights, axis=1) * weights.shape[1] ** 0.5
    ),
}
SCALE_FREE = ("area", "scale_free")
Stages: TypeAlias = Literal["both", "inversion", "target"]

NO_MASK, NO_CONTRAST, BROKEN = 1, 2, 3  # kinds of degenerate cases


class GuidedFeatureInversion(Contrast):
    """The part of the input that a deep layer keeps and that makes the class: a mask made of a layer's channels.

    Du et al. (2018). The mask m is a sum of the channels of the base layer with weights w >= 0, scaled and enlarged; it
    lays the input x over a background p, x m + p (1 - m). The first stage seeks the w whose foreground gives the
    inversion layer the features of x, whatever the class. The second goes on from there, so that the foreground has the
    class and the background, x (1 - m) + p m, has it no longer. With the preset "tfxai" it weighs the evidence for the
    class in these channels, in place of the channels (`Settings.channels`).

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        What is explained.
    layer : str or keras layer, optional
        The inversion layer, whose features are kept. Default: the last one with spatial output (the paper: the last
        pooling).
    base_layer : str or keras layer, optional
        The layer whose channels, by their positive part, make the mask. Default: with the preset "tfxai" the last layer
        with 12 positions or more along each side; with the others the layer before the inversion layer if that is a
        pooling (the paper: the last convolution), else the inversion layer.
    preset : {"tfxai", "paper", "authors"} or Settings
        The package's own parameters, those of the paper, or those of the authors' code, which differ from it.
    stages : {"both", "inversion", "target"}
        The first alone does not explain a class; the second alone starts from equal weights.
    head : {"softmax", "sigmoid"}, optional
        What turns the model's logits into probabilities, if not what the model ends in, or a softmax if it ends in
        logits.
    input : str, optional
        Which of several inputs is masked. Default: the only one with positions.
    frames : bool
        Keep the masks of all steps, in the size of the base layer's maps; the page shows them as a film.
    **options
        Any attribute of `tfxai.inversion.Settings`, in place of the preset's; and as for `Explainer`.

    Raises
    ------
    ValueError
        For unknown presets, choices or layers, models without gradients, and inputs that are not images, series or
        volumes.

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
        Steps until the descent of the image stopped.
    ``inversion_frames``, ``target_frames``
        With ``frames=True``: masks at each step, before it is made, (n, steps, h, w).
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

    facts = Facts.of("guided_feature_inversion")

    def __init__(
        self,
        model: Model,
        layer: Layer | None = None,
        *,
        base_layer: Layer | None = None,
        preset: Preset | Settings = "tfxai",
        stages: Stages = "both",
        head: Head | None = None,
        input: str | None = None,
        frames: bool = False,
        **options: Unpack[SettingsOptions],
    ):
        own = {field.name for field in fields(Settings)}
        changes: dict[str, Any] = {name: value for name, value in options.items() if name in own}
        of_model: dict[str, Any] = {name: value for name, value in options.items() if name not in own}
        super().__init__(model, head=head, **of_model)
        self.input, self.frames = input, frames
        self.settings = resolve(preset, changes)
        self.reference = self.settings.fill
        one_of("stages", stages, get_args(Stages))
        self.stages = stages
        self._wanted = tuple(None if one is None else self.view.find(one) for one in (layer, base_layer))
        if self.view.inputs is not None and all(None not in x.shape[1:] for x in self.view.inputs.values()):
            self.adapt(None)

    def adapt(self, inputs: Any) -> None:
        if not self.reads:
            inversion, base = self._wanted
            inversion = inversion or last_layer(self.view, inputs)
            self.reads = (inversion, base or default_base_layer(self.settings.base, inversion, self.view, inputs))

    def describe(self) -> dict[str, Any]:
        inversion, base = self.reads
        return {"layer": inversion, "base_layer": base}

    def attribute(self, run: Run) -> tf.Tensor:
        settings = self.settings
        check_places(run, "GuidedFeatureInversion")
        x, mask = run.pixels, self._mask(run, self._base(run))
        p = background(run, BLUR)
        weights = tf.fill([run.count, mask.activations.shape[-1]], START)
        exists, contrast = mask.exists(weights), differs(x, p)
        active, broken, moments = exists & contrast, tf.zeros([run.count], tf.bool), None

        if self.stages != "target":
            once = run.once()
            first, history = self._invert(once, p[:: run.repeats], active[:: run.repeats])
            history = self._told(first, history, ("error", "penalty"), "inversion", mask)
            weights, moments, broken, history = tf.nest.map_structure(
                lambda rows: repeated(rows, run.repeats), (self._kept(first), first.moments, first.broken, history)
            )
            run.extras |= {"inversion_values": mask(weights), "inversion_weights": weights} | history
        if self.stages != "inversion":
            if settings.channels == "evidence":
                mask = self._mask(run, evidence(run, *self.reads))
            second, history = self._discriminate(run, mask, p, active, weights, moments)
            weights, broken = self._kept(second), broken | second.broken
            run.extras |= self._told(second, history, ("foreground", "background", "penalty"), "target", mask)

        values = mask(weights)
        run.extras |= {
            "weights": weights,
            "foreground": blend(x, p, values),
            "background": blend(p, x, values),
            "degenerate": tf.where(~exists, NO_MASK, tf.where(~contrast, NO_CONTRAST, tf.where(broken, BROKEN, 0))),
        }
        return values

    def _told(
        self, state: State, noted: tf.Tensor, terms: Sequence[str], stage: str, mask: ChannelMask
    ) -> dict[str, tf.Tensor]:
        """What a stage leaves for the user."""
        found = reported(state, noted[..., : len(terms)], terms, f"{stage}_")
        if self.frames:
            shape = [*tf.unstack(tf.shape(noted)[:2]), *mask.activations.shape[1:-1]]
            found[f"{stage}_frames"] = tf.reshape(noted[..., len(terms) :], shape)
        return found

    def _base(self, run: Run) -> tf.Tensor:
        """Maps of the base layer."""
        base = self.reads[1]
        return as_maps(run.read[base], grids(run, base) if run.read[base].shape.rank > 2 else {})

    def _mask(self, run: Run, channels: tf.Tensor) -> ChannelMask:
        if channels.shape.rank != run.image.shape.rank:
            raise ValueError(
                f"The base layer {self.reads[1]!r} has output {tuple(channels.shape)}, which is not a stack of "
                f"maps of an input {tuple(run.image.shape)}. Choose a layer that tfxai.layers(model) calls spatial."
            )
        return ChannelMask(channels, run.image.shape[1:-1], self.settings.scaling, self.settings.align_corners)

    def _invert(self, run: Run, p: tf.Tensor, active: tf.Tensor) -> tuple[State, tf.Tensor]:
        """The first stage: keep the features. Nothing above the inversion layer is fetched, so it does not run."""
        settings, layer = self.settings, self.reads[0]
        mask = self._mask(run, self._base(run))

        def evaluate(weights: tf.Tensor, _: tf.Tensor) -> Evaluated:
            masks = mask(weights)
            images = run.with_image(blend(run.pixels, p, masks), 1)
            found = self.view.forward(images, [layer]).read[layer]
            error = distance(found, run.read[layer], settings.loss == "relative")
            penalty = settings.inversion_penalty * PENALTIES[settings.penalty](weights, masks)
            return Evaluated(tf.stack([error, penalty], 1), gradients(error + penalty, weights))

        state = begin(tf.fill([run.count, mask.activations.shape[-1]], START), 2, active)
        return self._descend(state, evaluate, settings.inversion_steps, mask)

    def _discriminate(
        self, run: Run, mask: ChannelMask, p: tf.Tensor, active: tf.Tensor, weights: tf.Tensor, moments: Any
    ) -> tuple[State, tf.Tensor]:
        """The second stage: keep the class in the foreground, and out of the background."""
        settings = self.settings

        def evaluate(weights: tf.Tensor, _: tf.Tensor) -> Evaluated:
            masks = mask(weights)
            sides = 1.0, settings.background_weight
            gradient, terms = self.contrast(run, run.pixels, p, masks, sides, settings.objective)
            penalty = settings.target_penalty * PENALTIES[settings.penalty](weights, masks)
            whole = tf.gradients([masks, penalty], weights, [gradient, tf.ones_like(penalty)])[0]
            return Evaluated(tf.concat([terms, penalty[:, None]], 1), whole)

        carried = settings.carry_optimizer_state and moments is not None
        state = begin(weights, 3, active, *((moments, settings.inversion_steps) if carried else ()))
        return self._descend(state, evaluate, settings.target_steps, mask)

    def _descend(self, state: State, evaluate: Callable, steps: int, mask: ChannelMask) -> tuple[State, tf.Tensor]:
        s = self.settings
        schedule = Schedule(s.learning_rate, s.decay, s.patience, s.tolerance)

        def note(weights: tf.Tensor, terms: tf.Tensor) -> tf.Tensor:
            if not self.frames:
                return terms
            return tf.concat([terms, tf.reshape(mask.coarse(weights), [tf.shape(weights)[0], -1])], 1)

        return descend(state, evaluate, schedule, steps, project=self._project, usable=mask.exists, note=note)

    def _kept(self, state: State) -> tf.Tensor:
        return state.best if self.settings.keep_best else state.values

    def _project(self, weights: tf.Tensor) -> tf.Tensor:
        weights = tf.nn.relu(weights)
        if self.settings.penalty in SCALE_FREE:  # nothing else holds the scale, to which the steps are relative
            weights = rescaled(weights)
        return weights


def rescaled(weights: tf.Tensor) -> tf.Tensor:
    """(n, channels) weights of the norm that they have at the start."""
    norm = START * weights.shape[1] ** 0.5
    return norm * tf.math.divide_no_nan(weights, tf.norm(weights, axis=1, keepdims=True))
