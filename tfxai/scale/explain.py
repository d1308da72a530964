"""Explain: from inputs to rows of a table; made of strings and numbers, so any engine can send it to its workers."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import Any, TypedDict

import keras
import numpy as np

from tfxai import api, images
from tfxai.checks import one_of, positive
from tfxai.custom import custom_objects
from tfxai.explainer import Explainer
from tfxai.explanation import Explanation
from tfxai.inputs import standardize
from tfxai.models import ModelView, open_model
from tfxai.models.predict import input_shape
from tfxai.outcome import NoSuchClass, NotFinite
from tfxai.scale.packing import STORES, Store
from tfxai.scale.rows import COLUMNS, Found, gathered
from tfxai.scale.wanted import column_of, wanted
from tfxai.types import Score


class ExplainOptions(TypedDict, total=False):
    """The options of `Explain`."""

    target: int | str | None
    classes: Sequence[str] | None
    layer: str | None
    score: Score | None
    preprocess: str
    crop: float | None
    size: Sequence[int] | None
    batch_size: int
    store: Store
    model_output: str | int | None
    signature: str | None
    custom_objects: Sequence[str]


class Explain:
    """From a batch of inputs to rows of a table: what all engines run, Ray, Beam and Spark among them.

    It pickles as strings and numbers. The model is loaded at the first call, in the process that calls.

    Parameters
    ----------
    path : path
        A .keras or .h5 file, or the folder of a SavedModel.
    methods : str or sequence of str
        As for `tfxai.explain`, with options if needed: ``"rise:masks=500"``.
    target : None, int or str
        Which class; None: the predicted one. ``"column:label"``: the one that the column "label" of the source gives
        for each input, by number or by name.
    classes : sequence of str, optional
        Names of the classes.
    layer : str, optional
        The layer, for methods that take one.
    score : {"logit", "probability", "auto"}, optional
        As for `tfxai.Explainer`.
    preprocess : str
        How images are preprocessed, as for `tfxai.images.prepare`. Arrays are taken as they are.
    crop : float, optional
        Which share of each image is taken, as for `tfxai.images.centre`. Default: all of it.
    size : (int, int), optional
        Height and width of images, for models that take any.
    batch_size : int
        How many inputs pass through the model at once.
    store : {"float16", "uint8", "float32"}
        How maps are stored, see `tfxai.scale.packing.pack`.
    model_output, signature : str, optional
        Which output of the model, and which signature of a SavedModel.
    custom_objects : sequence of str
        ``"module:name"`` of your own classes and functions that the model needs.

    Raises
    ------
    ValueError, TypeError
        For methods or options that do not exist.

    Examples
    --------
    >>> import pickle, tempfile, numpy as np, keras
    >>> from tfxai.scale import Explain
    >>> pooled = keras.layers.GlobalAveragePooling2D()
    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), pooled, keras.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.keras")
    ...     explain = pickle.loads(pickle.dumps(Explain(f"{folder}/model.keras", "grad_cam")))
    ...     rows = explain({"id": ["a", "b"], "input": np.ones((2, 8, 8, 3))})
    >>> rows["id"].tolist(), rows["map"][0].shape, rows["error"].tolist()
    (['a', 'b'], (36,), ['', ''])
    """

    def __init__(
        self,
        path: str | PathLike[str],
        methods: str | Sequence[str] = "grad_cam",
        *,
        target: int | str | None = None,
        classes: Sequence[str] | None = None,
        layer: str | None = None,
        score: Score | None = None,
        preprocess: str = "none",
        crop: float | None = None,
        size: Sequence[int] | None = None,
        batch_size: int = 32,
        store: Store = "float16",
        model_output: str | int | None = None,
        signature: str | None = None,
        custom_objects: Sequence[str] = (),
    ):
        self.path = fspath(path)
        self.methods = (methods,) if isinstance(methods, str) else tuple(methods)
        if target is not None and not isinstance(target, int | np.integer | str):
            raise TypeError(f"Expected target to be None, a class or its name, the same for all, got {target!r}.")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ValueError(f"Expected size as height and width, got {size!r}.")
        images.preprocessing(preprocess)  # errors now, and not in each image
        if crop is not None:
            images.middle((1, 1), crop)
        one_of("store", store, STORES)
        self.options: dict[str, Any] = {
            "target": int(target) if isinstance(target, np.integer) else target,
            "classes": None if classes is None else [str(name) for name in classes],
            "layer": layer,
            "score": score,
            "preprocess": preprocess,
            "crop": None if crop is None else float(crop),
            "size": None if size is None else [int(side) for side in size],
            "batch_size": positive("batch_size", batch_size),
            "store": store,
            "model_output": model_output,
            "signature": signature,
            "custom_objects": list(custom_objects),
        }
        self.named = self._named()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "methods": self.methods, "options": self.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.named = self._named()

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Explain a batch of columns.

        Parameters
        ----------
        batch : mapping of str to sequence
            ``id``, texts, and ``input``: arrays as the model takes them, encoded images as bytes, or paths of images.
            And the column of targets, if there is one.

        Returns
        -------
        dict of str to ndarray
            The columns of `tfxai.scale.read`, and ``error``: empty, or why an input could not be explained.
        """
        columns = ["id", "input", *([self.column] if self.column else [])]
        if missing := sorted(set(columns) - set(batch)):
            raise ValueError(f"Expected a batch with the columns {columns}; {missing} is missing.")
        ids, inputs, targets, failed = [], [], [], {}
        for name, *given in zip(map(str, batch["id"]), *(batch[one] for one in columns[1:]), strict=True):
            try:
                target = self.wanted(*given[1:])
                inputs.append(self.prepare(given[0]))
                ids.append(name)
                targets.append(target)
            except (ValueError, TypeError, OSError) as error:
                failed[name] = str(error)
        found = self.explain(ids, inputs, targets) if ids else Found({name: [] for name in COLUMNS}, {}, {})
        failed |= found.failed
        rows = found.columns | {"error": [""] * len(found.columns["id"])}
        nothing: dict[str, Any] = {
            "method": "",
            "label": "",
            "map": np.zeros(0, np.float16),
            "shape": np.zeros(0, np.int32),
            "features": None,
            "contributions": None,
        }
        for name, reason in failed.items():
            row = dict.fromkeys(COLUMNS, np.nan) | nothing | {"id": name, "target": -1, "error": reason}
            for column, value in row.items():
                rows[column].append(value)
        return {name: _column(values) for name, values in rows.items()}

    def prepare(self, given: Any) -> np.ndarray:
        """One input as the model takes it, without a batch axis, from an array, an encoded image, or its path.

        Raises
        ------
        ValueError, TypeError, OSError
            If it cannot be explained.
        """
        if isinstance(given, Exception):
            raise given
        if isinstance(given, str | bytes | PathLike):
            pixels = images.decode(given) if isinstance(given, bytes) else images.read(given)
            size, channels = self.takes_images
            if self.options["crop"] is not None:
                pixels = images.centre(pixels, self.options["crop"], size)
            return images.prepare([pixels], size, channels, self.options["preprocess"])[0]
        row = np.asarray(given)
        if row.dtype.kind == "f" and not np.isfinite(row).all():
            raise ValueError("It holds NaN or infinite values.")
        if row.shape == self._shape and np.can_cast(row.dtype, np.float32):
            return row  # explainers make floats of a whole batch at once, which costs less
        return standardize(row[None], self.view.takes)[0]  # type: ignore[index]

    def wanted(self, said: Any = None) -> int | str | None:
        """The class that is explained: the same for all, or what a column says of an input; ValueError for no class."""
        return wanted(said, self.options["classes"]) if self.column else self.options["target"]

    def explain(
        self, ids: Sequence[str], inputs: Sequence[np.ndarray], targets: Sequence[int | str | None] | None = None
    ) -> Found:
        """Explain a batch of what `prepare` and `wanted` made.

        If one of them has no finite explanation, or the model has no such class, each is tried alone.
        """
        batch = np.stack(inputs)
        classes = np.array(targets) if self.column else None
        fails = (NotFinite, NoSuchClass) if self.column else NotFinite
        failed: dict[str, str] = {}
        try:
            groups = [(list(ids), self._explained(batch, classes))]
        except fails:
            groups = []
            for row, name in enumerate(ids):
                one = slice(row, row + 1)
                try:
                    groups.append(([name], self._explained(batch[one], None if classes is None else classes[one])))
                except fails as error:
                    failed[name] = str(error)
        return gathered(groups, self.options["store"], failed)

    @property
    def column(self) -> str | None:
        """The column that says which class of an input is explained; None: all targets are one."""
        return column_of(self.options["target"])

    @functools.cached_property
    def view(self) -> ModelView:
        """The model."""
        options = self.options
        with keras.saving.custom_object_scope(custom_objects(options["custom_objects"])):
            view = open_model(self.path, options["model_output"], options["signature"])
        if len(view.inputs or ()) > 1:
            raise ValueError(f"Expected a model of one input; this one takes {list(view.inputs or ())}.")
        return view

    @functools.cached_property
    def explainers(self) -> dict[str, Explainer]:
        """By the titles of their methods."""
        options = self.options
        common = {"score": options["score"]} if options["score"] else {}
        return {
            title: one.preset(**common, **({"layer": options["layer"]} if one.takes("layer") else {})).make(
                self.view, classes=options["classes"]
            )
            for title, one in self.named.items()
        }

    @functools.cached_property
    def _shape(self) -> tuple[int | None, ...] | None:
        """The shape of an input, where the model takes floats and says so."""
        (spec,) = (self.view.takes or {"input": None}).values()
        return tuple(spec.shape[1:]) if spec is not None and spec.shape.rank and spec.dtype.is_floating else None

    @functools.cached_property
    def takes_images(self) -> tuple[tuple[int, int], int]:
        """Size and channels of its images."""
        (height, width), channels = input_shape(self.view)
        rows, columns = self.options["size"] or (height, width)
        if rows is None or columns is None:
            raise ValueError(
                "The model takes images of any size: give size=(height, width), or --size, for all of them."
            )
        if (height or rows, width or columns) != (rows, columns):
            raise ValueError(f"The model takes images of {height} x {width}, got size={rows, columns}. Leave it out.")
        return (rows, columns), channels

    def open(self, images: bool) -> None:
        """Load the model and make the explainers now: threads find them, and errors are not those of an input."""
        _ = self.explainers
        if images:
            _ = self.takes_images

    @property
    def at_once(self) -> int:
        """How many inputs make a batch."""
        return self.view.batch_size or self.options["batch_size"]

    def _named(self) -> dict[str, api.Named]:
        if not self.methods:
            raise ValueError("Expected at least one method, such as 'grad_cam'.")
        found = [api.named(text) for text in self.methods]
        named = {one.title: one for one in found}
        if len(named) < len(found):
            raise ValueError(f"Expected different methods, got {[one.title for one in found]}.")
        if self.options["layer"] is not None and not any(one.takes("layer") for one in found):
            raise ValueError(f"Leave out layer= (--layer): none of the methods {list(named)} takes one.")
        return named

    def _explained(self, batch: np.ndarray, own: np.ndarray | None) -> dict[str, Explanation]:
        target, size = self.options["target"] if own is None else own, self.options["batch_size"]
        return {title: one.explain(batch, target, size, 0) for title, one in self.explainers.items()}


def _column(values: Sequence[Any]) -> np.ndarray:
    """A column for engines: of arrays or texts an array of objects, else of numbers."""
    if values and isinstance(values[0], int | float):
        return np.array(values)
    found = np.empty(len(values), object)
    for row, value in enumerate(values):  # at once, NumPy would look into arrays
        found[row] = value
    return found
