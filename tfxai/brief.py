"""Results in one line: what they hold, by its size."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

LONG = 60  # letters of a part that is told as it is


def brief(result: Any) -> str:
    """The ``__repr__`` of a dataclass with arrays: these by their shapes, and collections that are long by their count.

    Examples
    --------
    >>> import dataclasses, numpy as np
    >>> from tfxai.brief import brief
    >>> @dataclasses.dataclass
    ... class Found:
    ...     name: str
    ...     values: np.ndarray
    ...     __repr__ = brief
    >>> Found("a", np.zeros((2, 3)))
    Found(name='a', values=array (2, 3))
    """
    told = [f"{field.name}={_part(getattr(result, field.name))}" for field in dataclasses.fields(result)]
    return f"{type(result).__name__}({', '.join(told)})"


def made(maker: Any, options: Mapping[str, Any]) -> str:
    """The ``__repr__`` of what looks at a model: of which, and with what."""
    model = str(maker.view.origin.get("model") or "a model")
    return f"{type(maker).__name__}({', '.join([model, *(f'{name}={_part(x)}' for name, x in options.items())])})"


def _part(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array {value.shape}"
    if isinstance(value, list | tuple | dict | set) and (len(value) > 8 or len(repr(value)) > LONG):
        return f"{len(value)} {'items' if isinstance(value, dict) else 'parts'}"
    text = repr(value)
    return text if len(text) <= LONG or hasattr(value, "__dataclass_fields__") else f"{text[:LONG]}..."
