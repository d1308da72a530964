"""Explanations while a model trains: a callback for `keras.Model.fit`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import keras
import numpy as np
import tensorflow as tf

from tfxai import display, events, streams
from tfxai import inputs as given
from tfxai.api import named
from tfxai.checks import positive
from tfxai.classes import class_names
from tfxai.explainer import Explainer
from tfxai.explanation import Explanation, normalize
from tfxai.reading import SIGNED_KEY, read
from tfxai.scale import kept
from tfxai.scale.sources import Array as ImageArray
from tfxai.similarity import mean_correlation, ranks
from tfxai.targets import PREDICTED, parse
from tfxai.types import Array, Classes, Target

# A method's name, a class of explainer, a function from the model to an explainer, or an explainer of that model.
Source: TypeAlias = str | type[Explainer] | Callable[[keras.Model], Explainer] | Explainer

LOG = logging.getLogger("tfxai")
CELL = 96, 128  # pixels: the longest side of a picture in the grid lies between


class ExplanationCallback(keras.callbacks.Callback):
    """Explain the same images again and again while a model trains.

    Every few epochs or batches, each method explains each image. Overlays are written as one PNG and to TensorBoard,
    and the *similarity* tells how much explanations have moved: Spearman's rank correlation of an image's map with its
    previous map, averaged over the images. At 1, the order of the positions did not change.

    Training is not disturbed: the same seed gives the same weights with and without the callback. Explainers are
    compiled once, and see the weights as they are. Whatever fails (an explainer, the disk) is logged as a warning of
    the logger ``"tfxai"``, and training goes on.

    Parameters
    ----------
    images : array, tensor, or list or dict of them
        What is explained, as the model takes it: a handful, since the grid has one column for each. A list or dict
        holds the inputs of a model with several.
    explainers : str, class, callable, Explainer, or list or dict of these
        Methods: a name of `tfxai.methods`, a class of explainer, a function from the model to an explainer, such as
        ``lambda model: tfxai.GradCAM(model, layer="conv4")``, or an explainer of the model that is trained (or of one
        that shares its weights). A dict gives them titles; otherwise they go by the name of the method or function,
        and namesakes are numbered.
    every : int
        Explain after this many epochs or batches.
    unit : {"epoch", "batch"}
        What ``every`` counts.
    targets : None, int, str, sequence, callable, Neuron or Channel
        What is explained, as for `Explainer.explain`; None: the class that the model predicts at that time.
    log_dir : path, optional
        Folder for pictures and TensorBoard; it may be that of `keras.callbacks.TensorBoard`. If None, nothing is
        written.
    photographs : ndarray or sequence of ndarray, optional
        What is shown instead of preprocessed images, each (h, w) or (h, w, 3), as `display.to_display` takes them.
    classes : sequence of str or dict, optional
        Names of the classes, for captions and for targets by name, as for `Explainer`.
    input : str, optional
        Which input is shown and compared, if the model has several; default: the first with positions.
    batch_size : int
        How many inputs pass through the model at once, as for `Explainer.explain`.
    png : bool
        Write ``epoch_00000.png``, or ``batch_00001.png``, into ``log_dir``.
    tensorboard : bool
        Write TensorBoard's event file into ``log_dir``: the image ``explanations`` and the scalars
        ``similarity/<title>``. TensorFlow alone does this; the package ``tensorboard`` is for looking at it.
    maps : path, optional
        Folder in which all maps are kept, for models of one input: a shard for each epoch or batch, which
        `tfxai.scale.read` reads, with ids such as ``epoch_00003/0`` of its first image. Needs pyarrow. None: only the
        latest are there, as `explanations`.

    Attributes
    ----------
    history : dict of list
        Similarities by title: (number, value). The number is that of the epoch, from 0 as Keras gives it to callbacks,
        or of the batches trained on so far. If a further `fit` begins at epoch 0 again, counting goes on. Comparing and
        writing run beside the training; all is there when `fit` returns.
    explanations : dict of Explanation
        The latest of each title.

    Raises
    ------
    ValueError, TypeError
        For arguments that are not as described; in `fit`, before it trains, for an explainer of another model.

    Notes
    -----
    The first explanation of a method has no value, because there is none before it; "before" is the last one that
    succeeded. Maps are compared as heat-maps show them (positive part, energy, ... by the method), but not enlarged.
    A constant map, such as that of a dead ReLU, has no order of positions, so its rank correlation is not defined:
    it is left out of the mean, and the value is NaN if no image is left. To count it as 0 or 1 would be a statement
    about change that it does not support.

    Examples
    --------
    >>> import tfxai
    >>> from tfxai.datasets import flowers
    >>> images, labels, _ = flowers.make(n=12, size=32)
    >>> model = flowers.build_model(6)
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> watch = tfxai.callbacks.ExplanationCallback(images[:4], ["grad_cam"], targets=labels[:4])
    >>> _ = model.fit(images.astype("float32"), labels, epochs=3, verbose=0, callbacks=[watch])
    >>> [epoch for epoch, similarity in watch.history["grad_cam"]]
    [1, 2]
    >>> watch.explanations["grad_cam"].target
    array([3, 2, 5, 4], dtype=int32)
    """

    def __init__(
        self,
        images: Array | Sequence[Array] | Mapping[str, Array],
        explainers: Source | Sequence[Source] | Mapping[str, Source] = "grad_cam",
        *,
        every: int = 1,
        unit: Literal["epoch", "batch"] = "epoch",
        targets: Target = None,
        log_dir: str | PathLike | None = None,
        photographs: np.ndarray | Sequence[np.ndarray] | None = None,
        classes: Classes | None = None,
        input: str | None = None,
        batch_size: int = 32,
        png: bool = True,
        tensorboard: bool = True,
        maps: str | PathLike | None = None,
    ):
        super().__init__()
        if unit not in ("epoch", "batch"):
            raise ValueError(f'Expected unit to be "epoch" or "batch", got {unit!r}.')
        self.every, self.unit, self.input = positive("every", every), unit, input
        self.batch_size = positive("batch_size", batch_size)
        self.log_dir = None if log_dir is None else Path(log_dir)
        self.classes = class_names(classes)
        self.png, self.tensorboard, self.maps = png, tensorboard, None if maps is None else Path(maps)
        self.async_safe = unit == "epoch"  # the hook of batches does nothing then, and Keras need not wait for it
        if input is not None and isinstance(images, Mapping) and input not in images:
            raise ValueError(f"Expected input to be one of {list(images)}, got {input!r}.")
        self._images, count = _copied(images)
        if maps is not None and not isinstance(self._images, np.ndarray):
            raise ValueError("Expected maps=None, or images of a model of one input, which are one array.")
        asked = parse(targets, self.classes)
        if asked.count not in (None, count):
            raise ValueError(f"Expected one target for each of the {count} images, got {asked.count}.")
        predicted = asked.what is None and np.array_equal(asked.ids, PREDICTED)
        self._targets = None if predicted else asked.ids if asked.what is None else asked.what
        self._photographs = None if photographs is None else _photographs(photographs)
        if self._photographs is not None and len(self._photographs) != count:
            raise ValueError(f"Expected one photograph for each of the {count} images, got {len(self._photographs)}.")

        self._sources = _titled(explainers)
        self.history: dict[str, list[tuple[int, float]]] = {title: [] for title in self._sources}
        self.explanations: dict[str, Explanation] = {}
        self._explainers: dict[str, Explainer] | None = None
        self._order: dict[str, np.ndarray] = {}  # of the positions in the previous maps
        self._background = ThreadPoolExecutor(1, "explanations")
        self._recording: Future | None = None
        self._writer: tf.summary.SummaryWriter | None = None
        self._epochs = self._batches = self._batches_before = 0  # done; the last: when the epoch began

    def on_train_begin(self, logs: Any = None) -> None:
        if self._explainers is None and self.model.built:
            self._explainers = self._build()
        for title, explainer in (self._sources | (self._explainers or {})).items():
            if isinstance(explainer, Explainer):
                _check_model(title, explainer, self.model)
        if self.maps is not None:
            kept.begin(self.maps, {title: {} for title in self._sources}, ImageArray(self._images).facts, "maps=")

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._batches_before = self._batches

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.unit == "batch":
            before, self._batches = self._batches, self._batches_before + batch + 1
            if before // self.every < self._batches // self.every:
                self._explain(self._batches)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        number = max(epoch, self._epochs)
        self._epochs = number + 1
        if self.unit == "epoch" and self._epochs % self.every == 0:
            self._explain(number)

    def on_train_end(self, logs: Any = None) -> None:
        self._wait()
        if self.maps is not None:
            with _surviving("Shards of maps are not closed"):
                kept.end(self.maps)

    def _build(self) -> dict[str, Explainer]:
        explainers = {}
        for title, source in self._sources.items():
            with _surviving(f"{title} cannot be made for the model {self.model.name!r}, and is left out"):
                explainer = source if isinstance(source, Explainer) else source(self.model)
                if not isinstance(explainer, Explainer):
                    raise TypeError(f"Expected the function to return an Explainer, got {type(explainer).__name__}.")
                explainers[title] = explainer
        return explainers

    def _explain(self, number: int) -> None:
        """Explain all images by all methods; what follows from it is done beside the training."""
        if self._explainers is None:
            self._explainers = self._build()
        found: dict[str, Explanation] = {}
        for title, explainer in self._explainers.items():
            with _surviving(f"{title} failed at {self.unit} {number}"):
                explanation = explainer.explain(self._images, self._targets, self.batch_size, verbose=0)
                found[title] = replace(explanation, classes=self.classes or explanation.classes)
        self.explanations |= found
        self._wait()
        self._recording = self._background.submit(self._record, number, found)

    def _wait(self) -> None:
        """Until what was explained is compared and written."""
        if self._recording is not None:
            self._recording.result()

    def _record(self, number: int, explanations: dict[str, Explanation]) -> None:
        """Compare explanations with those before, and write them."""
        maps: dict[str, np.ndarray] = {}
        similarities: dict[str, float] = {}
        for title, explanation in explanations.items():
            with _surviving(f"{title} cannot be compared at {self.unit} {number}"):
                own = _maps(explanation, self._shown(explanation))
                order = ranks(own)
                if title in self._order:
                    similarities[title] = mean_correlation(self._order[title], order)
                    self.history[title].append((number, similarities[title]))
                self._order[title], maps[title] = order, own
        if self.maps is not None and explanations:
            with _surviving(f"Maps of {self.unit} {number} are not kept"):
                ids = [f"{self.unit}_{number:05}/{row}" for row in range(given.count(self._images))]
                kept.keep(self.maps, number, ids, explanations, "float16")
        if self.log_dir is not None and maps:
            self._write(self.log_dir, number, explanations, maps, similarities)

    def _shown(self, explanation: Explanation) -> str | None:
        """Name of the input that is shown."""
        if self.input is not None or not isinstance(explanation.inputs, dict):
            return self.input
        names = list(explanation.inputs)
        return next((name for name in names if explanation.inputs[name].ndim > 2), names[0])

    def _write(
        self,
        log_dir: Path,
        number: int,
        explanations: dict[str, Explanation],
        maps: dict[str, np.ndarray],
        similarities: dict[str, float],
    ) -> None:
        grid = png = None
        with _surviving(f"No picture of {self.unit} {number}"):
            grid = self._draw(number, explanations, maps, similarities)
            if grid is not None:
                png = cv2.imencode(".png", grid[..., ::-1])[1].tobytes()
        if self.png and png is not None:
            with _surviving(f"No PNG of {self.unit} {number}"):
                log_dir.mkdir(parents=True, exist_ok=True)
                (log_dir / f"{self.unit}_{number:05d}.png").write_bytes(png)
        if self.tensorboard:
            with _surviving(f"No TensorBoard events of {self.unit} {number}"):
                self._writer = self._writer or tf.summary.create_file_writer(str(log_dir))
                with self._writer.as_default(number), tf.summary.record_if(True):
                    events.summarize(grid, png, similarities)
                self._writer.flush()

    def _draw(
        self,
        number: int,
        explanations: dict[str, Explanation],
        maps: dict[str, np.ndarray],
        similarities: dict[str, float],
    ) -> np.ndarray | None:
        """A row of photographs, and one of overlays for each method; None if there is nothing to lay them over."""
        if self._photographs is None:
            title, own = next(iter(maps.items()))
            _, shown = explanations[title].of(self._shown(explanations[title]))
            if own.ndim == 3:
                (shown,) = read(explanations[title], input=self._shown(explanations[title])).inputs
                self._photographs = list(map(_fit, display.composite(shown)[0]))
            else:
                self._photographs = []
                LOG.warning(
                    "Inputs of shape %s are not images: no pictures are drawn, only similarities computed.", shown.shape
                )
        if not self._photographs:
            return None
        rows = [(f"{self.unit} {number}", self._photographs, [""] * len(self._photographs))]
        for title in maps:
            explanation = explanations[title]
            moved = f"   similarity {similarities[title]:.2f}" if title in similarities else ""
            reading = read(explanation, input=self._shown(explanation))
            captions = [
                " ".join([_sure(explanation, row), explanation.label(row), reading.notes[row].split(":")[0]])
                for row in range(len(explanation))
            ]
            overlays = [
                display.overlay(picture, one, signed=reading.signed)
                for picture, one in zip(self._photographs, reading.maps, strict=True)
            ]
            rows.append((f"{title}{moved}{f'   ({SIGNED_KEY})' if reading.signed else ''}", overlays, captions))
        return display.sheet(rows)


def _sure(explanation: Explanation, row: int) -> str:
    """How sure the model is, in few letters."""
    probability = explanation.probability(row)
    return f"{explanation.score[row]:.3g}" if probability is None else f"{100 * probability:.3g}%"


@contextlib.contextmanager
def _surviving(what: str) -> Iterator[None]:
    """Log any error, and go on."""
    try:
        yield
    except Exception as error:
        LOG.warning("%s: %s: %s", what, type(error).__name__, error)


def _copied(images: Any) -> tuple[Any, int]:
    """The user's images, safe from later changes, and their number."""
    if streams.is_stream(images):
        raise TypeError("Expected a batch of images, got a dataset. Take one: images, labels = next(iter(dataset)).")
    copy = keras.tree.map_structure(np.array, images)
    return copy, given.count(given.standardize(dict(enumerate(keras.tree.flatten(copy))), None))


