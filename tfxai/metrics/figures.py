"""Pictures of measures."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from tfxai.display import INK
from tfxai.metrics.curves import Curve
from tfxai.metrics.statistics import bootstrap_interval

SIZE = (4.2, 3.2)  # inches, of one cell
DASHED = ("random map", "centre map")


def plot_curves(curves: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Mean curves with their 95 % intervals, one cell for each measure.

    Parameters
    ----------
    curves : mapping
        Measure to method to `Curve`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there are none.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> model = tfxai.datasets.flowers.load_model()
    >>> curve = tfxai.metrics.deletion(model, tfxai.GradCAM(model)(images), steps=5)
    >>> figure = tfxai.metrics.plot_curves({"deletion": {"grad_cam": curve}})
    """
    if not curves:
        raise ValueError("Expected the curves of one measure or more, got none: deletion and insertion have them.")
    figure = Figure((SIZE[0] * len(curves), SIZE[1] + 0.6), layout="constrained")
    cells = figure.subplots(1, len(curves), squeeze=False)[0]
    for cell, (measure, own) in zip(cells, curves.items(), strict=True):
        for number, (name, curve) in enumerate(own.items()):
            mean, shares = curve.scores.mean(0), curve.shares.mean(0)
            colour, style = (INK, ("--", ":")[DASHED.index(name)]) if name in DASHED else (f"C{number}", "-")
            cell.plot(shares, mean, color=colour, ls=style, lw=1.4, label=f"{name}  {curve.area.mean():.3f}")
            if len(curve) > 1:
                ends = np.transpose([bootstrap_interval(column, samples=500) for column in curve.scores.T])
                cell.fill_between(shares, *ends, color=colour, alpha=0.13, lw=0)
        cell.set_title(measure, fontsize=10, color=INK)
        cell.set_xlabel("share " + ("shown" if measure == "insertion" else "hidden"), fontsize=8.5, color=INK)
        cell.set_ylabel("score", fontsize=8.5, color=INK)
        cell.tick_params(labelsize=8, colors=INK)
        cell.spines[["top", "right"]].set_visible(False)
        cell.set_xlim(0, 1)
        cell.legend(fontsize=7.5, frameon=False, title="area under the curve", title_fontsize=7.5)
    return figure
