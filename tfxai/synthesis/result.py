"""Synthesis: the images that were made, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

from tfxai import archive
from tfxai.synthesis import figures
from tfxai.synthesis.box import Box

ARRAYS = ("images", "score", "steps", "probability", "codes", "frames")


class Examples(Protocol):
    """The data that excite a channel most, such as `tfxai.examples_for` finds."""

    @property
    def crops(self) -> np.ndarray:
        """(k, h, w, 3) uint8, the strongest first."""


@dataclass(frozen=True, eq=False)
class Synthesis:
    """Images that excite a part of a model.

    Attributes
    ----------
    images : ndarray
        (n, h, w, c) float32, as the model takes them.
    score : ndarray
        (n,) what the objective is for them, none of them being moved.
    labels : list of str
        What was sought in each.
    steps : ndarray
        (n,) how many steps each has made.
    history : dict
        ``"objective"``, each prior, ``"weight_decay"``, ``"expert"`` and their sum, ``"total"``: (n, steps), costs
        below 0; after an image has stopped, its last ones.
    box : Box
        The bounds of the pixels.
    probability : ndarray, optional
        (n,) of the class that was sought.
    codes : ndarray, optional
        (n, ...) from which a generator makes the images.
    frames : ndarray, optional
        (f, n, h, w, c) intermediate images, the first before any step.
    frame_steps : list of int
        After how many steps.
    """

    images: np.ndarray
    score: np.ndarray
    labels: list[str]
    steps: np.ndarray
    history: dict[str, np.ndarray]
    box: Box
    probability: np.ndarray | None = None
    codes: np.ndarray | None = None
    frames: np.ndarray | None = None
    frame_steps: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def pixels(self) -> np.ndarray:
        """(n, h, w, 3) uint8, the images as a screen shows them."""
        return self.box.pixels(self.images)

    def plot(self, columns: int = 5, examples: Sequence[Examples] | None = None) -> Figure:
        """Figure of all images, with what was sought and what was reached.

        Parameters
        ----------
        columns : int
            How many images stand side by side.
        examples : sequence of AverageImage, optional
            For each image what `tfxai.examples_for` found, to be shown beside it.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            Unless there are examples for each image.
        """
        if examples is not None:
            return figures.beside(self.pixels, self.labels, [one.crops for one in examples])
        reached = (
            [f"score {score:.3g}" for score in self.score]
            if self.probability is None
            else [f"p = {probability:.3g}" for probability in self.probability]
        )
        titles = [f"{label}\n{text}" for label, text in zip(self.labels, reached, strict=True)]
        return figures.sheet(self.pixels, titles, columns)

    def plot_history(self) -> Figure:
        """Figure of the terms of the total over the steps, a line for each image.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return figures.history(self.history)

    def save_gif(self, path: str | PathLike, seconds: float = 5.0) -> None:
        """Write the intermediate images, side by side, as an animated GIF.

        Parameters
        ----------
        path : path
            Where to.
        seconds : float
            How long one turn takes; the last image stays for another second.

        Raises
        ------
        ValueError
            If no intermediate images were kept.
        """
        if self.frames is None:
            raise ValueError("There are no intermediate images. Give ActivationMaximization frames=, such as 10.")
        figures.save_gif([np.hstack(list(self.box.pixels(frame))) for frame in self.frames], path, seconds)

    def save(self, path: str | PathLike) -> None:
        """Write everything to a compressed ``.npz`` file, without pickles.

        Parameters
        ----------
        path : path
            Where to; ``.npz`` is added if it is missing.
        """
        header = {
            "labels": self.labels,
            "frame_steps": self.frame_steps,
            "way": self.box.way,
            "reverse": self.box.reverse,
        }
        arrays = {name: getattr(self, name) for name in ARRAYS if getattr(self, name) is not None}
        arrays |= {f"history/{name}": values for name, values in self.history.items()}
        archive.write(path, header, arrays | {"low": self.box.low, "high": self.box.high})

    @classmethod
    def load(cls, path: str | PathLike) -> Synthesis:
        """Read what `save` wrote.

        Parameters
        ----------
        path : path
            The file.

        Returns
        -------
        Synthesis

        Raises
        ------
        ValueError
            If the file is missing or holds something else.
        """
        try:
            header, arrays = archive.read(path)
            box = Box(arrays.pop("low"), arrays.pop("high"), header["way"], header["reverse"])
            history = {name.partition("/")[2]: x for name, x in arrays.items() if name.startswith("history/")}
            kept = {name: arrays[name] for name in ARRAYS if name in arrays}
            return cls(labels=header["labels"], frame_steps=header["frame_steps"], box=box, history=history, **kept)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{str(path)!r} is not a saved synthesis: {error}") from error

    def __repr__(self) -> str:
        return f"Synthesis(images {self.images.shape}, {', '.join(dict.fromkeys(self.labels))})"
