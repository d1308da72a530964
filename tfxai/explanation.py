"""Explanation: what an explainer found, with what it was found for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from os import PathLike
from typing import Any

import numpy as np

from tfxai import archive
from tfxai.checks import one_of
from tfxai.classes import class_names
from tfxai.maps import INTERPOLATIONS, Place, Side, stretched
from tfxai.shown import Shown
from tfxai.words import OfWords, Pieces

# How signed values with channels become one heat-map: name -> function of (..., channels).
POLARITIES = {
    "positive": lambda v: np.maximum(v.sum(-1), 0),
    "negative": lambda v: np.maximum(-v.sum(-1), 0),
    "absolute": lambda v: np.abs(v).max(-1),
    "energy": lambda v: np.sqrt(np.square(np.maximum(v, 0)).sum(-1)),
    "signed": lambda v: v.sum(-1),
}


@dataclass(frozen=True, eq=False)
class Explanation(OfWords, Shown):
    """Attributions of a batch of inputs.

    Attributes
    ----------
    values : ndarray, or dict of ndarray for models with several inputs
        float32, signed and not normalised. (n, h, w) for maps, the shape of the inputs for input attributions.
    target : ndarray or str
        (n,) class ids that were explained, or a description of the target.
    score : ndarray
        (n,) float32 scores that were explained.
    inputs : ndarray or dict of ndarray
        What the model saw.
    method : str
        Name of the method.
    polarity : {"positive", "negative", "absolute", "energy"}
        How `heatmaps` reads the signed values: evidence for the target, evidence against it, any influence, or the L2
        norm over channels of the positive part.
    classes : tuple of str, optional
        Names of the classes.
    extras : dict of ndarray
        What else is known of each input: ``probability``, of the class that is explained, where its logit is, and what
        the method computed, such as ``completeness_gap``.
    facts : dict
        What holds for the whole run: ``options``, the constructor's arguments, ``seed``, ``model`` and other facts that
        identify it, ``version``, ``tensorflow``, ``keras``; ``score`` (logit or probability), and by the method
        ``layer``, ``base``, ``modified_relus``. It can be written as JSON: arrays are described by shape, type and
        hash, functions by name.
    places : dict, optional
        Where the values lie, a `tfxai.maps.Place` for each of the inputs that they can belong to, by its name ("input",
        where there is one). None: not known; then maps are taken to cover the whole input, and channels to be last.
    texts : tuple of str, optional
        The strings that were given, if any.
    pieces : tuple of tuple of str, optional
        What the integers of each input stand for, with a space where a word begins; None for padding.
    """

    values: Any
    target: np.ndarray | str
    score: np.ndarray
    inputs: Any
    method: str = ""
    polarity: str = "positive"
    classes: tuple[str, ...] | None = None
    extras: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    places: dict[str, Place] | None = None
    texts: tuple[str, ...] | None = None
    pieces: Pieces | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.classes, tuple):
            object.__setattr__(self, "classes", class_names(self.classes))  # frozen for everyone else

    def __len__(self) -> int:
        return len(self.score)

    @property
    def uncertainty(self) -> Any:
        """Standard error of every value, of methods that average over random samples, in the structure of ``values``.

        Of `SmoothGrad`, `SquareGrad`, `VarGrad`, `GradientSHAP`, `RISE` and `KernelSHAP`, made with
        ``uncertainty=True``, and always of `PermutationSHAP`: by how much a value would typically differ, had other
        noise, masks or coalitions been drawn. It falls with the root of the number of samples, and says nothing about
        whether the method is right. For other methods it raises a ValueError.
        """
        name = "standard_error"
        found = {key.partition("/")[2]: x for key, x in self.extras.items() if key.partition("/")[0] == name}
        if not found:
            raise ValueError(
                f"The explanation by {self.method or 'this method'} has no standard errors. SmoothGrad, SquareGrad, "
                "VarGrad, GradientSHAP, RISE and KernelSHAP find them: give them uncertainty=True."
            )
        return found.get("", found)

    @property
    def parts(self) -> tuple[Explanation, ...]:
        """The explanation in parts whose inputs have one size; just itself, unless sizes differ."""
        return (self,)

    def __getitem__(self, key: int | slice) -> Explanation:
        """One input, or a slice of them, as an explanation that keeps its batch axis."""
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"There are {len(self)} explanations, so none has the number {key}.")
            key = slice(key % len(self), key % len(self) + 1)
        return replace(
            self,
            values=_each(self.values, lambda x: x[key]),
            target=self.target if isinstance(self.target, str) else self.target[key],
            score=self.score[key],
            inputs=_each(self.inputs, lambda x: x[key]),
            extras={name: x[key] for name, x in self.extras.items()},
            texts=self.texts and self.texts[key],
            pieces=self.pieces and self.pieces[key],
        )

    def __iter__(self) -> Iterator[Explanation]:
        return (self[number] for number in range(len(self)))

    def heatmaps(
        self, polarity: str | None = None, interpolation: str = "linear", input: str | None = None
    ) -> np.ndarray:
        """Heat-maps at the size of the input, each on its own scale.

        Parameters
        ----------
        polarity : {"positive", "negative", "absolute", "energy", "signed"}, optional
            Which part of the signed values is shown; default: what suits the method.
        interpolation : {"linear", "nearest", "cubic"}
            How maps smaller than the input are enlarged.
        input : str, optional
            Which input, if the model has several.

        Returns
        -------
        ndarray
            (n, h, w) float32; (n, length) for series, (n, d, h, w) for volumes and clips, (n, features) for tables. A
            map of a layer lies where its units do, and is 0 where none of them looks. In [0, 1], each scaled by its own
            minimum and maximum, so that a constant map gives zeros; ``"signed"``: in [-1, 1], each divided by its
            largest magnitude, so that zero stays zero.

        Raises
        ------
        ValueError
            For an unknown polarity, interpolation or input, or values that have no places in the input.
        """
        polarity = self.polarity if polarity is None else polarity
        maps = self.laid(polarity, interpolation, input)
        if polarity == "signed":
            return symmetric(maps)
        return normalize(np.maximum(maps, 0))  # cubic interpolation undershoots beside a peak

    def laid(self, polarity: str, interpolation: str = "linear", input: str | None = None) -> np.ndarray:
        """Values without channels at the size of the input, not scaled; parameters as for `heatmaps`."""
        one_of("interpolation", interpolation, INTERPOLATIONS)
        return self.place(input).laid(self.reduced(polarity, input), self.of(input)[1].shape[1:], interpolation)

    def reduced(self, polarity: str, input: str | None = None) -> np.ndarray:
        """Values without channels, neither enlarged nor scaled.

        Parameters
        ----------
        polarity, input
            As for `heatmaps`.

        Returns
        -------
        ndarray
            (n, ...), of the input's size or that of a layer.
        """
        one_of("polarity", polarity, POLARITIES)
        return POLARITIES[polarity](self.place(input).channels_last(self.of(input)[0]))

    def place(self, input: str | None) -> Place:
        """Where the values lie in an input, by name where there are several; ValueError if they have no places."""
        if self.places == {}:
            raise ValueError(
                f"The units of the layer {self.facts.get('layer')!r} have no places in the input, since each of them "
                "sees all of it. The values hold the map; or choose an earlier layer, or a method without layers, such "
                "as Occlusion."
            )
        return (self.places or {}).get(self._name(input)) or _guessed(*self.of(input))

    def of(self, input: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Values and data of one input.

        Parameters
        ----------
        input : str, optional
            Its name; not needed if the model has one input, or only one with positions that the values can belong to.

        Returns
        -------
        tuple of ndarray
            The values, and what the model saw.

        Raises
        ------
        ValueError
            If the model has several inputs and the name is not one of theirs.
        """
        if not isinstance(self.inputs, dict):
            return self.values, self.inputs
        name = self._name(input)
        return self.values[name] if isinstance(self.values, dict) else self.values, self.inputs[name]

    def _name(self, input: str | None) -> str:
        """The name of the input that is meant, if the values can belong to it."""
        if not isinstance(self.inputs, dict):
            return "input"
        images = [name for name, x in self.inputs.items() if x.ndim > 2]  # a map belongs to what has positions
        if isinstance(self.values, dict):
            known = list(self.values)
        elif self.places is not None:
            known = list(self.places)
        else:
            known = images if input is None and len(images) == 1 else list(self.inputs)
        if input is None and len(known) == 1:
            return known[0]
        if input is None or input not in self.inputs:
            raise ValueError(f"The model has the inputs {list(self.inputs)}; choose one by input=, got {input!r}.")
        if input not in known:
            raise ValueError(f"Expected input= to be one of {known}, to which the values belong, got {input!r}.")
        return input

    def label(self, number: int) -> str:
        """What is explained for one input, in words: the name of the class if names are known.

        Parameters
        ----------
        number : int
            Which input.

        Returns
        -------
        str
        """
        if isinstance(self.target, str):
            return self.target
        class_id = int(self.target[number])
        names, only = self.classes or (), self.facts.get("target") == "only output"
        if class_id < len(names):
            return names[class_id]
        return "output" if only else f"class {class_id}"

    def probability(self, number: int) -> float | None:
        """The probability that the model gives the class that is explained; None if it is not known.

        Parameters
        ----------
        number : int
            Which input.

        Returns
        -------
        float or None
        """
        own = self.facts.get("score") == "probability" and not isinstance(self.target, str)
        known = self.extras.get("probability", self.score if own else None)
        return None if known is None else float(known[number])

    def save(self, path: str | PathLike) -> None:
        """Write everything to a compressed ``.npz`` file, without pickles.

        Parameters
        ----------
        path : path
            Where to; ``.npz`` is added if it is missing.
        """
        archive.write(path, *self.packed())

    def packed(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a file of it holds: a header that JSON can hold, and arrays by name."""
        plain = ("method", "polarity", "classes", "facts", "texts", "pieces")
        header = {name: getattr(self, name) for name in plain} | {
            "class": type(self).__name__,
            "target": self.target if isinstance(self.target, str) else None,
            "places": None if self.places is None else {name: asdict(place) for name, place in self.places.items()},
        }
        arrays: dict[str, Any] = {"score": self.score}
        if not isinstance(self.target, str):
            arrays["target"] = self.target
        for group in ("values", "inputs", "extras"):
            content = getattr(self, group)
            named = (
                {f"{group}/{name}": x for name, x in content.items()} if isinstance(content, dict) else {group: content}
            )
            arrays.update(named)
        return header, arrays

    @classmethod
    def load(cls, path: str | PathLike) -> Explanation:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        Explanation

        Raises
        ------
        ValueError
            If the file is missing or does not hold an explanation.
        """
        try:
            header, arrays = archive.read(path)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(f"{str(path)!r} is not a saved explanation: {error}") from error
        return restored(header, arrays)

    @classmethod
    def unpacked(cls, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Explanation:
        """What `packed` was made of."""

        def group(name: str) -> Any:
            named = {key.split("/", 1)[1]: x for key, x in arrays.items() if key.startswith(f"{name}/")}
            return arrays.get(name, named)

        return cls(
            group("values"),
            arrays["target"] if header["target"] is None else header["target"],
            arrays["score"],
            group("inputs"),
            header["method"],
            header["polarity"],
            tuple(header["classes"]) if header["classes"] else None,
            group("extras"),
            header["facts"],
            _places(header.get("places")),
            header.get("texts") and tuple(header["texts"]),
            header.get("pieces") and tuple(map(tuple, header["pieces"])),
        )

    def __repr__(self) -> str:
        shape = {k: v.shape for k, v in self.values.items()} if isinstance(self.values, dict) else self.values.shape
        return f"{type(self).__name__}({self.method}, values {shape}, target {self.target!r})"


def restored(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Explanation:
    """An explanation from what its `Explanation.packed` returned, of the class that it had."""
    kinds: list[type[Explanation]] = [Explanation, *Explanation.__subclasses__()]
    known = {kind.__name__: kind for kind in kinds}
    return known.get(header.get("class", ""), Explanation).unpacked(header, arrays)


def normalize(maps: np.ndarray) -> np.ndarray:
    """Scale each map to [0, 1]. Scale-free: tiny maps are scaled like large ones, only constant ones give zeros."""
    axes = tuple(range(1, maps.ndim))
    low, high = maps.min(axes, keepdims=True), maps.max(axes, keepdims=True)
    spread = high - low
    constant = spread <= 1e-6 * np.maximum(np.abs(low), np.abs(high))
    return np.where(constant, 0, (maps - low) / np.where(constant, 1, spread)).astype(np.float32)


def symmetric(maps: np.ndarray) -> np.ndarray:
    """Divide each map by its largest magnitude; a map of zeros stays one."""
    top = np.abs(maps).max(tuple(range(1, maps.ndim)), keepdims=True)
    return (maps / np.where(top > 0, top, 1)).astype(np.float32)


def _guessed(values: np.ndarray, shown: np.ndarray) -> Place:
    """The place of values of which only the shapes are known: those of all of the input, channels last."""
    size = shown.shape[1:-1] if shown.ndim > 2 else shown.shape[1:]
    channels = (values.ndim - 1,) if values.ndim == shown.ndim > 2 else ()  # of the input, or of a layer
    own = values.shape[1 : values.ndim - len(channels)]
    if len(own) != len(size) or (shown.ndim == 2 and own != size):  # relevance at a dense layer, say
        raise ValueError(f"Values of shape {values.shape} have no places in inputs of shape {shown.shape}.")
    return replace(stretched(own, size), channels=channels)


def _places(saved: dict[str, dict] | None) -> dict[str, Place] | None:
    if saved is None:
        return None
    return {
        name: Place(tuple(Side(*side) for side in one["sides"]), tuple(one["channels"])) for name, one in saved.items()
    }


def _each(content: Any, function: Any) -> Any:
    return {name: function(x) for name, x in content.items()} if isinstance(content, dict) else function(content)
