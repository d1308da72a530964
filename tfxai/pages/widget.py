"""The page of explanations as a widget of notebooks, by the optional package anywidget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from tfxai.checks import positive
from tfxai.metrics.curves import Curve
from tfxai.neurons.interpretation import Interpretation
from tfxai.pages.page import Shown, page
from tfxai.pages.parts import file


def widget(
    explanations: Shown | Sequence[Shown] | Mapping[str, Shown],
    images: np.ndarray | Sequence[np.ndarray] | None = None,
    *,
    curves: Curve | Sequence[Curve] | None = None,
    title: str = "What does the model look at?",
    names: Sequence[str] | None = None,
    detail: int | None = None,
    input: str | None = None,
    interpretation: Interpretation | None = None,
    height: int = 720,
    state: str = "",
) -> Any:
    """The page of `tfxai.page` in a notebook that shows widgets, such as JupyterLab and marimo.

    Parameters
    ----------
    explanations : Explanation, sequence of them, or dict of them by title
        As for `tfxai.page`, like all that is not named here.
    images : ndarray, or sequence of ndarray, optional
        Photographs to show instead of preprocessed inputs.
    curves : Curve or sequence of Curve, optional
        What `tfxai.metrics.deletion` gives, one for each explanation.
    title : str
        Heading of the page.
    names : sequence of str, optional
        What the inputs are called.
    detail : int, optional
        Values along the longer side of maps that are kept.
    input : str, optional
        Which input is shown, if the model has several.
    interpretation : Interpretation, optional
        Average images of relevant features.
    height : int
        Of the widget, in pixels: what is longer is scrolled. Default 720.
    state : str
        What is chosen at first, as the address of a page has it after its name: ``"#image=2&signs=for"``.

    Returns
    -------
    anywidget.AnyWidget
        Its ``state`` is what the reader sees, and may be set, observed or linked to other widgets; ``html`` and
        ``height`` may be set too.

    Raises
    ------
    ImportError
        If anywidget is not installed: ``pip install "tfxai[widget]"``.
    ValueError, TypeError
        As `tfxai.page`.

    Examples
    --------
    >>> import tfxai
    >>> images, _, _ = tfxai.datasets.flowers.make(n=2)
    >>> explanation = tfxai.GradCAM(tfxai.datasets.flowers.load_model())(images)
    >>> tfxai.widget(explanation, state="#image=2").state  # doctest: +SKIP
    '#image=2'
    """
    make = _class()  # before the page, which may take long
    positive("height", height)
    html = page(
        explanations,
        images,
        curves=curves,
        title=title,
        names=names,
        detail=detail,
        input=input,
        interpretation=interpretation,
    )
    return make(html=html, state=state, height=height)


@cache
def _class() -> Any:
    """Made when it is needed: nothing else needs anywidget."""
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise ImportError(
            'widget() needs anywidget: pip install "tfxai[widget]". Without it, tfxai.page(..., path="page.html") '
            "writes the same as a file."
        ) from error

    class PageWidget(anywidget.AnyWidget):
        _esm = file("widget.js")
        html = traitlets.Unicode().tag(sync=True)
        state = traitlets.Unicode().tag(sync=True)
        height = traitlets.Int(720).tag(sync=True)

        def __repr__(self) -> str:  # what is printed where widgets are not shown
            return f"PageWidget(state={self.state!r}, height={self.height})"

    return PageWidget
