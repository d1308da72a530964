"""How far explanations can be trusted, where nobody knows the truth: measures of faithfulness, and a verdict."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, Unpack

import numpy as np

from tfxai.checks import one_of, positive
from tfxai.explanation import Explanation
from tfxai.imputation import Fill
from tfxai.metrics.blind import centre_maps, random_maps
from tfxai.metrics.curves import Curve, curve_of
from tfxai.metrics.given import explained, maps_of
from tfxai.metrics.judge import MEASURES, Found, Judge, Setting
from tfxai.metrics.statistics import bootstrap_interval
from tfxai.options import ModelOptions
from tfxai.players import Parts
from tfxai.types import Inputs, Model, Target, Verbose

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RANDOM, CENTRE = "random map", "centre map"  # what knows nothing, beside the methods
BLIND = (RANDOM, CENTRE)
Explanations: TypeAlias = Mapping[str, Explanation | np.ndarray] | Sequence[Explanation] | Explanation


class Row(NamedTuple):
    """What one measure says of one method.

    Attributes
    ----------
    measure, method : str
    mean : float
        Over inputs.
    interval : tuple of float
        Its 95 % interval.
    gain : dict
        For each map that knows nothing, the 95 % interval of how much better the method is, input by input; it is
        better if that lies above 0.
    behind : tuple of float
        The 95 % interval of how much better the best method is; no difference is proven if it contains 0.
    rank : int
        1 for the best mean.
    """

    measure: str
    method: str
    mean: float
    interval: tuple[float, float]
    gain: dict[str, tuple[float, float]]
    behind: tuple[float, float]
    rank: int


@dataclass(frozen=True)
class TrustReport:
    """What measures say of explanations, compared with maps that know nothing.

    Attributes
    ----------
    values : dict
        Measure to method to (n,), a number for each input; "random map" and "centre map" are among the methods.
    curves : dict
        Measure to method to `Curve`, of those measures that have one.
    costs : dict
        Method to its cost in bare passes, where that was measured.
    """

    values: dict[str, dict[str, np.ndarray]]
    curves: dict[str, dict[str, Curve]]
    costs: dict[str, float] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """What was explained by, without the maps that know nothing."""
        return tuple(name for name in next(iter(self.values.values())) if name not in BLIND)

    def rows(self, measure: str) -> list[Row]:
        """What a measure says of each method and of the maps that know nothing, the best first."""
        one_of("a measure", measure, self.values)
        return self._rows[measure]

    @functools.cached_property
    def _rows(self) -> dict[str, list[Row]]:
        """Of all measures: tables, verdict and files ask for the same intervals, which are drawn but once."""
        return {measure: self._compared(measure) for measure in self.values}

    def _compared(self, measure: str) -> list[Row]:
        sign = 1 if MEASURES[measure].larger else -1
        values = {name: x.astype(np.float64) for name, x in self.values[measure].items()}
        order = sorted(values, key=lambda name: -sign * values[name].mean())
        best = values[next((name for name in order if name not in BLIND), order[0])]
        return [
            Row(
                measure,
                name,
                float(values[name].mean()),
                _interval(values[name]),
                {blind: _interval(sign * (values[name] - values[blind])) for blind in BLIND if blind in values},
                _interval(sign * (best - values[name])),
                rank,
            )
            for rank, name in enumerate(order, 1)
        ]

    def verdict(self) -> dict[str, str]:
        """For each method one sentence: by which measures it is better than maps that know nothing, and than others."""
        rows = {measure: {row.method: row for row in self.rows(measure)} for measure in self.values}
        return {name: _sentence(name, {measure: own[name] for measure, own in rows.items()}) for name in self.methods}

    def __str__(self) -> str:
        lines = []
        for measure in self.values:
            better = "larger" if MEASURES[measure].larger else "smaller"
            lines.append(f"{measure}: {MEASURES[measure].what}; {better} is better")
            cells = self.cells(measure)
            widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
            lines += ["  " + "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells]
            lines.append("")
        return "\n".join([*lines, *self.verdict().values()])

    def cells(self, measure: str) -> list[tuple[str, ...]]:
        """What a measure says, as text: a row of titles, and one for each method and map that knows nothing."""
        cells: list[tuple[str, ...]] = [("method", "mean", "95 % interval", f"better than {RANDOM}", "behind the best")]
        for row in self.rows(measure):
            gain = "" if row.method in BLIND or RANDOM not in row.gain else _ends(row.gain[RANDOM], "+")
            behind = _ends(row.behind, "+") if any(row.behind) else ""
            cells.append((row.method, f"{row.mean:.3f}", _ends(row.interval), gain, behind))
        if not self.costs:
            return cells
        costs = [f"{self.costs[name]:.3g}" if name in self.costs else "" for name, *_ in cells[1:]]
        return [(*row, cost) for row, cost in zip(cells, ["passes", *costs], strict=True)]

    def write_csv(self, file: str | PathLike) -> None:
        """The table, with all digits.

        Parameters
        ----------
        file : path
            Where to.
        """
        names = ("measure", "method", "rank", "mean", "low", "high")
        beside = [f"better_than_{blind.replace(' ', '_')}_{end}" for blind in BLIND for end in ("low", "high")]
        with open(file, "w", newline="", encoding="utf-8") as lines:
            writer = csv.writer(lines)
            writer.writerow([*names, *beside, "behind_best_low", "behind_best_high", "passes"])
            for measure in self.values:
                for row in self.rows(measure):
                    gains = [end for blind in BLIND for end in row.gain.get(blind, (None, None))]
                    cost = self.costs.get(row.method)
                    writer.writerow([measure, row.method, row.rank, row.mean, *row.interval, *gains, *row.behind, cost])

    def plot(self) -> Figure:
        """Figure of the curves, with 95 % intervals.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from tfxai.metrics.figures import plot_curves

        return plot_curves(self.curves)


