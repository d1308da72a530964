"""What input resampling found: scores of all channels, the best of them, and how two selections agree."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfxai import archive
from tfxai.checks import positive
from tfxai.resampling.overlap import Overlap, overlap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tfxai.explanation import Explanation
    from tfxai.resampling.ablation import Ablation
    from tfxai.resampling.resampling import InputResampling

METRICS = (
    *("correlation", "partial_correlation", "precision"),
    *("activation_sum", "activation_var", "weight_sum", "weight_var"),
)
TESTED = ("correlation", "partial_correlation")

ByLayer = dict[str, np.ndarray]


class Sets(NamedTuple):
    """The selections of two metrics for one image, each a dict of layer to channels."""

    only_first: dict[str, list[int]]
    only_second: dict[str, list[int]]
    both: dict[str, list[int]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The channels that two metrics select.

    Attributes
    ----------
    metrics : tuple of str
        The first and the second.
    selected : tuple of dict
        What each selects, layer to (n, top) channels, -1 where there are fewer.
    channels : dict
        Layer to how many channels it has.
    """

    metrics: tuple[str, str]
    selected: tuple[ByLayer, ByLayer]
    channels: dict[str, int]

    def __len__(self) -> int:
        return len(next(iter(self.selected[0].values())))

    def sets(self, image: int = 0) -> Sets:
        """What only the first, only the second, and both select for one image."""
        first, second = (selected_channels(one, image) for one in self.selected)
        return Sets(
            {layer: [c for c in one if c not in second[layer]] for layer, one in first.items()},
            {layer: [c for c in one if c not in first[layer]] for layer, one in second.items()},
            {layer: [c for c in one if c in second[layer]] for layer, one in first.items()},
        )

    def overlap(self, image: int, layer: str | None = None) -> Overlap:
        """How far they agree for one image, in all layers together or in one."""
        channels = self.channels if layer is None else {layer: self.channels[layer]}
        first, second = (selected_channels(one, image) for one in self.selected)
        return overlap(first, second, channels)

    def mean(self, layer: str | None = None) -> Overlap:
        """Mean over the images of the overlap, in all layers together or in one."""
        found = np.array([self.overlap(image, layer) for image in range(len(self))])
        found = found[~np.isnan(found[:, 0])]
        return Overlap(*map(float, found.mean(0) if len(found) else [math.nan] * 6))

    def plot(self, image: int | None = None) -> Figure:
        """See `tfxai.resampling.figures.plot_overlap`."""
        from tfxai.resampling import figures

        return figures.plot_overlap(self, image)


