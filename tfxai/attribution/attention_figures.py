"""Pictures of attention: its heads side by side, or its layers as a strip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from matplotlib.figure import Figure

from tfxai.attribution.attention import AttentionGradient, Weight
from tfxai.explanation import Explanation
from tfxai.models import open_model
from tfxai.models.attention_maps import known
from tfxai.options import InputOptions
from tfxai.plotting import plot_grid
from tfxai.types import Inputs, Model, Target

OF_VIEW = ("output", "signature")


def plot_attention(
    model: Model,
    inputs: Inputs,
    layer: str | int | None = None,
    target: Target = None,
    *,
    weight: Weight = "attention",
    query: int | None = None,
    grid: Sequence[int] | None = None,
    images: np.ndarray | Sequence[np.ndarray] | None = None,
    **options: Unpack[InputOptions],
) -> Figure:
    """What one token looks at: in each layer, or by each head of one layer.

    Parameters
    ----------
    model : keras.Model, SavedModel, callable or path
        A model with attention.
    inputs : array, tensor, dict of them, or list of str
        A few images or texts, as `Explainer.explain` takes them; each is a row, or for texts a paragraph.
    layer : str or int, optional
        Whose heads are drawn side by side, and their mean: as `tfxai.attention` calls or numbers it. Default: the mean
        of the heads of each layer, from the first to the last.
    target : None, int, str, sequence, callable or target
        The target whose gradient is taken, if ``weight`` asks for it, as `Explainer.explain` takes it.
    weight : {"attention", "attention_x_gradient", "gradient"}
        What is drawn. Default: attention as it is.
    query : int, optional
        Which token looks. Default: those that the score is read from, such as the class token.
    grid : (int, int), optional
        As for `AttentionGradient`.
    images : ndarray, or sequence of ndarray, optional
        Photographs to show instead of preprocessed inputs.
    **options
        As for `AttentionGradient`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no attention, or no such layer or token.

    Examples
    --------
    >>> import tfxai
    >>> model = tfxai.datasets.flowers.load_model(architecture="vit")
    >>> flowers, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> figure = tfxai.plot_attention(model, flowers, layer=-1)
    """
    view = open_model(model, **{name: options.pop(name) for name in OF_VIEW if name in options})  # type: ignore[misc]
    own: dict[str, Any] = {"weight": weight, "query": query, "grid": grid, **options}
    if layer is None:
        first = AttentionGradient(view, 0, **own)(inputs, target)
        names = [one.name for one in known(view, first.inputs).maps]
        others = {name: AttentionGradient(view, name, **own)(inputs, target) for name in names[1:]}
        return plot_grid({names[0]: first} | others, images)
    explanation = AttentionGradient(view, layer, **own)(inputs, target)
    if "by_head" not in explanation.extras:
        raise ValueError("Heads are drawn over one input, and the keys of this map belong to several. Leave layer out.")
    heads = {f"head {head}": _of_head(explanation, head) for head in range(explanation.extras["by_head"].shape[1])}
    return plot_grid(heads | {"all heads": explanation}, images)


def _of_head(explanation: Explanation, head: int) -> Explanation:
    values = explanation.extras["by_head"][:, head]
    return replace(
        explanation,
        values=dict.fromkeys(explanation.values, values) if isinstance(explanation.values, dict) else values,
    )
