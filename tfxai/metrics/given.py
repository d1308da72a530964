"""What metrics are given: explanations, or the maps of any other package."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfxai.explanation import Explanation
from tfxai.runner import Runner
from tfxai.types import Inputs, Target, Verbose


def maps_of(explanation: Explanation | np.ndarray, input: str | None = None) -> np.ndarray:
    """One number for each position of each input, the larger the more relevant.

    Parameters
    ----------
    explanation : Explanation or ndarray
        An explanation is read as its method is: evidence against the target is negative where the method tells it from
        evidence for it. Arrays stay as they are.
    input : str, optional
        Which input, if the model has several.

    Returns
    -------
    ndarray
        (n, ...) of the input's size.

    Raises
    ------
    TypeError, ValueError
        If it is neither, or not finite.
    """
    if isinstance(explanation, Explanation):
        polarity = "signed" if explanation.polarity == "positive" else explanation.polarity
        return explanation.laid(polarity, input=input)
    maps = np.asarray(explanation)
    if maps.dtype.kind not in "fiub":
        raise TypeError(f"Expected an explanation or an array of values, got {type(explanation).__name__}.")
    if maps.ndim < 2 or not len(maps):
        raise ValueError(f"Expected values (n, ...) of one input or more, got the shape {maps.shape}.")
    if not np.isfinite(maps).all():
        raise ValueError("Expected finite values, got NaN or infinite ones.")
    return maps.astype(np.float32, copy=False)


def explained(explanation: Any, inputs: Inputs | None, target: Target) -> tuple[Inputs, Target]:
    """Inputs and target of what is judged: those that are given, or else those of the explanation."""
    if not isinstance(explanation, Explanation):
        if inputs is None:
            raise ValueError("Expected inputs= with an array of values: what was explained.")
        return inputs, target
    if target is None:
        if isinstance(explanation.target, str):
            raise ValueError(
                f"The explanation is of {explanation.target!r}, of which it keeps the name only. Give target= again."
            )
        target = explanation.target
    return explanation.inputs if inputs is None else inputs, target


def of_all(
    runner: Runner, explanation: Any, inputs: Inputs | None, target: Target, batch_size: int, verbose: Verbose
) -> dict[str, np.ndarray]:
    """What a runner finds for all that was explained, with a row for each input."""
    inputs, target = explained(explanation, inputs, target)
    parts = [one.found for one in runner.outcomes(inputs, target, batch_size, verbose)]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