def _photographs(photographs: Any) -> list[np.ndarray]:
    if isinstance(photographs, np.ndarray | tf.Tensor) and photographs.dtype != object:
        return list(map(_fit, display.to_display(np.asarray(photographs))))
    return [_fit(display.to_display(np.asarray(one)[None])[0]) for one in photographs]


def _fit(image: np.ndarray) -> np.ndarray:
    side = max(image.shape[:2])
    factor = np.clip(side, *CELL) / side
    size = [max(1, round(factor * length)) for length in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _titled(explainers: Any) -> dict[str, Any]:
    """Checked sources of explainers, by title."""
    titled: dict[str, Any] = {}
    names: list[str] = []
    if isinstance(explainers, Mapping):
        titled = {str(title): _source(one)[1] for title, one in explainers.items()}
    else:
        for one in explainers if isinstance(explainers, list | tuple) else [explainers]:
            name, source = _source(one)
            namesakes = names.count(name)
            names.append(name)
            titled[f"{name} {namesakes + 1}" if namesakes else name] = source
    if not titled:
        raise ValueError('Expected at least one explainer, such as "grad_cam", got none.')
    return titled


def _source(explainer: Any) -> tuple[str, Any]:
    """What one explainer is called, and what makes it."""
    if isinstance(explainer, str):
        method = named(explainer)
        return method.title, method.make
    if isinstance(explainer, Explainer) or (isinstance(explainer, type) and issubclass(explainer, Explainer)):
        return explainer.facts.name, explainer
    if isinstance(explainer, type) or not callable(explainer):
        raise TypeError(
            "Expected a method's name, a class of explainer, a function from the model to an explainer, or an "
            f"Explainer, got {explainer!r}."
        )
    return getattr(explainer, "__name__", type(explainer).__name__).strip("<>"), explainer


def _check_model(title: str, explainer: Explainer, model: keras.Model) -> None:
    explained = getattr(explainer.view, "model", model)
    shared = {id(variable) for variable in explained.variables} & {id(variable) for variable in model.variables}
    if explained is not model and not shared:
        raise ValueError(
            f"The explainer {title!r} was made on the model {explained.name!r}, which shares no weights with the one "
            f"that is trained, {model.name!r}. Make a new ExplanationCallback, with the method's name, its class, or a "
            f"function such as lambda model: tfxai.{type(explainer).__name__}(model)."
        )


def _maps(explanation: Explanation, input: str | None) -> np.ndarray:
    """What heat-maps show, not enlarged: (n, h, w), or (n, positions)."""
    return normalize(explanation.reduced(explanation.polarity, input))