def trust(
    explanations: Explanations,
    model: Model,
    inputs: Inputs | None = None,
    target: Target = None,
    *,
    measures: Sequence[str] = tuple(MEASURES),
    steps: int = 50,
    fill: Fill | None = None,
    groups: Parts = None,
    input: str | None = None,
    seed: int = 0,
    batch_size: int = 32,
    verbose: Verbose = "auto",
    **options: Unpack[ModelOptions],
) -> TrustReport:
    """How far explanations can be trusted: whether the model does what they say, compared with maps that know nothing.

    No mask or box is needed. Each measure takes parts of the inputs away and looks at the score. That is evidence, not
    proof: inputs with holes lie off the data, and measures disagree. A method that is not better than a random map by
    any measure says nothing about this model on these inputs. See the guide on trust for which measures agree with
    known truth.

    Parameters
    ----------
    explanations : dict, list of Explanation, or Explanation
        Names to explanations or arrays, or explanations, which have the names of their methods; of the same inputs and
        the same target.
    model : keras.Model, SavedModel, callable or path
        What was explained; it is not changed.
    inputs, target
        As for `tfxai.metrics.deletion`. Default: those of the first explanation.
    measures : sequence of {"deletion", "insertion", "mu_fidelity"}
        Which. Default: all of them.
    steps : int
        Of each curve, see `tfxai.metrics.deletion`. Default 50.
    fill : number, array, function, "mean", "blur", "noise", "interpolate" or "inpaint", optional
        What hides a part, see `tfxai.metrics.deletion`. Default: 0 where parts are hidden, and a blur where they are
        shown, as Petsiuk et al. (2018) have it; 0 for tables and words.
    groups, input, batch_size, verbose, **options
        As for `tfxai.metrics.deletion`.
    seed : int
        Seed of random maps and subsets.

    Returns
    -------
    TrustReport
        ``print`` it for tables and a verdict.

    Raises
    ------
    ValueError, TypeError
        If explanations, inputs or options do not fit, or there are fewer than two inputs.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=4)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> explanations = [tfxai.GradCAM(model)(images), tfxai.Saliency(model)(images)]
    >>> report = tfxai.trust(explanations, model, measures=["deletion"], steps=10)
    >>> report.methods, report.values["deletion"]["grad_cam"].shape
    (('grad_cam', 'saliency'), (4,))
    """
    given = named(explanations)
    first = next(iter(given.values()))
    inputs, target = explained(first, inputs, target)
    maps = {name: maps_of(one, input) for name, one in given.items()}
    _check_alike(given, maps)
    judge = Judge(model, measures, Setting(positive("steps", steps), fill, groups, input, seed, dict(options)))
    shape = next(iter(maps.values())).shape
    maps |= blind_maps(shape[0], _positions(shape, inputs), seed)
    found = {name: judge(values, inputs, target, batch_size, verbose) for name, values in maps.items()}
    return report(found)


