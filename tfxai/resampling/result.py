"""What input resampling found: scores of channels, and what the best of them look at, look like and do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import tensorflow as tf

from tfxai import archive
from tfxai.checks import one_of, positive
from tfxai.display import photographs
from tfxai.explanation import Explanation
from tfxai.resampling.ablation import Ablation
from tfxai.resampling.access import ModelAccess
from tfxai.resampling.channel_scores import ChannelScores
from tfxai.resampling.patches import Projection, WayBack, reached, seen
from tfxai.resampling.scores import Metric
from tfxai.resampling.selection import ByLayer, nested, with_controls
from tfxai.targets import Rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BOTH: tuple[Metric, Metric] = ("correlation", "precision")


@dataclass(frozen=True, eq=False, repr=False)
class Resampling(ChannelScores):
    """Scores of channels as `ChannelScores`, and what needs the model: patches, heat-maps, ablation; and pictures.

    Attributes
    ----------
    channels, found, target, score, spread, inputs, classes, settings
        As for `ChannelScores`.
    explainer : InputResampling, optional
        What it came from. A file does not hold it.
    what : callable, Neuron or Channel, optional
        The target, if that is no class. A file does not hold it either.
    """

    explainer: ModelAccess | None = None
    what: Any = None

    def patches(self, metric: Metric, *, top: int = 5, projection: Projection = "receptive_field") -> ByLayer:
        """Where in the image the best channels look.

        Parameters
        ----------
        metric, top
            As for `top`.
        projection : {"receptive_field", "guided", "deconvnet_upsample", "deconvnet_switch"}
            From the site that the image excites most: what it sees, from the shapes of the network; or the box around
            what arrives of it in the image on the way back, see `project`.

        Returns
        -------
        dict
            Layer to (images, top, 4) xmin, ymin, xmax, ymax, half open, within the image; zeros where there is nothing.

        Raises
        ------
        ValueError
            If the result was loaded without an explainer.
        """
        return self.boxes(self.top(metric, top), projection=projection)

    def boxes(self, selected: ByLayer, *, projection: Projection = "receptive_field") -> ByLayer:
        """Where in the image channels look that were selected in any way, layer to (images, k); as `patches`."""
        one_of("projection", projection, get_args(Projection))
        model = self._model()
        if projection == "receptive_field":
            fields = model.fields(self.inputs, self.layers)
            return {layer: seen(fields[layer], self.peaks[layer], channels) for layer, channels in selected.items()}

        def arrived(layer: str, rows: np.ndarray, channels: np.ndarray) -> np.ndarray:
            inputs = tf.nest.map_structure(lambda x: x[rows], self.inputs)
            return model.project(inputs, layer, channels, projection).values

        return {layer: reached(channels, partial(arrived, layer)) for layer, channels in selected.items()}

    def project(
        self, layer: str, channels: int | Sequence[Any] | np.ndarray, *, projection: WayBack = "guided"
    ) -> Explanation:
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

        Raises
        ------
        ValueError
            If there is no such layer or projection, or the result was loaded without an explainer.
        """
        one_of("projection", projection, get_args(WayBack))
        self._wanted([layer])
        return self._model().project(self.inputs, layer, channels, projection)

    def ablate(
        self,
        metrics: Sequence[Metric] = BOTH,
        *,
        top: int = 5,
        layers: Sequence[str] | None = None,
        units: bool = False,
        controls: int = 5,
        seed: int = 0,
        batch_size: int = 32,
    ) -> Ablation:
        """Score the images without the channels that metrics select for them.

        The maps of the channels are set to zero, where the layers give them out, and what depends on them is computed
        anew. Random channels are as many in each layer, of those that vary over the cloud: the dead would change
        nothing.

        Parameters
        ----------
        metrics : sequence of str
            Of ``scores``.
        top : int
            How many channels of each layer.
        layers : sequence of str, optional
            In which layers, at once; default: all.
        units : bool
            Whether single units are taken away, not whole channels: of each channel the one that the image excites
            most. Their scores are those of ``spatial="peak"`` with ``sites=None``.
        controls : int
            How many random sets for each image and metric.
        seed : int
            Seed of the random sets.
        batch_size : int
            How many images at once.

        Returns
        -------
        Ablation

        Raises
        ------
        ValueError
            If there is no such layer, the target has data of each row, the scores are not of units, or the result was
            loaded without an explainer.

        Examples
        --------
        >>> import tfxai
        >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
        >>> result = tfxai.InputResampling(tfxai.datasets.flowers.load_model(), samples=20)(images, verbose=0)
        >>> result.ablate(controls=2).random["precision"].shape
        (2, 2)
        """
        wanted = self._wanted(layers)
        if isinstance(self.target, str) and self.what is None:
            raise ValueError("An ablation needs the target, and the result was loaded without it. Compute it again.")
        if isinstance(self.what, Rows):
            raise ValueError("An ablation takes classes, a unit of a layer or a function of the outputs, got Rows.")
        if units and (self.settings["spatial"], self.settings["sites"]) != ("peak", None):
            raise ValueError(
                "Units are ranked by scores of the site that excites a channel most: InputResampling(..., "
                f'spatial="peak", sites=None). These are of spatial={self.settings["spatial"]!r}, '
                f"sites={self.settings['sites']!r}."
            )
        positive("controls", controls)
        selected = [self.top(metric, top) for metric in metrics]
        removed = {
            layer: with_controls(
                [one[layer] for one in selected],
                self.found["correlation"][layer],
                [(seed, control, self.layers.index(layer)) for control in range(controls)],
            )
            for layer in wanted
        }
        ids = np.zeros(len(self), int) if isinstance(self.target, str) else self.target
        changes = self._model().score_changes(self.inputs, ids, self.what, removed, batch_size, units)
        by_metric = dict(zip(metrics, changes.reshape(len(metrics), 1 + controls, -1), strict=True))
        return Ablation(
            {metric: change[0] for metric, change in by_metric.items()},
            {metric: change[1:].T for metric, change in by_metric.items()},
        )

    def plot_patches(
        self,
        image: int = 0,
        *,
        metrics: Sequence[Metric] = BOTH,
        top: int = 5,
        layers: Sequence[str] | None = None,
        projection: Projection = "receptive_field",
        images: np.ndarray | Sequence[np.ndarray] | None = None,
    ) -> Figure:
        """The image, a column for each metric, with boxes around what the best channels look at, coloured by depth.

        Parameters
        ----------
        image : int
            Which image.
        metrics : sequence of str
            Of ``scores``.
        top : int
            How many channels of each layer.
        layers : sequence of str, optional
            Which layers; default: all. Boxes of late layers are as large as the image.
        projection : str
            As for `patches`.
        images : ndarray or sequence of ndarray, optional
            Photographs to show instead of preprocessed inputs, one for each of the result's, of any size.

        Returns
        -------
        matplotlib.figure.Figure

        Examples
        --------
        >>> import tfxai
        >>> images, _, _ = tfxai.datasets.flowers.make(n=1)
        >>> result = tfxai.InputResampling(tfxai.datasets.flowers.load_model(), samples=20)(images, verbose=0)
        >>> len(result.plot_patches(layers=("block1_relu", "block2_relu")).axes)
        2
        """
        from tfxai.resampling import figures

        one, picture, scale = self._shown(image, images)
        panels = []
        for metric in metrics:
            boxes = one.patches(metric, top=top, projection=projection)
            panels.append((figures.title(metric), {k: scale * boxes[k][0] for k in self._wanted(layers)}))
        return figures.patches(picture, panels, self.layers)

    def plot_sets(
        self,
        image: int = 0,
        *,
        metrics: tuple[Metric, Metric] = BOTH,
        top: int = 5,
        layers: Sequence[str] | None = None,
        projection: Projection = "receptive_field",
        images: np.ndarray | Sequence[np.ndarray] | None = None,
    ) -> Figure:
        """The image three times: with patches that only the first metric selects, that both do, that only the second.

        Parameters
        ----------
        image, metrics, top, layers, projection, images
            As for `plot_patches`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from tfxai.resampling import figures

        one, picture, scale = self._shown(image, images)
        first, second = map(figures.title, metrics)
        sets, panels = one.compare(*metrics, top=top).sets(), []
        for name, chosen, metric in (
            (f"only {first}", sets.only_first, metrics[0]),
            ("both", sets.both, metrics[0]),
            (f"only {second}", sets.only_second, metrics[1]),
        ):
            boxes, selected = one.patches(metric, top=top, projection=projection), one.top(metric, top)
            inside = {k: scale * boxes[k][0][np.isin(selected[k][0], chosen[k])] for k in self._wanted(layers)}
            panels.append((f"{name}: {sum(map(len, inside.values()))}", inside))
        return figures.patches(picture, panels, self.layers)

    def plot_scores(
        self,
        layer: str,
        image: int = 0,
        *,
        metrics: tuple[Metric, Metric] = BOTH,
        top: int = 5,
        images: np.ndarray | Sequence[np.ndarray] | None = None,
    ) -> Figure:
        """The channels of a layer, one score against the other, and the patches of those that each selects.

        The dashed line is the mean correlation of independent noise.

        Parameters
        ----------
        layer : str
            Which layer.
        image, metrics, top, images
            As for `plot_patches`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from tfxai.resampling import figures

        one, picture, scale = self._shown(image, images)
        self._wanted([layer])
        selected = [one.top(metric, top)[layer] for metric in metrics]
        boxes = [scale * one.boxes({layer: chosen})[layer][0] for chosen in selected]
        values = [one.scores[metric][layer][0] for metric in metrics]
        return figures.scores(picture, layer, metrics, values, [chosen[0] for chosen in selected], boxes, self.chance)

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
    def load(cls, path: str | PathLike, explainer: ModelAccess | None = None) -> Resampling:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
            The file.
        explainer : InputResampling, optional
            Of the same model, for `patches`, `project` and `ablate`.

        Returns
        -------
        Resampling

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
                explainer,
            )
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{str(path)!r} holds no result of input resampling: {error}") from error

    def _shown(self, image: int, images: Any) -> tuple[Resampling, np.ndarray, np.ndarray]:
        """One image, its picture, and (4,) how many pixels of the picture a pixel of the input is, for boxes."""
        one = self[image]
        if isinstance(one.inputs, dict) or one.inputs.ndim != 4:
            raise ValueError("Expected a model of images: patches are parts of one.")
        row = image % len(self)
        (picture,), _ = photographs(None if images is None else images[row : row + 1], one.inputs)
        across, down = np.divide(picture.shape[1::-1], one.inputs.shape[2:0:-1])
        return one, picture, np.array([across, down, across, down])

    def _wanted(self, layers: Sequence[str] | None) -> tuple[str, ...]:
        """The layers that are given, all of which there must be; all, if none are given."""
        for layer in layers or ():
            one_of("layer", layer, self.layers)
        return self.layers if layers is None else tuple(layers)

    def _model(self) -> ModelAccess:
        if self.explainer is None:
            raise ValueError(
                "This needs the model: load(path, explainer=tfxai.InputResampling(model)), with the same layers."
            )
        return self.explainer