@dataclass(frozen=True, eq=False)
class Resampling:
    """Scores of all channels of some layers, for each image.

    Attributes
    ----------
    channels : dict
        Layer to how many channels it has.
    found : dict
        All that follows, by name and layer.
    target : ndarray or str
        (n,) class ids that were explained, or a description of the target.
    score : ndarray
        (n,) of the images themselves.
    spread : ndarray
        (n,) standard deviation of the score over the cloud; 0 where it is the same for all copies.
    inputs : ndarray or dict
        What the model saw.
    classes : tuple of str, optional
        Names of the classes.
    settings : dict
        Of the cloud and of the scores.
    """

    channels: dict[str, int]
    found: dict[str, ByLayer]
    target: np.ndarray | str
    score: np.ndarray
    spread: np.ndarray
    inputs: Any
    classes: tuple[str, ...] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    method: InputResampling | None = None
    what: Any = None

    def __len__(self) -> int:
        return len(self.score)

    def __getitem__(self, key: int | slice) -> Resampling:
        """One image, or a slice of them, with its batch axis."""
        if not isinstance(key, slice):
            if not -len(self) <= key < len(self):
                raise IndexError(f"There are {len(self)} images, no number {key}.")
            key = slice(key % len(self), key % len(self) + 1)
        cut = {name: {layer: x[key] for layer, x in group.items()} for name, group in self.found.items()}
        inputs = {k: x[key] for k, x in self.inputs.items()} if isinstance(self.inputs, dict) else self.inputs[key]
        target = self.target if isinstance(self.target, str) else self.target[key]
        return replace(self, found=cut, target=target, score=self.score[key], spread=self.spread[key], inputs=inputs)

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.channels)

    @property
    def scores(self) -> dict[str, ByLayer]:
        """Metric to layer to (n, channels); NaN for channels that have no such score."""
        return {metric: self.found[metric] for metric in METRICS if metric in self.found}

    @property
    def p_values(self) -> dict[str, ByLayer]:
        """Metric to layer to (n, channels): how often a permuted output correlates as much; needs permutations."""
        return {metric: self.found[f"p_{metric}"] for metric in TESTED if f"p_{metric}" in self.found}

    @property
    def activity(self) -> ByLayer:
        """Layer to (n, channels): size of the mean activation over sites and copies."""
        return self.found["activity"]

    @property
    def peaks(self) -> ByLayer:
        """Layer to (n, channels, axes): where the image excites a channel most."""
        return self.found["peak"]

    @property
    def maps(self) -> dict[str, ByLayer]:
        """ "correlation" (signed) and "variance" to layer to (n, ..., channels), of every site; needs ``maps=True``."""
        return {name: self.found[f"map_{name}"] for name in ("correlation", "variance") if f"map_{name}" in self.found}

    @property
    def chance(self) -> float:
        """Mean size of the correlation of independent noise, sqrt(2 / (pi n)); of the mean over sites, too."""
        return math.sqrt(2 / (math.pi * self.settings["n"]))

    def top(self, metric: str, n: int = 5) -> ByLayer:
        """The channels with the highest scores.

        Parameters
        ----------
        metric : str
            One of ``scores``.
        n : int
            How many of each layer. Default 5 (authors' code).

        Returns
        -------
        dict
            Layer to (images, n) channels, the best first, of equals the first; -1 where there are fewer.

        Raises
        ------
        ValueError
            For an unknown metric; for weights, if a layer has no kernel of its own.
        """
        by_layer = self._of(metric)
        return {layer: ranked(scores, positive("n", n)) for layer, scores in by_layer.items()}

    def compare(self, first: str = "correlation", second: str = "precision", n: int = 5) -> Comparison:
        """The channels that two metrics select, and how far they agree.

        Parameters
        ----------
        first, second : str
            Two of ``scores``.
        n : int
            How many channels of each layer.

        Returns
        -------
        Comparison
        """
        return Comparison((first, second), (self.top(first, n), self.top(second, n)), self.channels)

    def patches(self, metric: str, n: int = 5, projection: str = "receptive_field") -> ByLayer:
        """Where in the image the best channels look.

        Parameters
        ----------
        metric, n
            As for `top`.
        projection : {"receptive_field", "deconvnet_upsample", "deconvnet_switch", "guided"}
            From the site that the image excites most: what it sees, from the shapes of the network; or the box around
            what arrives of it in the image on the way back, see `project`.

        Returns
        -------
        dict
            Layer to (images, n, 4) xmin, ymin, xmax, ymax, half open, within the image; zeros where there is nothing.

        Raises
        ------
        ValueError
            If the result was loaded without a model.
        """
        from tfxai.resampling import patches

        return patches.boxes(self, self.top(metric, n), projection)

    def project(self, layer: str, channels: Any, projection: str = "guided") -> Explanation:
        """Heat-maps of single channels: the way back of the strongest site into the image.

        Parameters
        ----------
        layer : str
            The layer.
        channels : int or array
            A channel, one for each image, or (n, k), which makes n * k heat-maps.
        projection : {"guided", "deconvnet_upsample", "deconvnet_switch"}
            Guided backpropagation; the authors' deconvnet, which is that with max-pooling undone by repetition; or
            that of Zeiler and Fergus (2013).

        Returns
        -------
        Explanation
        """
        from tfxai.resampling import patches

        return patches.project(self, layer, channels, projection)

    def ablate(self, metrics: tuple[str, ...] = ("correlation", "precision"), n: int = 5, **options: Any) -> Ablation:
        """Change of the score without the best channels; see `tfxai.resampling.ablation.ablate`."""
        from tfxai.resampling.ablation import ablate

        return ablate(self, metrics, n, **options)

    def to_dataframe(self) -> Any:
        """A pandas table with a row for each image, layer and channel; ImportError without pandas."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("A table of scores needs pandas: pip install pandas. Or use result.scores.") from error
        columns = self.scores | {f"p_{metric}": x for metric, x in self.p_values.items()} | {"activity": self.activity}
        tables = [
            pandas.DataFrame(
                {
                    "image": np.repeat(np.arange(len(self)), count),
                    "layer": layer,
                    "channel": np.tile(np.arange(count), len(self)),
                    **{name: x[layer].ravel() for name, x in columns.items() if layer in x},
                }
            )
            for layer, count in self.channels.items()
        ]
        return pandas.concat(tables, ignore_index=True)

    def save(self, path: str | PathLike) -> None:
        """Write everything but the model to a ``.npz`` file, without pickles."""
        header: dict[str, Any] = {"channels": self.channels, "classes": self.classes, "settings": self.settings}
        header["target"] = self.target if isinstance(self.target, str) else None
        arrays: dict[str, Any] = {
            f"found/{name}/{layer}": x for name, group in self.found.items() for layer, x in group.items()
        }
        arrays |= {"score": self.score, "spread": self.spread}
        if header["target"] is None:
            arrays["target"] = self.target
        several = isinstance(self.inputs, dict)
        arrays |= {f"inputs/{name}": x for name, x in self.inputs.items()} if several else {"inputs": self.inputs}
        archive.write(path, header, arrays)

    @classmethod
    def load(cls, path: str | PathLike, method: InputResampling | None = None) -> Resampling:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
            The file.
        method : InputResampling, optional
            Of the same model, for `patches`, `project` and `ablate`.

        Raises
        ------
        ValueError
            If the file is missing or holds no such result.
        """
        try:
            header, arrays = archive.read(path)
            inputs = {name[7:]: x for name, x in arrays.items() if name.startswith("inputs/")}
            return cls(
                header["channels"],
                nested({name[6:]: x for name, x in arrays.items() if name.startswith("found/")}),
                arrays["target"] if header["target"] is None else header["target"],
                arrays["score"],
                arrays["spread"],
                inputs or arrays["inputs"],
                tuple(header["classes"]) if header["classes"] else None,
                header["settings"],
                method,
            )
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{str(path)!r} holds no result of input resampling: {error}") from error

    def _of(self, metric: str) -> ByLayer:
        if metric not in METRICS:
            raise ValueError(f"Expected a metric, one of {METRICS}, got {metric!r}.")
        missing = [layer for layer in self.channels if layer not in self.found.get(metric, {})]
        if missing:
            raise ValueError(
                f"The layers {missing[:3]} have no kernel of their own, of which {metric} could be taken: none, or "
                "several, make their channels. Give layers=[...] without them."
            )
        return self.found[metric]


def ranked(scores: np.ndarray, n: int) -> np.ndarray:
    """(images, n) numbers of the highest scores, the best first, of equals the first; -1 instead of NaN."""
    missing = np.isnan(scores)
    order = np.argsort(np.where(missing, np.inf, -scores), axis=1, kind="stable")[:, :n]
    order = np.where(np.take_along_axis(missing, order, 1), -1, order)
    return np.pad(order, ((0, 0), (0, n - order.shape[1])), constant_values=-1)


def selected_channels(selected: Mapping[str, np.ndarray], image: int) -> dict[str, list[int]]:
    """Layer to the channels that are selected for one image."""
    return {layer: [c for c in channels[image].tolist() if c >= 0] for layer, channels in selected.items()}


def nested(flat: Mapping[str, np.ndarray]) -> dict[str, ByLayer]:
    """Arrays called "name/layer" as name to layer to array."""
    found: dict[str, ByLayer] = defaultdict(dict)
    for key, array in flat.items():
        name, layer = key.split("/", 1)
        found[name][layer] = array
    return dict(found)
