"""How an explanation is read by the eye: which of its signs are shown, and what is said about the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfxai.display import channels_last, saturate
from tfxai.explanation import Explanation

NEGLIGIBLE = 0.01  # of the largest positive value: a negative one of this size has no colour
SIGNED_KEY = "blue speaks against, red for it"


@dataclass(frozen=True)
class Reading:
    """An explanation as it is drawn.

    Attributes
    ----------
    maps : list of ndarray
        For each input (h, w), (d, h, w), (length,) or (features,) in [0, 1], or signed in [-1, 1].
    signed : bool
        Whether both signs are shown, on one scale.
    notes : list of str
        For each input what one must know to read its map: that it is empty, or what is not shown; or nothing.
    inputs : list of ndarray
        What the model saw, in batches of one size, the channels last.
    """

    maps: list[np.ndarray]
    signed: bool
    notes: list[str]
    inputs: list[np.ndarray]


def read(
    explanation: Explanation, polarity: str | None = None, percentile: float = 99.0, input: str | None = None
) -> Reading:
    """Decide how an explanation is shown.

    Values that speak for and against the target are shown signed. Class activation maps are shown as their papers do,
    by their positive part; if what is left out is larger than what is shown, a note says so.

    Parameters
    ----------
    explanation : Explanation
        Of any method.
    polarity : {"positive", "negative", "absolute", "energy", "signed"}, optional
        What is shown; default: what suits the method.
    percentile : float
        Of the magnitudes, where the last colour is reached.
    input : str, optional
        Which input, if the model has several.

    Returns
    -------
    Reading

    Examples
    --------
    >>> import tfxai
    >>> from tfxai.reading import read
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> read(tfxai.Occlusion(tfxai.datasets.flowers.load_model())(images)).signed
    True
    """
    parts = explanation.parts
    ends = [(float(one.min()), float(one.max())) for part in parts for one in part.reduced("signed", input)]
    if polarity is None:
        polarity = explanation.polarity
        if polarity == "positive" and not explanation.facts.get("rectified"):
            both = any(low < -NEGLIGIBLE * max(high, 0) for low, high in ends)
            polarity = "signed" if both else polarity
    batches = [saturate(part.heatmaps(polarity, input=input), percentile) for part in parts]
    inputs = [channels_last(part.of(input)[1], maps.shape[1:]) for part, maps in zip(parts, batches, strict=True)]
    maps = [one for batch in batches for one in batch]
    notes = [_note(polarity, bool(one.any()), *own) for one, own in zip(maps, ends, strict=True)]
    return Reading(maps, polarity == "signed", notes, inputs)


def _note(polarity: str, anything: bool, low: float, high: float) -> str:
    """What one map does not tell, with the smallest and the largest value of its input."""
    shown, hidden = {"positive": (high, -low), "negative": (-low, high)}.get(polarity, (0, 0))
    notes = []
    if not anything:
        zero = low == high == 0
        nothing = polarity in ("positive", "negative") and shown <= 0 and not zero
        same = "zero" if zero else "the same"
        what = (
            f"nothing speaks {'for' if polarity == 'positive' else 'against'} it" if nothing else f"{same} everywhere"
        )
        notes.append(f"empty: {what}")
    if hidden > max(shown, 0):
        part = f"negative part, down to {low:.3g}," if polarity == "positive" else f"positive part, up to {high:.3g},"
        notes.append(f'{part} not shown: polarity="signed"')
    return "; ".join(notes)
