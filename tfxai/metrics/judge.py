"""Measures that need nothing but the model, by name, each traced once for all explanations of one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from tfxai.checks import one_of
from tfxai.choices import MEASURES as WORDS
from tfxai.imputation import Fill
from tfxai.metrics.curves import Ordered, curve_of
from tfxai.metrics.hiding import Hiding
from tfxai.metrics.subsets import Subsets
from tfxai.models import ModelView, open_model
from tfxai.players import Parts
from tfxai.similarity import rank_correlation
from tfxai.types import Inputs, Model, Target, Verbose

Found: TypeAlias = dict[str, np.ndarray]


@dataclass(frozen=True)
class Setting:
    """What measures are taken with, see `trust`."""

    steps: int = 50
    fill: Fill | None = None
    groups: Parts = None
    input: str | None = None
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    def ordered(self, view: ModelView, insert: bool = False, fill: Fill = 0.0) -> Hiding:
        fill = fill if self.fill is None else self.fill
        own = {"score": "auto"} | self.options
        return Ordered(view, self.steps, insert=insert, fill=fill, groups=self.groups, input=self.input, **own)

    def subsets(self, view: ModelView) -> Hiding:
        fill = 0.0 if self.fill is None else self.fill
        groups = "patches" if self.groups is None else self.groups
        return Subsets(view, [0.2], 200, seed=self.seed, fill=fill, groups=groups, input=self.input, **self.options)


class Measure(NamedTuple):
    """One number for each input.

    Attributes
    ----------
    make : callable
        From a model, a setting and whether inputs can be blurred to what computes it.
    read : callable
        From what that found to (n,).
    larger : bool
        Whether larger is better.
    what : str
        In words.
    """

    make: Callable[[ModelView, Setting, bool], Hiding]
    read: Callable[[Found], np.ndarray]
    larger: bool
    what: str


def _area(found: Found) -> np.ndarray:
    return curve_of(found).area


MEASURES: dict[str, Measure] = {
    "deletion": Measure(lambda view, given, _: given.ordered(view), _area, False, WORDS["deletion"]),
    "insertion": Measure(
        lambda view, given, images: given.ordered(view, insert=True, fill="blur" if images else 0.0),
        _area,
        True,
        WORDS["insertion"],
    ),
    "mu_fidelity": Measure(
        lambda view, given, _: given.subsets(view),
        lambda found: rank_correlation(found["mass"], found["drops"]),
        True,
        WORDS["mu_fidelity"],
    ),
}


class Judge:
    """Measures of explanations of one model, each traced once.

    Parameters
    ----------
    model : Model
        What is explained.
    measures : sequence of str
        Of `MEASURES`.
    setting : Setting
        How they are taken.
    """

    def __init__(self, model: Model, measures: Sequence[str], setting: Setting):
        for name in measures:
            one_of("a measure", name, MEASURES)
        self.measures, self.setting = tuple(dict.fromkeys(measures)), setting
        outside = {key: setting.options[key] for key in ("output", "signature") if key in setting.options}
        self.view = open_model(model, **outside)
        self._runners: dict[tuple[str, bool], Hiding] = {}

    def __call__(
        self, values: np.ndarray, inputs: Inputs, target: Target, batch_size: int, verbose: Verbose
    ) -> dict[str, Found]:
        """For each measure what is found, with a row for each input."""
        found = {}
        for name in self.measures:
            key = name, values.ndim > 2
            if key not in self._runners:
                self._runners[key] = MEASURES[name].make(self.view, self.setting, values.ndim > 2)
            found[name] = self._runners[key].judged(values, inputs, target, batch_size, verbose)
        return found
