"""Pictures of players: regions in two colours beside bars that sum up, a strip of forces, a square of interactions."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tfxai.checks import positive
from tfxai.display import AGAINST_TO_FOR, INK, overlay, to_display
from tfxai.explanation import Explanation
from tfxai.figure_parts import bare
from tfxai.groups import different
from tfxai.table_figures import AGAINST, FOR, VISIBLE, Panel, draw_bars

SIDE, WIDE = 3.0, 4.2  # inches: of a picture, and of the bars beside it
NARROW = 0.07  # of a strip, below which a force has no room for its name
DARK = 0.6  # share of the strongest value, from which colours are so dark that text on them is white
EDGE = (60, 60, 60)  # between regions


def plot_players(
    explanation: Explanation,
    images: np.ndarray | Sequence[np.ndarray] | None = None,
    *,
    top: int = 8,
    input: str | None = None,
) -> Figure:
    """Each image with its players in two colours, and bars of what the strongest of them count.

    Red speaks for what is explained, blue against it; numbers name the players. For methods whose values sum to what
    the score gains from all players, bars lead from the score of none to that of all.

    Parameters
    ----------
    explanation : Explanation
        Of images, by a method of `tfxai.coalitions` whose players are regions or patches.
    images : ndarray or sequence of ndarray, optional
        Photographs to show instead of preprocessed inputs.
    top : int
        How many players are named; the rest is one bar. Default 8.
    input : str, optional
        Which input, if the model has several.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        For explanations of no images, or without players.

    Examples
    --------
    >>> import tfxai
    >>> flowers, _, _ = tfxai.datasets.flowers.make(n=1)
    >>> explanation = tfxai.KernelSHAP(tfxai.datasets.flowers.load_model(), budget=98)(flowers)
    >>> figure = tfxai.plot_players(explanation)
    """
    shares, shown = _shares(explanation), explanation.of(input)[1]
    places = explanation.extras.get("player_of")
    if places is None or places.ndim != 3 or len(shown.shape) != 4:
        raise ValueError(
            "Expected an explanation of images whose players are regions or patches. For tables and words, "
            "plot_force() draws players, and explanation.plot() each position."
        )
    positive("top", top)
    pictures = to_display(shown) if images is None else [to_display(np.asarray(one)[None])[0] for one in images]
    rows = len(explanation)
    figure, cells = plt.subplots(
        rows,
        2,
        squeeze=False,
        layout="constrained",
        figsize=(SIDE + WIDE, rows * (SIDE + 0.4)),
        width_ratios=[SIDE, WIDE],
    )
    for row, (left, right) in enumerate(cells):
        own, values = places[row], shares[row]
        order = np.argsort(-np.abs(values), kind="stable")[:top]
        order = order[values[order] != 0]
        strongest = np.abs(values).max() or 1.0
        left.imshow(_outlined(pictures[row], (values / strongest)[own], own))
        height, width = pictures[row].shape[:2]
        for player in order:
            i, j = _middle(own == player)
            at = (j + 0.5) * width / own.shape[1], (i + 0.5) * height / own.shape[0]
            colour = "w" if abs(values[player]) > DARK * strongest else INK
            left.annotate(str(player), at, ha="center", va="center", fontsize=7, color=colour)
        bare(left, explanation.label(row))
        draw_bars(right, _panel(explanation, row, [str(player) for player in range(len(values))], order))
    return figure


def plot_force(
    explanation: Explanation, features: Sequence[str] | None = None, *, rows: Sequence[int] | int = 0
) -> Figure:
    """A strip for each input: what pushes the score up meets what pushes it down.

    Red players lead from the left up to the score, blue ones from the right down to it; they meet at the score, and the
    score if nobody takes part is marked.

    Parameters
    ----------
    explanation : Explanation
        By a method of `tfxai.coalitions` whose values sum to the gain of the score, such as `KernelSHAP`.
    features : sequence of str, optional
        Names of the players. Default: the pieces of words where they are known, else numbers.
    rows : int or sequence of int
        Which inputs. Default the first.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        For explanations whose values do not sum to anything, or names that do not fit.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> explainer = tfxai.ShapleyValues(lambda x: x @ np.array([[2.0], [-1], [3]], "float32"))
    >>> figure = tfxai.plot_force(explainer(np.ones((1, 3)), 0), ["age", "height", "weight"])
    """
    shares = _shares(explanation)
    chosen = np.atleast_1d(rows)
    if not _sums_up(explanation, chosen):
        raise ValueError(
            f"The values of {explanation.method} do not sum to the gain of the score, as forces must. Those of "
            "ShapleyValues, KernelSHAP, PermutationSHAP and PartitionSHAP do."
        )
    figure, cells = plt.subplots(len(chosen), squeeze=False, layout="constrained", figsize=(9, 1.5 * len(chosen) + 0.3))
    for cell, row in zip(cells[:, 0], chosen, strict=True):
        names = _names(explanation, int(row), features, shares.shape[1])
        start, score = float(explanation.extras["absent"][row]), float(explanation.score[row])
        _draw_forces(cell, shares[row], names, start, score)
        cell.set_title(explanation.label(int(row)), fontsize=10, color=INK, parse_math=False)
    return figure


def plot_interactions(
    explanation: Explanation, features: Sequence[str] | None = None, *, row: int = 0, top: int = 14
) -> Figure:
    """A square of what pairs of players add together beyond what each adds alone, with their values on the diagonal.

    Red pairs do more together than alone, blue ones less, as two parts do when one would be enough.

    Parameters
    ----------
    explanation : Explanation
        By `ShapleyValues`.
    features : sequence of str, optional
        Names of the players. Default: the pieces of words where they are known, else numbers.
    row : int
        Which input. Default the first.
    top : int
        How many players are drawn, those with the largest values or interactions. Default 14, all.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        For explanations without interactions, or names that do not fit.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> explainer = tfxai.ShapleyValues(lambda x: x.prod(1, keepdims=True))
    >>> figure = tfxai.plot_interactions(explainer(np.ones((1, 3)), 0), ["age", "height", "weight"])
    """
    if "interactions" not in explanation.extras:
        raise ValueError(f"The explanation by {explanation.method} has no interactions. ShapleyValues finds them.")
    shares, pairs = _shares(explanation)[row], explanation.extras["interactions"][row]
    names = _names(explanation, row, features, len(shares))
    square = pairs + np.diag(shares)
    order = np.sort(np.argsort(-np.abs(square).max(0), kind="stable")[: positive("top", top)])
    square = square[np.ix_(order, order)]
    reach = np.abs(square).max() or 1.0
    side = 0.42 * len(order) + 1.6
    figure, cell = plt.subplots(layout="constrained", figsize=(side + 0.8, side))
    image = cell.imshow(square, cmap=AGAINST_TO_FOR, vmin=-reach, vmax=reach)
    for i, j in np.ndindex(square.shape):
        strong = abs(square[i, j]) > DARK * reach
        text = f"{square[i, j]:.2g}" if abs(square[i, j]) >= 0.005 * reach else "0"
        weight = "bold" if i == j else "normal"
        cell.text(j, i, text, ha="center", va="center", fontsize=7, color="w" if strong else INK, fontweight=weight)
    shown = [names[player] for player in order]
    cell.set_xticks(range(len(order)), shown, fontsize=8, color=INK, rotation=90, parse_math=False)
    cell.set_yticks(range(len(order)), shown, fontsize=8, color=INK, parse_math=False)
    cell.tick_params(length=0)
    for spine in cell.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=cell, shrink=0.8)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7, colors=INK)
    cell.set_title(
        f"{explanation.label(row)}: values, and interactions of pairs", fontsize=9, color=INK, parse_math=False
    )
    return figure


def _shares(explanation: Explanation) -> np.ndarray:
    if "players" not in explanation.extras:
        raise ValueError(
            f"The explanation by {explanation.method or 'this method'} has no players. ShapleyValues, KernelSHAP and "
            "the other methods of tfxai.coalitions do."
        )
    return explanation.extras["players"]


def _sums_up(explanation: Explanation, rows: np.ndarray) -> bool:
    """Whether values lead from the score of none to that of all, but for what is not seen."""
    if "absent" not in explanation.extras:
        return False
    gap, change = (explanation.extras["completeness_gap"], explanation.score - explanation.extras["absent"])
    return bool((np.abs(gap) <= VISIBLE * np.abs(change))[rows].all())


def _names(explanation: Explanation, row: int, features: Sequence[str] | None, count: int) -> list[str]:
    """What players are called."""
    if features is None:
        pieces = None if explanation.pieces is None else explanation.pieces[row]
        if pieces is not None and len(pieces) == count:
            word_of = explanation.extras["player_of"][row] if "player_of" in explanation.extras else range(count)
            words = [""] * count
            for word, piece in zip(word_of, pieces, strict=True):
                words[word] += piece or ""
            return [word.strip() for word in words]
        return [f"player {number}" for number in range(count)]
    if isinstance(features, str) or len(features) != count:
        raise ValueError(f"Expected features= to name each of {count} players, got {features!r}.")
    return different([str(name) for name in features])


def _panel(explanation: Explanation, row: int, names: list[str], order: np.ndarray) -> Panel:
    """The players of this order and one for the rest, which begin at the score of none where values sum up."""
    values = _shares(explanation)[row]
    rest = np.delete(values, order)
    shown, told = list(values[order]), [f"player {names[player]}" for player in order]
    if rest.any():
        others = np.count_nonzero(rest)
        shown, told = [*shown, rest.sum()], [*told, "1 other" if others == 1 else f"{others} others"]
    start = explanation.extras.get("absent")
    score = float(explanation.score[row])
    begins = None if start is None else float(start[row])
    return Panel(f"score {score:.3g}", told, np.array(shown), score, begins, ("nobody", "all"))


def _outlined(picture: np.ndarray, values: np.ndarray, players: np.ndarray) -> np.ndarray:
    """A picture under signed values of regions, with lines between these."""
    height, width = picture.shape[:2]
    own = cv2.resize(players.astype(np.int32), (width, height), interpolation=cv2.INTER_NEAREST)
    found = cv2.resize(values.astype(np.float32), (width, height), interpolation=cv2.INTER_NEAREST)
    drawn = overlay(picture, found, signed=True)
    edge = np.zeros(own.shape, bool)
    edge[:-1] |= own[:-1] != own[1:]
    edge[:, :-1] |= own[:, :-1] != own[:, 1:]
    drawn[edge] = (0.6 * drawn[edge] + 0.4 * np.array(EDGE)).astype(np.uint8)
    return drawn


def _middle(region: np.ndarray) -> tuple[int, int]:
    """The place of a region that is farthest from its border, where its number can be read."""
    inside = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    i, j = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(i), int(j)


def _draw_forces(cell: Axes, values: np.ndarray, names: Sequence[str], start: float, score: float) -> None:
    """Forces from the strongest, at the score where they meet, outwards."""
    total = np.abs(values).sum() or 1.0
    ends = [score, score]
    for side, (sign, colour) in enumerate(((1, FOR), (-1, AGAINST))):
        own = np.flatnonzero(sign * values > 0)
        own = own[np.argsort(-np.abs(values[own]), kind="stable")]
        for number, player in enumerate(own):
            width = abs(values[player])
            left = ends[side] - width if sign > 0 else ends[side]
            cell.barh(0, width, left=left, height=0.5, color=colour, alpha=1 - 0.45 * (number % 2), linewidth=0)
            if width > NARROW * total:
                text = f"{names[int(player)]}\n{values[player]:+.3g}"
                cell.text(left + width / 2, -0.33, text, ha="center", va="top", fontsize=8, color=INK, parse_math=False)
            ends[side] -= sign * width
    reach = [*ends, start, score]
    room = 0.06 * ((max(reach) - min(reach)) or 1)
    for place, text in ((score, f"score {score:.3g}"), (start, f"nobody: {start:.3g}")):
        cell.plot([place, place], [-0.28, 0.34], color=INK, linewidth=1)
        cell.text(place, 0.38, text, ha="center", va="bottom", fontsize=8, color=INK)
    cell.set_xlim(min(reach) - room, max(reach) + room)
    cell.set_ylim(-0.85, 0.75)
    cell.set_yticks([])
    cell.tick_params(axis="x", labelsize=8, colors=INK)
    for spine in ("top", "right", "left"):
        cell.spines[spine].set_visible(False)
    cell.spines["bottom"].set_color(INK)