def report(found: Mapping[str, Mapping[str, Found]], costs: Mapping[str, float] | None = None) -> TrustReport:
    """From method to measure to what was found, to what is said of it."""
    measures = list(next(iter(found.values())))
    values = {m: {name: MEASURES[m].read(own[m]) for name, own in found.items()} for m in measures}
    curves = {
        m: {name: curve_of(own[m]) for name, own in found.items()}
        for m in measures
        if all("shares" in own[m] for own in found.values())
    }
    return TrustReport(values, curves, dict(costs or {}))


def blind_maps(n: int, size: Sequence[int], seed: int) -> dict[str, np.ndarray]:
    """Maps that know nothing: random ones, and of what has two axes or more those of the centre."""
    centre = {CENTRE: centre_maps(n, size)} if len(size) > 1 else {}
    return {RANDOM: random_maps(n, size, seed)} | centre


def named(explanations: Explanations) -> dict[str, Explanation | np.ndarray]:
    """Explanations by name: that of their method, numbered where several are of one."""
    if isinstance(explanations, Mapping):
        given = dict(explanations)
    else:
        given = {}
        for one in [explanations] if isinstance(explanations, Explanation) else explanations:
            if not isinstance(one, Explanation):
                raise TypeError(f"Expected explanations, or a dict of names to arrays, got {type(one).__name__}.")
            again = sum(name.partition(" (")[0] == one.method for name in given)
            given[f"{one.method} ({again + 1})" if again else one.method] = one
    taken = set(given) & set(BLIND)
    if not given or taken:
        raise ValueError(f"Expected one explanation or more, by other names than {BLIND}, got {list(given)}.")
    return given


def _check_alike(given: Mapping[str, Any], maps: Mapping[str, np.ndarray]) -> None:
    lengths = {name: len(values) for name, values in maps.items()}
    if len(set(lengths.values())) > 1 or min(lengths.values()) < 2:
        raise ValueError(f"Expected explanations of the same two inputs or more, got as many as {lengths}.")
    targets = {name: np.asarray(one.target) for name, one in given.items() if isinstance(one, Explanation)}
    for name, target in targets.items():
        first = next(iter(targets))
        if not np.array_equal(target, targets[first]):
            raise ValueError(f"Expected explanations of the same target, but {first!r} and {name!r} differ in it.")


def _positions(shape: Sequence[int], inputs: Any) -> tuple[int, ...]:
    """Of the shape of values, the axes of positions: a last axis that the inputs have as their last is of channels."""
    whole = shape[1:] == np.shape(inputs)[1:] and len(shape) > 3 if hasattr(inputs, "__array__") else False
    return tuple(shape[1:-1] if whole else shape[1:])


def _sentence(name: str, rows: Mapping[str, Row]) -> str:
    def better(row: Row) -> bool:
        return all(low > 0 for low, _ in row.gain.values())

    won = [measure for measure, row in rows.items() if better(row)]
    lost = [measure for measure, row in rows.items() if any(high < 0 for _, high in row.gain.values())]
    first = [measure for measure, row in rows.items() if row.behind[0] <= 0 <= row.behind[1]]
    blind = " and ".join(one.removesuffix(" map") for one in BLIND if one in next(iter(rows.values())).gain)
    said = f"{name}: better than {blind} maps by {', '.join(won) or 'no measure'}"
    if lost:
        said += f"; worse than one of them by {', '.join(lost)}"
    return f"{said}; none of the others is better by {', '.join(first)}." if first else f"{said}."


def _interval(values: np.ndarray) -> tuple[float, float]:
    if not np.ptp(values):  # a method beside itself
        return float(values[0]) + 0.0, float(values[0]) + 0.0  # and no negative zero
    return bootstrap_interval(values, samples=2000)


def _ends(ends: tuple[float, float], sign: str = "") -> str:
    return f"{ends[0]:{sign}.3f} to {ends[1]:{sign}.3f}"
