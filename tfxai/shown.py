"""How an explanation is shown: as a figure, as a page, and in notebooks."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Shown:
    """The part of an `tfxai.Explanation` that the eye sees. What draws is imported when it is called."""

    def plot(self: Any, images: np.ndarray | None = None, **options: Any) -> Figure:
        """Figure with a row for each input: the image with its heat-map, coloured words, or bars with names of tables.

        Series are drawn as lines with their values below, volumes by the slice of largest values along each axis.

        Parameters
        ----------
        images : ndarray, optional
            Photographs to show instead of preprocessed inputs, (n, h, w, 3) or (n, h, w), of any size.
        **options
            As for `tfxai.plot_grid`, which draws where `plot` does not have the option. For tables: ``features``,
            ``groups`` and ``input`` as for `tfxai.tables.Table`, ``rows`` and ``top`` as for its ``plot_bars``;
            ``series=True`` if the columns are steps of a series.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from tfxai import plotting

        return plotting.plot(self, images, **options)

    def to_html(self: Any, path: str | PathLike | None = None, images: np.ndarray | None = None, **options: Any) -> str:
        """One HTML file to explore, which opens anywhere without a network: `tfxai.page` of this explanation.

        Parameters
        ----------
        path : path, optional
            Where to write it as well.
        images : ndarray, optional
            Photographs to show instead of preprocessed inputs, (n, h, w, 3) or (n, h, w), of any size.
        **options
            As for `tfxai.page`, which also shows several explanations side by side.

        Returns
        -------
        str
            The page.

        Examples
        --------
        >>> import tfxai
        >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
        >>> html = tfxai.Occlusion(tfxai.datasets.flowers.load_model())(images).to_html(names=["one", "two"])
        >>> html[:15]
        '<!doctype html>'
        """
        from tfxai.pages.page import page

        return page(self, images, path=path, **options)

    def _repr_html_(self: Any) -> str | None:
        """For notebooks: words on coloured backgrounds, bars of tables, or small pictures; None shows the repr."""
        from tfxai.pages.notebook import small

        return small(self)
