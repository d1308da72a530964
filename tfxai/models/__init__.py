"""Reaching into a model: read a layer, edit it, bend the backward pass."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from keras import Model
from keras.models import load_model

from tfxai.models.keras import KerasView
from tfxai.models.view import Layer, ModelView

__all__ = ["Layer", "ModelView", "layers", "open_model"]


def open_model(model: Any, output: str | int | None = None) -> ModelView:
    """The view of a Keras model, or of a ``.keras`` or ``.h5`` file.

    Raises
    ------
    TypeError
        If it is no model.
    ValueError
        If the file does not exist or holds no Keras model.
    """
    if isinstance(model, ModelView):
        return model
    if isinstance(model, str | os.PathLike):
        model = _load(Path(model))
    if not isinstance(model, Model):
        raise TypeError(f"Expected a Keras 3 model, or the path of a .keras or .h5 file, got {type(model).__name__}.")
    return KerasView(model, output)


def layers(model: Any) -> list[Layer]:
    """List the layers of a model in the order in which they run.

    Parameters
    ----------
    model : keras.Model or path
        The model.

    Returns
    -------
    list of Layer
        Tuples ``(name, kind, shape)``, also with an attribute ``spatial``; the names are what ``layer=`` takes.

    Examples
    --------
    >>> import tfxai
    >>> tfxai.layers(tfxai.datasets.flowers.load_model())[1].kind
    'Conv2D'
    """
    return open_model(model).layers()


def _load(path: Path) -> Model:
    if not path.exists():
        raise ValueError(f"There is no model file {str(path)!r}.")
    if path.suffix not in (".keras", ".h5"):
        raise ValueError(f"Expected a .keras or .h5 file, got {str(path)!r}.")
    try:
        return load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds for a damaged file
        raise ValueError(f"Cannot load a Keras model from {str(path)!r}: {error}") from error
