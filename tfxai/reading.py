"""How an explanation is read by the eye: which of its signs are shown, and what is said about the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tfxai.display import channels_last, last_colour, saturate
from tfxai.explanation import Explanation, normalize, symmetric

NEGLIGIBLE = 0.01  # of the largest positive value: a negative one of this size has no colour
SIGNED_KEY = "blue speaks against the target, red for it"


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
    ends : list of (float, float)
        For each input the values at the first and the last colour.
    """

    maps: list[np.ndarray]
    signed: bool
    notes: list[str]
    inputs: list[np.ndarray]
    ends: list[tuple[float, float]]


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
    signed = polarity == "signed"
    batches: list[np.ndarray] = []
    reached: list[tuple[float, float]] = []
    for part in parts:
        laid = part.laid(polarity, input=input)
        scaled = symmetric(laid) if signed else normalize(laid)
        batches.append(saturate(scaled, percentile))
        shares = last_colour(scaled, percentile).reshape(-1)
        reached += [_ends(own, float(share), signed) for own, share in zip(laid, shares, strict=True)]
    inputs = [channels_last(part.of(input)[1], maps.shape[1:]) for part, maps in zip(parts, batches, strict=True)]
    maps = [one for batch in batches for one in batch]
    notes = [_note(polarity, bool(one.any()), *own) for one, own in zip(maps, ends, strict=True)]
    return Reading(maps, signed, notes, inputs, reached)


def _ends(values: np.ndarray, share: float, signed: bool) -> tuple[float, float]:
    """The values of one map at the first and the last colour, which is reached at a share of the largest."""
    if signed:
        top = share * float(np.abs(values).max())
        return -top, top
    low = float(values.min())
    return low, low + share * (float(values.max()) - low)


def scored(explanation: Explanation, row: int) -> str:
    """How sure the model is: the probability where it is known, which everyone can read, and the score.

    Parameters
    ----------
    explanation : Explanation
        Of any method.
    row : int
        Which input.

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> from tfxai.reading import scored
    >>> x, score = np.zeros((1, 2)), np.array([18.2])
    >>> scored(tfxai.Explanation(x, np.array([0]), score, x, extras={"probability": np.array([0.973])}), 0)
    '97.3 %, score 18.2'
    >>> scored(tfxai.Explanation(x, np.array([0]), score, x), 0)
    'score 18.2'
    """
    probability, score = explanation.probability(row), f"score {explanation.score[row]:.3g}"
    if probability is None:
        return score
    share = f"{100 * probability:.3g} %"
    return share if explanation.facts.get("score") == "probability" else f"{share}, {score}"


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
