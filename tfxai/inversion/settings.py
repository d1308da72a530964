"""Parameters of guided feature inversion, and the three sets of them that have a name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from tfxai.checks import above, at_least, one_of, positive
from tfxai.choices import InversionPreset as Preset
from tfxai.inversion.objective import Objective
from tfxai.options import ModelOptions
from tfxai.types import Baseline

Loss: TypeAlias = Literal["relative", "squared"]
Penalty: TypeAlias = Literal["l1", "l2", "area", "scale_free"]
Channels: TypeAlias = Literal["activations", "evidence"]
Scaling: TypeAlias = Literal["before", "after"]
Base: TypeAlias = Literal["pooled", "inversion", "fine"]

CHOICES = {
    "loss": Loss,
    "penalty": Penalty,
    "objective": Objective,
    "channels": Channels,
    "scaling": Scaling,
    "base": Base,
}


@dataclass(frozen=True, eq=False)
class Settings:
    """How `GuidedFeatureInversion` works. The defaults are the paper's.

    Attributes
    ----------
    inversion_steps, target_steps : int
        Steps of the first and of the second stage; with ``patience``, at most this many.
    learning_rate : float
        Of Adam.
    decay : int, optional
        Halve the rate every this many steps of a stage; None: never.
    loss : {"squared", "relative"}
        Distance of the layer's features from those of the input, as ||.||^2; or divided by the ||.||^2 of the input's.
    penalty : {"l1", "l2", "area", "scale_free"}
        Of the weights w or the mask m: ``sum |w|``, ``sum w^2``, ``mean(m)``, or
        ``sum |w| / (||w||_2 sqrt(channels))``. The last two do not depend on the scale of w, as the mask does not; then
        w is kept at its scale.
    inversion_penalty, target_penalty : float
        The weight of the penalty in either stage. It means something only relative to the loss: next to a squared loss,
        an L1 penalty of 10 is a trifle, and next to a relative one it drives all weights to zero.
    objective : {"probability", "log_probability", "cross_entropy", "logit"}
        What the second stage maximises in the foreground and minimises in the background: p, log p, the logit; or log p
        in the foreground and -log(1 - p) in the background. A target that is not a class counts as it is.
    channels : {"activations", "evidence"}
        What the second stage weighs: the maps of the base layer, as the first does; or the evidence for the class in
        each, see `tfxai.inversion.evidence.evidence`.
    background_weight : float
        What the background counts in this, relative to 1 for the foreground.
    fill : number, array, "blur", "mean", "noise" or function
        What is seen where the mask is 0. ``"blur"``: a Gaussian of 11 pixels for images of 224, and in proportion; the
        others as in `tfxai.baselines.references`.
    scaling : {"before", "after"}
        Whether the mask is scaled to [0, 1] before it is enlarged; or after, as (m - min) / max.
    align_corners : bool
        How it is enlarged: whether the outer pixels of the layer lie on the outer pixels of the input.
    carry_optimizer_state : bool
        One optimiser for both stages: moments and decay go on in the second.
    keep_best : bool
        Keep, for each image, the weights that had the lowest loss, or the last ones.
    patience : int, optional
        An image stops when its loss has not fallen for this many steps; None: never.
    tolerance : float
        The share of itself by which the loss must fall to count.
    base : {"pooled", "inversion", "fine"}
        Which base layer is the default: the one before the inversion layer if that is a pooling, else the inversion
        layer; the inversion layer in any case; or the last one before it that has 12 positions or more along each side,
        without negative values if there is one.
    """

    inversion_steps: int = 10
    target_steps: int = 70
    learning_rate: float = 1e-2
    decay: int | None = 10
    loss: Loss = "squared"
    penalty: Penalty = "l1"
    inversion_penalty: float = 10.0
    target_penalty: float = 1.0
    objective: Objective = "probability"
    channels: Channels = "activations"
    background_weight: float = 1.0
    fill: Baseline = "blur"
    scaling: Scaling = "before"
    align_corners: bool = False
    carry_optimizer_state: bool = False
    keep_best: bool = False
    patience: int | None = None
    tolerance: float = 1e-3
    base: Base = "pooled"

    def __post_init__(self) -> None:
        for name in ("inversion_steps", "target_steps", "decay", "patience"):
            optional = name in ("decay", "patience")
            if not (optional and getattr(self, name) is None):
                positive(name, getattr(self, name))
        for name, choices in CHOICES.items():
            one_of(name, getattr(self, name), get_args(choices))
        factors = ("inversion_penalty", "target_penalty", "background_weight", "tolerance")
        above(0, learning_rate=self.learning_rate)
        at_least(0, **{name: getattr(self, name) for name in factors})


class SettingsOptions(ModelOptions, total=False):
    """What `tfxai.GuidedFeatureInversion` takes in place of its preset's `Settings`, and of any model."""

    inversion_steps: int
    target_steps: int
    learning_rate: float
    decay: int | None
    loss: Loss
    penalty: Penalty
    inversion_penalty: float
    target_penalty: float
    objective: Objective
    channels: Channels
    background_weight: float
    fill: Baseline
    scaling: Scaling
    align_corners: bool
    carry_optimizer_state: bool
    keep_best: bool
    patience: int | None
    tolerance: float
    base: Base


PAPER = Settings()
PRESETS: dict[Preset, Settings] = {
    "paper": PAPER,
    # https://github.com/mndu/guided-feature-inversion, where the first stage counts to 10 from 0.
    "authors": replace(
        PAPER,
        inversion_steps=11,
        target_steps=69,
        loss="relative",
        penalty="l2",
        inversion_penalty=5.0,
        target_penalty=2.0,
        scaling="after",
        align_corners=True,
        carry_optimizer_state=True,
        base="inversion",
    ),
    "tfxai": replace(
        PAPER,
        inversion_steps=3,
        target_steps=5,
        learning_rate=0.04,
        loss="relative",
        penalty="area",
        inversion_penalty=0.1,
        target_penalty=10.0,
        objective="cross_entropy",
        channels="evidence",
        base="fine",
        keep_best=True,
        patience=10,
    ),
}


def resolve(preset: Preset | Settings, changes: dict[str, Any]) -> Settings:
    """A preset, with changes; ValueError if there is none of that name."""
    if isinstance(preset, Settings):
        return replace(preset, **changes)
    if preset not in PRESETS:
        raise ValueError(f"Expected preset to be one of {list(PRESETS)} or Settings, got {preset!r}.")
    return replace(PRESETS[preset], **changes)
