"""Explanations of tables, by the names of their features: bars of one row, all rows at a glance, a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from tfxai import table_figures
from tfxai.brief import brief
from tfxai.checks import positive
from tfxai.explanation import Explanation
from tfxai.groups import Groups, column_names, different, partition
from tfxai.reading import scored

MAX_ROWS = 16


@dataclass(frozen=True, eq=False)
class Summary:
    """What features do over all rows, the most influential first.

    Attributes
    ----------
    features : tuple of str
        Their names.
    magnitude : ndarray
        (features,) the mean of the magnitude of their values.
    mean : ndarray
        (features,) the mean of their values; near zero where a feature speaks for the target as often as against it.
    """

    features: tuple[str, ...]
    magnitude: np.ndarray
    mean: np.ndarray

    __repr__ = brief


class Table:
    """An explanation of a table with names, and with columns put together.

    Parameters
    ----------
    explanation : Explanation
        Of rows of numbers, by any method that gives each of them a value.
    features : sequence of str or DataFrame, optional
        Names of the columns, or a table that has them. Default "feature 0" and so on; for a model with an input for
        each column, the names of the inputs, and of categories that its layers make from strings.
    groups : mapping of str to sequence of int or str, optional
        Columns that are one feature, by number or name, ``{"colour": [3, 4, 5]}``: their values are summed. Default:
        the categories that layers of the model make from one column.
    input : str, optional
        Which of several inputs is the table. Default: all that are tables, side by side.

    Attributes
    ----------
    features : tuple of str
        Names, of groups too.
    values : ndarray
        (n, features) the values, those of a group summed.
    start : ndarray or None
        (n,) score of the baseline, if the method compares with one so that its values sum to the change of the score.

    Raises
    ------
    ValueError
        If the explanation is not of a table, or names or groups do not fit it.

    Examples
    --------
    >>> import numpy as np, tfxai
    >>> explainer = tfxai.Occlusion(lambda x: x @ np.array([[2.0], [-1], [3]], "float32"))
    >>> explanation = explainer(np.ones((2, 3)), target=0)
    >>> table = tfxai.tables.Table(explanation, ["age", "red", "blue"], groups={"colour": ["red", "blue"]})
    >>> table.features, table.values[0]
    (('age', 'colour'), array([2., 2.], dtype=float32))
    """

    def __init__(
        self,
        explanation: Explanation,
        features: Sequence[str] | Any = None,
        groups: Groups | None = None,
        input: str | None = None,
    ):
        parts = _tables(explanation, input)
        columns = np.concatenate([values for _, values, _ in parts], 1)
        self.explanation = explanation
        self._categories = explanation.facts.get("categories", {})
        sizes = [(name, values.shape[1]) for name, values, _ in parts]
        self._names = column_names(features, sizes, self._categories)
        if features is None and groups is None:
            groups = _of_inputs(sizes, self._categories)
        self._data = np.concatenate([data for _, _, data in parts], 1)
        self._parts = partition(groups, self._names)
        self.features = tuple(name for name, _ in self._parts)
        self.values = np.stack([columns[:, own].sum(1) for _, own in self._parts], 1)
        different(self.features)
        every = explanation.values.values() if isinstance(explanation.values, dict) else [explanation.values]
        total = sum(values.reshape(len(explanation), -1).sum(1) for values in every)
        others = isinstance(explanation.values, dict) and len(explanation.values) > len(parts)
        self._elsewhere = total - columns.sum(1) if others else np.zeros_like(total)  # what an image beside it has
        gap = explanation.extras.get("completeness_gap")
        self.start = None if gap is None else explanation.score - total + gap

    def __len__(self) -> int:
        return len(self.explanation)

    def __repr__(self) -> str:
        return f"Table({self.explanation.method}, {len(self)} rows, {len(self.features)} features)"

    def summary(self) -> Summary:
        """What each feature does over all rows.

        Returns
        -------
        Summary
            Sorted, the largest magnitude first.

        Examples
        --------
        >>> import numpy as np, tfxai
        >>> explanation = tfxai.Occlusion(lambda x: x - x.mean(1, keepdims=True))(np.eye(3), target=0)
        >>> tfxai.tables.Table(explanation, ["a", "b", "c"]).summary().features[0]
        'a'
        """
        order = self._order()
        magnitude, mean = np.abs(self.values).mean(0), self.values.mean(0)
        return Summary(tuple(self.features[i] for i in order), magnitude[order], mean[order])

    def to_dataframe(self) -> Any:
        """All values as a pandas DataFrame, a line for each row and feature.

        ``frame.pivot(index="row", columns="feature", values="value")`` has a line for each row.

        Returns
        -------
        pandas.DataFrame
            With the columns ``row``, ``explained`` (the class or target), ``score``, ``feature``, ``input`` (the
            feature's own value; of a group, the name of the column that is on) and ``value``.

        Raises
        ------
        ImportError
            If pandas is not installed, which nothing else here needs.

        Examples
        --------
        .. code-block:: python

            frame = tfxai.tables.Table(explanation, rows.columns).to_dataframe()
            frame.groupby("feature")["value"].mean()
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError(
                "to_dataframe() needs pandas: pip install pandas. Without it, Table.values has the values, and "
                "Table.features the names of its columns."
            ) from error
        n, count = self.values.shape
        return pandas.DataFrame(
            {
                "row": np.repeat(np.arange(n), count),
                "explained": np.repeat([self.explanation.label(row) for row in range(n)], count),
                "score": np.repeat(self.explanation.score, count),
                "feature": list(self.features) * n,
                "input": [self._own(row, feature) for row in range(n) for feature in range(count)],
                "value": self.values.ravel(),
            }
        )

    def told(self, row: int, top: int = 12) -> list[tuple[str, float]]:
        """The features of a row with their own values, and what each speaks for (above 0) or against.

        Parameters
        ----------
        row : int
            Which row.
        top : int
            How many features are named, those with the largest values first; the rest count as one.

        Returns
        -------
        list of (str, float)

        Examples
        --------
        >>> import numpy as np, tfxai
        >>> explanation = tfxai.Occlusion(lambda x: x * x)(np.eye(3), target=0)
        >>> tfxai.tables.Table(explanation, ["a", "b", "c"]).told(0, top=1)
        [('a = 1', 1.0), ('2 other features', 0.0)]
        """
        values = self.values[row]
        order = np.argsort(-np.abs(values), kind="stable")
        told = []
        for feature in order[:top]:
            own = self._own(row, feature)
            text = f"{own:.4g}" if isinstance(own, float) else own
            told.append((self.features[feature] + (f" = {text}" if text else ""), float(values[feature])))
        if rest := len(order[top:]):
            told.append((f"{rest} other feature{'s' if rest > 1 else ''}", float(values[order[top:]].sum())))
        if self.start is not None and self._elsewhere.any():
            told.append(("other inputs", float(self._elsewhere[row])))
        return told

    def plot_bars(self, rows: int | Sequence[int] | None = None, top: int = 12) -> Figure:
        """What pushed the score of a row up, and what down.

        Beside each name stands the feature's own value. Where the values sum to the change of the score, each bar
        begins where the one above ends, from the score of the baseline to that of the row. Else all begin at zero.

        Parameters
        ----------
        rows : int or sequence of int, optional
            Which rows. Default all, at most 16.
        top : int
            How many features have a bar; the rest share one.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            For rows that do not exist, or too many.

        Examples
        --------
        >>> import numpy as np, tfxai
        >>> explanation = tfxai.Occlusion(lambda x: x * x)(np.eye(3), target=0)
        >>> figure = tfxai.tables.Table(explanation, ["a", "b", "c"]).plot_bars(0)
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['a = 1', 'b = 0', 'c = 0']
        """
        panels = [self._panel(row, positive("top", top)) for row in self._chosen(rows)]
        method = self.explanation.method
        what = "value" if self.start is None else "score, and what each feature adds to it"
        return table_figures.bars(panels, f"{what} ({method})")

    def plot_beeswarm(self, top: int = 16) -> Figure:
        """The values of all rows: a line of points for each feature, coloured by the feature's own value.

        Parameters
        ----------
        top : int
            How many features, those with the largest mean magnitude.

        Returns
        -------
        matplotlib.figure.Figure

        Examples
        --------
        >>> import numpy as np, tfxai
        >>> explanation = tfxai.Occlusion(lambda x: x * x)(np.random.default_rng(0).normal(size=(9, 3)), target=0)
        >>> len(tfxai.tables.Table(explanation).plot_beeswarm(top=2).axes[0].collections)
        2
        """
        order = self._order()[: positive("top", top)]
        names = [self.features[feature] for feature in order]
        own = [self._numbers(feature) for feature in order]
        return table_figures.beeswarm(names, self.values[:, order], own, self._meaning(len(order)))

    def plot_summary(self, top: int = 16) -> Figure:
        """How much each feature does over all rows, by the mean magnitude of its values; a dot has their mean.

        Parameters
        ----------
        top : int
            How many features.

        Returns
        -------
        matplotlib.figure.Figure

        Examples
        --------
        >>> import numpy as np, tfxai
        >>> explanation = tfxai.Occlusion(lambda x: x * x)(np.eye(3), target=0)
        >>> figure = tfxai.tables.Table(explanation, ["a", "b", "c"]).plot_summary()
        >>> [round(float(bar.get_width()), 2) for bar in figure.axes[0].patches]
        [0.33, 0.0, 0.0]
        """
        all = self.summary()
        names = all.features[: positive("top", top)]
        shown = len(names)
        return table_figures.summary(names, all.magnitude[:shown], all.mean[:shown], self._meaning(shown))

    def _order(self) -> np.ndarray:
        """Numbers of the features, those with the largest mean magnitude first."""
        return np.argsort(-np.abs(self.values).mean(0), kind="stable")

    def _chosen(self, rows: int | Sequence[int] | None) -> list[int]:
        n = len(self)
        chosen = np.arange(n) if rows is None else np.atleast_1d(np.asarray(rows))
        if (
            chosen.ndim != 1
            or chosen.dtype.kind not in "iu"
            or not chosen.size
            or not ((-n <= chosen) & (chosen < n)).all()
        ):
            raise ValueError(f"Expected rows to be one or several of 0 to {n - 1}, got {rows!r}.")
        if len(chosen) > MAX_ROWS:
            raise ValueError(
                f"Expected at most {MAX_ROWS} rows, got {len(chosen)}: choose some by rows=, or draw all of them by "
                "plot_beeswarm()."
            )
        return [int(row) % n for row in chosen]

    def _panel(self, row: int, top: int) -> table_figures.Panel:
        """A row as it is drawn."""
        names, lengths = zip(*self.told(row, top), strict=True)
        score = float(self.explanation.score[row])
        title = f"{self.explanation.label(row)}, row {row}: {scored(self.explanation, row)}"
        start = None if self.start is None else float(self.start[row])
        return table_figures.Panel(title, list(names), np.array(lengths), score, start)

    def _meaning(self, shown: int) -> str:
        """What the axis of values shows, and how many features it does not."""
        labels = {self.explanation.label(row) for row in range(len(self))}
        what = labels.pop() if len(labels) == 1 else "the class of each row"
        rest, count = len(self.features) - shown, len(self.features)
        left_out = f"\nwith smaller values, and not shown: {rest} of {count} features" if rest > 0 else ""
        return f"value for {what} ({self.explanation.method}){left_out}"

    def _numbers(self, feature: int) -> np.ndarray | None:
        """(n,) the feature's own values, if it is one column."""
        columns = self._parts[feature][1]
        return self._data[:, columns[0]] if len(columns) == 1 else None

    def _own(self, row: int, feature: int) -> float | str | None:
        """The feature's own value in a row; of a group, the only column that is not zero."""
        columns = self._parts[feature][1]
        own = self._data[row, columns]
        if len(columns) == 1:
            known = self._categories.get(self._names[columns[0]])
            return known[int(own[0])] if known else float(own[0])
        on = np.flatnonzero(own)
        if len(on) != 1:
            return None
        name = self._names[columns[on[0]]]
        return name.removeprefix(self.features[feature]).lstrip(" =_:") or name  # "red" of "colour=red"


def is_table(explanation: Explanation, input: str | None = None) -> bool:
    """Whether an explanation is of numbers in columns, so that it is drawn by their names."""
    known = explanation.facts.get("categories", {})
    return all(
        not isinstance(data, list)
        and (data.dtype.kind == "f" or name in known)
        and data.ndim <= 2
        and values.shape == data.shape
        for name, values, data in _pairs(explanation, input)
    )


def _pairs(explanation: Explanation, input: str | None) -> list[tuple[str, Any, Any]]:
    """Name, values and data of the input that is chosen, or of all that have values; embedded categories summed up."""
    known = explanation.facts.get("categories", {})
    if isinstance(explanation.values, dict) and input is None:
        found = [(name, values, explanation.inputs[name]) for name, values in explanation.values.items()]
    else:
        values, data = explanation.of(input)
        inputs = explanation.inputs if isinstance(explanation.inputs, dict) else {next(iter(known), ""): data}
        found = [(next(name for name, one in inputs.items() if one is data), values, data)]
    return [
        (name, values.sum(-1) if name in known and values.ndim > data.ndim else values, data)
        for name, values, data in found
    ]


def _of_inputs(sizes: Sequence[tuple[str, int]], known: Mapping[str, Any]) -> dict[str, list[int]]:
    """The columns of inputs that are one feature each, where these are several."""
    ends = np.cumsum([columns for _, columns in sizes]).tolist()
    return {
        name: list(range(end - columns, end))
        for (name, columns), end in zip(sizes, ends, strict=True)
        if name in known and columns > 1
    }


def _tables(explanation: Explanation, input: str | None) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, values and data of the inputs that are tables, (n, columns)."""
    pairs = _pairs(explanation, input)
    n = len(explanation)
    found = [
        (name, values.reshape(n, -1), data.reshape(n, -1))
        for name, values, data in pairs
        if not isinstance(data, list) and data.ndim <= 2 and values.shape == data.shape
    ]
    if not found:
        shapes = [f"values {np.shape(values[0])} of inputs {np.shape(data[0])}" for _, values, data in pairs]
        raise ValueError(
            f"Expected an explanation of a table, a value for each of (n, features), got for each row "
            f"{', '.join(shapes)}. Explanation.plot() draws images, series and volumes."
        )
    return found
